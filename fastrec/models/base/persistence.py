"""Models in files and out of them: what is learned as arrays, options as JSON, and no code."""

import copy
import functools
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from fastrec import preprocessing
from fastrec.compression import VectorCodec, describe_codec, rebuild_codec
from fastrec.data import Vocabulary
from fastrec.data.strings import check_block, check_strings, pack_strings, unpack_strings
from fastrec.fields import LARGEST, Value, check_fields, fields_of
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.registry import loadable
from fastrec.parallel import effective_jobs
from fastrec.permissions import PRIVATE
from fastrec.retrieval.diversity import RULES, data_of_rule, field_of_rule
from fastrec.retrieval.ivf import IVFIndex
from fastrec.storage import read_arrays, refused, write_arrays
from fastrec.validation import check_number

MOST_JOBS = 1 << 16

Arrays = dict[str, NDArray[Any]]
Record = dict[str, Any]


def save(model: Any, path: str | os.PathLike[str], *, mode: int = PRIVATE) -> None:
    """Write a fitted model to a file, whole or not at all.

    Everything that it needs goes with it: vocabularies, titles, what each user has seen. Options that are no data (a
    callback, a random generator in use) are stored as None; the file's metadata names them.

    Parameters
    ----------
    model
        A fitted model of fastrec.
    path
        The file to make, or to replace.
    mode
        The file's permissions. It holds what each user has seen, and is its owner's alone unless 0o640, say, lets a
        group read it. (Not on Windows.)

    Raises
    ------
    NotFittedError
        Where the model is not fitted.
    TypeError
        Where its class is not one that `load` would make, or an option is nothing that a file can hold.
    ValueError
        Where what it has learned, or an option, is not what its class declares: `load` would refuse it.

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
    check_learned(model, ranges=True)  # what `load` would refuse is not written
    write_arrays(path, arrays, record, mode=mode)


def load(path: str | os.PathLike[str], *, verify: bool | Literal["header"] = True, mapped: bool = True) -> Any:
    """The model in a file.

    No code from the file is run: it names a class of fastrec, and holds that class's options and arrays.

    Parameters
    ----------
    path
        A file of `save`.
    verify
        True checks the checksums of all arrays and that they fit each other, for which everything is read once.
        "header" reads the header alone, in about a millisecond: for files that nobody else could have changed.
    mapped
        True maps the file into memory, so that processes which load it share its arrays: it must then be replaced as
        `save` does it, never overwritten, which would change the model or end the process. False reads it.

    Returns
    -------
    A fitted model.

    Raises
    ------
    FileError
        (A ValueError.) Where the file is cut short, altered, of a newer version, a pickle, or no model: the message
        says which.
    FileNotFoundError
        Where there is none.
    """
    arrays, record = read_arrays(path, verify=verify, mapped=mapped)
    with refused(path, "model"):
        return rebuild(arrays, record, check=verify is True)


def freeze(model: Any) -> None:
    """Make all learned arrays read-only, as memory-mapped ones are: kernels are compiled once, for such arrays."""
    for name in fields_of(type(model)):
        value = vars(model).get(name)
        if isinstance(value, np.ndarray) and value.dtype != object:
            setattr(model, name, readonly(value))
        elif isinstance(value, CodeMatrix):
            data, indices, indptr = map(readonly, (value.data, value.indices, value.indptr))
            setattr(model, name, assemble_csr(data, indices, indptr, value.shape))


def describe(model: Any, leave_out: tuple[str, ...] = ()) -> tuple[Arrays, Record]:
    """A fitted model as named arrays, and as a record for JSON: its class, its options and what its arrays are.

    `leave_out` names what it learned that is kept elsewhere.
    """
    name = type(model).__name__
    kind: type = type(model)
    if loadable().get(name) is not kind:
        raise TypeError(
            f"{name} is not a model that load would make: only classes of fastrec.models, and those registered by "
            "fastrec.models.register, are"
        )
    fitted: bool = model.__sklearn_is_fitted__()
    if not fitted:
        raise NotFittedError(f"This {name} instance is not fitted yet: there is nothing to save.")
    arrays: Arrays = {}
    learned: Record = {}
    for attribute in fields_of(type(model)):
        if attribute in vars(model) and attribute not in leave_out:
            parts, learned[attribute] = _encode(f"{name}.{attribute}", vars(model)[attribute])
            arrays |= {attribute.rstrip("_") + part: array for part, array in parts.items()}
    options, left_out = _encode_options(model)
    return arrays, {"class": name, "options": options, "options_left_out": left_out, "learned": learned}


def rebuild(arrays: Mapping[str, NDArray[Any]], record: Record, *, check: bool) -> Any:
    """The model that `describe` described; with `check`, its arrays are looked at and must fit each other."""
    if "class" not in record or "learned" not in record:
        raise ValueError("it holds arrays, but no fastrec model")
    model = _assemble(arrays, record, check)
    _share(model)
    check_learned(model, ranges=check)
    model._restored(check=check)
    _check_options(model, record["options_left_out"])
    if check:
        model._check_data()
    return model


def check_learned(model: Any, *, ranges: bool, besides: frozenset[str] = frozenset()) -> None:
    """Raise a ValueError where what a model has learned is not what its class declares, but for what is named.

    With `ranges` the numbers are looked at too, not the types and shapes alone.
    """
    if not getattr(type(model), "_rebuilt_options", ()):  # which are there only when the model is whole
        model._check_options()
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, int | float) and name != "random_state":
            check_number(f"{type(model).__name__}.{name}", float(value), minimum=-LARGEST, maximum=LARGEST)
    fields = {name: field for name, field in fields_of(type(model)).items() if name not in besides}
    plain = {name: field for name, field in fields.items() if isinstance(field, Value)}
    check_fields(plain, vars(model), {}, ranges=ranges)  # before `_sizes` reads them
    check_fields(fields, vars(model), model._sizes(), ranges=ranges)
    model._check_relations(ranges=ranges)


def _share(model: Any) -> None:
    """Hand on to the models that it is made of what is the whole's."""
    for value in list(vars(model).values()):
        if isinstance(value, Team):
            for member in value:
                vars(member).update({name: vars(model).get(name) for name in Team.SHARED})
                _share(member)


