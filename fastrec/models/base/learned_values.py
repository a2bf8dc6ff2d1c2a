"""Learned values in files: each kind of value becomes arrays (by suffixes of their names) and a record, and back."""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastrec import preprocessing
from fastrec.compression import VectorCodec, describe_codec, rebuild_codec
from fastrec.data import Vocabulary
from fastrec.data.strings import check_block, check_strings, pack_strings, unpack_strings
from fastrec.fields import fields_of
from fastrec.fingerprint import fingerprint
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.option_values import Record, decode_value, encode_value
from fastrec.preprocessing.filtering import Preprocessor
from fastrec.retrieval.diversity import RULES, data_of_rule, field_of_rule
from fastrec.retrieval.ivf import IVFIndex

Arrays = dict[str, NDArray[Any]]


class _Codec(NamedTuple):
    knows: Callable[[Any], bool]
    encode: Callable[[str, Any], tuple[Arrays, Record]]
    decode: Callable[[Arrays, Record, bool], Any]  # True: also check the numbers


def encode(name: str, value: Any) -> tuple[Arrays, Record]:
    """Encodes a value as arrays, by suffixes of their names, and a record for JSON; a TypeError for other kinds."""
    for kind, codec in _CODECS.items():
        if codec.knows(value):
            arrays, record = codec.encode(name, value)
            return arrays, {"kind": kind, **record}
    raise TypeError(f"{name} is {value!r}, which a model file cannot hold")


def decode(arrays: Arrays, record: Record, ranges: bool) -> Any:
    """Decodes the value that `encode` made arrays and a record of; with `ranges`, numbers are checked."""
    return _CODECS[record["kind"]].decode(arrays, record, ranges)


def belongs(name: str, prefix: str) -> bool:
    """Tells whether an array's name belongs to a value, or to a part of it."""
    return name == prefix or name.startswith(f"{prefix}/")


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
    """Encodes strings as they are; other objects, None among them, as JSON."""
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
        raise ValueError(f"{record['dtype']!r} is not a type of times")
    if arrays[""].dtype != np.int64:
        raise ValueError(f"times must be int64, got {arrays[''].dtype}")
    return arrays[""].view(np.dtype(record["dtype"]))


class Columns(Mapping[str, NDArray[Any]]):
    """The columns of a loaded file by name; the strings of a column are decoded on first use."""

    def __init__(self, parts: dict[str, tuple[Arrays, Record]]) -> None:
        self._parts = parts
        self._made: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._made:
            arrays, record = self._parts[name]
            self._made[name] = decode(arrays, record, True)
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
        """Checks the length of each column; raises a ValueError if one is wrong."""
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
    # Columns are numbered, since their names may contain anything, even "/".
    for number, (column, values) in enumerate(columns.items()):
        parts, record = encode(f"{name}[{column!r}]", values)
        arrays |= {f"/{number}{part}": array for part, array in parts.items()}
        records.append({"name": column, **record})
    return arrays, {"columns": records}


def _decode_columns(arrays: Arrays, record: Record, ranges: bool = True) -> Columns:
    columns = {}
    for number, column in enumerate(record["columns"]):
        prefix = f"/{number}"
        parts = {name[len(prefix) :]: array for name, array in arrays.items() if belongs(name, prefix)}
        if column["kind"] not in ("array", "strings", "times"):
            raise ValueError(f"column {column['name']!r} is not of a kind that columns can have")
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
        own = {name[len(prefix) :]: array for name, array in arrays.items() if belongs(name, prefix)}
        codecs[side] = rebuild_codec(own, described, ranges=ranges)
    return codecs


def _is_codecs(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(isinstance(one, VectorCodec) for one in value.values())


def _of_kind(kinds: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, np.ndarray) and value.dtype.kind in kinds


def _encode_rule(name: str, rule: Any) -> tuple[Arrays, Record]:
    """Encodes a rule of re-ranking by its name, its number, and the matrix of its items."""
    field = field_of_rule(rule)
    arrays, part = encode(name, data_of_rule(rule))
    options = {one.name: getattr(rule, one.name) for one in fields(rule) if one.name != field}
    numbers = {key: encode_value(f"{name}.{key}", option) for key, option in options.items()}
    return arrays, {"rule": type(rule).__name__, "options": numbers, "part": part}


def _decode_rule(arrays: Arrays, record: Record, ranges: bool) -> Any:
    made, part = RULES[record["rule"]], record["part"]
    options = {key: decode_value(option) for key, option in record["options"].items()}
    rule = made(**options)
    return replace(rule, **{str(field_of_rule(rule)): decode(arrays, part, ranges)})


@functools.cache
def _transformers() -> dict[str, type[Preprocessor]]:
    """The transformers that files may name; imported when a file has steps, since splitters take long to import."""
    public = {name: getattr(preprocessing, name) for name in preprocessing.__all__}
    return {name: kind for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Preprocessor)}


