"""Vectors from features, by a ridge regression of the learned vectors.

With f_i the features of row i, including a constant one, the map W minimises

    sum over rows with events  w_i ‖y_i - W f_i‖²  +  μ ‖W‖²,      w_i = n_i / (n_i + 10)      for n_i events of row i,

as in Gantner, Drumond, Freudenthaler, Rendle, Schmidt-Thieme (2010): a vector from few events is uncertain.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix
from fastrec.matrix.rows import pick_rows, transpose
from fastrec.options import Number
from fastrec.solvers.truncated_svd import SparseProduct, pad_columns

HALF_TRUSTED = 10  # events that a row needs to count half


# The values of μ that "auto" tries on hidden rows, from strong to weak, in multiples of the rows' mean squared length.
STRENGTHS = tuple(10.0 ** (exponent / 4) for exponent in range(4, -9, -1))


FOLDS = 5  # parts of the rows, each hidden from the map that predicts it


STEPS, TOLERANCE = (
    100,
    1e-8,
)  # conjugate gradients: the most steps, and the squared residual to reach


def check_features(name: str, features: Any, n: int) -> CodeMatrix | None:
    """Returns features as a matrix of n rows; None if there are none."""
    if features is None:
        return None
    if isinstance(features, Mapping):
        raise TypeError(f"{name} must be a matrix with {n} rows, got columns: make one with FeatureEncoder")
    matrix = check_matrix(features, name=name, negative="accept", zeros="drop", copy=True)
    if matrix.shape[0] != n:
        raise ValueError(f"{name} must have a row for each of {n} {name.partition('_')[0]}s, got {matrix.shape[0]}")
    return matrix


STRENGTH = Number(0, above=True, log=True, also=("auto",))
"""The valid strengths of the ridge."""


def with_constant(features: CodeMatrix) -> CodeMatrix:
    """Appends a column of ones to the features.

    >>> with_constant(check_matrix([[0, 2], [0, 0]])).toarray()
    array([[0., 2., 1.],
           [0., 0., 1.]], dtype=float32)
    """
    n, width = features.shape
    ends = features.indptr[1:]
    data, indices = np.insert(features.data, ends, 1), np.insert(features.indices, ends, width)
    return assemble_csr(data, indices.astype(np.int32), features.indptr + np.arange(n + 1), (n, width + 1))


def map_features(features: CodeMatrix, mapping: Floats, n_jobs: int) -> Floats:
    """Maps features to vectors, of shape (n, d); a row's vector depends on that row alone, to the bit."""
    product = SparseProduct(with_constant(features)).times(pad_columns(mapping), n_jobs)
    return np.ascontiguousarray(product[:, : mapping.shape[1]])


