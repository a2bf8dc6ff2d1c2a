"""The smallest model of order: it recommends the items next to the last one in the catalogue."""

from typing import ClassVar

import numpy as np

from fastrec.models import Updating


class LastItem(Updating):
    """A model in which items score higher the nearer their code is to that of the newest item in a history."""

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
    """The same model, which requires an order."""

    needs_order: ClassVar = True