def _check_options(model: Any, left_out: list[str]) -> None:
    """Raise a ValueError or TypeError where an option is not what the constructor's documentation says."""
    probe, defaults = copy.copy(model), inspect.signature(type(model)).parameters
    for name in left_out:  # is no data, and None in its place may be no option
        setattr(probe, name, defaults[name].default)
    probe._check_options()
    if hasattr(probe, "n_jobs"):
        effective_jobs(probe.n_jobs)
        check_number("n_jobs", probe.n_jobs or 0, minimum=-MOST_JOBS, maximum=MOST_JOBS)
    if hasattr(probe, "random_state"):
        check_random_state(probe.random_state)


class Team(tuple[Any, ...]):
    """Fitted models that another one is made of: equal where they are of one class and learned the same.

    In a file they are without what `SHARED` names, which is the whole model's own: it hands that on in `_restored`.
    """

    SHARED = ("seen_", "item_counts_", "users_", "items_", "item_info_")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Team) and _without_shared(self) == _without_shared(other)

    def __hash__(self) -> int:
        return hash(tuple(type(model).__name__ for model in self))


def _without_shared(team: Team) -> Any:
    """What the models learned, as bytes and records."""
    arrays, record = _encode_team("team", team)
    learned = [{name: part for name, part in one.items() if not name.startswith("options")} for one in record["models"]]
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}, learned


def _encode_team(name: str, team: Team) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records = []
    for number, model in enumerate(team):
        parts, record = describe(model, leave_out=Team.SHARED)
        arrays |= {f"/{number}/{part}": array for part, array in parts.items()}
        records.append(record)
    return arrays, {"models": records}


def _decode_team(arrays: Arrays, record: Record, ranges: bool) -> Team:
    models = []
    for number, described in enumerate(record["models"]):
        prefix = f"/{number}/"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        models.append(_assemble(parts, described, ranges))
    return Team(models)


