"""Neighbourhood models: items whose users are alike, and users whose items are."""

from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.neighbors import (
    BITS_ROWS,
    Candidates,
    Rows,
    Scale,
    add_weighted_rows,
    find_neighbors,
    set_bits,
)  # fmt: skip
from fastrec.models.item_weights import PIECES, WORTH_THREADS, ItemWeights, rows_of
from fastrec.models.recommender import Codes, Explaining
from fastrec.models.rows import pick_rows, row_numbers, turned
from fastrec.models.updating import Change, Updating
from fastrec.notices import warn_caller
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.retrieval import TopK
from fastrec.validation import CodeMatrix, assemble_csr, check_choice, check_number, check_size, readonly

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Similarity = Literal["cosine", "jaccard", "tfidf", "bm25", "rp3beta"]

SIMILARITIES = ("cosine", "jaccard", "tfidf", "bm25")

# A user with more items is named by a warning: the pairs of them, a square, are what the fit goes through.
LONG_ROW = 150_000


class Profile(NamedTuple):
    """What a similarity makes of rows (items over users, or users over items).

    A product of two rows is Σ_f cells[i, f] · weights[f] · cells[j, f]; it is divided by
    left[i] · right[j] + base[i] - less · product.
    """

    cells: CodeMatrix
    left: Doubles
    right: Doubles
    base: Doubles
    less: float


class Weighting(NamedTuple):
    """How entries are weighted before rows are compared: what the options say, and what the training data says.

    Parameters
    ----------
    similarity
        "cosine", "jaccard", "tfidf" or "bm25".
    k1, b
        BM25's saturation and normalization by length.
    mean_length
        The mean sum of a row's values in the training data.
    features
        float32, of shape (n_features,): the weight of each feature in a product.
    unit
        What the values of the cosine and of TF-IDF are counted in, so that their products stay within float32: 1, or a
        power of four where the largest value is far from it.
    """

    similarity: str
    k1: float
    b: float
    mean_length: float
    features: Floats
    unit: float

    def profile(self, rows: CodeMatrix, asymmetry: float, shrinkage: float) -> Profile:
        """Rows weighted, with what their products are divided by; `asymmetry` is the exponent's share on the right."""
        cells = assemble_csr(self._cells(rows), rows.indices, rows.indptr, rows.shape)
        ones = np.ones(rows.shape[0])
        if self.similarity == "bm25":
            return Profile(cells, ones, ones, ones - 1, 0.0)
        if self.similarity == "jaccard":
            counts = np.diff(rows.indptr).astype(np.float64)
            return Profile(cells, ones, counts, counts + min(1e30, shrinkage), 1.0)
        norms = np.sqrt(self._squares(cells))
        # At most 1e30, above which similarities would be 0 in float32 whatever the products are.
        shrinkage = min(1e30, shrinkage / (self.unit**2 if self.similarity == "cosine" else self.unit))
        return Profile(cells, norms ** (2 - 2 * asymmetry), norms ** (2 * asymmetry), ones * shrinkage, 0.0)

    def _squares(self, cells: CodeMatrix) -> Doubles:
        """The weighted squared norm of each row."""
        if self.similarity == "cosine" and len(rows_of(cells).values) == 1:
            return np.diff(cells.indptr) * float(cells.data[0]) ** 2
        squares = cells.data.astype(np.float64) ** 2 * self.features[cells.indices]
        return np.asarray(np.bincount(row_numbers(cells), weights=squares, minlength=cells.shape[0]), np.float64)

    def _cells(self, rows: CodeMatrix) -> Floats:
        if self.similarity == "jaccard":
            return np.ones(rows.nnz, np.float32)
        if self.similarity == "tfidf":
            return np.asarray(np.sqrt(rows.data / np.float32(self.unit)), np.float32)
        if self.similarity == "bm25":
            numbers = row_numbers(rows)
            lengths = np.bincount(numbers, weights=rows.data, minlength=rows.shape[0]) / max(self.mean_length, 1e-30)
            exact = rows.data.astype(np.float64)
            saturated = exact * (self.k1 + 1) / (self.k1 * (1 - self.b + self.b * lengths)[numbers] + exact)
            return np.asarray(saturated, np.float32)
        return rows.data if self.unit == 1 else np.asarray(rows.data / np.float32(self.unit), np.float32)


