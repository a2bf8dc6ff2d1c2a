"""Steps that a byte names."""

import numpy as np

from fastrec.compression.steps import make_steps, name_steps


def test_a_byte_names_steps_near_enough():
    sizes = np.geomspace(1e-7, 50, 2000)
    steps = make_steps(sizes)
    assert (np.diff(steps) > 0).all()
    off = np.abs(np.log(np.maximum(steps[name_steps(steps, sizes)], 1e-9) / sizes))
    assert off[sizes > 0.8].max() < 0.012, "within a sixty-fourth of the longest"
    assert off[sizes > 1e-4].max() < 0.12
    longer = sizes[sizes > 1] * 60
    assert np.abs(np.log(steps[name_steps(steps, longer)] / longer)).max() < 0.17
    assert name_steps(steps, np.array([0, 1e-7])).tolist() == [0, 0]
    np.testing.assert_array_equal(make_steps(np.zeros(3))[:2] > 0, [False, True])
    np.testing.assert_array_equal(make_steps(np.full(3, 5e-38))[1:240], np.float32(5e-38))
