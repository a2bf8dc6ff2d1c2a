"""Model files: learned values as arrays, options as JSON, and no code."""

import copy
import inspect
import os
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from fastrec.fields import LARGEST, Value, check_fields, fields_of
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.learned_values import Arrays, belongs, decode, encode
from fastrec.models.base.option_values import Record, decode_value, describe_split, encode_value
from fastrec.models.base.registry import find_class, loadable
from fastrec.permissions import PRIVATE
from fastrec.storage import read_arrays, refused, write_arrays
from fastrec.validation import check_number

MOST_JOBS = 1 << 16


def save(model: Any, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
    """Writes a fitted model to a file, whole or not at all.

    The file contains everything that the model needs: vocabularies, titles, and the users' histories. Options that are
    no data (a callback, a random generator in use) are stored as None; the file's metadata names them.

    Parameters
    ----------
    model
        A fitted model of fastrec.
    path
        The file to create or replace.
    mode
        The file's permissions. The file holds the users' histories, so by default its owner alone may read it; 0o640
        lets a group read it. (Not on Windows.)

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If `load` does not know its class, or a file cannot hold an option.
    ValueError
        If a learned value or an option is not what its class declares: `load` would refuse it.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.models import Popularity
    >>> path = tempfile.mkdtemp() + "/popular.fastrec"
    >>> save(Popularity().fit([[1, 0], [1, 1]]), path)
    >>> load(path).recommend(0, k=2, exclude_seen=False).codes
    array([[0, 1]], dtype=int32)
    """
    arrays, record = describe(model)
    check_publishable(model)
    check_learned(model, ranges=True)  # a file that `load` would refuse is not written
    write_arrays(path, arrays, record, mode=mode)


def check_publishable(model: Any) -> None:
    """Raises a ValueError if a model must not be written to a file."""
    model._check_publishable()


def load(path: str | os.PathLike[str], *, verify: bool | Literal["header"] = True, mapped: bool = True) -> Any:
    """Loads the model of a file.

    No code from the file is run: it names a class of fastrec, and holds that class's options and arrays.

    Parameters
    ----------
    path
        A file of `save`.
    verify
        True checks the checksums of all arrays and that they fit each other; everything is read once. "header" reads
        the header alone, in about a millisecond: use it for files that nobody else can change.
    mapped
        True maps the file into memory, so that all processes that load it share its arrays. Replace such a file as
        `save` does; never overwrite it, which would change the model or end the process. False reads it.

    Returns
    -------
    A fitted model.

    Raises
    ------
    FileError
        (A ValueError.) If the file is cut short, altered, of a newer version, a pickle, or no model: the message says
        which.
    FileNotFoundError
        If there is no such file.
    """
    arrays, record = read_arrays(path, verify=verify, mapped=mapped)
    with refused(path, "model"):
        return rebuild(arrays, record, check=verify is True)


def freeze(model: Any) -> None:
    """Makes all learned arrays read-only, like memory-mapped ones, so that kernels are compiled for one kind of
    array.
    """
    for name in fields_of(type(model)):
        value = vars(model).get(name)
        if isinstance(value, np.ndarray) and value.dtype != object:
            setattr(model, name, readonly(value))
        elif isinstance(value, CodeMatrix):
            data, indices, indptr = map(readonly, (value.data, value.indices, value.indptr))
            setattr(model, name, assemble_csr(data, indices, indptr, value.shape))


def describe(model: Any, leave_out: tuple[str, ...] = ()) -> tuple[Arrays, Record]:
    """Describes a fitted model as named arrays, and a record for JSON: its class, its options and its kinds of arrays.

    `leave_out` names the learned values that are kept elsewhere.
    """
    name = type(model).__name__
    kind: type = type(model)
    if find_class(name) is not kind:
        raise TypeError(
            f"{name} is not a model that load would make: only classes of fastrec.models, and those registered by "
            "fastrec.models.register, are"
        )
    fitted: bool = model.__sklearn_is_fitted__()
    if not fitted:
        raise NotFittedError(f"This {name} instance is not fitted yet: there is nothing to save.")
    model.settle()
    arrays: Arrays = {}
    learned: Record = {}
    for attribute in fields_of(type(model)):
        if attribute in vars(model) and attribute not in leave_out:
            parts, learned[attribute] = _encode_learned(f"{name}.{attribute}", vars(model)[attribute])
            arrays |= {attribute.rstrip("_") + part: array for part, array in parts.items()}
    options, left_out = _encode_options(model)
    return arrays, {"class": name, "options": options, "options_left_out": left_out, "learned": learned}


def rebuild(arrays: Mapping[str, NDArray[Any]], record: Record, *, check: bool) -> Any:
    """Makes the model that `describe` described; with `check`, its arrays are checked and must fit each other."""
    if "class" not in record or "learned" not in record:
        raise ValueError("it holds arrays, but no fastrec model")
    model = _assemble(arrays, record, check)
    share(model)
    check_learned(model, ranges=check)
    model._restore(check=check)
    _check_options(model, record["options_left_out"])
    if check:
        model._check_data()
    return model


def check_learned(model: Any, *, ranges: bool, besides: frozenset[str] = frozenset()) -> None:
    """Raises a ValueError if a learned value is not what the class declares, except those of the given names.

    With `ranges` the numbers are checked, too, not only types and shapes.
    """
    if not getattr(type(model), "_rebuilt_options", ()):  # these exist only once the model is complete
        model._check_options()
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, int | float) and name != "random_state":
            check_number(f"{type(model).__name__}.{name}", float(value), minimum=-LARGEST, maximum=LARGEST)
    fields = {name: field for name, field in fields_of(type(model)).items() if name not in besides}
    plain = {name: field for name, field in fields.items() if isinstance(field, Value)}
    check_fields(plain, vars(model), {}, ranges=ranges)  # before `_sizes` reads them
    check_fields(fields, vars(model), model._sizes(), ranges=ranges)
    model._check_relations(ranges=ranges)


