"""The k² numbers between half epochs of alternating least squares: the bases of the factors, and their balance.

x·y stays the same for x T and y T⁻ᵀ. Before a half epoch T is the eigenbasis of the other side's Gramian. Before some
epochs it is also the T with which the penalty is least (docs/explanation/ials.md).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Floats

# From the third epoch on, each row moves this many times as far as its solution: fewer epochs reach the same loss. A
# step of w takes w(2 - w) of the gain of a full one, so no step raises the loss.
RELAXATION, PLAIN_EPOCHS = 1.5, 2
TINY = 1e-9  # smaller eigenvalues, as shares of the largest, are rounding errors

Doubles = NDArray[np.float64]


class Gramians(NamedTuple):
    """The Gramians after half an epoch, in the present basis.

    Parameters
    ----------
    last
        That of the side that was solved last, of shape (width, width).
    weighted
        Those of users and items with each row's penalty as its weight, in any unit, of shape (2, width, width).
    """

    last: Doubles
    weighted: Doubles

    @classmethod
    def first(cls, items: Doubles) -> "Gramians":
        """Those of the first factors, which are never balanced."""
        return cls(items, np.zeros((2, *items.shape)))

    def following(self, side: int, others: Floats | None, last: Doubles, weighted: Doubles) -> "Gramians":
        """Those after a side was solved; `others` is the change of the other side's basis before, if it changed."""
        kept = self.weighted[1 - side]
        kept = kept if others is None else others.T @ kept @ others
        return Gramians(last, np.stack([weighted, kept] if side == 0 else [kept, weighted]))


class Bases(NamedTuple):
    """The changes of the basis before a side is solved, by products with matrices of shape (width, width).

    Parameters
    ----------
    eigenvalues
        Those of the other side's Gramian, which the change makes diagonal, of shape (factors,), the largest first.
    own, others
        The matrices for the side's rows and for the other side's.
    """

    eigenvalues: Doubles
    own: Floats
    others: Floats


def relaxation(epoch: int) -> float:
    """The factor by which each row moves past its solution in an epoch; epochs are counted from 0."""
    return RELAXATION if epoch >= PLAIN_EPOCHS else 1.0


def is_balanced(epoch: int) -> bool:
    """Tells whether the factors are balanced before an epoch: 1, 2, 4, 8 …, counted from 0."""
    return epoch > 0 and epoch & (epoch - 1) == 0


def choose_bases(gramians: Gramians, factors: int, balanced: bool = False) -> Bases:
    """Chooses the bases before a side is solved; before they are balanced, this side must be the users."""
    if not balanced:
        values, basis = eigenbasis(gramians.last, factors)
        return Bases(values, basis, basis)
    own, others = balance(*gramians.weighted[:, :factors, :factors])
    last = np.zeros_like(gramians.last)
    last[:factors, :factors] = others.T @ gramians.last[:factors, :factors] @ others
    values, basis = eigenbasis(last, factors)
    return Bases(values, _times(own, basis), _times(others, basis))


def _times(change: Doubles, basis: Floats) -> Floats:
    product, factors = np.zeros_like(basis), len(change)
    product[:factors, :factors] = change @ basis[:factors, :factors]
    return product


def balance(users: Doubles, items: Doubles) -> tuple[Doubles, Doubles]:
    """Returns T and T⁻ᵀ, with which the weighted Gramians TᵀPT and T⁻¹QT⁻ᵀ are equal; then their traces' sum is least.

    >>> change, inverse = balance(np.diag([4.0, 1.0]), np.diag([1.0, 1.0]))
    >>> np.allclose(change.T @ np.diag([4.0, 1.0]) @ change, inverse.T @ inverse)
    True
    """
    if not all(0 < np.trace(matrix) < np.inf for matrix in (users, items)):
        return np.eye(len(users)), np.eye(len(users))
    values, vectors = np.linalg.eigh(users)
    root = np.sqrt(np.maximum(values, values[-1] * TINY))
    squares, turn = np.linalg.eigh((vectors * root).T @ items @ (vectors * root))
    scale = np.maximum(squares, squares[-1] * TINY) ** 0.25
    return (vectors / root) @ turn * scale, (vectors * root) @ turn / scale


def eigenbasis(matrix: Doubles, factors: int) -> tuple[Doubles, Floats]:
    """Returns the eigenvalues, the largest first, of shape (factors,), and eigenvectors of the used part of a Gramian.

    The eigenvectors have the Gramian's shape: columns beyond the factors are zero.
    """
    if not np.isfinite(matrix).all():
        raise FloatingPointError("the factors are not finite: stronger regularization or smaller values may help")
    values, vectors = np.linalg.eigh(matrix[:factors, :factors])
    basis = np.zeros(matrix.shape, np.float32)
    basis[:factors, :factors] = vectors[:, ::-1]
    return np.maximum(values[::-1], 0), basis
