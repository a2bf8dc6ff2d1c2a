"""GraphFilter: closed-form low-pass filters over the graph of items, without training."""

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields
from fastrec.kernels.lanes import padded_width
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros, readonly
from fastrec.matrix.cells import row_numbers, sum_by_code
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import transpose
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.fading import Fading
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.weighting import Weighted
from fastrec.options import Choice, Integer, Jobs, Number, Options, Seed
from fastrec.parallel import effective_jobs
from fastrec.retrieval.filters import read_filters
from fastrec.solvers.epochs import seed_of
from fastrec.solvers.filter_search import FilterSearch
from fastrec.solvers.gramian import fill_lower
from fastrec.solvers.truncated_svd import SparseProduct, add_dense_products, pad_columns, truncated_svd

MOST_FACTORS = 512  # the largest number for "auto"
TOLERANCE = 1e-2  # relative tolerance of the eigenvalues: directions near the cut-off need not be separated


# A linear filter is kept as one dense matrix if that takes no more bytes than the first number, and no more numbers for
# each entry of the training data than the second. An answer is then a sum of its rows.
DENSE_BYTES, DENSE_NUMBERS = 1 << 28, 64
USERS_AT_ONCE = 4096  # users in one batch of a search

GRAPH: Key[tuple[SparseProduct, SparseProduct]] = Key("graph")
MATRIX: Key[Floats] = Key("filter as a matrix")
VECTORS: Key[Floats] = Key("padded vectors")
SEARCH: Key[FilterSearch] = Key("search")


