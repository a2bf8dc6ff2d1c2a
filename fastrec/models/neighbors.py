"""Neighbourhood models: items with similar users, and users with similar items."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.neighbors import add_weighted_rows
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, transpose
from fastrec.models.base.answering import SIMILAR_USERS
from fastrec.models.base.audience import find_audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.fading import Fading
from fastrec.models.base.item_weights import ItemWeights
from fastrec.models.base.updating import Change, Updating
from fastrec.models.base.weighting import Weighted
from fastrec.notices import warn_caller
from fastrec.options import MIN_SUPPORT, Choice, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval import TopK
from fastrec.solvers.neighbors import (
    PIECES,
    WeightedColumns,
    bits_of,
    columns_of,
    matrix_of_lists,
    nearest_columns,
    rows_of,
)
from fastrec.solvers.similarity import OF_ITEMS, SIMILARITIES, Divisor, Profile, Similarity
from fastrec.validation import check_size

Doubles = NDArray[np.float64]

# A warning names a user with more items: the fit goes through the pairs of a user's items.
LONG_ROW = 150_000


NEIGHBORHOOD: Options = {
    "neighbors": Integer(1, memory=True, log=True),
    "similarity": Choice(tuple(SIMILARITIES)),
    "shrinkage": Number(0),
    "asymmetry": Number(0, 1),
    "k1": Number(0),
    "b": Number(0, 1),
    "n_jobs": Jobs(),
}
"""What both take."""


NEIGHBORS: Key[CodeMatrix] = Key("neighbors")
TAKEN: Key[Entries] = Key("taken")


class ItemKNN(Fading, Weighted, ItemWeights):
    """Recommends items that are similar to those of a history, by the similarity of columns; each item keeps its
    nearest few.

    Values are weights of positive feedback; negative ones are refused (leave dislikes out, or take `EASE`), zeros are
    no feedback. The score of item j for a history r is

        Σ_i r_i s_ij   over the items i of the history,

    where s_ij is kept for the `neighbors` items i nearest to each j; "rp3beta" and "sppmi" keep it for the `neighbors`
    items j that a walk from each i is likeliest to reach, or with the largest s_ij.

    Parameters
    ----------
    neighbors : int
        The number of similar items kept for each item, at least 1.
    similarity : {"cosine", "jaccard", "tfidf", "bm25", "sppmi", "rp3beta"}
        With x_i the column of item i over the users:

        - "cosine": x_i·x_j / (‖x_i‖ ‖x_j‖ + shrinkage) (Sarwar, Karypis, Konstan, Riedl 2001);
        - "jaccard": n_ij / (n_i + n_j - n_ij + shrinkage), with the numbers of users in common and of each item,
          without values;
        - "tfidf": the cosine, with entries √r_ui · idf_u: users with few items weigh more than users with many;
        - "bm25": x_i·x_j, with entries idf_u · r_ui (k1 + 1) / (k1 (1 - b + b·length_i / mean length) + r_ui)
          (Robertson, Zaragoza 2009);
        - "sppmi": max(0, log(c_ij Σ_k c_k^smoothing / (c_i c_j^smoothing)) - shift), shifted positive pointwise mutual
          information (Levy, Goldberg 2014), i in the history and j the item scored: what Item2Vec factorizes, in closed
          form. c_ij sums 1 / (items of the user - 1) over the users of both, so that a history counts once for each of
          its items, and c_i is the sum over j; values do not count;
        - "rp3beta": Σ_u (r_ui / r_i)^alpha (r_uj / r_u)^alpha / n_j^beta, with sums r_i and r_u of an item's and of a
          user's values. It is the chance of a walk of three steps, with popular items lowered (Paudel, Christoffel,
          Newell, Bernstein 2017). If exponents are so large that float32 would not hold the weights, all are multiplied
          by one factor.
    shrinkage : float
        A number added to the divisor, at least 0: it lowers pairs with little data. It has no effect on "bm25", "sppmi"
        and "rp3beta".
    asymmetry : float
        For "cosine" and "tfidf": ‖x_i‖^(2 - 2a) ‖x_j‖^(2a) instead of ‖x_i‖ ‖x_j‖, i in the history and j the item
        scored (Aiolli 2013). 0.5 is the cosine; below it, popular items score higher.
    alpha, beta : float
        The exponents of "rp3beta", at least 0.
    smoothing : float
        For "sppmi", from 0 to 1: below 1, popular items score higher.
    shift : float
        For "sppmi", at least 0: log k has the effect of k negatives in Item2Vec. A larger one keeps fewer weights.
    k1, b : float
        BM25's saturation, at least 0, and normalization by length, from 0 to 1.
    min_support : int
        The minimum number of users who have had both items of a weight, and of users of each recommended item, at least
        1. The nearest items are chosen among the pairs with this support.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. A change on a fitted model acts at once; learned
        values do not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.
    weights_ : csr_array of shape (n_items, n_items)
        s, float32: the entry in row i and column j is what a unit of item i in a history adds to item j's score.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.

    Notes
    -----
    See docs/explanation/neighbors.md for the equations, how they are computed, and how to choose.

    Examples
    --------
    >>> model = ItemKNN(neighbors=2).fit([[1, 1, 0], [1, 1, 0], [0, 1, 1]])
    >>> model.similar_items(0, k=1).codes
    array([[1]], dtype=int32)
    >>> reasons = model.explain(0, 2)
    >>> reasons.items, reasons.contributions
    (array([1, 0], dtype=int32), array([0.57735026, 0.        ], dtype=float32))
    """

    _options: ClassVar[Options] = {
        **NEIGHBORHOOD,
        "similarity": Choice((*OF_ITEMS, "rp3beta")),
        "alpha": Number(0),
        "beta": Number(0),
        "smoothing": Number(0, 1),
        "shift": Number(0),
        "min_support": MIN_SUPPORT,
    }

    def __init__(
        self,
        neighbors: int = 100,
        *,
        similarity: str = "cosine",
        shrinkage: float = 0.0,
        asymmetry: float = 0.5,
        alpha: float = 0.8,
        beta: float = 0.2,
        smoothing: float = 0.5,
        shift: float = 0.0,
        k1: float = 1.2,
        b: float = 0.75,
        min_support: int = 1,
        recency: float = 1.0,
        weighting: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.similarity = similarity
        self.shrinkage = shrinkage
        self.asymmetry = asymmetry
        self.min_support = min_support
        self.alpha = alpha
        self.beta = beta
        self.smoothing = smoothing
        self.shift = shift
        self.k1 = k1
        self.b = b
        self.recency = recency
        self.weighting = weighting
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        self._warn_of_long_rows(matrix)
        jobs = effective_jobs(self.n_jobs)
        k = min(self.neighbors, max(1, matrix.shape[1] - 1))
        if self._walks:
            codes, scores = self._nearest(*self._walk(matrix, jobs), False, k, jobs)
        else:
            similarity = self._similarity(matrix)
            profile, users = self._compare_columns(matrix, similarity, jobs)
            codes, scores = self._nearest(profile, similarity.weights, users, similarity.by_bits, k, jobs)
            codes, scores = similarity.finish(codes, scores)
        found = transpose(matrix_of_lists(codes, scores, matrix.shape[1]), jobs)
        self.weights_ = transpose(found, jobs) if self._from_history else found

    def _nearest(
        self, profile: Profile, weights: Floats, users: CodeMatrix, by_bits: bool, k: int, jobs: int
    ) -> tuple[Codes, Floats]:
        """Codes and quotients of the k nearest items of each, of shape (n_items, k)."""
        items = rows_of(profile.cells)
        bits = bits_of(items, users.shape[0], jobs) if by_bits else None
        columns = columns_of(users, profile.divisor.right, bits)
        return nearest_columns(items, columns, weights, profile.divisor, k, True, jobs, self.min_support)

    def _warn_of_long_rows(self, matrix: CodeMatrix) -> None:
        lengths = np.diff(matrix.indptr)
        longest = int(np.argmax(lengths))
        if lengths[longest] > LONG_ROW:
            user = self.user_vocabulary.decode(np.array([longest])).tolist()[0]
            warn_caller(
                f"user {user!r} has {lengths[longest]:,} items, and ItemKNN's time grows with their "
                "square. Bound the items of a user by fastrec.Cap(user=…), or leave this one out"
            )

    @property
    def _from_history(self) -> bool:
        """Tells whether neighbours are sought for the items of a history, and not for the scored items."""
        return self.similarity in ("rp3beta", "sppmi")

    @property
    def _walks(self) -> bool:
        return self.similarity == "rp3beta"

    def _similarity(self, matrix: CodeMatrix) -> Similarity:
        """The similarity that compares items; its left side has the items whose neighbours are sought."""
        return OF_ITEMS[self.similarity](
            matrix.data, np.diff(matrix.indptr), matrix.shape[1], self.shrinkage, 1 - self.asymmetry, self.k1, self.b,
            self.smoothing, self.shift,
        )  # fmt: skip

    def _compare_columns(self, matrix: CodeMatrix, similarity: Similarity, jobs: int) -> tuple[Profile, CodeMatrix]:
        """The weighted columns: items over users, and users over items."""
        profile = similarity.profile(transpose(matrix, jobs))
        # Unweighted entries need no second transposition.
        return profile, matrix if similarity.keeps_values else transpose(profile.cells, jobs)

    def _walk(self, matrix: CodeMatrix, jobs: int) -> tuple[Profile, Floats, CodeMatrix]:
        """The walk item → user → item: items over users, the users' weights, and users over items.

        Factors of one end alone are taken out of the sum, relative to the largest value of the item and of the user. So
        the entries of both sides lie between 0 and 1, whatever the exponent.
        """
        rows, values = row_numbers(matrix), matrix.data.astype(np.float64)
        steps, to_users = _steps(matrix.indices, values, matrix.shape[1], self.alpha)
        back, to_items = _steps(rows, values, matrix.shape[0], self.alpha)
        right = self.beta * np.log2(np.maximum(self.item_counts_, 1.0))
        weights, left, right = _within_float32(-back, steps, right)
        cells = transpose(assemble_csr(to_users, matrix.indices, matrix.indptr, matrix.shape), jobs)
        users = assemble_csr(to_items, matrix.indices, matrix.indptr, matrix.shape)
        divisor = Divisor(left, right, np.zeros(len(left)), 0.0)
        return Profile(cells, divisor), weights.astype(np.float32), users

    def _similarities(self) -> Any:
        if self._from_history:
            return self.weights_
        return self._derived.get(NEIGHBORS, lambda: transpose(self.weights_, effective_jobs(self.n_jobs)))


def _steps(ends: NDArray[Any], values: Doubles, n: int, alpha: float) -> tuple[Doubles, Floats]:
    """The chances (value / sum of the end's values)^alpha of steps from n ends, as two factors.

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
    """Powers of two of three arrays; if some are beyond float32, relative to the largest weight and the least divisors.

    >>> [part.tolist() for part in _within_float32(np.array([-1.0, -2]), np.array([3.0]), np.zeros(1))]
    [[0.5, 0.25], [8.0], [1.0]]
    >>> [part.tolist() for part in _within_float32(np.array([-300.0, -301]), np.array([999.0]), np.zeros(1))]
    [[1.0, 0.5], [1.0], [1.0]]
    """
    if max(-weights.min(initial=0), left.max(initial=0), right.max(initial=0)) > 40:
        weights = weights - weights.max()
        # Their product stays below 2¹²⁷, the limit of float32.
        left, right = np.minimum(left - left.min(), 90), np.minimum(right - right.min(), 36)
    return np.exp2(weights), np.exp2(left), np.exp2(right)


class UserKNN(Fading, Weighted, Explaining, Updating):
    """Recommends the items of the users with the most similar histories, weighted by the similarity.

    Values are weights of positive feedback; negative ones are refused (leave dislikes out), zeros are no feedback. The
    score of item i for a history u is

        Σ_v s_uv r_vi   over the `neighbors` users v of the training data nearest to u.

    Nothing is learned beforehand: each answer compares the history with all users, so new users are answered like those
    of the training data. The latter are their own neighbours, too, which affects only items that they have seen. A
    change of an option on a fitted model acts at once.

    Parameters
    ----------
    neighbors : int
        The number of similar users, at least 1.
    similarity : {"cosine", "jaccard", "tfidf", "bm25"}
        As in `ItemKNN`, with users and items exchanged: rows are compared, and rare items weigh more than popular ones
        in "tfidf" and "bm25".
    shrinkage : float
        A number added to the divisor, at least 0. It has no effect on "bm25".
    asymmetry : float
        For "cosine" and "tfidf": ‖x_v‖^(2a) of the neighbour and ‖x_u‖^(2 - 2a) instead of ‖x_u‖ ‖x_v‖; 0.5 is the
        cosine.
    k1, b : float
        BM25's saturation, at least 0, and normalization by length, from 0 to 1.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. It has no effect on "jaccard", which reads no values,
        nor on `similar_users`.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.

    Notes
    -----
    See docs/explanation/neighbors.md for the equations, how they are computed, and how to choose.

    Examples
    --------
    >>> model = UserKNN(neighbors=2).fit([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
    >>> model.recommend(0, k=1).codes
    array([[2]], dtype=int32)
    >>> model.similar_users(0, k=1).codes
    array([[1]], dtype=int32)
    """

    reads_others: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"explain", "similar_users", "partial_fit"})
    _options: ClassVar[Options] = {name: replace(option, answers=True) for name, option in NEIGHBORHOOD.items()}

    def __init__(
        self,
        neighbors: int = 100,
        *,
        similarity: str = "cosine",
        shrinkage: float = 0.0,
        asymmetry: float = 0.5,
        k1: float = 1.2,
        b: float = 0.75,
        recency: float = 1.0,
        weighting: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.similarity = similarity
        self.shrinkage = shrinkage
        self.asymmetry = asymmetry
        self.k1 = k1
        self.b = b
        self.recency = recency
        self.weighting = weighting
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        """Learns nothing: the training data is the model."""

    def _update(self, change: Change) -> None:
        """Changes nothing: the data has been taken in already."""

    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """Finds the `k` users of the training data most similar to each user, without the user itself.

        Parameters
        ----------
        users
            Ids, or histories, as in `recommend`.
        k
            The number of similar users for each user.

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
        audience, _ = find_audience(self, users, "error")
        codes, scores = self._nearest(audience.histories(), k + 1)
        itself = np.full(len(audience), -2) if audience.codes is None else audience.codes
        order = np.lexsort((codes, -scores, codes == itself[:, None]), axis=1)[:, :k]
        codes, scores = np.take_along_axis(codes, order, 1), np.take_along_axis(scores, order, 1)
        return TopK(codes, scores, users=audience.labels, item_vocabulary=self.users_, names=SIMILAR_USERS)

    def _compare_users(self) -> tuple[Similarity, WeightedColumns, Profile]:
        """Compares users, by the training data and its transpose, both weighted."""

        def make() -> tuple[Similarity, WeightedColumns, Profile]:
            matrix = self._training
            similarity = SIMILARITIES[self.similarity](
                matrix.data, self.item_counts_, matrix.shape[0], self.shrinkage, self.asymmetry, self.k1, self.b
            )
            profile = similarity.profile(matrix)
            columns = columns_of(transpose(profile.cells, effective_jobs(self.n_jobs)), profile.divisor.right)
            return similarity, columns, profile

        options = (self.similarity, self.k1, self.b, self.asymmetry, self.shrinkage)
        key: Key[tuple[Similarity, WeightedColumns, Profile]] = Key(f"compared {options}")
        return self._derived.get(key, make)

    def _nearest(self, histories: CodeMatrix, k: int) -> tuple[Codes, Floats]:
        """Codes and similarities of the nearest users of the training data, in any order, of shape (n, k)."""
        similarity, columns, _ = self._compare_users()
        profile = similarity.profile(histories)
        jobs = effective_jobs(self.n_jobs)
        return nearest_columns(rows_of(profile.cells), columns, similarity.weights, profile.divisor, k, False, jobs)

    def row_bytes(self) -> int:
        """The bytes of the scores, and of the neighbours on their way into a matrix."""
        return 4 * self.n_features_in_ + 32 * min(self.neighbors, self.seen_.shape[0])

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        k = min(self.neighbors, self.seen_.shape[0])
        near, similarities = self._nearest(histories, k)
        lists = matrix_of_lists(near, similarities, self.seen_.shape[0])
        rows, taken = rows_of(lists), self._derived.get(TAKEN, lambda: rows_of(self._training))
        scores = np.zeros((histories.shape[0], self.n_features_in_), np.float32)
        jobs = effective_jobs(self.n_jobs) if len(scores) > 1 else 1
        cuts = np.linspace(0, len(scores), min(PIECES, max(1, len(scores))) + 1).astype(np.int64)

        def add_piece(piece: int) -> None:
            first, last = cuts[piece], cuts[piece + 1]
            add_weighted_rows(rows, first, last, taken, scores[first:last])

        run_pieces(add_piece, range(len(cuts) - 1), jobs)
        return scores

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """The contributions of the entries: each neighbour's score is shared among the common items as they made up
        the similarity.
        """
        similarity, _, of_users = self._compare_users()
        near, similarities = self._nearest(history, min(self.neighbors, self.seen_.shape[0]))
        users, weights = near[0][near[0] >= 0], similarities[0][near[0] >= 0].astype(np.float64)
        taken = pick_rows(self._training, users)[:, [item]].toarray()[:, 0]
        own = similarity.weigh(history) * similarity.weights[history.indices]
        products = pick_rows(of_users.cells, users)[:, history.indices].toarray().astype(np.float64) * own
        totals = products.sum(axis=1)
        shares = products / np.where(totals > 0, totals, 1)[:, None]
        contributions: NDArray[Any] = (weights * taken) @ shares
        return contributions
