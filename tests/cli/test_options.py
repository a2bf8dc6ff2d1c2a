"""What options are checked for before anything is computed."""

import pytest
import typer

from fastrec.cli.options import als_options, check_metrics, check_mode


def test_what_is_not_given_is_left_to_the_model():
    assert als_options(None, 0.5, None, 3, seed=1, jobs=2) | {"verbose": False} == {
        "regularization": 0.5, "iterations": 3, "random_state": 1, "n_jobs": 2, "verbose": False,
    }  # fmt: skip


@pytest.mark.parametrize("labels", [[], ["ndcg"], ["ndcg@10", "nonsense@3"]])
def test_metrics_that_there_are_not_are_refused(labels):
    with pytest.raises(typer.BadParameter):
        check_metrics(labels)


def test_a_mode_is_octal():
    assert check_mode("640") == "640"
    with pytest.raises(typer.BadParameter):
        check_mode("rw-r--r--")
