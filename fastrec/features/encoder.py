"""FeatureEncoder: numbers, categories, lists of categories, text and vectors of a frame as one matrix."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self

import numpy as np
import sklearn  # this import defers scikit-learn's transformers, which take longer to import than all of fastrec
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack, issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from fastrec.data.frames import open_frame, plain_list
from fastrec.data.ids import check_text, strings_in
from fastrec.options import ByColumn, Choice, Integer, Number, Options, OptionsMixin
from fastrec.validation import name_options

NUMBERS = (numbers.Real, Decimal, date, timedelta)  # the types that count as numbers; datetimes are dates
KINDS = ("number", "category", "categories", "text", "vector")

# A column of strings is text if its values, or their parts between "|", have this many words on average.
WORDS_OF_TEXT = 2.5

LARGEST = 1e100  # the largest number: squares of larger ones are beyond float64
FARTHEST = 1e6  # the largest distance from the mean, in standard deviations; values beyond are clipped
MISSING = "\0missing"  # no category: a missing value has none


class FeatureEncoder(OptionsMixin, TransformerMixin, BaseEstimator):
    """Encodes columns of a frame as one float32 matrix of features, with scikit-learn's transformers.

    Parameters
    ----------
    columns : mapping of str to str, or None
        The kind of each column to use. "number" is scaled to mean 0 and variance 1; a missing number is the mean, and
        dates are numbers too. "category" makes one column for each value. "categories" are lists, or strings with "|"
        between; they make one column for each, and rows of length 1. "text" makes rows of words, of length 1. "vector"
        takes lists or rows of numbers unchanged. None: all columns, with kinds recognised from their content; lists of
        whole numbers are categories.
    text : {"tfidf", "hashing"}
        The encoding of text: words weighted by their rarity, or hashed into `max_features` columns, without learning.
    max_features : int or None
        The largest number of words of a text column; for "hashing", the number of its columns (None: 2^18).
    min_frequency : int
        Words and categories of fewer rows are left out.
    weights : mapping of str to float, or None
        The factor of each column's features; 1 for the others. A name of no column is an error.

    Attributes
    ----------
    kinds_ : dict of str to str
        The kind of each column.
    n_features_out_ : int
        The width of the matrix.

    Notes
    -----
    Categories and words that `fit` has not seen are no features: an item with only such ones has a row of zeros.

    Examples
    --------
    >>> frame = {"genres": [["drama"], ["drama", "war"], []], "year": [1990, 2000, 2010]}
    >>> encoder = FeatureEncoder().fit(frame)
    >>> encoder.kinds_
    {'genres': 'categories', 'year': 'number'}
    >>> encoder.transform({"genres": [["war", "western"]], "year": [2000]}).toarray()
    array([[0., 1., 0.]], dtype=float32)
    """

    _options: ClassVar[Options] = {
        "columns": ByColumn(Choice(KINDS), also=(None,)),
        "text": Choice(("tfidf", "hashing")),
        "max_features": Integer(1, memory=True, also=(None,)),
        "min_frequency": Integer(1),
        "weights": ByColumn(Number(0), also=(None,)),
    }

    @name_options
    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        *,
        text: str = "tfidf",
        max_features: int | None = None,
        min_frequency: int = 1,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.columns = columns
        self.text = text
        self.max_features = max_features
        self.min_frequency = min_frequency
        self.weights = weights

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns words, categories and scales.

        Parameters
        ----------
        X
            A frame (pandas, polars, Arrow), or a mapping of columns, of n rows.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The encoder itself.

        Raises
        ------
        ValueError, TypeError
            If a column is missing, or does not have its kind.
        """
        self._fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> csr_array | NDArray[np.float32]:
        """Runs `fit(X).transform(X)` in one pass."""
        return self._fit_transform(X)

    def _fit_transform(self, X: Any) -> csr_array | NDArray[np.float32]:
        self._check_options()
        columns = read_columns(X)
        wanted = dict(self.columns) if self.columns is not None else {n: recognise(v) for n, v in columns.items()}
        unknown = [name for name in self.weights or {} if name not in wanted]
        if unknown:
            raise ValueError(f"weights name {unknown[0]!r}, but the columns are {', '.join(map(repr, wanted))}")
        parts: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        for name, kind in wanted.items():
            values = _prepare(name, _column(columns, name), kind)
            parts[name] = self._part(kind, values)
            blocks[name] = _empty(len(values)) if parts[name] is None else parts[name].fit_transform(values)
        self.kinds_, self._parts = wanted, parts
        self._widths = {name: block.shape[1] for name, block in blocks.items()}
        self.n_features_out_ = sum(self._widths.values())
        return self._join_blocks(blocks)

    def transform(self, X: Any) -> csr_array | NDArray[np.float32]:
        """Returns the features of rows, seen in `fit` or not.

        Parameters
        ----------
        X
            A frame or a mapping with the columns of `fit`, of n rows.

        Returns
        -------
        csr_array or ndarray of shape (n, n_features_out_)
            float32; dense if all columns are numbers and vectors.
        """
        self._check_fitted()
        columns = read_columns(X)
        blocks: dict[str, Any] = {}
        for name, kind in self.kinds_.items():
            values, part = _prepare(name, _column(columns, name), kind), self._parts[name]
            if kind == "vector" and values.shape[1] != self._widths[name]:
                raise ValueError(f"vectors of {name!r} must have {self._widths[name]} numbers, got {values.shape[1]}")
            blocks[name] = _empty(len(values)) if part is None else part.transform(values)
        return self._join_blocks(blocks)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Returns a name for each feature: the column's name with a value or a number; an object array."""
        self._check_fitted()
        names: list[str] = []
        for name, part in self._parts.items():
            last = part[0] if hasattr(part, "steps") else part
            own: Iterable[Any] = range(self._widths[name])
            if hasattr(last, "get_feature_names_out") and self.kinds_[name] in ("categories", "text"):
                own = last.get_feature_names_out()
            elif isinstance(last, sklearn.preprocessing.OneHotEncoder):
                own = last.get_feature_names_out([""])
                own = [value[1:] for value in own]
            names += [name] if self.kinds_[name] == "number" else [f"{name}={value}" for value in own]
        return np.array(names, object)

    def _check_fitted(self) -> None:
        if not hasattr(self, "kinds_"):
            raise NotFittedError("This FeatureEncoder instance is not fitted yet: call fit with a frame first")

    def _part(self, kind: str, values: Any) -> Any:
        """Makes the transformer of a column; None if the column has no feature."""
        if kind == "number":
            return sklearn.pipeline.make_pipeline(
                sklearn.impute.SimpleImputer(keep_empty_features=True),
                sklearn.preprocessing.StandardScaler(),
                sklearn.preprocessing.FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST}),
            )
        if kind == "vector":
            return _AsGiven()
        if kind == "category":
            common = _common([[value] for value in values[:, 0] if value != MISSING], self.min_frequency)
            return (
                sklearn.preprocessing.OneHotEncoder(categories=[common], handle_unknown="ignore", dtype=np.float32)
                if common
                else None
            )
        if kind == "text" and self.text == "hashing":
            return sklearn.feature_extraction.text.HashingVectorizer(
                n_features=self.max_features or 2**18, dtype=np.float32
            )
        if kind == "text":
            analyze = sklearn.feature_extraction.text.TfidfVectorizer().build_analyzer()
            if not _common((set(analyze(value)) for value in values), self.min_frequency):
                return None
            return sklearn.feature_extraction.text.TfidfVectorizer(
                max_features=self.max_features, min_df=self.min_frequency, dtype=np.float32
            )
        if not _common(map(set, values), self.min_frequency):
            return None
        return sklearn.pipeline.make_pipeline(
            sklearn.feature_extraction.text.CountVectorizer(
                analyzer=_itself, binary=True, min_df=self.min_frequency, dtype=np.float32
            ),
            sklearn.preprocessing.Normalizer(),
        )

    def _join_blocks(self, blocks: Mapping[str, Any]) -> csr_array | NDArray[np.float32]:
        weighted = [block * np.float32((self.weights or {}).get(name, 1.0)) for name, block in blocks.items()]
        if not weighted:
            raise ValueError("FeatureEncoder has no column to make features of")
        if not any(issparse(block) for block in weighted):
            return np.ascontiguousarray(np.hstack(weighted), np.float32)
        joined: csr_array = csr_array(hstack([csr_array(block) for block in weighted], format="csr").astype(np.float32))
        return joined


