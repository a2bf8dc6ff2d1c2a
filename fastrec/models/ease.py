"""Linear item autoencoders in closed form: EASE, its denoising variants, and a sparse form for large catalogues."""

from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.kernels.ease import TILE, fill_weights, solve_columns
from fastrec.kernels.supports import Gramian
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose, with_data
from fastrec.models.base.fading import Fading
from fastrec.models.base.item_weights import ItemWeights, is_dense, is_finite
from fastrec.models.base.weighting import Weighted
from fastrec.options import MIN_SUPPORT, Choice, Integer, Jobs, Number, Options, Verbosity
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.progress import epoch_progress
from fastrec.solvers.gramian import by_popularity, fill_lower, gather_entries, squared_norms
from fastrec.solvers.inversion import NotPositiveDefiniteError, count_tiles, invert_lower
from fastrec.solvers.supports import ROWS, STEPS, TOLERANCE, join_weights, strongest_supports

Doubles = NDArray[np.float64]


class ItemProducts(NamedTuple):
    """The sums over users that the dense method learns from.

    Parameters
    ----------
    gramian
        XᵀX, float32 of shape (n_items, n_items), of which the lower triangle is read; it becomes the weights.
    squares
        The squared norms of the columns, of shape (n_items,).
    counts
        The number of users of each item, of shape (n_items,).
    common
        The number of users of each pair of items, as `gramian`; None without `min_support`.
    """

    gramian: Floats
    squares: Doubles
    counts: NDArray[np.int64]
    common: Floats | None = None


