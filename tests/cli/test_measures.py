"""The options that name the metrics."""

import pytest
import typer

from fastrec.cli.measures import measure_options
from fastrec.cli.options import ColdUsers


def test_labels_are_taken_apart_and_checked():
    measures = measure_options("ndcg@5, recall@5,", ColdUsers.skip, exclude_seen=False)
    assert (measures.labels, measures.cold_users, measures.exclude_seen) == (["ndcg@5", "recall@5"], "skip", False)
    for metrics in ("", "ndgc@5"):
        with pytest.raises(typer.BadParameter):
            measure_options(metrics)
