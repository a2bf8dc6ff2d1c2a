"""The making of compressed models from fitted ones."""

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
    """A model that answers as a fitted one does, from vectors or weights in half to a sixteenth of the bytes.

    It recommends, folds in, explains, is saved and loaded as before, and takes in what users do since; it cannot be
    fitted, so items stay as they are. Nothing is ever decoded as
    a whole: searches go through the codes as they lie, or through a few hundred decoded vectors at a time.

    Parameters
    ----------
    model
        A fitted model with user and item factors (`ImplicitALS`, `SGDFactorization`, `FixedFactors` …), or `EASE` with
        dense weights.
    codec
        "float16", "int8", "int4"; for factors "pq" and "binary" too, or a coarse and a fine one, as "binary+int8"; or
        any codec of `fastrec.compression`.
    user_codec
        The same for the users' factors. None is `codec`, but "int8" where that is a product quantizer, binary or of two
        levels: users are looked up, not scanned. "histories" keeps nothing of them: a user is folded in from the
        history that the model keeps anyway. "none" keeps no users at all: it compresses what `strip` leaves.

    Returns
    -------
    CompressedFactors or CompressedWeights

    Raises
    ------
    TypeError
        Where the model is none that can be compressed: the message says why.
    NotFittedError
        Where the model is not fitted.
    ValueError
        Where there is no such codec.

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
        raise TypeError("this model is compressed already: compress the one that was fitted")
    if not isinstance(model, Recommender):
        raise TypeError(f"compress takes a fitted model of fastrec, got {type(model).__name__}")
    model._check_fitted()
    if isinstance(user_codec, str) and user_codec == NO_USERS:
        model, user_codec = strip(model), None
    if isinstance(model, Reranked):
        raise TypeError("Reranked cannot be compressed: compress the model that it re-ranks, and re-rank the result")
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
        "its weights are sparse: most of their bytes are codes, which a codec for numbers leaves as they are"
        if isinstance(model, ItemWeights)
        else "it has neither user and item factors nor dense weights between items"
    )
    raise TypeError(f"{type(model).__name__} cannot be compressed: {why}")


def original_bytes(model: Any) -> int:
    """The bytes of what `compress` would put in codes: factors of users and items, or weights."""
    if isinstance(model, ItemWeights):
        return int(model.weights_.nbytes)
    arrays = [getattr(model, name) for name in (*model._by_item, "user_factors_")]
    return sum(array.nbytes for array in arrays if array is not None)
