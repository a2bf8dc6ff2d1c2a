"""Compressed models of dense item-to-item weights: rows of weights in few bytes, which are never decoded as a whole."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.compression import make_codec
from fastrec.compression.naming import PLAIN_NAMES
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.fields import Array, Fields, Nothing
from fastrec.kernels.codes import Coded, add_coded_rows
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.item_weights import ItemWeights
from fastrec.models.base.persistence import freeze
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.updating import Change
from fastrec.models.composed.compressed import Compressed
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.solvers.neighbors import rows_of

ROWS_AT_ONCE = 256  # rows of weights decoded at a time
PIECES = 64


CODES: Key[Coded] = Key("codes")


class CompressedWeights(Compressed, ItemWeights):
    """A model of dense item-to-item weights whose rows are codes; made by `fastrec.compress`.

    An update takes in new events of users; the weights stay the same, and new items are refused.

    Parameters
    ----------
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weight_codes_ : uint8 array of shape (n_items, bytes)
        The codes of the weights.
    codecs_ : dict of str to VectorCodec
        The codec of the codes, named "weights_".

    Examples
    --------
    >>> from fastrec.models import EASE, compress
    >>> model = EASE().fit(np.eye(40) + np.eye(40, k=1))
    >>> small = compress(model, "int4")
    >>> round(model.weights_.nbytes / small.weight_codes_.nbytes, 2)
    4.71
    """

    takes_new_items: ClassVar[bool] = False
    _compresses: ClassVar[Any] = ItemWeights
    _learned: ClassVar[Fields] = {
        "weights_": Nothing(),
        "weight_codes_": Array(("n_items", "bytes"), "uint8"),
    }

    weight_codes_: NDArray[np.uint8]

    def _take(self, model: ItemWeights, codec: Any) -> "CompressedWeights":
        own = make_codec("codec", codec, PLAIN_NAMES)
        self._adopt_model(model, ("weights_",))
        warm = model.recommendable_items()
        self.kept_ = {} if warm is None else {"warm": warm}
        self.codecs_ = {"weights_": own.fit(model.weights_)}
        self.weight_codes_ = own.transform(model.weights_)
        freeze(self)
        return self

    def decode_items(self, items: Any) -> Floats:
        """Decodes the rows of weights of some items; compression makes them approximate.

        Parameters
        ----------
        items
            Codes of n items.

        Returns
        -------
        ndarray of float32, of shape (n, n_items)
        """
        codes = CodeVocabulary(self.n_features_in_).look_up("items", items)
        rows: Floats = self._similarities()[codes]
        return rows

    def _update(self, change: Change) -> None:
        if self.n_features_in_ != len(self.weight_codes_):
            raise ValueError(
                f"codes of weights between {len(self.weight_codes_)} items cannot take new items: update the "
                f"{type(self._origin).__name__} and compress it again"
            )
        self._follow_data()

    def _all_rows(self) -> list[NDArray[np.uint8]]:
        return [self.weight_codes_]

    def _rows(self, name: str) -> NDArray[np.uint8]:
        return self.weight_codes_

    def _codes(self) -> Coded:
        coded = self._derived.get(CODES, lambda: self.codecs_["weights_"].coded(self.weight_codes_))
        return coded

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        scores = np.zeros((histories.shape[0], self.n_features_in_), np.float32)
        rows, coded, codec = rows_of(histories), self._codes(), self.codecs_["weights_"]
        jobs = effective_jobs(self.n_jobs) if histories.nnz > 64 else 1
        cuts = balanced_cuts(np.diff(histories.indptr) + 1, PIECES) if jobs > 1 else np.array([0, len(scores)])

        def add_piece(piece: int) -> None:
            first, last = int(cuts[piece]), int(cuts[piece + 1])
            add_coded_rows(rows, first, last, coded, np.empty(coded.dimensions, np.float32), scores[first:last])

        run_pieces(add_piece, range(len(cuts) - 1), jobs)
        return scores if codec.rotation_ is None else codec.turn_back(scores)

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        return Recommender._score_pairs(self, audience, rows, items)

    def _weights_of(self, rows: Codes, item: int) -> NDArray[Any]:
        weights = self._similarities()
        parts = [weights[rows[s : s + ROWS_AT_ONCE]][:, item] for s in range(0, len(rows), ROWS_AT_ONCE)]
        return np.concatenate([*parts, np.empty(0)]).astype(np.float64)

    def _similarities(self) -> Any:
        return _Decoded(lambda codes: self.codecs_["weights_"].decode(self._codes(), codes))

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        if set(self.codecs_) != {"weights_"}:
            raise ValueError(f"codecs_ must hold that of weights_ alone, got {', '.join(self.codecs_)}")


class _Decoded:
    """Rows that are decoded when they are read."""

    def __init__(self, decode: Callable[[Codes], Floats]) -> None:
        self._decode_rows = decode

    def __getitem__(self, codes: Codes) -> Floats:
        return self._decode_rows(codes)