class EASE(Fading, Weighted, ItemWeights):
    """Item-to-item weights that best reconstruct the histories, in closed form: accurate, with one number to tune.

    The weights reconstruct the values: weights of positive feedback, or ratings. Negative values are dislikes, which
    lower related items. Zeros are no entries. The fit minimises

        ‖X - X B‖² + Σ_i Λ_i ‖B_i‖²   subject to   B_jj ≤ relaxation,

    with Λ_i = regularization + dropout / (1 - dropout) · ‖x_i‖² for the column x_i of item i. EASE (Steck 2019) is
    dropout 0 and relaxation 0; `dropout` alone gives EDLAE (Steck 2020), the result of training with that share of the
    entries hidden; both give RDLAE, `relaxation` alone RLAE (Moon, Kim, Lee 2023).

    Parameters
    ----------
    regularization : float
        λ, above 0. Tune it on a validation part, by factors of two; some hundreds are usual if users have a hundred
        items each.
    dropout : float
        The share of entries that the denoising variants hide, from 0 to below 1. It penalises popular items more.
    relaxation : float
        ξ, from 0 to 1: the bound of an item's weight to itself. 1 is no constraint.
    method : {"auto", "dense", "sparse"}
        "dense" solves for all items at once: n² numbers and n³ operations, for n items. "sparse" solves for each item
        with the `neighbors` items that would predict it best alone: it inverts a part of the Gramian instead of the
        whole. "auto" is dense up to 20 000 items.
    neighbors : int
        The number of items that may predict an item in the sparse method, at least 1.
    threshold : float
        For the sparse method: entries g_ij of the Gramian below this share of √(g_ii + Λ_i) √(g_jj + Λ_j) count as 0,
        from 0 to below 1. It bounds the memory on large data; the default of 0.01 changes nothing that can be measured.
    min_support : int
        The minimum number of users who have had both items of a weight, and of users of each recommended item. Other
        weights are 0; in the sparse method such items are not among those that may predict an item. 1 is no condition:
        the dense method then has weights even for pairs that no user had.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. A change on a fitted model acts at once; learned
        values do not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.
    verbose : bool or int
        Whether to show progress in the dense method.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.
    weights_ : ndarray or csr_array of shape (n_items, n_items)
        B, float32: the entry in row i and column j is what a unit of item i in a history adds to item j's score.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, if values are too large for float32 to square, or `regularization` is so small beside them that it
        cannot tell the system from a singular one.

    Notes
    -----
    See docs/explanation/ease.md for the equations, the sparse method, and what both cost.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = EASE(regularization=10).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    takes_negatives: ClassVar[bool] = True

    _options: ClassVar[Options] = {
        "regularization": Number(0, above=True, log=True),
        "dropout": Number(0, 1, below=True),
        "relaxation": Number(0, 1),
        "method": Choice(("auto", "dense", "sparse")),
        "neighbors": Integer(1, memory=True, log=True),
        "threshold": Number(0, 1, below=True),
        "min_support": MIN_SUPPORT,
        "n_jobs": Jobs(),
        "verbose": Verbosity(),
    }

    def __init__(
        self,
        regularization: float = 200.0,
        *,
        dropout: float = 0.0,
        relaxation: float = 0.0,
        method: str = "auto",
        neighbors: int = 256,
        threshold: float = 0.01,
        min_support: int = 1,
        recency: float = 1.0,
        weighting: str = "auto",
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.regularization = regularization
        self.dropout = dropout
        self.relaxation = relaxation
        self.method = method
        self.neighbors = neighbors
        self.threshold = threshold
        self.min_support = min_support
        self.recency = recency
        self.weighting = weighting
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit_products(self, products: ItemProducts, items: Vocabulary) -> Self:
        """Fits the weights from sums over users that were made elsewhere; the model then has no users.

        Parameters
        ----------
        products
            The sums, of values as they are; `gramian` is overwritten.
        items
            The ids of the items.
        """
        nobody = Interactions([], [], users=[0], items=items, duplicates="sum")
        self._learn(nobody, products=products)
        self._drop_users()
        return self

    def _fit(self, matrix: CodeMatrix, products: ItemProducts | None = None) -> None:
        """Learns the weights from the matrix, or from its `products`."""
        jobs = effective_jobs(self.n_jobs)
        dense = products is not None or is_dense(self.method, matrix.shape[1])
        squares = squared_norms(matrix) if products is None else products.squares
        largest = float(np.finfo(np.float32).max)
        if not self.regularization < largest:
            raise FloatingPointError(f"EASE.regularization of {self.regularization} is too large for float32")
        if not squares.max(initial=0) + self._penalties(squares).max(initial=0) < largest:
            raise FloatingPointError("X has values whose squares are too large for float32: take smaller ones for EASE")
        if products is not None:
            self.item_counts_ = products.counts
        if dense:
            products = products or ItemProducts(multiply_columns(matrix, jobs), squares, self.item_counts_)
            self.weights_ = self._fit_dense(products, matrix, jobs)
        else:
            self.weights_ = self._fit_sparse(matrix, squares, jobs)
        if not is_finite(self.weights_ if dense else self.weights_.data):
            raise self._singular()

    def _penalties(self, squares: Doubles) -> Doubles:
        """The penalties Λ, of shape (n_items,), from the squared norms of the columns."""
        return self.regularization + self.dropout / (1 - self.dropout) * squares

    def _fit_dense(self, products: ItemProducts, matrix: CodeMatrix, jobs: int) -> Floats:
        weights, n = products.gramian, len(products.gramian)
        penalties = self._penalties(products.squares)
        np.fill_diagonal(weights, weights.diagonal() + penalties.astype(np.float32))
        with epoch_progress(type(self).__name__, 3 * count_tiles(n), bool(self.verbose)) as advance:
            try:
                invert_lower(weights, jobs, lambda: advance("tiles"))
            except NotPositiveDefiniteError:
                raise self._singular() from None
        # B = I - P diag(m), with the least m that keeps 1 - P_jj m_j, an item's weight to itself, within the
        # relaxation.
        inverse = weights.diagonal().astype(np.float64)
        if not (inverse > 0).all():
            raise self._singular()
        multipliers = np.maximum(penalties, (1 - self.relaxation) / inverse)
        own = np.maximum(1 - inverse * multipliers, 0) if self.relaxation > 0 else np.zeros(n)
        _fill_weights(weights, multipliers.astype(np.float32), jobs)
        np.fill_diagonal(weights, own)
        if self.min_support > 1:
            common = products.common
            _drop_rare_pairs(weights, count_common_users(matrix, jobs) if common is None else common, self.min_support)
        return weights

    def _fit_sparse(self, matrix: CodeMatrix, squares: Doubles, jobs: int) -> CodeMatrix:
        n = matrix.shape[1]
        items, order = by_popularity(matrix, jobs)  # the most popular first, so that rows below the diagonal are short
        users = transpose(items, jobs)
        squares = squares[order]
        penalties = self._penalties(squares)
        diagonal = squares + penalties
        k = min(self.neighbors, max(1, n - 1))
        supports = strongest_supports(items, users, diagonal, k, self.min_support, jobs)
        lower = gather_entries(items, users, 1 / np.sqrt(diagonal), self.threshold, jobs)
        starts, codes, values = (readonly(array) for array in lower)
        gramian = Gramian(starts, codes, values, readonly(diagonal.astype(np.float32)), readonly(penalties))
        weights, own = np.zeros(supports.shape, np.float32), np.zeros(n, np.float32)
        supports, relaxation = readonly(supports), float(self.relaxation)

        def solve_piece(first: int) -> None:
            last = min(first + ROWS, n)
            solve_columns(gramian, supports, relaxation, TOLERANCE, STEPS, first, last, weights, own)

        run_pieces(solve_piece, range(0, n, ROWS), jobs)
        own[self.item_counts_[order] < self.min_support] = 0
        return join_weights(supports, weights, own if self.relaxation > 0 else None, order, jobs)

    def _singular(self) -> FloatingPointError:
        return FloatingPointError(
            f"EASE.regularization of {self.regularization} is too small for these values: float32 cannot tell the "
            "system from a singular one. Take a larger one, or smaller values."
        )


def multiply_columns(matrix: CodeMatrix, jobs: int) -> Floats:
    """The Gramian XᵀX of a matrix's columns, dense, its lower triangle alone."""
    n = matrix.shape[1]
    gramian = np.empty((n, n), np.float32)
    fill_lower(matrix, np.zeros(n), gramian, jobs)
    return gramian


def count_common_users(matrix: CodeMatrix, jobs: int) -> Floats:
    """The number of users of each pair of items: the lower triangle alone."""
    return multiply_columns(with_data(matrix, np.ones(matrix.nnz, np.float32)), jobs)


def _drop_rare_pairs(weights: Floats, common: Floats, least: int) -> None:
    """Sets the weights of pairs of items to 0 that fewer than `least` users have had."""
    n = len(weights)
    rare = np.tri(n, dtype=bool)  # the Gramian has only its lower triangle
    rare &= common < least
    weights[rare] = 0
    weights.T[rare] = 0


def _fill_weights(inverse: Floats, multipliers: Floats, jobs: int) -> None:
    blocks = -(-len(inverse) // TILE)
    fixed = readonly(multipliers)
    run_pieces(lambda block: fill_weights(inverse, fixed, block, block + 1), range(blocks), jobs)
