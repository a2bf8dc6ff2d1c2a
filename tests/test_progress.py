"""The progress of a training: a bar on a terminal, one line in a notebook, lines elsewhere, or nothing."""

import io
import sys

import pytest

from fastrec.progress import epoch_progress


def show(epochs, *, shown):
    with epoch_progress("EASE", epochs, shown) as advance:
        for epoch in range(epochs):
            advance(f"loss {epoch}")


def test_nothing_is_shown_where_none_is_wanted(capsys):
    show(2, shown=False)
    assert capsys.readouterr() == ("", "")


def test_epochs_are_lines_outside_a_terminal(capsys):
    show(2, shown=True)
    assert capsys.readouterr() == ("", "EASE 1/2 loss 0\nEASE 2/2 loss 1\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_epochs_are_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    show(3, shown=True)
    text = sys.stderr.getvalue()
    assert "EASE" in text
    assert "3/3" in text
    assert "loss 2" in text


def test_an_error_within_passes(capsys):
    with pytest.raises(ZeroDivisionError), epoch_progress("EASE", 2, shown=True) as advance:
        advance(f"loss {1 / 0}")
    assert capsys.readouterr().err == ""


class KernelStream(io.StringIO):
    """The stderr of a notebook."""

    __module__ = "ipykernel.iostream"


def test_epochs_are_one_live_line_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", KernelStream())
    with epoch_progress("EASE", 2, shown=True) as advance:
        advance("loss 0.25")
        advance("loss 9")
    assert sys.stderr.getvalue() == "\rEASE 1/2 loss 0.25\rEASE 2/2 loss 9   \n"
    assert sys.stderr.getvalue().count("\n") == 1
    with epoch_progress("EASE", 2, shown=True):
        pass
    assert sys.stderr.getvalue().count("\n") == 1