def _assemble(arrays: Mapping[str, NDArray[Any]], record: Record, ranges: bool) -> Any:
    """The model with its options and what it learned, before it has looked at any of it."""
    kind = loadable().get(record["class"])
    if kind is None:
        raise ValueError(f"its class {record['class']!r} is none of fastrec's ({', '.join(loadable())})")
    model: Any = kind(**{name: _decode_value(value) for name, value in record["options"].items()})
    names = fields_of(kind)
    for attribute, spec in record["learned"].items():
        if attribute not in names:
            raise ValueError(f"{record['class']} has no attribute {attribute!r}")
        prefix = attribute.rstrip("_")
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        setattr(model, attribute, _CODECS[spec["kind"]].decode(parts, spec, ranges))
    freeze(model)  # copies only what another program wrote unaligned
    return model


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}/")


# -- options


def _encode_options(model: Any) -> tuple[Record, list[str]]:
    options: Record = {}
    left_out: list[str] = []
    rebuilt: frozenset[str] = getattr(type(model), "_rebuilt_options", frozenset())
    for name, value in model.get_params(deep=False).items():
        if name in rebuilt:
            options[name] = None  # the model makes it again of what it learned, in `_restored`
        elif (described := _describe_split(value)) is not None:
            options[name] = described
        elif callable(value) or hasattr(value, "get_n_splits") or isinstance(value, _RANDOM):
            options[name] = None
            left_out.append(name)
        else:
            options[name] = _encode_value(f"{type(model).__name__}.{name}", value)
    return options, left_out


_RANDOM = (np.random.Generator, np.random.RandomState)


def _describe_split(value: Any) -> Record | None:
    """A splitter of fastrec, or one of its functions that split, as its name and its options; None for others."""
    made, options = (value if callable(value) else type(value)), {}
    if isinstance(value, functools.partial) and not value.args:
        made, options = value.func, value.keywords
    name = getattr(made, "__name__", "")
    if name not in preprocessing.__all__ or getattr(preprocessing, name) is not made:
        return None
    if made is not value and isinstance(made, type):
        options = {option: getattr(value, option) for option in inspect.signature(made).parameters}
    return {"split": {"name": name, "options": {key: _encode_value(key, option) for key, option in options.items()}}}


def _decode_split(record: Record) -> Any:
    """What `_describe_split` described: found by its name in fastrec's own list, and nowhere else."""
    if record["name"] not in preprocessing.__all__:
        raise ValueError(f"{record['name']!r} is no split of fastrec")
    made = getattr(preprocessing, record["name"])
    options = {name: _decode_value(option) for name, option in record["options"].items()}
    if isinstance(made, type):
        return made(**options)
    return functools.partial(made, **options) if options else made


def _encode_value(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):  # of JSON's own there is only the list
        return {"tuple": [_encode_value(name, item) for item in value]}
    if isinstance(value, list):
        return [_encode_value(name, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode_value(name, item) for key, item in value.items()}}
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def _decode_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_value(item) for item in value]
    if isinstance(value, dict):
        if "float" in value:
            return float(value["float"])
        if "split" in value:
            return _decode_split(value["split"])
        if "tuple" in value:
            return tuple(_decode_value(item) for item in value["tuple"])
        return {key: _decode_value(item) for key, item in value["dict"].items()}
    return value


# -- what was learned: each kind of value as arrays (by the ends of their names) and a record, and back


class _Codec(NamedTuple):
    knows: Callable[[Any], bool]
    encode: Callable[[str, Any], tuple[Arrays, Record]]
    decode: Callable[[Arrays, Record, bool], Any]  # True: numbers are looked at


def _encode(name: str, value: Any) -> tuple[Arrays, Record]:
    for kind, codec in _CODECS.items():
        if codec.knows(value):
            arrays, record = codec.encode(name, value)
            return arrays, {"kind": kind, **record}
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def _encode_csr(name: str, matrix: CodeMatrix) -> tuple[Arrays, Record]:
    arrays = {"/data": matrix.data, "/indices": matrix.indices, "/indptr": matrix.indptr}
    return arrays, {"shape": [int(side) for side in matrix.shape]}


