"""The losses of `SGDFactorization`: each has a kernel, a fold-in, and the columns that its score needs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.sgd_folding import fold_labels, fold_pairs
from fastrec.kernels.sgd_labels import Labels, step_labels
from fastrec.kernels.sgd_lists import Contrast, fold_lists, step_lists
from fastrec.kernels.sgd_pairs import Negatives, step_pairs
from fastrec.kernels.sgd_ratings import fold_ratings, move_rows, step_ratings, sum_sources
from fastrec.kernels.sgd_steps import ADAGRAD, ADAM, SGD, Parameters, StepSizes
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros, readonly
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose_arrays
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.blocks import Cell
from fastrec.solvers.discriminant import Discriminant

Priors = tuple[Floats, Floats]
NO_PRIORS: Priors = (np.zeros(1, np.float32), np.zeros(1, np.float32))

OPTIMIZERS = {"sgd": SGD, "adagrad": ADAGRAD, "adam": ADAM}

FOLD_PASSES = 20  # docs/explanation/sgd.md has the measurements
PAIR_PASSES, PAIR_SPEEDUP = 5, 2.0  # the same for pairs, whose fold-in begins near its end
FOLD_SPEEDUP = 3.0  # the factor of the learning rate at the start of a fold-in: fewer passes, over a single row
FOLD_RATE = 0.15  # the same if the optimizer's learning rate is no step length
FOLD_TOLERANCE = 1e-10
FOLD_STEPS = 100
PIECES = 64
PIECE_COST = 2_000
IMPLICIT_RATE = 0.002


@dataclass(frozen=True)
class LossOptions:
    """The options that losses read, checked and complete."""

    factors: int
    optimizer: str
    learning_rate: float
    regularization: tuple[float, float]
    bias_regularization: float
    draws: int
    hardest: bool
    margin: float
    negative_weight: float
    temperature: float
    implicit_feedback: bool
    n_jobs: int

    @property
    def width(self) -> int:
        """The factors, rounded up to whole vectors."""
        return padded_width(self.factors)


@dataclass(frozen=True)
class Sides:
    """The learned parameters of users and items, and the presence factors of items (SVD++) or None."""

    users: Parameters
    items: Parameters
    presence: Parameters | None
    mean: float


def make_side(rows: Floats, biased: bool, optimizer: int, with_priors: bool = False) -> Parameters:
    """Makes rows, of shape (n, width), with zero biases and an optimizer without memory.

    `with_priors` makes penalties draw towards priors, which start as zeros, instead of zero.
    """
    n, one = len(rows), np.zeros(1, np.float32)
    full = aligned_zeros(*rows.shape).reshape(-1) if optimizer != SGD else one
    means = aligned_zeros(*rows.shape).reshape(-1) if optimizer == ADAM else one.copy()
    biases, squares, bias_means = (np.zeros(n if biased else 1, np.float32) for _ in range(3))
    priors = aligned_zeros(*rows.shape).reshape(-1) if with_priors else None
    bias_priors = np.zeros(n, np.float32) if with_priors and biased else None
    counts = np.zeros(n, np.int32)
    return Parameters(rows.reshape(-1), biases, full, means, squares, bias_means, counts, priors, bias_priors)


class Defaults(NamedTuple):
    """The defaults of options left at None, found on parts of training data (docs/explanation/sgd.md)."""

    learning_rate: float
    regularization: float
    n_negatives: int
    margin: float = 0.0
    negative_weight: float = 1.0


class Loss(ABC):
    """The loss of one training: the base of `LOSSES`.

    Parameters
    ----------
    options
        The options.
    """

    item_biases: ClassVar[bool] = True
    user_biases: ClassVar[bool] = False
    unit: ClassVar[bool] = False
    """Whether rows are unit vectors."""
    takes_negatives: ClassVar[bool] = False
    """Whether values below zero are data: low ratings, or dislikes."""
    keeps_zeros: ClassVar[bool] = False
    """Whether a value of zero is a sample."""
    measure: ClassVar[str] = "NDCG@10"
    """What validation measures."""
    most_negatives: ClassVar[int] = 64
    """The maximum number of negatives of a sample: the random numbers that a kernel keeps."""
    fold_speedup: ClassVar[float] = FOLD_SPEEDUP
    """The factor of the learning rate at the start of a fold-in."""
    starts_spectral: ClassVar[bool] = False
    """Whether first rows lie along the main directions of the interactions, instead of at random."""
    takes_presence: ClassVar[bool] = False
    """Whether the option of presence factors (SVD++) exists."""
    defaults: ClassVar[Defaults]
    hardest_defaults: ClassVar[Defaults | None] = None
    """The same for the hardest of several negatives; None if the loss has no such option."""

    def __init__(self, options: LossOptions, n_items: int) -> None:
        self.options = options
        self.width = Static(options.width)
        self.optimizer = Static(OPTIMIZERS[options.optimizer])

    def begin(self, sides: Sides, matrix: CodeMatrix) -> None:
        """Prepares the training on this matrix."""
        self.sides = sides
        self.marks = np.full(matrix.shape[1], -1, np.int32)

    def step_sizes(self, rate: float) -> tuple[StepSizes, StepSizes]:
        """The step sizes of users and items."""
        biases = self.options.bias_regularization
        users, items = (
            StepSizes(np.float32(rate), np.float32(decay), np.float32(biases)) for decay in self.options.regularization
        )
        return users, items

    @abstractmethod
    def task(self, rate: float) -> Callable[[Cell], tuple[float, int]]:
        """A function that steps on a cell's samples."""

    def after(self, rate: float) -> Callable[[], None] | None:
        """Does the work after each step of an epoch."""
        return None

    @abstractmethod
    def fold(
        self,
        matrix: CodeMatrix,
        weights: Floats,
        pool: NDArray[np.int32],
        sides: Sides,
        priors: Priors = NO_PRIORS,
    ) -> tuple[Floats, Floats]:
        """Folds in histories; returns (rows, of shape (n, width), biases, of shape (n,)). `sides.users` is not read.

        `priors` are the centres of the penalty: flat rows, and biases, of one element each if they are zero.
        """

    def fold_rate(self) -> float:
        """The rate that a fold-in begins with: no step goes beyond what the penalty draws to, so it never diverges."""
        rate = self.fold_speedup * self.options.learning_rate if self.options.optimizer == "sgd" else FOLD_RATE
        decay = self.options.regularization[0]
        return min(rate, 1 / decay) if decay else rate

    def hold_items(self, sides: Sides, pool: Codes) -> None:
        """Prepares the fold-in of histories with these items, among which negatives are drawn from `pool`."""
        self.sides = sides

    def _fold_pieces(
        self,
        matrix: CodeMatrix,
        weights: Floats,
        fold: Callable[[Entries, int, int, Floats], None],
        rows: Floats | None = None,
    ) -> Floats:
        """`fold(entries, first, last, out)` on pieces of the rows; `out`, flat, begins as `rows` or as zeros."""
        entries = Entries(*map(readonly, (matrix.indptr, matrix.indices, weights)))
        out = aligned_zeros(matrix.shape[0], self.options.width) if rows is None else rows
        cuts = fold_cuts(matrix)

        def piece(number: int) -> None:
            fold(entries, int(cuts[number]), int(cuts[number + 1]), out.reshape(-1))

        run_pieces(piece, range(len(cuts) - 1), self.options.n_jobs)
        return out


