"""Packs: events go by pieces into few rows, and none is lost."""

import numpy as np
import pyarrow as pa
import pytest

from fastrec.distributed import packs
from fastrec.distributed.packs import PACKS, Events, pack_events, unpack_events


def packed(parts, rows_of_piece=1024):
    return pa.Table.from_batches(list(pack_events(rows_of_piece, parts)), PACKS)


def events(rng, n, values):
    return Events(rng.integers(0, 3000, n).astype(np.int32), rng.integers(0, 50, n).astype(np.int32), values)


@pytest.mark.parametrize("at_once", [1, 700, 1 << 21])
def test_all_events_come_back_in_their_pieces(monkeypatch, at_once):
    monkeypatch.setattr(packs, "EVENTS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    parts = [events(rng, n, rng.random(n)) for n in (300, 500, 20)]
    table = packed(parts)
    found = []
    for piece in range(3):
        mine = unpack_events(table.filter(pa.compute.equal(table["piece"], piece)))
        assert set(mine.rows // 1024) == {piece}
        found += zip(*(array.tolist() for array in mine), strict=True)
    given = [event for part in parts for event in zip(*(array.tolist() for array in part), strict=True)]
    assert sorted(found) == sorted(given)
    assert table.num_rows <= 3 * 3


def test_values_take_as_little_room_as_they_need():
    rng = np.random.default_rng(0)
    for values, kind, size in ((np.ones(90), "float32", 4), (rng.integers(0, 9, 90) / 2, "float32", 360),
                               (rng.random(90), "float64", 720)):  # fmt: skip
        table = packed([events(rng, 90, values)], 4000)
        assert table["kind"].to_pylist() == [kind]
        assert len(table["values"][0].as_py()) == size
        assert np.array_equal(unpack_events(table).values, values)
