"""The options that name the metrics."""

import pytest
import typer

from fastrec.cli.measures import measure_options
from fastrec.cli.options import ColdUsers


def test_labels_are_taken_apart_and_checked():
    measures = measure_options("ndcg@5, recall@5,", ColdUsers.skip, include_seen=True)
    assert (measures.labels, measures.cold_users, measures.include_seen) == (["ndcg@5", "recall@5"], "skip", True)
    for metrics in ("", "ndgc@5"):
        with pytest.raises(typer.BadParameter):
            measure_options(metrics)
