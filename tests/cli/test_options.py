"""Options of commands are checked before anything is computed."""

import pytest
import typer

from fastrec.cli.options import check_metrics, check_mode


@pytest.mark.parametrize("labels", [[], ["ndcg"], ["ndcg@10", "nonsense@3"]])
def test_metrics_that_there_are_not_are_refused(labels):
    with pytest.raises(typer.BadParameter):
        check_metrics(labels)


def test_a_mode_is_octal():
    assert check_mode("640") == "640"
    with pytest.raises(typer.BadParameter):
        check_mode("rw-r--r--")
