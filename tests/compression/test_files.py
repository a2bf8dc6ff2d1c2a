"""Codecs as arrays and a record, and back."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from fastrec.compression import Int8Codec, ProductQuantizer, describe_codec, rebuild_codec
from tests.compression.codecs import every, vectors


@every
def test_files_and_pickles(codec):
    X = vectors()
    codec = clone(codec).fit(X)
    for again in (rebuild_codec(*describe_codec(codec)), pickle.loads(pickle.dumps(codec))):
        assert type(again) is type(codec)
        assert repr(again) == repr(codec)
        rows = again.transform(X)
        np.testing.assert_array_equal(rows, codec.transform(X))
        np.testing.assert_array_equal(again.inverse_transform(rows), codec.inverse_transform(rows))


def test_damaged_codecs_are_refused():
    arrays, record = describe_codec(ProductQuantizer(rotation="random", iterations=1).fit(vectors()))
    with pytest.raises(ValueError, match="centroids_ must be of shape"):
        rebuild_codec({**arrays, "/centroids": arrays["/centroids"][:1]}, record)
    with pytest.raises(ValueError, match="rotation_ must be of shape"):
        rebuild_codec({**arrays, "/rotation": arrays["/rotation"][:3]}, record)
    with pytest.raises(ValueError, match="steps_ must be of shape"):
        rebuild_codec({**arrays, "/steps": arrays["/steps"][:3]}, record)
    with pytest.raises(ValueError, match="not one of fastrec's"):
        rebuild_codec(arrays, {**record, "class": "Popen"})
    with pytest.raises(ValueError, match="has no attribute"):
        rebuild_codec(arrays, {**record, "learned": {"transform": 1}})


def test_codecs_of_ones_own_are_not_described():
    class Own(Int8Codec):
        pass

    with pytest.raises(TypeError, match="Own is not a codec that a file can hold; those are BinaryCodec"):
        describe_codec(Own())