class Steps(tuple[tuple[str, Any], ...]):
    """The fitted transformers of a Pipeline by their names; None for a step that does nothing."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Steps) and fingerprint(list(self)) == fingerprint(list(other))

    def __hash__(self) -> int:
        return hash(tuple(name for name, _ in self))


def _encode_steps(name: str, steps: Steps) -> tuple[Arrays, Record]:
    arrays: Arrays = {}
    records = []
    for number, (step_name, step) in enumerate(steps):
        own, record = _encode_step(f"{name}[{step_name!r}]", step)
        arrays |= {f"/{number}{part}": array for part, array in own.items()}
        records.append({"name": step_name, **record})
    return arrays, {"steps": records}


def _encode_step(name: str, step: Any) -> tuple[Arrays, Record]:
    if step is None:
        return {}, {"class": None}
    if _transformers().get(type(step).__name__) is not type(step):
        raise TypeError(f"{name} is {step!r}, which a model file cannot hold: only transformers of fastrec are")
    arrays: Arrays = {}
    learned: Record = {}
    for attribute in fields_of(type(step)):
        parts, learned[attribute] = encode(f"{name}.{attribute}", getattr(step, attribute))
        arrays |= {f"/{attribute}{part}": array for part, array in parts.items()}
    options = {key: encode_value(f"{name}.{key}", option) for key, option in step.get_params(deep=False).items()}
    return arrays, {"class": type(step).__name__, "options": options, "learned": learned}


def _decode_steps(arrays: Arrays, record: Record, ranges: bool) -> Steps:
    steps = []
    for number, described in enumerate(record["steps"]):
        prefix = f"/{number}"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if belongs(name, prefix)}
        steps.append((str(described["name"]), _decode_step(own, described, ranges)))
    return Steps(steps)


def _decode_step(arrays: Arrays, record: Record, ranges: bool) -> Any:
    if record["class"] is None:
        return None
    kind = _transformers().get(record["class"])
    if kind is None:
        raise ValueError(f"{record['class']!r} is not a transformer of fastrec ({', '.join(_transformers())})")
    step = kind(**{name: decode_value(option) for name, option in record["options"].items()})
    for attribute in fields_of(kind):
        prefix = f"/{attribute}"
        own = {name[len(prefix) :]: array for name, array in arrays.items() if belongs(name, prefix)}
        setattr(step, attribute, decode(own, record["learned"][attribute], ranges))
    return step


_CODECS: dict[str, _Codec] = {
    "steps": _Codec(lambda value: isinstance(value, Steps), _encode_steps, _decode_steps),
    "array": _Codec(_of_kind("biuf"), lambda name, value: ({"": value}, {}), lambda arrays, record, ranges: arrays[""]),
    "strings": _Codec(_of_kind("OUT"), _encode_strings, _decode_strings),
    "times": _Codec(_of_kind("mM"), _encode_times, _decode_times),
    "matrix": _Codec(issparse, _encode_csr, _decode_csr),
    "vocabulary": _Codec(lambda value: isinstance(value, Vocabulary), _encode_vocabulary, _decode_vocabulary),
    "codecs": _Codec(_is_codecs, _encode_vector_codecs, _decode_vector_codecs),
    "columns": _Codec(lambda value: isinstance(value, Mapping), _encode_columns, _decode_columns),
    "index": _Codec(_is_index, _encode_index, _decode_index),
    "rule": _Codec(lambda value: type(value) in RULES.values(), _encode_rule, _decode_rule),
    "value": _Codec(
        lambda value: value is None or isinstance(value, bool | int | float | str | list | tuple | np.generic),
        lambda name, value: ({}, {"value": encode_value(name, value)}),
        lambda arrays, record, ranges: decode_value(record["value"]),
    ),
}