def _decode_csr(arrays: Arrays, record: Record, ranges: bool = True) -> CodeMatrix:
    data, indices, indptr = arrays["/data"], arrays["/indices"], arrays["/indptr"]
    rows, columns = record["shape"]
    if indptr.shape != (rows + 1,) or data.ndim != 1 or data.shape != indices.shape:
        raise ValueError("the arrays of a matrix do not fit each other")
    if [array.dtype.name for array in (data, indices, indptr)] != ["float32", "int32", "int64"]:
        raise ValueError("the arrays of a matrix are not of the types that they must be")
    return assemble_csr(data, indices, indptr, (rows, columns))


def _encode_vocabulary(name: str, vocabulary: Vocabulary) -> tuple[Arrays, Record]:
    return {f"/{part}": array for part, array in vocabulary.to_arrays().items()}, {}


def _decode_vocabulary(arrays: Arrays, record: Record, ranges: bool = True) -> Vocabulary:
    return Vocabulary.from_arrays({name[1:]: array for name, array in arrays.items()})


def _encode_strings(name: str, column: NDArray[Any]) -> tuple[Arrays, Record]:
    """Strings as they are; other objects, None among them, as JSON."""
    values = column.tolist()
    plain = all(isinstance(value, str) for value in values)
    try:
        texts = values if plain else [json.dumps(value) for value in values]
    except TypeError as error:
        raise TypeError(f"{name} holds a value that a model file cannot hold: {error}") from None
    utf8, offsets = pack_strings(texts)
    return {"/utf8": utf8, "/offsets": offsets}, {"json": not plain}


def _decode_strings(arrays: Arrays, record: Record, ranges: bool = True) -> NDArray[Any]:
    texts = unpack_strings(arrays["/utf8"], arrays["/offsets"])
    if record["json"]:
        values = [json.loads(text) for text in texts]
        for place, value in enumerate(values):
            texts[place] = value
    texts.flags.writeable = False
    return texts


def _encode_times(name: str, column: NDArray[Any]) -> tuple[Arrays, Record]:
    return {"": column.view(np.int64)}, {"dtype": column.dtype.str}


def _decode_times(arrays: Arrays, record: Record, ranges: bool = True) -> NDArray[Any]:
    if not re.fullmatch(r"[<>=|]?[mM]8(\[[0-9]{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?", record["dtype"]):
        raise ValueError(f"{record['dtype']!r} is no type of times")
    if arrays[""].dtype != np.int64:
        raise ValueError(f"times must be int64, got {arrays[''].dtype}")
    return arrays[""].view(np.dtype(record["dtype"]))


class Columns(Mapping[str, NDArray[Any]]):
    """Columns of a loaded file by name; strings are made of bytes only when a column is first asked for."""

    def __init__(self, parts: dict[str, tuple[Arrays, Record]]) -> None:
        self._parts = parts
        self._made: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._made:
            arrays, record = self._parts[name]
            self._made[name] = _CODECS[record["kind"]].decode(arrays, record, True)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return f"Columns({', '.join(self)})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, NDArray[Any]]]]:
        return dict, (dict(self),)

    def check(self, name: str, *, ranges: bool) -> dict[str, int]:
        """The length of each column; a ValueError where one is not what it must be."""
        lengths = {}
        for column, (arrays, record) in self._parts.items():
            if record["kind"] == "strings":
                check_block(arrays["/utf8"], arrays["/offsets"])
                lengths[column] = len(arrays["/offsets"]) - 1
                if ranges:
                    check_strings(arrays["/utf8"], arrays["/offsets"])
                    self[column] if record["json"] else None
            else:
                lengths[column] = len(self[column])
        return lengths


def _encode_columns(name: str, columns: Mapping[str, NDArray[Any]]) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records = []
    # Columns are numbered, as their names may hold anything, a "/" too.
    for number, (column, values) in enumerate(columns.items()):
        parts, record = _encode(f"{name}[{column!r}]", values)
        arrays |= {f"/{number}{part}": array for part, array in parts.items()}
        records.append({"name": column, **record})
    return arrays, {"columns": records}


