"""The network's layout: the places of parameters, with padding and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.solvers.network_layout import NetworkLayout

LAYOUTS = [("dot", ()), ("gmf", ()), ("mlp", (20, 7)), ("neumf", (33,))]


@pytest.mark.parametrize(("architecture", "layers"), LAYOUTS)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_padding_comes_and_goes(architecture, layers, normalization):
    layout = NetworkLayout(architecture, 10, layers, normalization)
    own = np.arange(1, len(layout.places) + 1, dtype="f4")
    assert len(np.unique(layout.places)) == len(own)
    np.testing.assert_array_equal(layout.pad(own)[layout.places], own)
    assert sum(values.size for values in layout.named(own).values()) == len(own)
    rows = np.arange(3 * len(layout.columns), dtype="f4").reshape(3, -1)
    np.testing.assert_array_equal(layout.unpad_rows(layout.pad_rows(rows)), rows)


def test_batch_normalization_becomes_part_of_the_kernels():
    layout = NetworkLayout("mlp", 10, (20, 7), "batch")
    rng = np.random.default_rng(0)
    own = rng.normal(size=len(layout.places)).astype("f4")
    moments = rng.random(len(layout.places)).astype("f4") + 0.1
    plain, folded = layout.without_batches(layout.pad(own), layout.pad(moments))
    named, remembered, new = layout.named(own), layout.named(moments), plain.named(folded[plain.places])
    x = rng.normal(size=(4, 20))
    for index in range(2):
        z = x @ named[f"kernel{index}"] + named[f"bias{index}"]
        z = (z - remembered[f"gain{index}"]) / np.sqrt(remembered[f"shift{index}"] + 1e-5)
        z = z * named[f"gain{index}"] + named[f"shift{index}"]
        np.testing.assert_allclose(x @ new[f"kernel{index}"] + new[f"bias{index}"], z, rtol=1e-4, atol=1e-4)
        x = np.maximum(z, 0)


@given(st.sampled_from(["dot", "gmf", "mlp", "neumf"]), st.integers(1, 20), st.lists(st.integers(1, 20), max_size=3))
def test_a_network_counts_its_parameters_without_making_them(architecture, factors, layers):
    if not layers and architecture in ("mlp", "neumf"):
        layers = [3]
    for normalization in (None, "batch"):
        layout = NetworkLayout(architecture, factors, tuple(layers), normalization)
        assert layout.n_parameters == len(layout.places)
        assert layout.width == len(layout.columns)
