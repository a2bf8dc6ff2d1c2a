"""Makes compressed models from fitted ones."""

from typing import Any

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.factors import FactorRecommender
from fastrec.models.base.item_weights import ItemWeights
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.stripping import strip
from fastrec.models.composed.compressed_factors import NO_USERS, CompressedFactors
from fastrec.models.composed.compressed_weights import CompressedWeights
from fastrec.models.composed.reranked import Reranked


def compress(model: Any, codec: Any = "int8", *, user_codec: Any = None) -> CompressedFactors | CompressedWeights:
    """Compresses a fitted model: its vectors or weights take half to a sixteenth of the bytes.

    The result recommends, folds in, explains, is saved and loaded as the original, and takes in new events of users. It
    cannot be fitted, so the items do not change. No array is ever decoded as a whole: searches read the codes, or a few
    hundred decoded vectors at a time.

    Parameters
    ----------
    model
        A fitted model with user and item factors (`ImplicitALS`, `SGDFactorization`, `FixedFactors` …), or `EASE` with
        dense weights.
    codec
        "float16", "int8", "int4"; for factors "pq" and "binary" too, or a coarse and a fine one, as "binary+int8"; or
        any codec of `fastrec.compression`.
    user_codec
        The codec of the users' factors. None is `codec`, or "int8" if that is a product quantizer, binary or has two
        levels, since users are looked up, not scanned. "histories" keeps no factors: each user is folded in from the
        history that the model keeps anyway. "none" keeps no users at all: it compresses the result of `strip`.

    Returns
    -------
    CompressedFactors or CompressedWeights

    Raises
    ------
    TypeError
        If the model cannot be compressed; the message says why.
    NotFittedError
        If the model is not fitted.
    ValueError
        If there is no such codec.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrec.models import ImplicitALS
    >>> X = (np.random.default_rng(0).random((60, 40)) < 0.2).astype(np.float32)
    >>> model = ImplicitALS(factors=32, random_state=0).fit(X)
    >>> small = compress(model, "int8")
    >>> small.item_codes_.nbytes / model.item_factors_.nbytes
    0.28125
    >>> bool((small.recommend(0, k=3).codes == model.recommend(0, k=3).codes).all())
    True
    """
    if isinstance(model, CompressedFactors | CompressedWeights):
        raise TypeError("this model is compressed already: compress the original")
    if not isinstance(model, Recommender):
        raise TypeError(f"compress takes a fitted model of fastrec, got {type(model).__name__}")
    model._check_fitted()
    if isinstance(user_codec, str) and user_codec == NO_USERS:
        model, user_codec = strip(model), None
    if isinstance(model, Reranked):
        raise TypeError("Reranked cannot be compressed: compress its model, and re-rank the result")
    if isinstance(model, FactorRecommender):
        return CompressedFactors()._take(model, codec, user_codec)
    if isinstance(model, ItemWeights) and not isinstance(model.weights_, CodeMatrix):
        if user_codec is not None:
            raise ValueError(
                f"user_codec must be None for {type(model).__name__}, which has no user factors; or {NO_USERS!r}, to "
                "keep no users"
            )
        return CompressedWeights()._take(model, codec)
    why = (
        "its weights are sparse: most of their bytes are item codes, which a codec for numbers does not compress"
        if isinstance(model, ItemWeights)
        else "it has neither user and item factors nor dense weights between items"
    )
    raise TypeError(f"{type(model).__name__} cannot be compressed: {why}")


def original_bytes(model: Any) -> int:
    """The number of bytes that `compress` would encode: factors of users and items, or weights."""
    if isinstance(model, ItemWeights):
        return int(model.weights_.nbytes)
    arrays = [getattr(model, name) for name in (*model._by_item, "user_factors_")]
    return sum(array.nbytes for array in arrays if array is not None)