class _AsGiven(TransformerMixin, BaseEstimator):
    """Passes vectors on unchanged."""

    def fit(self, X: Any, y: Any = None) -> Self:
        return self

    def transform(self, X: Any) -> Any:
        return X


def read_columns(X: Any) -> dict[str, list[Any]]:
    """Returns the columns of a frame, or of a mapping of columns, as lists of one length.

    >>> read_columns({"year": np.array([1990, 2000])})
    {'year': [1990, 2000]}
    """
    if isinstance(X, Mapping):
        columns = {str(name): list(values) for name, values in X.items()}
        columns = {name: [v.item() if isinstance(v, np.generic) else v for v in vs] for name, vs in columns.items()}
    else:
        names = [str(name) for name in getattr(X, "columns", [])]
        if (not names and getattr(X, "ndim", 2) != 2) or isinstance(X, np.ndarray):
            raise TypeError(f"features come in a frame or a mapping of columns, got {type(X).__name__}")
        if len(set(names)) < len(names):
            raise ValueError(f"columns must have names of their own, got {names}")
        names, frame = open_frame(X)
        columns = {name: plain_list(frame[:, place]) for place, name in enumerate(names)}
    check_text(columns, "names of columns")
    for name, values in columns.items():
        check_text(strings_in(values), f"column {name!r}")
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError(f"columns must be of one length, got { {n: len(v) for n, v in columns.items()} }")
    return columns


