"""The progress of a training: lines outside a terminal, a bar on one, nothing where none is wanted."""

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
