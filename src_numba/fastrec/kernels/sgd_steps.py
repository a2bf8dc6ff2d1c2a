"""One step of one row against its gradient: plain SGD, Adagrad, or Adam, and the few operations on rows they need.

Adagrad: Duchi, Hazan, Singer (2011). Adam: Kingma, Ba (2015), in the lazy form: a row's moments move when the row does,
and its bias correction counts the row's own steps.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.math import exp, log
from fastrec.kernels.row import add_scaled, add_square, blend, load_row, over_root, store_row

SGD, ADAGRAD, ADAM = 0, 1, 2
BETA1, BETA2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
ONE = np.float32(1)


class Parameters(NamedTuple):
    """One side's rows and what its optimizer remembers about them; an array of no use has one element."""

    rows: NDArray[np.float32]  # flat (n · width)
    biases: NDArray[np.float32]  # (n,), or one for a side without
    squares: NDArray[np.float32]  # flat (n · width): Adagrad's sums of squares, Adam's second moments
    means: NDArray[np.float32]  # flat (n · width): Adam's first moments
    bias_squares: NDArray[np.float32]  # (n,)
    bias_means: NDArray[np.float32]  # (n,)
    counts: NDArray[np.int32]  # (n,): Adam's steps of each row
    anchors: NDArray[np.float32] | None  # flat (n · width): what the penalty draws rows to; None: to zero
    bias_anchors: NDArray[np.float32] | None  # (n,): the same for biases


class Pace(NamedTuple):
    """How far a step goes."""

    rate: np.float32
    decay: np.float32  # the penalty's share of the gradient, for factors
    bias_decay: np.float32  # the same for biases


def draw_to_anchor(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    """The row, a step or a gradient, plus a share of the row's anchor, to which the penalty draws."""
    raise NotImplementedError  # compiled by `_choose_draw_to_anchor`


@overload(draw_to_anchor, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_draw_to_anchor(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return _draw_to_anchor if _has(side, "anchors") else _leave


def _draw_to_anchor(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return add_scaled(row, share, load_row(side.anchors, np.int64(code) * constant(width), width))


def _leave(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return row


def add_bias_anchor(side: Any, code: Any, ascent: Any, pace: Any) -> Any:
    """The same for a bias."""
    raise NotImplementedError  # compiled by `_choose_add_bias_anchor`


@overload(add_bias_anchor, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_add_bias_anchor(side: Any, code: Any, ascent: Any, pace: Any) -> Any:
    return _add_bias_anchor if _has(side, "bias_anchors") else _add_no_bias


def _add_bias_anchor(side: Any, code: Any, ascent: Any, pace: Any) -> Any:
    return ascent + pace.bias_decay * side.bias_anchors[code]


def _add_no_bias(side: Any, code: Any, ascent: Any, pace: Any) -> Any:
    return ascent


def _has(side: Any, field: str) -> bool:
    """Whether the type of a side has an array there: decided when compiling, so that it costs nothing where not."""
    return not isinstance(side.types[side.fields.index(field)], types.NoneType)


def move_row(side: Any, code: Any, row: Any, pull: Any, direction: Any, pace: Any, optimizer: Any, width: Any) -> Any:
    """The row after a step up pull·direction and down the penalty's slope; what the optimizer remembers is stored."""
    raise NotImplementedError  # compiled by `_choose_move_row`


@overload(move_row, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_move_row(
    side: Any, code: Any, row: Any, pull: Any, direction: Any, pace: Any, optimizer: Any, width: Any
) -> Any:
    return (_move_sgd, _move_adagrad, _move_adam)[optimizer.value]


def _move_sgd(side: Any, code: Any, row: Any, pull: Any, direction: Any, pace: Any, optimizer: Any, width: Any) -> Any:
    penalty = pace.rate * pace.decay
    return draw_to_anchor(side, code, blend(ONE - penalty, row, pace.rate * pull, direction), penalty, width)


def _move_adagrad(
    side: Any, code: Any, row: Any, pull: Any, direction: Any, pace: Any, optimizer: Any, width: Any
) -> Any:
    place = np.int64(code) * constant(width)
    ascent = draw_to_anchor(side, code, blend(pull, direction, -pace.decay, row), pace.decay, width)
    squares = add_square(ONE, load_row(side.squares, place, width), ONE, ascent)
    store_row(side.squares, place, squares)
    return add_scaled(row, pace.rate, over_root(ascent, squares, EPSILON))


def _move_adam(side: Any, code: Any, row: Any, pull: Any, direction: Any, pace: Any, optimizer: Any, width: Any) -> Any:
    place = np.int64(code) * constant(width)
    ascent = draw_to_anchor(side, code, blend(pull, direction, -pace.decay, row), pace.decay, width)
    means = blend(BETA1, load_row(side.means, place, width), ONE - BETA1, ascent)
    squares = add_square(BETA2, load_row(side.squares, place, width), ONE - BETA2, ascent)
    store_row(side.means, place, means)
    store_row(side.squares, place, squares)
    side.counts[code] += 1
    first, second = correction(side.counts[code])
    return add_scaled(row, pace.rate * first * second, over_root(means, squares, EPSILON * second))


def move_bias(side: Any, code: Any, ascent: Any, pace: Any, optimizer: Any) -> None:
    """A step of a bias; of Adam before the row's own, whose count it shares."""
    raise NotImplementedError  # compiled by `_choose_move_bias`


@overload(move_bias, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_move_bias(side: Any, code: Any, ascent: Any, pace: Any, optimizer: Any) -> Any:
    return (_move_bias_sgd, _move_bias_adagrad, _move_bias_adam)[optimizer.value]


def _move_bias_sgd(side: Any, code: Any, ascent: Any, pace: Any, optimizer: Any) -> None:
    ascent = add_bias_anchor(side, code, ascent, pace)
    side.biases[code] += pace.rate * (ascent - pace.bias_decay * side.biases[code])


def _move_bias_adagrad(side: Any, code: Any, ascent: Any, pace: Any, optimizer: Any) -> None:
    gradient = add_bias_anchor(side, code, ascent, pace) - pace.bias_decay * side.biases[code]
    side.bias_squares[code] += gradient * gradient
    side.biases[code] += pace.rate * gradient / (np.sqrt(side.bias_squares[code]) + EPSILON)


def _move_bias_adam(side: Any, code: Any, ascent: Any, pace: Any, optimizer: Any) -> None:
    gradient = add_bias_anchor(side, code, ascent, pace) - pace.bias_decay * side.biases[code]
    mean = BETA1 * side.bias_means[code] + (ONE - BETA1) * gradient
    square = BETA2 * side.bias_squares[code] + (ONE - BETA2) * gradient * gradient
    side.bias_means[code], side.bias_squares[code] = mean, square
    first, second = correction(side.counts[code] + 1)
    side.biases[code] += pace.rate * first * second * mean / (np.sqrt(square) + EPSILON * second)


@kernel(inline=True)
def correction(count: Any) -> tuple[Any, Any]:
    """What Adam's moments are to be multiplied by after so many steps: the first, and the root of the second one's."""
    n = np.float32(count)
    first = ONE / (ONE - exp(n * log(BETA1)))
    return first, np.sqrt(ONE - exp(n * log(BETA2)))
