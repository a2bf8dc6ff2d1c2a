"""The smallest model of order there can be: what came last is recommended what stands next to it in the catalogue."""

from typing import ClassVar

import numpy as np

from fastrec.models import Updating


class LastItem(Updating):
    """The nearer an item's code to that of the newest item in a history, the better."""

    reads_order: ClassVar = True

    def _fit(self, matrix):
        pass

    def _update(self, change):
        pass

    def _dense(self, audience):
        sequences = audience.sequences()
        scores = np.zeros((len(audience), self.n_features_in_), np.float32)
        for row, (start, stop) in enumerate(zip(sequences.starts, sequences.starts[1:], strict=False)):
            if stop > start:
                scores[row] = -np.abs(np.arange(self.n_features_in_) - sequences.items[stop - 1])
        return scores


class StrictlyLastItem(LastItem):
    """The same, where there must be an order."""

    needs_order: ClassVar = True
