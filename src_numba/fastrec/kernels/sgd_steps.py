"""One step of one row against its gradient: plain SGD, Adagrad, or Adam, and the few operations on rows they need.

Adagrad: Duchi, Hazan, Singer (2011). Adam: Kingma, Ba (2015), in its lazy form: a row's moments move only with the row,
and its bias correction counts the row's own steps.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.adam import EPSILON, ONE, correction, next_mean, next_square, step_adam
from fastrec.kernels.arrays import Codes, Floats
from fastrec.kernels.row import add_scaled, add_square, blend, load_row, over_root, store_row
from fastrec.kernels.simd import prefetch

SGD, ADAGRAD, ADAM = 0, 1, 2


class Parameters(NamedTuple):
    """One side's rows and their optimizer's state; an unused array has one element."""

    rows: Floats  # flat (n · width)
    biases: Floats  # (n,), or one for a side without biases
    squares: Floats  # flat (n · width): Adagrad's sums of squares, Adam's second moments
    means: Floats  # flat (n · width): Adam's first moments
    bias_squares: Floats  # (n,)
    bias_means: Floats  # (n,)
    counts: Codes  # (n,): Adam's steps of each row
    priors: Floats | None  # flat (n · width): the penalty draws rows to them; None: to zero
    bias_priors: Floats | None  # (n,): the same for biases


class StepSizes(NamedTuple):
    """The size of a step."""

    rate: np.float32
    decay: np.float32  # the penalty's share of the gradient, for factors
    bias_decay: np.float32  # the same for biases


def draw_to_prior(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    """Returns a row, a step or a gradient, plus a share of the row's prior, to which the penalty draws."""
    raise NotImplementedError  # compiled by `_choose_draw_to_prior`