class FeatureRidge:
    """The regression of one side's vectors on its features.

    Parameters
    ----------
    features
        The features, of shape (n, m).
    counts
        The number of events of each row, of shape (n,); rows without events are left out.
    strength
        μ in multiples of the mean squared length of the weighted rows; "auto" is the one of `STRENGTHS` that predicts
        a hidden fifth of the rows best.
    n_jobs
        Threads.
    """

    def __init__(self, features: CodeMatrix, counts: NDArray[np.int64], strength: float | str, n_jobs: int) -> None:
        self.features, self.strength, self.n_jobs = features, strength, n_jobs
        self.known = np.flatnonzero(counts > 0)
        self.roots = np.sqrt(counts[self.known] / (counts[self.known] + HALF_TRUSTED)).astype(np.float32)[:, None]
        rows = pick_rows(with_constant(features), self.known)
        data = rows.data * self.roots[row_numbers(rows), 0]
        self.equations = _Equations(assemble_csr(data, rows.indices, rows.indptr, rows.shape), n_jobs)
        self.folds = np.random.default_rng(0).permutation(len(self.known)) % FOLDS

    def fit(self, vectors: Floats) -> Floats:
        """Fits the map, of shape (m + 1, d), to all rows' vectors, of shape (n, d); chooses the strength."""
        targets = vectors[self.known] * self.roots
        self.chosen = self._choose(targets) if self.strength == "auto" else float(self.strength)
        return self.equations.solve(targets, self.chosen)

    def predict_apart(self, vectors: Floats, start: Floats | None, steps: int) -> tuple[Floats, Floats]:
        """Predicts each row from its features without its own vector: by five maps, each of four fifths of the
        rows.

        If a row were drawn towards a map that has seen it, it would be drawn towards itself, and the map would confirm
        its own errors.

        Returns
        -------
        vectors, maps : ndarray of shape (n, d), (m + 1, 5 · d)
            Rows without events are predicted by the mean of the maps. The maps side by side are the `start` of the next
            call, which improves them by `steps` of conjugate gradients.
        """
        width = vectors.shape[1]
        targets = vectors[self.known] * self.roots
        if start is None:
            self.chosen = self._choose(targets) if self.strength == "auto" else float(self.strength)
        kept = np.repeat(self.folds[:, None] != np.arange(FOLDS), width, axis=1)
        maps = self.equations.solve(np.tile(targets, FOLDS), self.chosen, kept, start, steps)
        found = map_features(self.features, maps, self.n_jobs).reshape(-1, FOLDS, width)
        spread: Floats = found.mean(axis=1)
        spread[self.known] = found[self.known, self.folds]
        return spread, maps

    def spread(self, mapping: Floats) -> Floats:
        """The vectors of all rows by their features, of shape (n, d)."""
        return map_features(self.features, mapping, self.n_jobs)

    def _choose(self, targets: Floats) -> float:
        kept = (self.folds != 0)[:, None]
        if kept.all() or not kept.any():
            return 1.0
        errors, mapping = [], None
        for strength in STRENGTHS:
            mapping = self.equations.solve(targets, strength, kept, mapping, STEPS // 2)
            found = self.equations.forward.times(pad_columns(mapping), self.n_jobs)[:, : targets.shape[1]]
            errors.append(float(np.square((found - targets) * ~kept, dtype=np.float64).sum()))
        return float(STRENGTHS[int(np.argmin(errors))])


class _Equations:
    """The system (AᵀA + μ) W = AᵀY for rows A, solved by conjugate gradients on all columns, scaled by the diagonal.

    A column leaves out the rows where `kept`, of the shape of Y or one column for all, is False.
    """

    def __init__(self, rows: CodeMatrix, n_jobs: int) -> None:
        self.forward, self.n_jobs = SparseProduct(rows), n_jobs
        self.back = SparseProduct(transpose(rows, n_jobs))
        squares = np.square(rows.data, dtype=np.float64)
        self.diagonal = np.bincount(rows.indices, squares, rows.shape[1])[:, None]
        self.unit = max(float(squares.sum()) / max(1, rows.shape[0]), 1e-30)

    def solve(
        self,
        targets: Floats,
        strength: float,
        kept: NDArray[np.bool_] | None = None,
        start: Floats | None = None,
        steps: int = STEPS,
    ) -> Floats:
        """Solves for W with at most so many steps from `start`; μ is `strength` times the rows' mean squared length."""
        mu = np.float32(strength * self.unit)
        inverse = (1 / (self.diagonal + mu)).astype(np.float32)
        mapping = pad_columns(np.zeros((len(inverse), targets.shape[1]), np.float32) if start is None else start).copy()
        mask = None if kept is None else pad_columns(np.broadcast_to(kept, targets.shape).astype(np.float32))
        wanted = pad_columns(targets)
        residual = self.back.times(wanted if mask is None else wanted * mask, self.n_jobs)
        enough = TOLERANCE * _dots(residual, inverse * residual)
        residual -= self._times(mapping, mu, mask)
        direction = inverse * residual
        norms = _dots(residual, direction)
        for _ in range(steps):
            if not (norms > enough).any():
                break
            image = self._times(direction, mu, mask)
            lengths = _ratio(norms, _dots(direction, image))
            mapping += lengths * direction
            residual -= lengths * image
            scaled = inverse * residual
            new = _dots(residual, scaled)
            direction = scaled + _ratio(new, norms) * direction
            norms = new
        return np.ascontiguousarray(mapping[:, : targets.shape[1]])

    def _times(self, mapping: Floats, mu: np.float32, mask: Floats | None) -> Floats:
        image = self.forward.times(mapping, self.n_jobs)
        if mask is not None:
            image *= mask
        product: Floats = self.back.times(image, self.n_jobs) + mu * mapping
        return product


def _dots(a: Floats, b: Floats) -> NDArray[np.float64]:
    """The inner products of columns."""
    products: NDArray[np.float64] = np.einsum("ij,ij->j", a, b, dtype=np.float64)
    return products


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> Floats:
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0).astype(np.float32)