class GraphFilter(Fading, Weighted, Explaining):
    """Scores items by a low-pass filter over the graph of items, without training: a history is a signal on the graph.

    Values are strengths of positive feedback; negative ones are refused, zeros are no feedback. With the matrix of
    interactions R, D_U and D_I the sums of its rows and columns, the graph of items is

        P = MᵀM,  M = D_U^(-user_exponent) R D_I^(-item_exponent), scaled so that its largest eigenvalue is 1,

    and a history r has the scores  r D_I^(-b) (h(P) + ideal_weight · V Vᵀ) D_I^b  with b = `degree_exponent` and V the
    `factors` leading eigenvectors of P. "linear" is h(λ) = λ: GF-CF (Shen et al. 2021) with user_exponent =
    item_exponent = 0.5. "plateau" is the flat low-pass filter of ChebyCF (Kim et al. 2025), h(λ) = ½ + ½ sgn(2λ - 1)
    `|2λ - 1|^flatness`, by Chebyshev interpolation of degree `order`. "sharpen" is BSPM's (Choi et al. 2023): the
    linear filter and the ideal one together, times exp(-sharpness · λ). The filter is made in `fit`: a changed option
    acts with the next fit, except `recency`, which acts at once.

    Parameters
    ----------
    factors : int or "auto"
        The number of eigenvectors V; 0 leaves them out, and there is nothing to fit. "auto": 2.5 √items, at most 512.
    ideal_weight : float
        The weight of V Vᵀ, at least 0.
    filter : {"linear", "plateau", "sharpen"}
        The form of h.
    user_exponent, item_exponent : float
        The exponents that lower the weight of edges of users with much feedback, and of popular items; from 0 to 1.
    degree_exponent : float
        b, the exponent by which popular items are scaled down before the filter and up after it; from 0 to 1.
    order : int
        The degree of the Chebyshev polynomial of "plateau" and "sharpen".
    flatness : float
        The flatness of "plateau", at least 1; 1 is linear.
    sharpness : float
        The sharpness of "sharpen", at least 0; 0 is linear.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. A change on a fitted model acts at once; learned
        values do not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    random_state : int, RandomState or None
        The seed of the eigenvectors' iteration.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.
    eigenvalues_ : ndarray of shape (factors,)
        The leading eigenvalues of P, float64, in descending order.
    item_vectors_ : ndarray of shape (n_items, factors)
        V, float32.
    gains_ : ndarray of shape (factors,)
        The weight of each eigenvector, float32: `ideal_weight`, for "sharpen" times exp(-sharpness · λ).
    coefficients_ : ndarray of shape (order + 1,)
        h as a Chebyshev series in 1 - 2λ, float32; of "linear" the order is 1.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.

    Notes
    -----
    See docs/explanation/graph_filter.md for the equations, how they are solved, and measurements.

    References
    ----------
    Shen et al.: How powerful is graph convolution for recommendation? CIKM 2021. Choi et al.: Blurring-sharpening
    process models for collaborative filtering. SIGIR 2023. Kim et al.: Graph spectral filtering with Chebyshev
    interpolation for recommendation. SIGIR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((6, 3)))  # two groups of users, each with three items of its own
    >>> X[0, 0] = 0
    >>> model = GraphFilter(factors=2, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    reads_others: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"explain"})
    _options: ClassVar[Options] = {
        "factors": Integer(0, memory=True, log=True, also=("auto",)),
        "ideal_weight": Number(0),
        "filter": Choice(("linear", "plateau", "sharpen")),
        "user_exponent": Number(0, 1),
        "item_exponent": Number(0, 1),
        "degree_exponent": Number(0, 1),
        "order": Integer(1, 64),
        "flatness": Number(1),
        "sharpness": Number(0),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "eigenvalues_": Array(("rank",), "float64", least=0),
        "item_vectors_": Array(("n_items", "rank")),
        "gains_": Array(("rank",)),
        "coefficients_": Array(("order + 1",)),
        "user_weights_": Array(("n_users",), least=0),
        "item_weights_": Array(("n_items",), least=0),
        "degree_weights_": Array(("n_items",), least=0),
    }

    eigenvalues_: NDArray[np.float64]
    item_vectors_: Floats
    gains_: Floats
    coefficients_: Floats
    user_weights_: Floats
    item_weights_: Floats
    degree_weights_: Floats

    def __init__(
        self,
        factors: int | str = "auto",
        *,
        ideal_weight: float = 0.5,
        filter: str = "linear",
        user_exponent: float = 0.3,
        item_exponent: float = 0.5,
        degree_exponent: float = 0.2,
        order: int = 8,
        flatness: float = 1.5,
        sharpness: float = 0.5,
        recency: float = 1.0,
        weighting: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.factors = factors
        self.ideal_weight = ideal_weight
        self.filter = filter
        self.user_exponent = user_exponent
        self.item_exponent = item_exponent
        self.degree_exponent = degree_exponent
        self.order = order
        self.flatness = flatness
        self.sharpness = sharpness
        self.recency = recency
        self.weighting = weighting
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        weights = matrix.data.astype(np.float64)
        user_sums = sum_by_code(row_numbers(matrix).astype(np.int32), weights, matrix.shape[0])
        item_sums = sum_by_code(matrix.indices, weights, matrix.shape[1])
        self.user_weights_ = _powers(user_sums, -self.user_exponent)
        self.item_weights_ = _powers(item_sums, -self.item_exponent)
        # In units of the least weight, so that float32 holds them: the factors taken from a signal return in its
        # scores.
        least = item_sums.min(initial=np.inf, where=item_sums > 0)
        self.degree_weights_ = _powers(item_sums / least, self.degree_exponent)
        factors = _automatic_factors(matrix.shape[1]) if self.factors == "auto" else int(self.factors)
        svd = truncated_svd(
            _weigh_entries(matrix, self.user_weights_, self.item_weights_),
            max(factors, 1),
            random_state=seed_of(self.random_state),
            n_jobs=effective_jobs(self.n_jobs),
            tol=TOLERANCE,
        )
        largest = svd.values[0] if svd.values[0] > 0 else 1.0
        self.user_weights_ = (self.user_weights_ / largest).astype(np.float32)
        self.eigenvalues_ = (svd.values[:factors] / largest) ** 2
        self.item_vectors_ = np.ascontiguousarray(svd.vectors[:, :factors])
        sharpening = np.exp(-self.sharpness * self.eigenvalues_) if self.filter == "sharpen" else 1.0
        self.gains_ = (self.ideal_weight * sharpening * np.ones(factors)).astype(np.float32)
        order = 1 if self.filter == "linear" else self.order
        self.coefficients_ = _interpolate(self._transfer, order).astype(np.float32)

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        if len(self.coefficients_) < 2:
            raise ValueError(f"coefficients_ must be at least 2, got {len(self.coefficients_)}")
        if ranges and ((self.degree_weights_ > 0) & (self.degree_weights_ < 0.99)).any():  # scores are divided by them
            raise ValueError("degree_weights_ must be 0 or at least 1")

    def row_bytes(self) -> int:
        """The bytes of a signal over the items in three stages, and of a signal over the users in between."""
        n_users, n_items = self.seen_.shape
        held = 3 if len(self.coefficients_) == 2 else 6
        return 4 * (held * n_items + n_users + 3 * len(self.gains_))

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        n_items = self.n_features_in_
        if not self._is_linear or self._is_dense or 4 * k > n_items or isinstance(wanted.allow, CodeMatrix):
            return super()._search(audience, k, wanted)
        codes, scores = np.empty((len(audience), k), np.int32), np.empty((len(audience), k), np.float32)
        for start in range(0, len(audience), USERS_AT_ONCE):
            rows = slice(start, start + USERS_AT_ONCE)
            part, own = (audience, wanted) if len(audience) == 1 else (audience.part(rows), wanted.part(rows))
            codes[rows], scores[rows] = self._search_part(part, k, own)
        return codes, scores

    def _search_part(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """The answer of a search, with the bits of dense scores; the dense scores themselves if a search would take
        longer.
        """
        search, signals = self._derived.get(SEARCH, self._make_search), self._signals(self._weigh(audience))
        if search.is_worth(signals):
            filters = read_filters(wanted.excluded_of(len(audience)), wanted.allow, len(audience), self.n_features_in_)
            jobs = effective_jobs(self.n_jobs) if len(audience) > 1 else 1
            codes, scores, found = search.search(signals, self._coordinates(signals, jobs), k, filters.closed, jobs)
            if found:
                return codes, scores
        return super()._search(audience, k, wanted)

    def _make_search(self) -> FilterSearch:
        weighted = self._weighted()
        columns = transpose(weighted, effective_jobs(self.n_jobs))
        return FilterSearch(weighted, columns, self.item_vectors_, self.degree_weights_)

    @property
    def _is_linear(self) -> bool:
        """Tells whether h(λ) = λ: one step over the graph."""
        coefficients = self.coefficients_
        return len(coefficients) == 2 and bool(coefficients[0] == 0.5 == -coefficients[1])

    @property
    def _is_dense(self) -> bool:
        """Tells whether the filter is kept as one matrix."""
        numbers = self.n_features_in_**2
        return self._is_linear and 4 * numbers <= DENSE_BYTES and numbers <= DENSE_NUMBERS * self._training.nnz

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        scores = self._filter_rows(self._signals(histories))
        with np.errstate(over="ignore"):  # an answer reports numbers beyond float32
            scores *= self.degree_weights_
        return scores

    def _signals(self, histories: CodeMatrix) -> CodeMatrix:
        return assemble_csr(self._scale_down(histories), histories.indices, histories.indptr, histories.shape)

    def _scale_down(self, histories: CodeMatrix) -> Floats:
        """The values r_i d_i^(-b) of the entries; 0 for an item without events."""
        degrees = self.degree_weights_[histories.indices]
        return np.where(degrees > 0, histories.data / np.where(degrees > 0, degrees, np.float32(1)), np.float32(0))

    def _filter_rows(self, signals: CodeMatrix) -> Floats:
        """Applies the filter to signals, which are rows over the items; returns the same shape."""
        n, jobs = signals.shape[0], effective_jobs(self.n_jobs) if signals.shape[0] > 1 else 1
        if self._is_dense:
            matrix = self._derived.get(MATRIX, self._make_matrix)
            return np.ascontiguousarray(SparseProduct(signals).times(matrix, jobs)[:, : signals.shape[1]])
        dense = aligned_zeros(signals.shape[1], padded_width(max(n, 1)))
        dense[signals.indices, row_numbers(signals)] = signals.data
        scores = self._polynomial(dense, jobs)
        if self.gains_.any():
            coordinates = aligned_zeros(len(self.gains_), dense.shape[1])
            coordinates[:, :n] = self._coordinates(signals, jobs).T
            add_dense_products(self.item_vectors_, coordinates, scores, jobs)
        return np.ascontiguousarray(scores[:, :n].T)

    def _coordinates(self, signals: CodeMatrix, jobs: int) -> Floats:
        """The coordinates of the signals in the eigenvectors, times the gains, of shape (n, factors)."""
        vectors = self._derived.get(VECTORS, lambda: pad_columns(self.item_vectors_))
        found = SparseProduct(signals).times(vectors, jobs)[:, : len(self.gains_)]
        return np.ascontiguousarray(found * self.gains_)

    def _make_matrix(self) -> Floats:
        """The matrix P + V diag(gains) Vᵀ, with columns padded to a multiple of sixteen."""
        n, jobs = self.n_features_in_, effective_jobs(self.n_jobs)
        matrix = aligned_zeros(n, padded_width(n))
        fill_lower(self._weighted(), np.zeros(n), matrix, jobs)
        lower = np.tril(matrix[:, :n], -1)
        matrix[:, :n] += lower.T
        gained = aligned_zeros(len(self.gains_), matrix.shape[1])
        gained[:, :n] = (self.item_vectors_ * self.gains_).T
        if len(gained):
            add_dense_products(self.item_vectors_, gained, matrix, jobs)
        return readonly(matrix)

    def _polynomial(self, signals: Floats, jobs: int) -> Floats:
        """Applies h(P) to the signals; for h(λ) = λ that is one step over the graph."""
        graph = self._derived.get(GRAPH, self._graph)
        rows, columns = graph
        coefficients = self.coefficients_

        def smooth(now: Floats) -> Floats:  # applies P
            return columns.times(rows.times(now, jobs), jobs)

        def step(now: Floats) -> Floats:  # applies I - 2P
            moved = smooth(now)
            moved *= np.float32(-2)
            moved += now
            return moved

        if self._is_linear:
            return smooth(signals)
        last, now = signals, step(signals)
        scores: Floats = coefficients[0] * last + coefficients[1] * now
        for coefficient in coefficients[2:]:
            following = step(now)
            following *= np.float32(2)
            following -= last
            last, now = now, following
            scores += coefficient * now
        return scores

    def _transfer(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transfer function h(λ)."""
        if self.filter == "linear":
            return values
        if self.filter == "sharpen":
            sharpened: NDArray[np.float64] = values * np.exp(-self.sharpness * values)
            return sharpened
        centred = 2 * values - 1
        plateau: NDArray[np.float64] = 0.5 + 0.5 * np.sign(centred) * np.abs(centred) ** self.flatness
        return plateau

    def _graph(self) -> tuple[SparseProduct, SparseProduct]:
        weighted = self._weighted()
        return SparseProduct(weighted), SparseProduct(transpose(weighted, effective_jobs(self.n_jobs)))

    def _weighted(self) -> CodeMatrix:
        """The weighted matrix M."""
        return _weigh_entries(self._training, self.user_weights_, self.item_weights_)

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """The contribution r_i d_i^(-b) H_ij d_j^b of each entry i of the row; H, the filter, is symmetric, so one
        column serves.
        """
        impulse = assemble_csr(
            np.ones(1, np.float32), np.array([item], np.int32), np.array([0, 1], np.int64), (1, self.n_features_in_)
        )
        column = self._filter_rows(impulse)[0, history.indices].astype(np.float64)
        contributions: NDArray[np.float64] = self._scale_down(history) * column * float(self.degree_weights_[item])
        return contributions


def _automatic_factors(n_items: int) -> int:
    return min(MOST_FACTORS, round(2.5 * math.sqrt(n_items)))


def _powers(sums: NDArray[np.float64], exponent: float) -> Floats:
    """The sums to a power; 0 for a sum of 0."""
    powers: NDArray[np.float64] = np.where(sums > 0, sums, 1.0) ** exponent
    return np.where(sums > 0, powers, 0).astype(np.float32)


def _weigh_entries(matrix: CodeMatrix, users: Floats, items: Floats) -> CodeMatrix:
    data = matrix.data * items[matrix.indices]
    data *= users[row_numbers(matrix)]
    return assemble_csr(data, matrix.indices, matrix.indptr, matrix.shape)


def _interpolate(transfer: Any, order: int) -> NDArray[np.float64]:
    """The coefficients of the Chebyshev interpolation of `transfer` on [0, 1], in 1 - 2λ."""
    nodes = np.cos((np.arange(order + 1) + 0.5) / (order + 1) * np.pi)
    coefficients = np.polynomial.chebyshev.chebfit(nodes, transfer((1 - nodes) / 2), order)
    return np.asarray(coefficients, np.float64)