@overload(draw_to_prior, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_draw_to_prior(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return _draw_to_prior if _has(side, "priors") else _leave


def _draw_to_prior(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return add_scaled(row, share, load_row(side.priors, np.int64(code) * constant(width), width))


def _leave(side: Any, code: Any, row: Any, share: Any, width: Any) -> Any:
    return row


def add_bias_prior(side: Any, code: Any, ascent: Any, sizes: Any) -> Any:
    """Does the same for a bias."""
    raise NotImplementedError  # compiled by `_choose_add_bias_prior`


@overload(add_bias_prior, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_add_bias_prior(side: Any, code: Any, ascent: Any, sizes: Any) -> Any:
    return _add_bias_prior if _has(side, "bias_priors") else _add_no_bias


def _add_bias_prior(side: Any, code: Any, ascent: Any, sizes: Any) -> Any:
    return ascent + sizes.bias_decay * side.bias_priors[code]


def _add_no_bias(side: Any, code: Any, ascent: Any, sizes: Any) -> Any:
    return ascent


def _has(side: Any, field: str) -> bool:
    """Tells whether the type of a side has this array: decided when compiling, so that a missing one costs nothing."""
    return not isinstance(side.types[side.fields.index(field)], types.NoneType)


def move_row(side: Any, code: Any, row: Any, pull: Any, direction: Any, sizes: Any, optimizer: Any, width: Any) -> Any:
    """Returns the row after a step up pull·direction and down the penalty's slope; stores the optimizer's state."""
    raise NotImplementedError  # compiled by `_choose_move_row`


@overload(move_row, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_move_row(
    side: Any, code: Any, row: Any, pull: Any, direction: Any, sizes: Any, optimizer: Any, width: Any
) -> Any:
    return (_move_sgd, _move_adagrad, _move_adam)[optimizer.value]


def _move_sgd(side: Any, code: Any, row: Any, pull: Any, direction: Any, sizes: Any, optimizer: Any, width: Any) -> Any:
    penalty = sizes.rate * sizes.decay
    return draw_to_prior(side, code, blend(ONE - penalty, row, sizes.rate * pull, direction), penalty, width)


def _move_adagrad(
    side: Any, code: Any, row: Any, pull: Any, direction: Any, sizes: Any, optimizer: Any, width: Any
) -> Any:
    # The gradient's ascent with the penalty, the sum of its squares, and the step.
    place = np.int64(code) * constant(width)
    ascent = draw_to_prior(side, code, blend(pull, direction, -sizes.decay, row), sizes.decay, width)
    squares = add_square(ONE, load_row(side.squares, place, width), ONE, ascent)
    store_row(side.squares, place, squares)
    return add_scaled(row, sizes.rate, over_root(ascent, squares, EPSILON))


def _move_adam(
    side: Any, code: Any, row: Any, pull: Any, direction: Any, sizes: Any, optimizer: Any, width: Any
) -> Any:
    # The gradient's ascent with the penalty, both moments, and the corrected step.
    place = np.int64(code) * constant(width)
    ascent = draw_to_prior(side, code, blend(pull, direction, -sizes.decay, row), sizes.decay, width)
    means = next_mean(load_row(side.means, place, width), ascent)
    squares = next_square(load_row(side.squares, place, width), ascent)
    store_row(side.means, place, means)
    store_row(side.squares, place, squares)
    side.counts[code] += 1
    first, second = correction(side.counts[code])
    return step_adam(row, means, squares, -sizes.rate * first * second, EPSILON * second, ONE)


def move_bias(side: Any, code: Any, ascent: Any, sizes: Any, optimizer: Any) -> None:
    """Makes a step of a bias; with Adam it comes before the row's step, whose count it shares."""
    raise NotImplementedError  # compiled by `_choose_move_bias`


@overload(move_bias, jit_options={"fastmath": set(FAST), "nogil": True, "forceinline": True})  # type: ignore[misc]
def _choose_move_bias(side: Any, code: Any, ascent: Any, sizes: Any, optimizer: Any) -> Any:
    return (_move_bias_sgd, _move_bias_adagrad, _move_bias_adam)[optimizer.value]


def _move_bias_sgd(side: Any, code: Any, ascent: Any, sizes: Any, optimizer: Any) -> None:
    ascent = add_bias_prior(side, code, ascent, sizes)
    side.biases[code] += sizes.rate * (ascent - sizes.bias_decay * side.biases[code])


def _move_bias_adagrad(side: Any, code: Any, ascent: Any, sizes: Any, optimizer: Any) -> None:
    gradient = add_bias_prior(side, code, ascent, sizes) - sizes.bias_decay * side.biases[code]
    side.bias_squares[code] += gradient * gradient
    side.biases[code] += sizes.rate * gradient / (np.sqrt(side.bias_squares[code]) + EPSILON)


def _move_bias_adam(side: Any, code: Any, ascent: Any, sizes: Any, optimizer: Any) -> None:
    gradient = add_bias_prior(side, code, ascent, sizes) - sizes.bias_decay * side.biases[code]
    mean, square = next_mean(side.bias_means[code], gradient), next_square(side.bias_squares[code], gradient)
    side.bias_means[code], side.bias_squares[code] = mean, square
    first, second = correction(side.counts[code] + 1)
    rate, tiny = sizes.rate * first * second, EPSILON * second
    side.biases[code] = step_adam(side.biases[code], mean, square, -rate, tiny, ONE)


@kernel(inline=True)
def fetch_row(rows: Any, code: Any, width: Any) -> None:
    """Prefetches a row."""
    place = np.int64(code) * constant(width)
    for f in range(0, constant(width), 16):
        prefetch(rows, place + f)


@kernel(inline=True)
def mark_samples(samples: Any, k: Any, last: Any, marks: Any) -> Any:
    """Marks the items of one user's samples, from sample k on, as that user's; returns the samples' end."""
    u, end = samples.users[k], k
    while end < last and samples.users[end] == u:
        if marks.shape[0] > 1:
            marks[samples.items[end]] = u
        end += 1
    return end
