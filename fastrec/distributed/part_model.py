"""An ordinary model in an executor, of all items and of some users, with the answers of the whole model."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fastrec.data.vocabulary import CodeVocabulary
from fastrec.distributed.alternation import Alternation
from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import Cells, array_of, ids_of
from fastrec.distributed.delivery import Delivery, count_threads
from fastrec.distributed.half_epoch import Turn
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.models.base.factors import FactorRecommender

USERS_AT_ONCE = 1 << 14


class Learned(NamedTuple):
    """The driver's description of the model."""

    turn: Turn
    alternation: Alternation


class Part(NamedTuple):
    """Some users of a piece: the model that knows them, by their places, and their ids."""

    model: FactorRecommender
    ids: pa.Array
    piece: int
    first: int


def read_items(delivery: Delivery, learned: Learned) -> tuple[FactorRecommender, pa.Array]:
    """A model with all items, by their codes, and no user; and the items' ids."""
    model: Any = copy.copy(learned.alternation.model)
    model.n_jobs = count_threads()
    model.item_factors_ = learned.alternation.item_factors(delivery.vectors(learned.turn).vectors)
    model.item_counts_ = np.concatenate([array_of(cell, np.int64) for cell in delivery.others("counts")])
    model.n_features_in_ = len(model.item_factors_)
    model.items_, model.item_info_ = CodeVocabulary(model.n_features_in_), None
    model.duplicates_ = model.duplicate_policy
    nobody = rows_of_lists(np.empty(0, np.int32), [], model.n_features_in_)
    names = pa.concat_arrays([ids_of(cell) for cell in delivery.others("ids")])
    model.clear_derived()
    return model.for_users(nobody), names


def parts_of(model: FactorRecommender, row: Cells) -> Iterator[Part]:
    """Yields the users of a block in parts."""
    block, ids = Block.of(row), ids_of(row["ids"])
    events = block.events(model.n_features_in_)
    for first in range(0, events.shape[0], USERS_AT_ONCE):
        last = min(first + USERS_AT_ONCE, events.shape[0])
        some = model.for_users(pick_rows(events, slice(first, last)))
        yield Part(some, ids.slice(first, last - first), block.piece, first)
