"""Steps that a byte encodes: 256 sizes that a codec's vectors share, dense where the large sizes lie."""

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array
from fastrec.kernels.codes import STEPS
from fastrec.matrix.arrays import readonly

Floats = NDArray[np.float32]

STEPS_FIELD = Array((STEPS,), least=0, most=float(np.finfo(np.float32).max), order="rising")

# The octaves below the largest size, and the numbers of steps below and above them. A vector far shorter than the
# longest is in no user's list, and longer ones than in `fit` may come later.
NEAR, FAR, ABOVE = 6, 20, 7
FAR_STEPS, ABOVE_STEPS = 48, 16


def make_steps(sizes: NDArray[np.float64], reach: float = 0.0) -> Floats:
    """0, then steps in equal ratios from the smallest to the largest of the sizes, and in larger ratios beyond.

    Sizes below a sixty-fourth of the largest get steps in larger ratios too. The steps go to `reach` at least.

    >>> steps = make_steps(np.array([1.0, 0.0, 4.0]))
    >>> len(steps), steps[[0, 1, 239, 255]].tolist()
    (256, [0.0, 1.0, 4.0, 512.0])
    """
    largest = float(sizes.max(initial=0.0)) or 1.0
    smallest = float(sizes[sizes > 0].min(initial=largest))
    smallest = min(largest, max(smallest, largest * 2.0**-FAR, float(np.finfo(np.float32).tiny)))
    knee = max(smallest, largest * 2.0**-NEAR)
    far = np.geomspace(smallest, knee, FAR_STEPS if smallest < knee else 0, endpoint=False)
    near = np.geomspace(knee, largest, STEPS - 1 - ABOVE_STEPS - len(far))
    above = np.geomspace(largest, max(reach, largest * 2.0**ABOVE), ABOVE_STEPS + 1)[1:]
    steps = np.concatenate([[0.0], far, near, np.minimum(above, np.finfo(np.float32).max)])
    return readonly(steps.astype(np.float32))


def name_steps(steps: Floats, sizes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Returns the step nearest to each size, in ratio; 0 for a size below half of the smallest step.

    >>> steps = make_steps(np.array([1.0, 4.0]))
    >>> steps[name_steps(steps, np.array([0.0, 0.2, 0.9, 2.0, 9000.0]))].round(2).tolist()
    [0.0, 0.0, 1.0, 2.0, 512.0]
    """
    wide = steps.astype(np.float64)
    borders = np.concatenate([[wide[1] / 2], np.sqrt(wide[1:-1] * wide[2:])])
    names: NDArray[np.uint8] = np.searchsorted(borders, sizes, side="right").astype(np.uint8)
    return names