def unit_of(values: Floats) -> float:
    """A power of four near the largest value, or 1 where that is between 2⁻²⁰ and 2²⁰: exact to divide by.

    >>> unit_of(np.ones(3, np.float32)), unit_of(np.float32([0, 2.0**41]))
    (1.0, 1099511627776.0)
    """
    exponent = max(int(np.frexp(values.max(initial=0))[1]) - 1, -126)
    return 1.0 if abs(exponent) <= 20 else 4.0 ** (exponent // 2)


def feature_weights(similarity: str, counts: NDArray[np.int64], n_rows: int) -> Floats:
    """The square of each feature's inverse document frequency, float32; ones for the similarities without.

    TF-IDF has log((1 + n) / (1 + n_f)) + 1, as scikit-learn has; BM25 has log(1 + (n - n_f + 1/2) / (n_f + 1/2)), as
    Lucene has: both stay above 0, whatever the counts n_f of n rows.
    """
    if similarity == "tfidf":
        return ((np.log((1 + n_rows) / (1 + counts)) + 1) ** 2).astype(np.float32)
    if similarity == "bm25":
        return (np.log1p((n_rows - counts + 0.5) / (counts + 0.5)) ** 2).astype(np.float32)
    return np.ones(len(counts), np.float32)


def weighting(
    similarity: str, k1: float, b: float, matrix: CodeMatrix, counts: NDArray[np.int64], n_rows: int
) -> Weighting:
    """The weighting of `n_rows` rows whose features occur `counts` times; `matrix` holds the values, either way up."""
    total = float(matrix.data.sum(dtype=np.float64))
    unit = unit_of(matrix.data) if similarity in ("cosine", "tfidf") else 1.0
    return Weighting(similarity, k1, b, total / n_rows, feature_weights(similarity, counts, n_rows), unit)


class Columns(NamedTuple):
    """What rows are compared with, as the kernel reads it.

    Parameters
    ----------
    features
        The weighted columns by features.
    right
        The columns' part of the divisor, filled up to a multiple of sixteen.
    bits
        Columns that are the rows too, as bits by features (`bits_of`); of length 0 where products are added up.
    """

    features: Rows
    right: Floats
    bits: NDArray[np.int64]


def columns_of(cells: CodeMatrix, right: Doubles, bits: NDArray[np.int64] | None = None) -> Columns:
    """Weighted columns, of shape (features, columns), that are divided by `right`."""
    padded = np.ones(-(-len(right) // 16) * 16, np.float32)
    padded[: len(right)] = right
    return Columns(rows_of(cells), readonly(padded), readonly(np.zeros((0, 0), np.int64) if bits is None else bits))


def bits_of(rows: Rows, n_features: int, n_jobs: int) -> NDArray[np.int64] | None:
    """Rows as bits by features, int64 of shape (n, words), where that takes no more memory than their codes; else None.

    Two rows' products are then counted 64 features at a time, which is faster than adding them up.
    """
    n, words = len(rows.indptr) - 1, -(-n_features // 64)
    if len(rows.values) != 1 or n * words * 8 > rows.indices.nbytes:
        return None
    bits = np.zeros((n, words), np.int64)
    cuts = balanced_cuts(np.diff(rows.indptr), n_jobs)
    run_pieces(lambda piece: set_bits(rows, int(cuts[piece]), int(cuts[piece + 1]), bits), range(n_jobs), n_jobs)
    return bits


def nearest_columns(
    rows: Rows, columns: Columns, weights: Floats, profile: Profile, k: int, alone: bool, n_jobs: int
) -> tuple[Codes, Floats]:
    """Codes and similarities of the k most similar columns of each row, of shape (n, k); -1 and -inf behind them.

    They come in any order; `profile` is that of the rows.
    """
    n, width = len(rows.indptr) - 1, len(columns.right)
    codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    left, base = (readonly(part.astype(np.float32)) for part in (profile.left, profile.base))
    scale = Scale(left, columns.right, base, np.float32(profile.less))
    costs = products_of(rows, columns.features) + 1
    jobs = n_jobs if costs.sum() > WORTH_THREADS else 1
    cuts = balanced_cuts(np.ones(n) if len(columns.bits) else costs, PIECES if jobs > 1 else 1)
    weights = readonly(weights)

    def find_piece(piece: int) -> None:
        first, last = cuts[piece], cuts[piece + 1]
        sums = np.zeros((BITS_ROWS if len(columns.bits) else 1, width), np.float32)
        found = Candidates(
            np.empty(width + 16, np.int32), np.empty(width + 16, np.float32), np.empty(width + 16, np.float32),
            np.empty(width + 16, np.int64),
        )  # fmt: skip
        find_neighbors(
            rows, columns.features, columns.bits, weights, scale, first, last, alone, sums, found,
            codes[first:last], scores[first:last],
        )  # fmt: skip

    run_pieces(find_piece, range(len(cuts) - 1), jobs)
    return codes, scores


def products_of(rows: Rows, features: Rows) -> Doubles:
    """How many products each row has with all columns, of shape (rows,)."""
    lengths = np.diff(features.indptr)[rows.indices]
    total = np.concatenate([np.zeros(1), np.cumsum(lengths, dtype=np.float64)])[rows.indptr]
    return np.diff(total)


def matrix_of_lists(codes: Codes, scores: Floats, n_columns: int) -> CodeMatrix:
    """Lists of codes and scores, -1 where they end, as the rows of a matrix of shape (n, n_columns), not sorted."""
    valid = codes >= 0
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(valid.sum(axis=1), dtype=np.int64)])
    return assemble_csr(scores[valid], codes[valid], indptr, (len(codes), n_columns))


def _check_neighborhood(model: Any, similarities: tuple[str, ...]) -> None:
    name = type(model).__name__
    check_size(f"{name}.neighbors", model.neighbors)
    check_choice(f"{name}.similarity", model.similarity, similarities)
    check_number(f"{name}.shrinkage", model.shrinkage, minimum=0)
    check_number(f"{name}.asymmetry", model.asymmetry, minimum=0, maximum=1)
    check_number(f"{name}.k1", model.k1, minimum=0)
    check_number(f"{name}.b", model.b, minimum=0, maximum=1)
    effective_jobs(model.n_jobs)


class ItemKNN(ItemWeights):
    """Items that have users in common with those of a history, by the similarity of columns, the nearest few of each.

    Values are weights of positive feedback; negative ones are refused (leave dislikes out, or take `EASE`), zeros are
    no feedback. The score of item j for a history r is

        Σ_i r_i s_ij   over the items i of the history,

    where s_ij is kept for the `neighbors` items i nearest to each j; with "rp3beta", for the `neighbors` items j that
    a walk from each i is likeliest to reach.

    Parameters
    ----------
    neighbors : int
        How many similar items are kept for each, at least 1.
    similarity : {"cosine", "jaccard", "tfidf", "bm25", "rp3beta"}
        With x_i the column of item i over the users:

        - "cosine": x_i·x_j / (‖x_i‖ ‖x_j‖ + shrinkage) (Sarwar, Karypis, Konstan, Riedl 2001);
        - "jaccard": n_ij / (n_i + n_j - n_ij + shrinkage), the users in common and of each, values aside;
        - "tfidf": the cosine, with entries √r_ui · idf_u: users with few items say more than users with many;
        - "bm25": x_i·x_j, with entries idf_u · r_ui (k1 + 1) / (k1 (1 - b + b·length_i / mean length) + r_ui)
          (Robertson, Zaragoza 2009);
        - "rp3beta": Σ_u (r_ui / r_i)^alpha (r_uj / r_u)^alpha / n_j^beta, with sums r_i and r_u of an item's and of a
          user's values: the chance of a walk of three steps, popular items set back (Paudel, Christoffel, Newell,
          Bernstein 2017). Where exponents are so large that float32 would not hold these, all are multiplied by one
          factor.
    shrinkage : float
        What is added to the divisor, at least 0: pairs with little behind them are set back. Without effect on "bm25"
        and "rp3beta".
    asymmetry : float
        For "cosine" and "tfidf": ‖x_i‖^(2 - 2a) ‖x_j‖^(2a) instead of ‖x_i‖ ‖x_j‖, i in the history and j the item
        scored (Aiolli 2013). 0.5 is the cosine; below it, popular items score higher.
    alpha, beta : float
        The exponents of "rp3beta", at least 0.
    k1, b : float
        BM25's saturation, at least 0, and normalization by length, from 0 to 1.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weights_ : csr_array of shape (n_items, n_items)
        s, float32: in row i and column j, what a unit of item i in a history adds to the score of item j.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be.

    Notes
    -----
    See docs/neighbors.md for the equations, how they are computed, and how to choose.

    Examples
    --------
    >>> model = ItemKNN(neighbors=2).fit([[1, 1, 0], [1, 1, 0], [0, 1, 1]])
    >>> model.similar_items(0, k=1).codes
    array([[1]], dtype=int32)
    >>> reasons = model.explain(0, 2)
    >>> reasons.items, reasons.contributions
    (array([1, 0], dtype=int32), array([0.57735026, 0.        ], dtype=float32))
    """

    def __init__(
        self,
        neighbors: int = 100,
        *,
        similarity: Similarity = "cosine",
        shrinkage: float = 0.0,
        asymmetry: float = 0.5,
        alpha: float = 0.8,
        beta: float = 0.2,
        k1: float = 1.2,
        b: float = 0.75,
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.similarity = similarity
        self.shrinkage = shrinkage
        self.asymmetry = asymmetry
        self.alpha = alpha
        self.beta = beta
        self.k1 = k1
        self.b = b
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        _check_neighborhood(self, (*SIMILARITIES, "rp3beta"))
        check_number("ItemKNN.alpha", self.alpha, minimum=0)
        check_number("ItemKNN.beta", self.beta, minimum=0)

    def _fit(self, matrix: CodeMatrix) -> None:
        self._warn_of_long_rows(matrix)
        jobs = effective_jobs(self.n_jobs)
        k = min(self.neighbors, max(1, matrix.shape[1] - 1))
        profile, weights, users = self._walk(matrix, jobs) if self._walks else self._compared(matrix, jobs)
        items = rows_of(profile.cells)
        bits = bits_of(items, matrix.shape[0], jobs) if self.similarity in ("cosine", "jaccard") else None
        columns = columns_of(users, profile.right, bits)
        codes, scores = nearest_columns(items, columns, weights, profile, k, True, jobs)
        found = turned(matrix_of_lists(codes, scores, matrix.shape[1]), jobs)
        self.weights_ = turned(found, jobs) if self._walks else found

    def _warn_of_long_rows(self, matrix: CodeMatrix) -> None:
        lengths = np.diff(matrix.indptr)
        longest = int(np.argmax(lengths))
        if lengths[longest] > LONG_ROW:
            user = self._labels_of(np.array([longest], np.int32), self.users_).tolist()[0]
            warn_caller(
                f"user {user!r} has {lengths[longest]:,} items, whose pairs ItemKNN goes through: its time grows with "
                "their square. Bound the items of a user by fastrec.Cap(user=…), or leave this one out"
            )

    @property
    def _walks(self) -> bool:
        return self.similarity == "rp3beta"

    def _compared(self, matrix: CodeMatrix, jobs: int) -> tuple[Profile, Floats, CodeMatrix]:
        """Items over users, the users' weights, and users over items.

        Neighbours are sought for the item that is scored, so that one is the left side.
        """
        counts = np.diff(matrix.indptr)
        how = weighting(self.similarity, self.k1, self.b, matrix, counts, matrix.shape[1])
        profile = how.profile(turned(matrix, jobs), 1 - self.asymmetry, self.shrinkage)
        # The cosine's entries are those of the data, which need not be turned over twice, if their size allows it.
        as_given = self.similarity == "cosine" and how.unit == 1
        return profile, how.features, matrix if as_given else turned(profile.cells, jobs)

    def _walk(self, matrix: CodeMatrix, jobs: int) -> tuple[Profile, Floats, CodeMatrix]:
        """The walk item → user → item: items over users, the users' weights, and users over items.

        What depends on one end only is taken out of the sum, relative to the greatest value of the item and of the
        user: the entries of both sides reach from 0 to 1, whatever their exponent.
        """
        rows, values = row_numbers(matrix), matrix.data.astype(np.float64)
        steps, to_users = _steps(matrix.indices, values, matrix.shape[1], self.alpha)
        back, to_items = _steps(rows, values, matrix.shape[0], self.alpha)
        right = self.beta * np.log2(np.maximum(self.item_counts_, 1.0))
        weights, left, right = _within_float32(-back, steps, right)
        cells = turned(assemble_csr(to_users, matrix.indices, matrix.indptr, matrix.shape), jobs)
        users = assemble_csr(to_items, matrix.indices, matrix.indptr, matrix.shape)
        return Profile(cells, left, right, np.zeros(len(left)), 0.0), weights.astype(np.float32), users

    def _similarities(self) -> Any:
        if self._walks:
            return self.weights_
        return self._derived.get("neighbors", lambda: turned(self.weights_, effective_jobs(self.n_jobs)))


def _steps(ends: NDArray[Any], values: Doubles, n: int, alpha: float) -> tuple[Doubles, Floats]:
    """The chances (value / sum of its end's)^alpha of steps that start at n ends, as two factors.

    Returns the binary logarithm of (sum / greatest value)^alpha for each end, and (value / greatest value)^alpha for
    each entry.
    """
    highest = np.zeros(n)
    np.maximum.at(highest, ends, values)
    highest[highest == 0] = 1
    shares = values / highest[ends]
    sums = np.bincount(ends, weights=shares, minlength=n)
    return alpha * np.log2(np.where(sums > 0, sums, 1)), (shares**alpha).astype(np.float32)


def _within_float32(weights: Doubles, left: Doubles, right: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Powers of two of three arrays; where some are beyond float32, relative to the largest weight, the least divisors.

    >>> [part.tolist() for part in _within_float32(np.array([-1.0, -2]), np.array([3.0]), np.zeros(1))]
    [[0.5, 0.25], [8.0], [1.0]]
    >>> [part.tolist() for part in _within_float32(np.array([-300.0, -301]), np.array([999.0]), np.zeros(1))]
    [[1.0, 0.5], [1.0], [1.0]]
    """
    if max(-weights.min(initial=0), left.max(initial=0), right.max(initial=0)) > 40:
        weights = weights - weights.max()
        # Their product stays below 2¹²⁷, where float32 ends.
        left, right = np.minimum(left - left.min(), 90), np.minimum(right - right.min(), 36)
    return np.exp2(weights), np.exp2(left), np.exp2(right)


class UserKNN(Explaining, Updating):
    """What the users with the most similar histories took, each counted by its similarity.

    Values are weights of positive feedback; negative ones are refused (leave dislikes out), zeros are no feedback. The
    score of item i for a history u is

        Σ_v s_uv r_vi   over the `neighbors` users v of the training data nearest to u.

    Nothing is learned beforehand: a history is compared with all users when it is asked about, so that a new user is
    answered as one of the training data is. These are among their own neighbours, which only concerns items that they
    have seen. Options that are set on a fitted model act at once.

    Parameters
    ----------
    neighbors : int
        How many similar users are asked, at least 1.
    similarity : {"cosine", "jaccard", "tfidf", "bm25"}
        As in `ItemKNN`, with users and items exchanged: rows are compared, and rare items say more than popular ones
        in "tfidf" and "bm25".
    shrinkage : float
        What is added to the divisor, at least 0. Without effect on "bm25".
    asymmetry : float
        For "cosine" and "tfidf": ‖x_v‖^(2a) of the neighbour and ‖x_u‖^(2 - 2a) instead of ‖x_u‖ ‖x_v‖; 0.5 is the
        cosine.
    k1, b : float
        BM25's saturation, at least 0, and normalization by length, from 0 to 1.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be.

    Notes
    -----
    See docs/neighbors.md for the equations, how they are computed, and how to choose.

    Examples
    --------
    >>> model = UserKNN(neighbors=2).fit([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
    >>> model.recommend(0, k=1).codes
    array([[2]], dtype=int32)
    >>> model.similar_users(0, k=1).codes
    array([[1]], dtype=int32)
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"explain", "similar_users", "partial_fit"})

    def __init__(
        self,
        neighbors: int = 100,
        *,
        similarity: str = "cosine",
        shrinkage: float = 0.0,
        asymmetry: float = 0.5,
        k1: float = 1.2,
        b: float = 0.75,
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.similarity = similarity
        self.shrinkage = shrinkage
        self.asymmetry = asymmetry
        self.k1 = k1
        self.b = b
        self.n_jobs = n_jobs

    def _check_options(self) -> None:
        _check_neighborhood(self, SIMILARITIES)

    def _fit(self, matrix: CodeMatrix) -> None:
        """Nothing: the training data is the model."""

    def _update(self, change: Change) -> None:
        """Nothing either: the data has been taken in."""

    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """The `k` users of the training data most similar to each, the user asked about left out.

        Parameters
        ----------
        users
            Ids, or histories, as in `recommend`.
        k
            How many for each.

        Returns
        -------
        TopK
            Codes and similarities of shape (n, k); its `items` are users. Only users with an item in common.

        Examples
        --------
        >>> UserKNN().fit([[1, 1, 0], [1, 1, 1], [0, 0, 1]]).similar_users([0, 2], k=1).codes
        array([[1],
               [1]], dtype=int32)
        """
        k = check_size("k", k)
        audience, _ = self._audience(users, "error")
        codes, scores = self._nearest(audience.histories(), k + 1)
        itself = np.full(len(audience), -2) if audience.codes is None else audience.codes
        order = np.lexsort((codes, -scores, codes == itself[:, None]), axis=1)[:, :k]
        codes, scores = np.take_along_axis(codes, order, 1), np.take_along_axis(scores, order, 1)
        return TopK(codes, scores, users=audience.labels, item_vocabulary=self.users_)

    def _weighting(self) -> tuple[Weighting, Columns, Profile]:
        """How histories are weighted, the training data turned over, and what its users divide by."""

        def make() -> tuple[Weighting, Columns, Profile]:
            matrix = self._training
            how = weighting(self.similarity, self.k1, self.b, matrix, self.item_counts_, matrix.shape[0])
            profile = how.profile(matrix, self.asymmetry, self.shrinkage)
            columns = columns_of(turned(profile.cells, effective_jobs(self.n_jobs)), profile.right)
            return how, columns, profile

        options = (self.similarity, self.k1, self.b, self.asymmetry, self.shrinkage)
        made: tuple[Weighting, Columns, Profile] = self._derived.get(f"weighting {options}", make)
        return made

    def _nearest(self, histories: CodeMatrix, k: int) -> tuple[Codes, Floats]:
        """Codes and similarities of the nearest users of the training data, in any order, of shape (n, k)."""
        how, columns, _ = self._weighting()
        profile = how.profile(histories, self.asymmetry, self.shrinkage)
        jobs = effective_jobs(self.n_jobs)
        return nearest_columns(rows_of(profile.cells), columns, how.features, profile, k, False, jobs)

    def _row_bytes(self) -> int:
        """The scores, and the neighbours on their way into a matrix."""
        return 4 * self.n_features_in_ + 32 * min(self.neighbors, self.seen_.shape[0])

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        k = min(self.neighbors, self.seen_.shape[0])
        near, similarities = self._nearest(histories, k)
        lists = matrix_of_lists(near, similarities, self.seen_.shape[0])
        rows, taken = rows_of(lists), self._derived.get("taken", lambda: rows_of(self._training))
        scores = np.zeros((histories.shape[0], self.n_features_in_), np.float32)
        jobs = effective_jobs(self.n_jobs) if len(scores) > 1 else 1
        cuts = np.linspace(0, len(scores), min(PIECES, max(1, len(scores))) + 1).astype(np.int64)

        def add_piece(piece: int) -> None:
            first, last = cuts[piece], cuts[piece + 1]
            add_weighted_rows(rows, first, last, taken, scores[first:last])

        run_pieces(add_piece, range(len(cuts) - 1), jobs)
        return scores

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """A neighbour's share of the score, dealt to the items in common as these made up the similarity."""
        how, _, of_users = self._weighting()
        near, similarities = self._nearest(history, min(self.neighbors, self.seen_.shape[0]))
        users, weights = near[0][near[0] >= 0], similarities[0][near[0] >= 0].astype(np.float64)
        taken = pick_rows(self._training, users)[:, [item]].toarray()[:, 0]
        own = how.profile(history, self.asymmetry, self.shrinkage).cells.data * how.features[history.indices]
        products = pick_rows(of_users.cells, users)[:, history.indices].toarray().astype(np.float64) * own
        totals = products.sum(axis=1)
        shares = products / np.where(totals > 0, totals, 1)[:, None]
        contributions: NDArray[Any] = (weights * taken) @ shares
        return contributions
