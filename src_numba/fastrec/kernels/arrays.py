"""The types of arrays that kernels take, and of the numbers behind pointers."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Halves = NDArray[np.uint16]  # the bits of float16
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int32]  # of users and items, or other small integers
Counts = NDArray[np.int64]  # also places, and the starts of rows
Seeds = NDArray[np.uint64]