def recognise(values: list[Any]) -> str:
    """Recognises the kind of a column from its content.

    >>> recognise(["a long story of two cities", None]), recognise([1, None, 2.5]), recognise([[0.1, 0.2]])
    ('text', 'number', 'vector')
    """
    known = [value for value in values if not _is_missing(value)]
    if known and all(isinstance(value, NUMBERS) and not isinstance(value, bool) for value in known):
        return "number"
    if known and all(_is_list(value) for value in known):
        flat = [entry for value in known for entry in value]
        same = len({len(value) for value in known}) == 1
        real = all(isinstance(entry, numbers.Real) for entry in flat)
        # Whole numbers are names of categories: a vector has fractions somewhere.
        if flat and same and real and not all(isinstance(entry, numbers.Integral) for entry in flat):
            return "vector"
        return "categories"
    if known and all(isinstance(value, str) for value in known):
        parts = [part for value in known for part in value.split("|")]
        if sum(len(part.split()) for part in parts) / len(parts) >= WORDS_OF_TEXT:
            return "text"
        return "categories" if len(parts) > len(known) else "category"
    return "category"


def _column(columns: Mapping[str, list[Any]], name: str) -> list[Any]:
    if name not in columns:
        raise ValueError(f"there is no column {name!r}; there are {', '.join(map(repr, columns))}")
    return columns[name]


def _prepare(name: str, values: list[Any], kind: str) -> Any:
    """Converts a column to the form that its transformer takes."""
    prepare: Any = _PREPARE[kind]
    try:
        return prepare(values)
    except OverflowError as error:
        raise ValueError(f"column {name!r} cannot be read as {kind}: {error}") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"column {name!r} cannot be read as {kind}: {error}") from None


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    array = np.array([np.nan if _is_missing(value) else _as_float(value) for value in values])
    beyond = np.abs(array) > LARGEST
    if beyond.any():
        row = int(beyond.argmax())
        what = "infinite" if np.isinf(array[row]) else f"{array[row]:g}, which is beyond ±{LARGEST:g},"
        raise ValueError(f"it is {what} in row {row}")
    return array[:, None]


def _as_float(value: Any) -> float:
    """Returns a number; a moment or a day as seconds since 1970 (UTC without a zone); a duration in seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


def _vectors(values: list[Any]) -> NDArray[np.float32]:
    known = [len(value) for value in values if not _is_missing(value)]
    if len(set(known)) > 1:
        raise ValueError(f"its vectors are of several lengths, {min(known)} and {max(known)} among them")
    width = known[0] if known else 1
    with np.errstate(over="ignore"):  # the check below names numbers beyond float32
        array = np.array([np.zeros(width) if _is_missing(value) else value for value in values], np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"it is not finite in row {int(np.argmin(np.isfinite(array).all(axis=1)))}")
    return array.reshape(len(values), width)


def _category(value: Any) -> str:
    """Returns the category of a value; a blank is a missing value, as in tables."""
    return MISSING if _is_missing(value) or not (label := str(value).strip()) else label


def _labels(value: Any) -> list[str]:
    if _is_missing(value):
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split("|") if part.strip()]
    parts = value if _is_list(value) else [value]
    return [label for part in parts if not _is_missing(part) and (label := str(part).strip())]


_PREPARE = {
    "number": _numbers,
    "vector": _vectors,
    "category": lambda values: np.array([[_category(value)] for value in values], object).reshape(-1, 1),
    "categories": lambda values: [_labels(value) for value in values],
    "text": lambda values: ["" if _is_missing(value) else str(value) for value in values],
}


def _common(rows: Iterable[Iterable[str]], least: int) -> list[str]:
    """Returns the values that at least so many rows have, sorted."""
    counts: dict[str, int] = {}
    for row in rows:
        for value in row:
            counts[value] = counts.get(value, 0) + 1
    return sorted(value for value, count in counts.items() if count >= least)


def _itself(labels: list[str]) -> list[str]:
    return labels


def _empty(n: int) -> Any:
    return csr_array((n, 0), dtype=np.float32)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset | np.ndarray)


def _is_missing(value: Any) -> bool:
    """Tells whether a value is missing: None, or unequal to itself (NaN, NaT, Decimal's NaN), or pandas' NA, which
    cannot say.
    """
    if value is None or _is_list(value):
        return value is None
    try:
        return bool(value != value)
    except TypeError:
        return True
