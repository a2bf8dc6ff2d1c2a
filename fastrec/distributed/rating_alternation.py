"""Alternating least squares of `ExplicitALS`, on an engine."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.blocks import Block
from fastrec.distributed.engine import Session
from fastrec.distributed.exchange import ITEMS, USERS
from fastrec.distributed.half_epoch import Row, RowSums, Turn, move_by_gradients, rows_of, solved_row
from fastrec.distributed.preparing import Sizes, write_pieces
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros
from fastrec.models.explicit_als import ExplicitALS, Ratings, start_ratings
from fastrec.solvers.als import Gathered, Objective
from fastrec.solvers.als_bases import Gramians

OPTIONS = (
    "factors", "regularization", "bias_regularization", "regularization_exponent", "solver", "cg_steps",
)  # fmt: skip
"""The options of `ExplicitALS` that change its factors."""

ENTRIES_AT_ONCE = 1 << 16


class RatingHalf(NamedTuple):
    """The driver's description of half an epoch."""

    n_others: int
    turn: Turn
    model: ExplicitALS

    def start(self, own: Any, n_jobs: int) -> Floats:
        """See `Half.start`."""
        return rows_of(own, self.turn.width)

    def solve(self, block: Block, solutions: Floats, vectors: Gathered, n_jobs: int) -> Objective:
        """See `Half.solve`."""
        ratings = Ratings(self.model, block.events(self.n_others))
        errors = ratings.solve(solutions, vectors.vectors, self.model.mean_, self._steps, n_jobs)
        penalty = ratings.penalty_of(solutions)
        return Objective(errors + penalty, penalty)

    def sum_entries(self, indices: Codes, values: Floats, vectors: Gathered) -> RowSums:
        """See `Half.sum_entries`: the bias is the last of the unknown numbers."""
        width = self.turn.width
        matrix, right, constant = np.zeros((width, width)), np.zeros(width), 0.0
        for first in range(0, len(indices), ENTRIES_AT_ONCE):
            part = slice(first, first + ENTRIES_AT_ONCE)
            rows = vectors.numbers(indices[part])
            targets = values[part] - self.model.mean_ - rows[:, -1]
            rows[:, -1] = 1
            matrix += rows.T @ rows
            right += targets @ rows
            constant += float(targets @ targets)
        return RowSums(matrix, right, constant, float(values.sum(dtype=np.float64)), len(indices))

    def solve_sums(self, solution: Floats, sums: RowSums) -> Objective:
        """See `Half.solve_sums`."""
        weight = sums.entries**self.model.regularization_exponent
        penalties = np.full(len(solution), self.model.regularization * self.model.spread_ * weight)
        penalties[-1] = self.model.bias_regularization * weight
        matrix, x = sums.matrix + np.diag(penalties), solution.astype(np.float64)
        if self._steps:
            solution[:] = x + move_by_gradients(x, matrix, sums.right, matrix.diagonal(), self._steps)
        else:
            solution[:] = np.linalg.solve(matrix, sums.right)
        x = solution.astype(np.float64)
        return Objective(float(x @ matrix @ x - 2 * sums.right @ x + sums.constant), float(penalties @ x**2))

    def row(self, block: Block, factors: Floats, objective: Objective) -> Row:
        """See `Half.row`."""
        return solved_row(block.piece, factors, *objective)

    @property
    def _steps(self) -> int:
        return int(self.model.cg_steps) if self.model.solver == "cg" else 0


class RatingAlternation(Alternation):
    """`ExplicitALS`: half epochs with the other side as it is, its biases in the last column."""

    job = OPTIONS
    keeps_zeros, takes_negatives, adds_up = True, True, False

    def __init__(self, options: Any, facts: dict[str, Any]) -> None:
        self._given = {name: getattr(options, name) for name in OPTIONS}
        self.model = self.single(0)
        self.model.mean_, self.model.spread_ = facts["mean"], facts["spread"]

    @staticmethod
    def choose(options: Any, sizes: Sizes) -> dict[str, Any]:
        """See `Alternation.choose`."""
        return {"mean": sizes.total / sizes.entries, "spread": (sizes.squares / sizes.entries) ** 0.5 or 1.0}

    def chosen(self) -> dict[str, Any]:
        """See `Alternation.chosen`."""
        return {"mean_": self.model.mean_, "spread_": self.model.spread_}

    def single(self, iterations: int) -> ExplicitALS:
        """See `Alternation.single`."""
        return ExplicitALS(**self._given, iterations=iterations)

    @property
    def width(self) -> int:
        """See `Alternation.width`."""
        return int(self.model.factors) + 1

    def write_start(self, spark: Session, folders: tuple[str, str], shape: tuple[int, int], seed: int) -> None:
        """See `Alternation.write_start`: the items come from one stream of numbers, so one task draws them all."""
        write_pieces(spark, folders[USERS], shape[USERS], Zeros(self.width), 1)
        write_pieces(spark, folders[ITEMS], shape[ITEMS], Drawn(self.width, self.model.spread_, seed), 1)

    def turn(self, gramians: Gramians, balanced: bool = False, last: bool = False) -> Turn:
        """See `Alternation.turn`."""
        return Turn.unchanged(self.width)

    def half(self, n_others: int, earlier: Floats | None, turn: Turn, epoch: int) -> RatingHalf:
        """See `Alternation.half`."""
        return RatingHalf(n_others, turn, self.model)

    def item_factors(self, vectors: Floats) -> Floats:
        """See `Alternation.item_factors`."""
        factors: Floats = self.model.with_constant(vectors)
        return factors


class Zeros(NamedTuple):
    """First factors of zeros."""

    width: int

    def pieces(self, cuts: NDArray[np.int64], wanted: list[int]) -> Iterator[Row]:
        """The wanted pieces."""
        for piece in wanted:
            yield solved_row(piece, aligned_zeros(int(cuts[piece + 1] - cuts[piece]), self.width))


class Drawn(NamedTuple):
    """The first factors of items, drawn one after the other."""

    width: int
    spread: float
    seed: int

    def pieces(self, cuts: NDArray[np.int64], wanted: list[int]) -> Iterator[Row]:
        """The wanted pieces, which are all."""
        rng = np.random.default_rng(self.seed)
        for piece in sorted(wanted):
            rows = aligned_zeros(int(cuts[piece + 1] - cuts[piece]), self.width)
            start_ratings(rows, self.width - 1, self.spread, rng)
            yield solved_row(piece, rows)
