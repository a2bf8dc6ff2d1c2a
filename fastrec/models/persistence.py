"""Models in files and out of them: what is learned as arrays, options as JSON, and no code."""

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError

from fastrec import preprocessing
from fastrec.compression import VectorCodec, describe_codec, rebuild_codec
from fastrec.data import Vocabulary
from fastrec.data.strings import pack_strings, unpack_strings
from fastrec.models.registry import loadable
from fastrec.permissions import PRIVATE
from fastrec.retrieval.ivf import IVFIndex
from fastrec.storage import FileError, read_arrays, write_arrays
from fastrec.validation import CodeMatrix, assemble_csr, readonly

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
    try:
        model = rebuild(arrays, record, check=verify is True)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FileError(f"{os.fspath(path)} holds no model that can be loaded: {error}") from error
    return model


def learned_names(kind: type) -> list[str]:
    """The attributes that a fitted object of the class keeps: those that each class in its line adds."""
    lines = [vars(base).get("_learned", ()) for base in reversed(kind.__mro__)]
    return list(dict.fromkeys(name for names in lines for name in names))


def freeze(model: Any) -> None:
    """Make all learned arrays read-only, as memory-mapped ones are: kernels are compiled once, for such arrays."""
    for name in learned_names(type(model)):
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
    for attribute in learned_names(type(model)):
        if attribute in vars(model) and attribute not in leave_out:
            parts, learned[attribute] = _encode(f"{name}.{attribute}", vars(model)[attribute])
            arrays |= {attribute.rstrip("_") + part: array for part, array in parts.items()}
    options, left_out = _encode_options(model)
    return arrays, {"class": name, "options": options, "options_left_out": left_out, "learned": learned}


def rebuild(arrays: Mapping[str, NDArray[Any]], record: Record, *, check: bool) -> Any:
    """The model that `describe` described; with `check`, its arrays are looked at and must fit each other."""
    if "class" not in record or "learned" not in record:
        raise ValueError("it holds arrays, but no fastrec model")
    model = _assemble(arrays, record)
    model._restored(check=check)
    return model


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


def _decode_team(arrays: Arrays, record: Record) -> Team:
    models = []
    for number, described in enumerate(record["models"]):
        prefix = f"/{number}/"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        models.append(_assemble(parts, described))
    return Team(models)


def _assemble(arrays: Mapping[str, NDArray[Any]], record: Record) -> Any:
    """The model with its options and what it learned, before it has looked at any of it."""
    kind = loadable().get(record["class"])
    if kind is None:
        raise ValueError(f"its class {record['class']!r} is none of fastrec's ({', '.join(loadable())})")
    model: Any = kind(**{name: _decode_value(value) for name, value in record["options"].items()})
    names = learned_names(kind)
    for attribute, spec in record["learned"].items():
        if attribute not in names:
            raise ValueError(f"{record['class']} has no attribute {attribute!r}")
        prefix = attribute.rstrip("_")
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        setattr(model, attribute, _CODECS[spec["kind"]].decode(parts, spec))
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
    decode: Callable[[Arrays, Record], Any]


def _encode(name: str, value: Any) -> tuple[Arrays, Record]:
    for kind, codec in _CODECS.items():
        if codec.knows(value):
            arrays, record = codec.encode(name, value)
            return arrays, {"kind": kind, **record}
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def _encode_csr(name: str, matrix: CodeMatrix) -> tuple[Arrays, Record]:
    arrays = {"/data": matrix.data, "/indices": matrix.indices, "/indptr": matrix.indptr}
    return arrays, {"shape": [int(side) for side in matrix.shape]}


def _decode_csr(arrays: Arrays, record: Record) -> CodeMatrix:
    data, indices, indptr = arrays["/data"], arrays["/indices"], arrays["/indptr"]
    rows, columns = record["shape"]
    if indptr.shape != (rows + 1,) or data.ndim != 1 or data.shape != indices.shape:
        raise ValueError("the arrays of a matrix do not fit each other")
    if [array.dtype.name for array in (data, indices, indptr)] != ["float32", "int32", "int64"]:
        raise ValueError("the arrays of a matrix are not of the types that they must be")
    return assemble_csr(data, indices, indptr, (rows, columns))


def _encode_vocabulary(name: str, vocabulary: Vocabulary) -> tuple[Arrays, Record]:
    return {f"/{part}": array for part, array in vocabulary.to_arrays().items()}, {}


def _decode_vocabulary(arrays: Arrays, record: Record) -> Vocabulary:
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


