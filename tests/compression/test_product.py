"""Product quantization: what it keeps of clusters, directions and lengths."""

import numpy as np

from fastrec.compression import ProductQuantizer
from tests.compression.codecs import sine


def test_product_quantizer_keeps_clusters_and_lengths():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(8, 12))
    X = (centers[rng.integers(0, 8, 500)] * rng.uniform(0.1, 10, (500, 1))).astype(np.float32)
    for bits in (8, 4):
        assert ProductQuantizer(bits=bits, rotation=None).fit(X).reconstruction_error(X) < 2e-3


def test_long_vectors_are_quantized_best_and_lengths_are_kept():
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(3000) < 300, 20.0, 1.0)[:, None]
    X = rng.normal(size=(3000, 32))
    X *= lengths / np.linalg.norm(X, axis=1, keepdims=True)
    codec = ProductQuantizer().fit(X)
    again = codec.inverse_transform(codec.transform(X))
    off = sine(X, again)
    assert off[:300].mean() < 0.7 * off[300:].mean()
    np.testing.assert_allclose(np.linalg.norm(again, axis=1), lengths[:, 0], rtol=0.02)
