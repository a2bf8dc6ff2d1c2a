"""Alternating least squares of `ImplicitALS`, on an engine."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.distributed.alternation import Alternation
from fastrec.distributed.blocks import Block
from fastrec.distributed.engine import Session, count_tasks
from fastrec.distributed.exchange import ITEMS, USERS
from fastrec.distributed.half_epoch import Row, RowSums, Turn, move_by_gradients, rows_of, state_row
from fastrec.distributed.preparing import Sizes, write_pieces
from fastrec.kernels.lanes import padded_width
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros
from fastrec.models.implicit_als import ImplicitALS
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import Gathered, Objective, Side, Solver, floored, rotate, start_rows
from fastrec.solvers.als_bases import Gramians, choose_bases, is_balanced, relaxation
from fastrec.solvers.als_settings import DataSize, Settings

OPTIONS = ("factors", "regularization", "alpha", "regularization_exponent", "solver", "cg_steps", "dtype")
"""The options of `ImplicitALS` that change its factors; all others control stopping and display.

Values are taken as they are (`weighting` "raw"): the engine weighs them better, in a column.
"""

ENTRIES_AT_ONCE = 1 << 16


class Weights(NamedTuple):
    """The loss: as in `ImplicitALS`."""

    alpha: float
    regularization: float
    exponent: float


class ImplicitHalf(NamedTuple):
    """The driver's description of half an epoch."""

    n_others: int
    turned: tuple[Floats, ...]  # the changes of the basis still to apply to own rows, in order
    turn: Turn
    weights: Weights
    solver: Solver
    weighted: bool = False  # whether the Gramian of the rows, weighted by their penalties, is wanted

    def start(self, own: Any, n_jobs: int) -> Floats:
        """See `Half.start`."""
        solutions = rows_of(own, self.turn.width)
        with one_blas_thread():
            for basis in self.turned:
                rotate(solutions, basis, n_jobs)
        return solutions

    def solve(self, block: Block, solutions: Floats, vectors: Gathered, n_jobs: int) -> Objective:
        """See `Half.solve`."""
        side = Side(block.training(self.n_others), *self.weights)
        return side.solve(solutions, vectors, replace(self.solver, n_jobs=n_jobs))

    def sum_entries(self, indices: Codes, values: Floats, vectors: Gathered) -> RowSums:
        """See `Half.sum_entries`: an entry weighs alpha · value more than a cell without one."""
        width, learned = self.turn.width, values != 0
        indices, values = indices[learned], values[learned]
        matrix, right = np.zeros((width, width)), np.zeros(width)
        for first in range(0, len(indices), ENTRIES_AT_ONCE):
            part = slice(first, first + ENTRIES_AT_ONCE)
            rows, weights = vectors.numbers(indices[part]), self.weights.alpha * values[part].astype(np.float64)
            matrix += (rows * weights[:, None]).T @ rows
            right += (1 + weights) @ rows
        total = float(values.sum(dtype=np.float64))
        return RowSums(matrix, right, len(values) + self.weights.alpha * total, total, len(values))

    def solve_sums(self, solution: Floats, sums: RowSums) -> Objective:
        """See `Half.solve_sums`."""
        alpha, regularization, exponent = self.weights
        penalty = regularization * (self.n_others + alpha * sums.values) ** exponent
        diagonal = np.ones(len(solution))
        diagonal[: len(self.turn.eigenvalues)] = floored(self.turn.eigenvalues)
        matrix, x = sums.matrix + np.diag(diagonal + penalty), solution.astype(np.float64)
        if self.solver.method == "cholesky":
            move = np.linalg.solve(matrix, sums.right) - x
        else:
            move = move_by_gradients(x, matrix, sums.right, diagonal + penalty, self.solver.steps)
        solution[:] = x + self.solver.relaxation * move
        x = solution.astype(np.float64)
        return Objective(float(x @ matrix @ x - 2 * sums.right @ x + sums.constant), float(penalty * (x @ x)))

    def row(self, block: Block, factors: Floats, objective: Objective) -> Row:
        """See `Half.row`."""
        weights = Side(block.training(self.n_others), *self.weights).weights if self.weighted else None
        return state_row(block.piece, factors, *objective, weights)


