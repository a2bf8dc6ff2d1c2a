"""Weights for interactions, as scikit-learn transformers: values change, entries and shape stay."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import check_is_fitted

from fastrec.data import Interactions
from fastrec.data.durations import check_duration, convert_times, parse_duration, time_between
from fastrec.fields import Array, Fields, Value
from fastrec.matrix.arrays import keep_nonzero
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.options import Choice, Number, Options, Other
from fastrec.preprocessing.filtering import Preprocessor, with_cells

Values = NDArray[np.float64]


class Weighting(Preprocessor):
    """The base of weightings of the cells of the matrix: a family defines `_options`, `_learn` and `_weigh`.

    If Interactions have several between one user and item, the cell of their matrix (their sum, or the result of
    another policy) is weighted. The result has one interaction for it, at the time of the last one.
    """

    _takes_negatives = False

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self._takes_negatives
        return tags

    def _learn(self, matrix: CodeMatrix) -> None:
        """Learns from the training data."""

    @abstractmethod
    def _weigh(self, matrix: CodeMatrix, rows: NDArray[np.int64]) -> Values:
        """Returns the new value of each entry, of shape (nnz,); `rows` are their rows."""

    def _check_input(self, X: Any, *, reset: bool) -> CodeMatrix:
        matrix = self._check(X, reset=reset)
        if not self._takes_negatives and matrix.nnz and matrix.data.min() < 0:
            place = int(np.argmax(matrix.data < 0))
            row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
            raise ValueError(
                f"Negative values in data passed: X contains a negative value in row {row}, column "
                f"{int(matrix.indices[place])}; {type(self).__name__} weighs values of at least 0"
            )
        return matrix

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns the statistics of the data that the weights need.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Raises
        ------
        ValueError
            If an option is out of range, or a value is NaN, infinite or (in most) negative.
        """
        self._check_options()
        self._tell_merged(X)
        self._learn(self._check_input(X, reset=True))
        return self

    def transform(self, X: Any) -> Any:
        """Returns X with weighted values.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)

        Returns
        -------
        Interactions, csr_array or ndarray of float32, shape (n_users, n_items)
            The same kind of data as X.
        """
        check_is_fitted(self)
        matrix = self._check_input(X, reset=False)
        rows = row_numbers(matrix)
        values = self._as_float32(self._weigh(matrix, rows), matrix.data)
        weighted = assemble_csr(values, matrix.indices, matrix.indptr, matrix.shape)
        if isinstance(X, Interactions):
            return with_cells(X, weighted)._replace(weighed=True)
        result = csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
        return result if issparse(X) else result.toarray()

    def _as_float32(self, weights: Values, before: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the weights as float32; no weight of a non-zero value is 0."""
        with np.errstate(over="ignore", under="ignore"):
            narrow = keep_nonzero(weights.astype(np.float32), before)
        if not np.isfinite(narrow).all():
            raise ValueError(f"{type(self).__name__} makes weights beyond float32: give it smaller values")
        return narrow


class TfidfWeight(Weighting):
    r"""Multiplies values by the rarity of the item: a user is a document, an item a term.

    .. math:: x_{ui} \Big(1 + \ln \frac{1 + n}{1 + n_i}\Big)

    with n users in training, and :math:`n_i` of them with item i; as in scikit-learn's `TfidfTransformer`, without its
    normalization.

    Attributes
    ----------
    idf_ : ndarray of float64, shape (n_items,)
        The factor of each item.
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> TfidfWeight().fit_transform(np.array([[1, 1], [0, 1], [0, 2]])).round(2)
    array([[1.69, 1.  ],
           [0.  , 1.  ],
           [0.  , 2.  ]], dtype=float32)
    """

    by_item = True
    _learned: ClassVar[Fields] = {"idf_": Array(("n_items",), "float64")}

    def _learn(self, matrix: CodeMatrix) -> None:
        self.idf_ = 1.0 + np.log((1 + matrix.shape[0]) / (1 + _users_of(matrix)))

    def _weigh(self, matrix: CodeMatrix, rows: NDArray[np.int64]) -> Values:
        return np.asarray(matrix.data * self.idf_[matrix.indices])


class BM25Weight(Weighting):
    r"""Weighs values as BM25: they saturate, grow with the rarity of the item, and shrink for users with much feedback.

    .. math:: \ln\Big(1 + \frac{n - n_i + ½}{n_i + ½}\Big)
              \frac{x_{ui} (k_1 + 1)}{x_{ui} + k_1 (1 - b + b\, |x_u| / \overline{|x|})}

    with :math:`|x_u|` the sum of the user's values and :math:`\overline{|x|}` its mean in training. The rarity, the
    first factor, is that of Lucene, which is never negative; that of implicit's `bm25_weight` lowers popular items
    more, :math:`\ln n - \ln(1 + n_i)`.

    Parameters
    ----------
    k1 : float
        The slowness of saturation, above 0; implicit's default is 100.
    b : float
        The discount of users with much feedback, from 0 to 1.
    rarity : {"lucene", "implicit"}
        The formula of the rarity. With "implicit" the weights are those of implicit's `bm25_weight(X, K1=k1, B=b)`,
        except for an item that all users have: it weighs almost nothing, where implicit gives it a negative weight.

    Attributes
    ----------
    idf_ : ndarray of float64, shape (n_items,)
        The rarity of each item.
    mean_length_ : float
        The mean sum of a user's values.
    n_features_in_ : int
        The number of items.

    References
    ----------
    Robertson and Zaragoza, The probabilistic relevance framework: BM25 and beyond, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> BM25Weight(k1=1.2, b=0.75).fit_transform(np.array([[1, 0], [1, 9]])).round(2)
    array([[0.27, 0.  ],
           [0.14, 1.25]], dtype=float32)
    """

    by_item = True
    _learned: ClassVar[Fields] = {
        "idf_": Array(("n_items",), "float64", least=0),
        "mean_length_": Value(float, least=0, above=True),
    }
    _options: ClassVar[Options] = {
        "k1": Number(0, above=True, log=True),
        "b": Number(0, 1),
        "rarity": Choice(("lucene", "implicit")),
    }

    def __init__(self, k1: float = 100.0, b: float = 0.8, rarity: str = "lucene") -> None:
        self.k1 = k1
        self.b = b
        self.rarity = rarity

    def _learn(self, matrix: CodeMatrix) -> None:
        counts, n = _users_of(matrix), matrix.shape[0]
        if self.rarity == "lucene":
            self.idf_ = np.log1p((n - counts + 0.5) / (counts + 0.5))
        else:
            self.idf_ = np.maximum(np.log(n) - np.log1p(counts), 0)
        self.mean_length_ = float(matrix.data.sum(dtype=np.float64) / matrix.shape[0]) or 1.0

    def _weigh(self, matrix: CodeMatrix, rows: NDArray[np.int64]) -> Values:
        values = matrix.data.astype(np.float64)
        lengths = np.bincount(rows, values, matrix.shape[0])
        slack = self.k1 * (1 - self.b + self.b * lengths / self.mean_length_)
        below = values + slack[rows]
        saturated = np.divide(values * (self.k1 + 1), below, out=np.zeros_like(values), where=below > 0)
        return np.asarray(saturated * self.idf_[matrix.indices])


class LogWeight(Weighting):
    r"""Takes the logarithm of values, for counts and seconds: :math:`\text{scale} \cdot \ln(1 + x / \epsilon)`.

    Hu, Koren, Volinsky (2008) weigh repeated viewing in this way.

    Parameters
    ----------
    scale : float
        The factor, above 0.
    epsilon : float
        The value at which the logarithm starts to bend, above 0.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> LogWeight().fit_transform(np.array([[1, 0], [9, 99]])).round(2)
    array([[0.69, 0.  ],
           [2.3 , 4.61]], dtype=float32)
    """

    _options: ClassVar[Options] = {"scale": Number(0, above=True, log=True), "epsilon": Number(0, above=True, log=True)}

    def __init__(self, scale: float = 1.0, epsilon: float = 1.0) -> None:
        self.scale = scale
        self.epsilon = epsilon

    def _weigh(self, matrix: CodeMatrix, rows: NDArray[np.int64]) -> Values:
        return np.asarray(self.scale * np.log1p(matrix.data.astype(np.float64) / self.epsilon))


class Normalize(Weighting):
    """Scales each user's values to one size, so that users with much feedback do not weigh more.

    Parameters
    ----------
    norm : {"l2", "l1", "max"}
        The quantity that becomes 1: the length of the row, the sum of its absolute values, or the largest of them.

    Attributes
    ----------
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> import numpy as np
    >>> Normalize("l1").fit_transform(np.array([[1, 3], [0, 5], [0, 0]]))
    array([[0.25, 0.75],
           [0.  , 1.  ],
           [0.  , 0.  ]], dtype=float32)
    """

    _takes_negatives = True

    _options: ClassVar[Options] = {"norm": Choice(("l2", "l1", "max"))}

    def __init__(self, norm: Literal["l2", "l1", "max"] = "l2") -> None:
        self.norm = norm

    def _weigh(self, matrix: CodeMatrix, rows: NDArray[np.int64]) -> Values:
        sizes = np.abs(matrix.data.astype(np.float64))
        norms: Values = np.zeros(matrix.shape[0])
        if self.norm == "max":
            np.maximum.at(norms, rows, sizes)
        elif self.norm == "l1":
            norms += np.bincount(rows, sizes, matrix.shape[0])
        else:
            norms += np.sqrt(np.bincount(rows, sizes * sizes, matrix.shape[0]))
        norms[norms == 0] = 1.0
        return np.asarray(matrix.data / norms[rows])


class TimeDecay(Preprocessor):
    """Lowers the values of older interactions: they halve with every half-life.

    It takes only Interactions with times: a matrix has none. Repeated interactions each count by their own age.

    Parameters
    ----------
    half_life : float or str
        A number in the unit of the times of `fit`, or a string such as "30d" (s, min, h, d, w, y).

    Attributes
    ----------
    reference_ : int
        The last time in the data of `fit`; later events count in full.
    time_unit_ : str or None
        The unit of the times of `fit`, to which those of `transform` are converted if both are known.
    n_features_in_ : int
        The number of items.

    Examples
    --------
    >>> data = Interactions([0, 0, 1], [0, 1, 1], times=[0, 10, 20])
    >>> TimeDecay(half_life=10).fit_transform(data).values
    array([0.25, 0.5 , 1.  ], dtype=float32)
    """

    by_row = False
    reads_times = weighs_events = True
    _learned: ClassVar[Fields] = {"reference_": Value(int), "time_unit_": Value(str, optional=True)}
    _options: ClassVar[Options] = {"half_life": Other("float or str", check_duration)}

    def __init__(self, half_life: float | str = "30d") -> None:
        self.half_life = half_life

    def fit(self, X: Any, y: Any = None) -> Self:
        """Finds the last time.

        Parameters
        ----------
        X : Interactions, shape (n_users, n_items)
        y : None
            Not used.

        Raises
        ------
        TypeError
            If X is a matrix.
        ValueError
            If there are no times, or the half-life is a string and their unit is unknown.
        """
        self._check_options()
        times = self._times(X)
        parse_duration("TimeDecay.half_life", self.half_life, X.time_unit)
        self._check(X, reset=True)
        X.tell_far_times("TimeDecay")
        self.reference_, self.time_unit_ = int(times.max()) if len(times) else 0, X.time_unit
        return self

    def transform(self, X: Any) -> Any:
        """Returns the interactions with faded values.

        Parameters
        ----------
        X : Interactions, shape (n_users, n_items)

        Returns
        -------
        Interactions, shape (n_users, n_items)
        """
        check_is_fitted(self)
        times = self._times(X)
        life = parse_duration("TimeDecay.half_life", self.half_life, self.time_unit_)
        self._check(X, reset=False)
        if None not in (X.time_unit, self.time_unit_):
            times = convert_times("TimeDecay", times, X.time_unit, self.time_unit_)
        with np.errstate(over="ignore", under="ignore"):  # infinitely old: weight 0, still seen
            weights = np.exp2(-time_between(times, self.reference_) / life)
        given = np.ones(len(weights), np.float32) if X.values is None else X.values
        with np.errstate(under="ignore"):
            values = (weights * given).astype(np.float32)
        return X._replace(values=keep_nonzero(values, given))

    def _times(self, X: Any) -> NDArray[np.int64]:
        if not isinstance(X, Interactions):
            raise TypeError(f"TimeDecay needs Interactions with times, got {type(X).__name__}")
        if X.times is None:
            raise ValueError("TimeDecay needs times: read the interactions with their time column")
        return X.times


def _users_of(matrix: CodeMatrix) -> NDArray[np.int64]:
    """Counts the users of each item, without stored zeros."""
    return np.bincount(matrix.indices[matrix.data != 0], minlength=matrix.shape[1])