def fold_cuts(matrix: CodeMatrix) -> NDArray[np.int64]:
    """Cuts rows into pieces of about equal cost."""
    pieces = min(PIECES, 1 + matrix.nnz // PIECE_COST)
    return np.unique(balanced_cuts(np.diff(matrix.indptr) + 1, pieces))


class DrawingLoss(Loss):
    """The common part of PairLoss and LogisticLoss: kernels that draw items beside each sample, by `drawing`."""

    kernels: ClassVar[tuple[Callable[..., tuple[float, int]], Callable[..., None]]]
    """Steps on a cell's samples; the fold-in of histories."""
    fold_passes: ClassVar[int] = FOLD_PASSES
    """The passes of a fold-in."""
    drawing: Negatives | Labels

    def task(self, rate: float) -> Callable[[Cell], tuple[float, int]]:
        """A function that steps on a cell's samples."""
        users, items = self.step_sizes(rate)
        step, _ = self.kernels

        def run(cell: Cell) -> tuple[float, int]:
            return step(
                cell.samples, cell.first, cell.last, cell.pool, self.marks, self.drawing, cell.seed,
                self.sides.users, self.sides.items, users, items, self.optimizer, self.width,
            )  # fmt: skip

        return run

    def fold(
        self,
        matrix: CodeMatrix,
        weights: Floats,
        pool: NDArray[np.int32],
        sides: Sides,
        priors: Priors = NO_PRIORS,
    ) -> tuple[Floats, Floats]:
        """Rows and biases of histories."""
        sizes, _ = self.step_sizes(self.fold_rate())
        _, fold_rows = self.kernels
        rows = self.first_rows(matrix, weights)
        if len(priors[0]) > 1:
            rows += priors[0].reshape(rows.shape)

        def fold(entries: Entries, first: int, last: int, out: Floats) -> None:
            marks = np.full(matrix.shape[1], -1, np.int32)
            fold_rows(
                entries, first, last, pool, marks, self.drawing, self.fold_passes, np.uint64(0), sides.items, sizes,
                priors[0], out, self.width,
            )  # fmt: skip

        return self._fold_pieces(matrix, weights, fold, rows), np.zeros(matrix.shape[0], np.float32)

    def first_rows(self, matrix: CodeMatrix, weights: Floats) -> Floats:
        """The rows that a fold-in of these histories begins with, before priors are added."""
        return aligned_zeros(matrix.shape[0], self.options.width)


class PairLoss(DrawingLoss):
    """The loss of a taken item against a drawn one."""

    starts_spectral = True
    kernels = step_pairs, fold_pairs
    fold_passes, fold_speedup = PAIR_PASSES, PAIR_SPEEDUP

    def hold_items(self, sides: Sides, pool: Codes) -> None:
        """Also finds what first rows need."""
        super().hold_items(sides, pool)
        self.discriminant = Discriminant.of(sides.items.rows.reshape(-1, self.options.width), pool)

    def first_rows(self, matrix: CodeMatrix, weights: Floats) -> Floats:
        """The discriminants of the histories: from there, a few passes do what takes many from zero."""
        return self.discriminant.first_rows(matrix, weights, self.options.n_jobs)


class BPRLoss(PairLoss):
    """log(1 + exp(s_j - s_i)) against a drawn item or, with `hardest`, the best of several (Rendle et al. 2009)."""

    defaults = Defaults(0.05, 0.01, 4)
    hardest_defaults = Defaults(0.05, 0.02, 8)

    def __init__(self, options: LossOptions, n_items: int) -> None:
        super().__init__(options, n_items)
        shares = np.ones(options.draws + 1, np.float32)
        self.drawing = Negatives(options.draws, np.float32(np.inf), options.hardest, False, shares)


class WARPLoss(PairLoss):
    """The hinge, weighted by the rank that the search for a violation implies (Weston, Bengio, Usunier 2011)."""

    defaults = Defaults(0.05, 0.08, 32, margin=1.0)

    def __init__(self, options: LossOptions, n_items: int) -> None:
        super().__init__(options, n_items)
        # the rank implied by a violation after so many draws, at most 1 in all
        ranks = [math.log(max(1, (n_items - 1) // draws)) for draws in range(1, options.draws + 1)]
        shares = np.ones(options.draws + 1, np.float32)
        shares[1:] = np.array(ranks) / max(1.0, ranks[0])
        self.drawing = Negatives(options.draws, np.float32(options.margin), options.hardest, True, shares)


class LogisticLoss(DrawingLoss):
    """The logistic loss with sampled negatives."""

    kernels = step_labels, fold_labels
    takes_negatives = True
    defaults = Defaults(0.05, 0.005, 4)

    def __init__(self, options: LossOptions, n_items: int) -> None:
        super().__init__(options, n_items)
        self.drawing = Labels(options.draws, np.float32(options.negative_weight), True)


class ListLoss(Loss):
    """The loss of a taken item against a list of drawn ones, on unit vectors."""

    item_biases = False
    unit = True
    most_negatives = 4096
    softmax: ClassVar[bool]

    def __init__(self, options: LossOptions, n_items: int) -> None:
        super().__init__(options, n_items)
        numbers = options.margin, options.negative_weight, options.temperature
        self.contrast = Contrast(options.draws, self.softmax, *map(np.float32, numbers))

    def _scratch(self) -> tuple[NDArray[np.int32], Floats]:
        return np.empty(self.options.draws, np.int32), np.empty(self.options.draws, np.float32)

    def task(self, rate: float) -> Callable[[Cell], tuple[float, int]]:
        """A function that steps on a cell's samples."""
        users, items = self.step_sizes(rate)

        def run(cell: Cell) -> tuple[float, int]:
            return step_lists(
                cell.samples, cell.first, cell.last, cell.pool, self.marks, self.contrast, cell.seed,
                self.sides.users, self.sides.items, users, items, *self._scratch(), self.optimizer, self.width,
            )  # fmt: skip

        return run

    def fold(
        self,
        matrix: CodeMatrix,
        weights: Floats,
        pool: NDArray[np.int32],
        sides: Sides,
        priors: Priors = NO_PRIORS,
    ) -> tuple[Floats, Floats]:
        """Rows and biases of histories."""

        def fold(entries: Entries, first: int, last: int, out: Floats) -> None:
            marks = np.full(matrix.shape[1], -1, np.int32)
            fold_lists(
                entries, first, last, pool, marks, self.contrast, FOLD_PASSES, np.uint64(0), sides.items.rows,
                np.float32(self.fold_rate()), *self._scratch(), out, self.width,
            )  # fmt: skip

        return self._fold_pieces(matrix, weights, fold), np.zeros(matrix.shape[0], np.float32)


class CosineContrastiveLoss(ListLoss):
    """1 - cos_i, plus the parts of drawn items above the margin (Mao et al. 2021)."""

    softmax = False
    defaults = Defaults(0.1, 0.0, 128, margin=0.7, negative_weight=80.0)

    def fold_rate(self) -> float:
        """The initial learning rate of a fold-in: a share of the mean gradient over a row."""
        return 0.03


class SoftmaxLoss(ListLoss):
    """The sampled softmax over the taken item and the drawn ones."""

    softmax = True
    defaults = Defaults(0.01, 0.0, 128)

    def fold_rate(self) -> float:
        """The initial learning rate of a fold-in: a share of the mean gradient over a row."""
        return 0.5 * self.options.temperature


class RatingLoss(Loss):
    """The squared error of ratings; SVD++ with `implicit_feedback`."""

    user_biases = True
    takes_negatives = True
    keeps_zeros = True
    takes_presence = True
    measure = "RMSE"
    defaults = Defaults(0.02, 0.05, 1)

    def begin(self, sides: Sides, matrix: CodeMatrix) -> None:
        """Prepares the training on this matrix."""
        super().begin(sides, matrix)
        nothing = np.zeros(1, np.float32)
        self.offsets, self.asked = nothing, nothing.copy()
        if sides.presence is None:
            return
        size, jobs = self.options.width, self.options.n_jobs
        self.rows = readonly(matrix.indptr), readonly(matrix.indices)
        indptr, indices, _ = transpose_arrays(matrix, jobs)
        self.columns = readonly(indptr), readonly(indices)
        self.scales = presence_scales(matrix)
        self.offsets, self.asked, self.ascents = (
            np.zeros(n * size, np.float32) for n in (matrix.shape[0], matrix.shape[0], matrix.shape[1])
        )
        counts = np.diff(indptr).astype(np.float32)
        self.penalties = self.options.regularization[1] * counts
        self._sum(self.rows, np.ones(1, np.float32), self.scales, sides.presence.rows, self.offsets)

    def _sum(
        self,
        matrix: tuple[NDArray[np.int64], NDArray[np.int32]],
        scales: Floats,
        row_scales: Floats,
        sources: Floats,
        out: Floats,
    ) -> None:
        sum_rows_of(matrix, scales, row_scales, sources, out, self.width, self.options.n_jobs)

    def task(self, rate: float) -> Callable[[Cell], tuple[float, int]]:
        """A function that steps on a cell's samples."""
        users, items = self.step_sizes(rate)
        mean = np.float32(self.sides.mean)

        def run(cell: Cell) -> tuple[float, int]:
            return step_ratings(
                cell.samples, cell.first, cell.last, mean, self.offsets, self.asked, self.sides.users,
                self.sides.items, users, items, self.optimizer, self.width,
            )  # fmt: skip

        return run

    def after(self, rate: float) -> Callable[[], None] | None:
        """For SVD++: moves the presence rows by the gradients of the step, and sums them up again."""
        presence = self.sides.presence
        if presence is None:
            return None
        one = np.ones(1, np.float32)
        share = rate / self.options.learning_rate
        sizes = StepSizes(np.float32(IMPLICIT_RATE * share), np.float32(0), np.float32(0))
        n_items = len(presence.counts)
        cuts = np.linspace(0, n_items, min(PIECES, n_items) + 1).astype(np.int64)

        def move(piece: int) -> None:
            move_rows(
                presence, cuts[piece], cuts[piece + 1], self.ascents, self.penalties, sizes, Static(ADAM), self.width
            )

        def run() -> None:
            self._sum(self.columns, self.scales, one, self.asked, self.ascents)
            self.asked[:] = 0
            run_pieces(move, range(len(cuts) - 1), self.options.n_jobs)
            self._sum(self.rows, one, self.scales, presence.rows, self.offsets)

        return run

    def fold(
        self,
        matrix: CodeMatrix,
        weights: Floats,
        pool: NDArray[np.int32],
        sides: Sides,
        priors: Priors = NO_PRIORS,
    ) -> tuple[Floats, Floats]:
        """Folds in histories; returns rows, with the presence part included, and biases."""
        n = matrix.shape[0]
        biases, offsets = np.zeros(n, np.float32), priors[0]
        if sides.presence is not None:
            offsets = np.zeros(n * self.options.width, np.float32)
            structure = readonly(matrix.indptr), readonly(matrix.indices)
            self._sum(structure, np.ones(1, np.float32), presence_scales(matrix), sides.presence.rows, offsets)
            offsets += priors[0]
        if len(priors[0]) > 1:
            weights = weights - repeat_by_row(matrix, priors[1])
        sizes, _ = self.step_sizes(0.0)
        mean = np.float32(sides.mean)

        def fold(entries: Entries, first: int, last: int, out: Floats) -> None:
            fold_ratings(
                entries, first, last, mean, offsets, sides.items, sizes, FOLD_STEPS, np.float32(FOLD_TOLERANCE), out,
                biases, self.width,
            )  # fmt: skip

        rows = self._fold_pieces(matrix, weights, fold)
        if len(offsets) > 1:
            rows += offsets.reshape(rows.shape)
        return rows, biases + priors[1]


def presence_scales(matrix: CodeMatrix) -> Floats:
    """|N(u)|^(-1/2) for each row, 0 for an empty one."""
    lengths = np.diff(matrix.indptr)
    scales: Floats = np.where(lengths > 0, 1 / np.sqrt(np.maximum(lengths, 1)), 0).astype(np.float32)
    return scales if len(scales) != 1 else np.repeat(scales, 1)


def sum_rows_of(
    matrix: tuple[NDArray[np.int64], NDArray[np.int32]],
    scales: Floats,
    row_scales: Floats,
    sources: Floats,
    out: Floats,
    width: Static,
    n_jobs: int,
) -> None:
    """Fills `out` with the scaled sums of the rows of `sources`, both flat, that each row of a matrix names."""
    indptr, indices = matrix
    cuts = np.unique(balanced_cuts(np.diff(indptr) + 1, min(PIECES, 1 + len(indices) // PIECE_COST)))

    def piece(number: int) -> None:
        sum_sources(indptr, indices, cuts[number], cuts[number + 1], scales, row_scales, sources, out, width)

    run_pieces(piece, range(len(cuts) - 1), n_jobs)


LOSSES: dict[str, type[Loss]] = {
    "squared": RatingLoss,
    "logistic": LogisticLoss,
    "bpr": BPRLoss,
    "warp": WARPLoss,
    "ccl": CosineContrastiveLoss,
    "softmax": SoftmaxLoss,
}