class ImplicitAlternation(Alternation):
    """`ImplicitALS`: half epochs with the other side in the eigenbasis of its Gramian."""

    job = OPTIONS
    keeps_zeros, takes_negatives, adds_up = False, False, True

    def __init__(self, options: Any, facts: dict[str, Any]) -> None:
        chosen = {name: facts.get(name, getattr(options, name)) for name in ("factors", "regularization")}
        self._given = {name: getattr(options, name) for name in OPTIONS} | chosen | {"weighting": "raw"}
        self.model = self.single(0)
        self.model.alpha_ = facts["alpha"]
        self.model.item_features_ = self.model.user_features_ = self.model.item_map_ = self.model.user_map_ = None

    @staticmethod
    def choose(options: Any, sizes: Sizes) -> dict[str, Any]:
        """See `Alternation.choose`."""
        met = sizes.met_users, sizes.met_items
        return Settings.of(options, DataSize((sizes.n_users, sizes.n_items), met, sizes.learned, sizes.total))._asdict()

    def chosen(self) -> dict[str, Any]:
        """See `Alternation.chosen`."""
        model = self.model
        return {"factors_": model.factors, "alpha_": model.alpha_, "regularization_": model.regularization}

    def single(self, iterations: int) -> ImplicitALS:
        """See `Alternation.single`."""
        model = ImplicitALS(**self._given, iterations=iterations)
        model.validation_curve_ = None
        return model

    @property
    def width(self) -> int:
        """See `Alternation.width`."""
        return padded_width(self.model.factors)

    def write_start(self, spark: Session, folders: tuple[str, str], shape: tuple[int, int], seed: int) -> None:
        """See `Alternation.write_start`."""
        tasks = count_tasks(spark)
        for side in (USERS, ITEMS):
            write_pieces(spark, folders[side], shape[side], Seeded(self.width, self.model.factors, (seed, side)), tasks)

    def turn(self, gramians: Gramians, balanced: bool = False, last: bool = False) -> Turn:
        """See `Alternation.turn`."""
        with one_blas_thread():
            values, own, others = choose_bases(gramians, self.model.factors, balanced)
        return Turn(others, values, "float32" if last else self.model.dtype, own)

    def half(self, n_others: int, earlier: Floats | None, turn: Turn, epoch: int) -> ImplicitHalf:
        """See `Alternation.half`."""
        assert turn.own is not None
        model = self.model
        method = "cholesky" if model.solver == "cholesky" else "cg"
        solver = Solver(method, model.cg_steps, 0.0, relaxation(epoch - 1), 1)
        turned = (turn.own,) if earlier is None else (earlier, turn.own)
        weights = Weights(model.alpha_, model.regularization, model.regularization_exponent)
        weighted = weights.exponent != 0 and is_balanced(epoch)
        return ImplicitHalf(n_others, turned, turn, weights, solver, weighted)

    def item_factors(self, vectors: Floats) -> Floats:
        """See `Alternation.item_factors`."""
        return np.ascontiguousarray(vectors[:, : self.model.factors])


class Seeded(NamedTuple):
    """The first factors of a side: each 1024 rows have a seed of their own."""

    width: int
    factors: int
    seed: tuple[int, int]

    def pieces(self, cuts: NDArray[np.int64], wanted: list[int]) -> list[Row]:
        """The wanted pieces."""
        return [self._piece(piece, int(cuts[piece]), int(cuts[piece + 1])) for piece in wanted]

    def _piece(self, piece: int, first: int, last: int) -> Row:
        array = aligned_zeros(last - first, self.width)
        start_rows(array, self.factors, list(self.seed), first)
        return state_row(piece, array)