def share(model: Any) -> None:
    """Gives the members of a model the values that belong to the whole."""
    for value in list(vars(model).values()):
        if isinstance(value, Team):
            for member in value:
                vars(member).update({name: vars(model).get(name) for name in value.SHARED})
                share(member)


def _check_options(model: Any, left_out: list[str]) -> None:
    """Raises a ValueError or TypeError if an option is not what the constructor's documentation says."""
    probe, defaults = copy.copy(model), inspect.signature(type(model)).parameters
    for name in left_out:  # these options are no data: they are None, which may be no valid value
        setattr(probe, name, defaults[name].default)
    probe._check_options()


class Team(tuple[Any, ...]):
    """The fitted models in another model: equal if they have the same class and learned the same.

    In a file they lack the values in `SHARED`, which belong to the whole model: it gives them back in `_restore`.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("seen_", "order_", "item_counts_", "users_", "items_", "item_info_")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _without_shared(self) == _without_shared(other)

    def __hash__(self) -> int:
        return hash(tuple(type(model).__name__ for model in self))


class LastStep(Team):
    """The model at the end of a Pipeline: its data is the output of the steps, so it shares nothing."""

    SHARED = ("users_", "items_", "item_info_")


TEAMS: dict[str, type[Team]] = {"team": Team, "last step": LastStep}
"""The kinds of teams, as records name them."""


def restore_member(member: Any, shared: Mapping[str, Any], *, check: bool) -> None:
    """Gives a member of a loaded model the values of the whole, and completes it."""
    vars(member).update(shared)
    member._restore(check=check)


def _without_shared(team: Team) -> Any:
    """The learned values of the models without the shared ones, as bytes and records."""
    arrays, record = _encode_team("team", team)
    learned = [{name: part for name, part in one.items() if not name.startswith("options")} for one in record["models"]]
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}, learned


def _encode_team(name: str, team: Team) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records = []
    for number, model in enumerate(team):
        parts, record = describe(model, leave_out=team.SHARED)
        arrays |= {f"/{number}/{part}": array for part, array in parts.items()}
        records.append(record)
    return arrays, {"models": records}


def _decode_team(arrays: Arrays, record: Record, ranges: bool) -> Team:
    """Decodes the models of a record that `_encode_team` made."""
    models = []
    for number, described in enumerate(record["models"]):
        prefix = f"/{number}/"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        models.append(_assemble(parts, described, ranges))
    return TEAMS[record["kind"]](models)


def _assemble(arrays: Mapping[str, NDArray[Any]], record: Record, ranges: bool) -> Any:
    """Assembles the model from its options and learned values, before it has read any of them."""
    kind = find_class(record["class"])
    if kind is None:
        raise ValueError(f"its class {record['class']!r} is not one of fastrec's ({', '.join(loadable())})")
    options = {name: decode_value(value) for name, value in record["options"].items()}
    model: Any = kind(**{**getattr(kind, "_former_options", {}), **options})
    names = fields_of(kind)
    for attribute, spec in record["learned"].items():
        if attribute not in names:
            raise ValueError(f"{record['class']} has no attribute {attribute!r}")
        prefix = attribute.rstrip("_")
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if belongs(name, prefix)}
        setattr(model, attribute, (_decode_team if spec["kind"] in TEAMS else decode)(parts, spec, ranges))
    freeze(model)  # copies only arrays that another program wrote unaligned
    return model


def _encode_learned(name: str, value: Any) -> tuple[Arrays, Record]:
    if not isinstance(value, Team):
        return encode(name, value)
    arrays, record = _encode_team(name, value)
    kind = next(kind for kind, made in TEAMS.items() if made is type(value))
    return arrays, {"kind": kind, **record}


_RANDOM = (np.random.Generator, np.random.RandomState)


def _encode_options(model: Any) -> tuple[Record, list[str]]:
    options: Record = {}
    left_out: list[str] = []
    rebuilt: frozenset[str] = getattr(type(model), "_rebuilt_options", frozenset())
    for name, value in model.get_params(deep=False).items():
        if name in rebuilt:
            options[name] = None  # the model makes it again from its learned values, in `_restore`
        elif (described := describe_split(value)) is not None:
            options[name] = described
        elif callable(value) or hasattr(value, "get_n_splits") or isinstance(value, _RANDOM):
            options[name] = None
            left_out.append(name)
        else:
            options[name] = encode_value(f"{type(model).__name__}.{name}", value)
    return options, left_out
