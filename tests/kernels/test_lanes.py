"""The shape of arrays that kernels take."""

import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.lanes import LANES, padded_width


@kernel()
def pad_in_kernel(width):
    return padded_width(width)


@pytest.mark.parametrize("width", [0, 1, 15, 16, 17, 128, 12345])
def test_a_width_is_padded_to_whole_lanes_by_python_and_by_kernels(width):
    padded = padded_width(width)
    assert padded % LANES == 0
    assert width <= padded < width + LANES
    assert pad_in_kernel(width) == padded