def _decode_strings(arrays: Arrays, record: Record) -> NDArray[Any]:
    texts = unpack_strings(arrays["/utf8"], arrays["/offsets"])
    if record["json"]:
        values = [json.loads(text) for text in texts]
        for place, value in enumerate(values):
            texts[place] = value
    texts.flags.writeable = False
    return texts


def _encode_times(name: str, column: NDArray[Any]) -> tuple[Arrays, Record]:
    return {"": column.view(np.int64)}, {"dtype": column.dtype.str}


def _decode_times(arrays: Arrays, record: Record) -> NDArray[Any]:
    dtype = np.dtype(record["dtype"])
    if dtype.kind not in "mM":
        raise ValueError(f"{record['dtype']!r} is no type of times")
    return arrays[""].view(dtype)


class Columns(Mapping[str, NDArray[Any]]):
    """Columns of a loaded file by name; strings are made of bytes only when a column is first asked for."""

    def __init__(self, makers: dict[str, Callable[[], NDArray[Any]]]) -> None:
        self._makers = makers
        self._made: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"Columns({', '.join(self)})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, NDArray[Any]]]]:
        return dict, (dict(self),)


def _encode_columns(name: str, columns: Mapping[str, NDArray[Any]]) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records = []
    # Columns are numbered, as their names may hold anything, a "/" too.
    for number, (column, values) in enumerate(columns.items()):
        parts, record = _encode(f"{name}[{column!r}]", values)
        arrays |= {f"/{number}{part}": array for part, array in parts.items()}
        records.append({"name": column, **record})
    return arrays, {"columns": records}


def _decode_columns(arrays: Arrays, record: Record) -> Columns:
    makers = {}
    for number, column in enumerate(record["columns"]):
        prefix = f"/{number}"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        if column["kind"] not in ("array", "strings", "times"):
            raise ValueError(f"column {column['name']!r} is of no kind that a column can be")
        makers[column["name"]] = _column_maker(parts, column)
    return Columns(makers)


def _column_maker(arrays: Arrays, record: Record) -> Callable[[], NDArray[Any]]:
    return lambda: _CODECS[record["kind"]].decode(arrays, record)


def _is_index(value: Any) -> bool:
    return isinstance(value, IVFIndex)


def _encode_index(name: str, index: IVFIndex) -> tuple[Arrays, Record]:
    arrays, record = index.describe()
    return {f"/{part}": array for part, array in arrays.items()}, {"index": record}


def _decode_index(arrays: Arrays, record: Record) -> IVFIndex:
    return IVFIndex.rebuild({name[1:]: array for name, array in arrays.items()}, record["index"])


def _encode_vector_codecs(name: str, codecs: dict[str, VectorCodec]) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records: Record = {}
    for side, codec in codecs.items():
        own, records[side] = describe_codec(codec)
        arrays |= {f"/{side}{part}": array for part, array in own.items()}
    return arrays, {"codecs": records}


def _decode_vector_codecs(arrays: Arrays, record: Record) -> dict[str, VectorCodec]:
    codecs = {}
    for side, described in record["codecs"].items():
        prefix = f"/{side}"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if _belongs(name, prefix)}
        codecs[side] = rebuild_codec(own, described)
    return codecs


def _is_codecs(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(isinstance(one, VectorCodec) for one in value.values())


def _of_kind(kinds: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, np.ndarray) and value.dtype.kind in kinds


_CODECS: dict[str, _Codec] = {
    "array": _Codec(_of_kind("biuf"), lambda name, value: ({"": value}, {}), lambda arrays, record: arrays[""]),
    "strings": _Codec(_of_kind("OUT"), _encode_strings, _decode_strings),
    "times": _Codec(_of_kind("mM"), _encode_times, _decode_times),
    "matrix": _Codec(issparse, _encode_csr, _decode_csr),
    "vocabulary": _Codec(lambda value: isinstance(value, Vocabulary), _encode_vocabulary, _decode_vocabulary),
    "codecs": _Codec(_is_codecs, _encode_vector_codecs, _decode_vector_codecs),
    "columns": _Codec(lambda value: isinstance(value, Mapping), _encode_columns, _decode_columns),
    "index": _Codec(_is_index, _encode_index, _decode_index),
    "team": _Codec(lambda value: isinstance(value, Team), _encode_team, _decode_team),
    "value": _Codec(
        lambda value: value is None or isinstance(value, bool | int | float | str | list | tuple | np.generic),
        lambda name, value: ({}, {"value": _encode_value(name, value)}),
        lambda arrays, record: _decode_value(record["value"]),
    ),
}