def _decode_columns(arrays: Arrays, record: Record, ranges: bool = True) -> Columns:
    columns = {}
    for number, column in enumerate(record["columns"]):
        prefix = f"/{number}"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        if column["kind"] not in ("array", "strings", "times"):
            raise ValueError(f"column {column['name']!r} is of no kind that a column can be")
        columns[str(column["name"])] = parts, column
    return Columns(columns)


def _is_index(value: Any) -> bool:
    return isinstance(value, IVFIndex)


def _encode_index(name: str, index: IVFIndex) -> tuple[Arrays, Record]:
    arrays, record = index.describe()
    return {f"/{part}": array for part, array in arrays.items()}, {"index": record}


def _decode_index(arrays: Arrays, record: Record, ranges: bool = True) -> IVFIndex:
    return IVFIndex.rebuild({name[1:]: array for name, array in arrays.items()}, record["index"], ranges=ranges)


def _encode_vector_codecs(name: str, codecs: dict[str, VectorCodec]) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records: Record = {}
    for side, codec in codecs.items():
        own, records[side] = describe_codec(codec)
        arrays |= {f"/{side}{part}": array for part, array in own.items()}
    return arrays, {"codecs": records}


def _decode_vector_codecs(arrays: Arrays, record: Record, ranges: bool = True) -> dict[str, VectorCodec]:
    codecs = {}
    for side, described in record["codecs"].items():
        prefix = f"/{side}"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        codecs[side] = rebuild_codec(own, described, ranges=ranges)
    return codecs


def _is_codecs(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(isinstance(one, VectorCodec) for one in value.values())


def _of_kind(kinds: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, np.ndarray) and value.dtype.kind in kinds


def _encode_rule(name: str, rule: Any) -> tuple[Arrays, Record]:
    """A rule of re-ranking, by its name, its number, and the matrix of the items that it was bound to."""
    field = field_of_rule(rule)
    arrays, part = _encode(name, data_of_rule(rule))
    options = {one.name: getattr(rule, one.name) for one in fields(rule) if one.name != field}
    numbers = {key: _encode_value(f"{name}.{key}", option) for key, option in options.items()}
    return arrays, {"rule": type(rule).__name__, "options": numbers, "part": part}


def _decode_rule(arrays: Arrays, record: Record, ranges: bool) -> Any:
    made, part = RULES[record["rule"]], record["part"]
    options = {key: _decode_value(option) for key, option in record["options"].items()}
    rule = made(**options)
    return replace(rule, **{str(field_of_rule(rule)): _CODECS[part["kind"]].decode(arrays, part, ranges)})


_CODECS: dict[str, _Codec] = {
    "array": _Codec(_of_kind("biuf"), lambda name, value: ({"": value}, {}), lambda arrays, record, ranges: arrays[""]),
    "strings": _Codec(_of_kind("OUT"), _encode_strings, _decode_strings),
    "times": _Codec(_of_kind("mM"), _encode_times, _decode_times),
    "matrix": _Codec(issparse, _encode_csr, _decode_csr),
    "vocabulary": _Codec(lambda value: isinstance(value, Vocabulary), _encode_vocabulary, _decode_vocabulary),
    "codecs": _Codec(_is_codecs, _encode_vector_codecs, _decode_vector_codecs),
    "columns": _Codec(lambda value: isinstance(value, Mapping), _encode_columns, _decode_columns),
    "index": _Codec(_is_index, _encode_index, _decode_index),
    "rule": _Codec(lambda value: type(value) in RULES.values(), _encode_rule, _decode_rule),
    "team": _Codec(lambda value: isinstance(value, Team), _encode_team, _decode_team),
    "value": _Codec(
        lambda value: value is None or isinstance(value, bool | int | float | str | list | tuple | np.generic),
        lambda name, value: ({}, {"value": _encode_value(name, value)}),
        lambda arrays, record, ranges: _decode_value(record["value"]),
    ),
}
