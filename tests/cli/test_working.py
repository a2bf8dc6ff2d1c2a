"""The messages of a command while it works."""

import contextlib
import io
import os
import sys
import textwrap
import time

import pytest

from fastrec.cli import working as module
from fastrec.cli.working import working
from tests.cli.running import in_process_of_its_own


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST", 0.02)
    monkeypatch.setattr(module, "BETWEEN", 0.02)


def wait_for(text, stream):
    until = time.monotonic() + 20
    while text not in stream() and time.monotonic() < until:
        time.sleep(0.01)
    assert text in stream()


def test_long_work_is_reported_again_and_again(quick, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with working("reading a.csv"):
        wait_for("reading a.csv: 0 s\nreading a.csv: 0 s\n", sys.stderr.getvalue)
    told = sys.stderr.getvalue()
    time.sleep(0.1)
    assert sys.stderr.getvalue() == told


def test_quick_work_is_not_reported(capsys):
    with working("reading a.csv"):
        pass
    with pytest.raises(ZeroDivisionError), working("dividing"):
        print(1 / 0)
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_there_is_a_sign_or_the_bar_of_what_has_one(quick, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with working("fitting ALS", bar=True):
        time.sleep(0.1)
    assert sys.stderr.getvalue() == ""
    with working("fitting EASE"):
        wait_for("fitting EASE", sys.stderr.getvalue)


def test_a_process_tells_what_takes_it_long(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import fastrec.cli.working as working
        working.FIRST = working.BETWEEN = 0.0001
    """)
    )
    (tmp_path / "a.csv").write_text("user,item\n" + "".join(f"{n % 40},{n % 23}\n" for n in range(400)))
    train = ("train", "a.csv", "-o", "m.fastrec", "--model", "ImplicitALS", "-f", "4", "--duplicates", "sum")
    done = in_process_of_its_own(*train, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "reading a.csv: 0 s" in done.stderr
    assert "fitting ImplicitALS: " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["recommend", "{model}", "--all", "--format", "csv"], ["loading {model}", "recommending"]),
        (["recommend", "{model}", "--all"], ["recommending"]),
        (["recommend", "{model}", "--history", "10,20"], ["recommending"]),
        (["similar", "{model}", "--item", "10"], ["loading {model}", "finding similar items"]),
        (["explain", "{model}", "--user", "1", "--item", "10"], ["loading {model}"]),
        (["export", "{model}", "similar-items", "-o", "{out}.csv"], ["loading {model}", "writing {out}.csv"]),
        (["strip", "{model}", "-o", "{out}.fastrec"], ["loading {model}", "writing {out}.fastrec"]),
        (["compress", "{model}", "-o", "{out}.fastrec"], ["loading {model}", "writing {out}.fastrec"]),
        (["info", "{model}"], ["loading {model}"]),
        (["forget", "{model}", "--user", "3", "--dry-run"], ["loading {model}", "forgetting 1 user"]),
    ],
    ids=lambda value: value[0] if "{model}" in value else "",
)
def test_each_command_tells_what_takes_it_long(run, folder, tmp_path, monkeypatch, command, told):
    doing = []

    @contextlib.contextmanager
    def note_doing(text, *, bar=False):
        doing.append(text)
        yield

    for name in ("models", "recommend", "similar", "export", "forget", "compress"):
        monkeypatch.setattr(f"fastrec.cli.{name}.working", note_doing)
    places = {"model": folder / "ratings.fastrec", "out": tmp_path / "out"}
    code, _, err = run(*(part.format(**places) for part in command))
    assert code == 0, err
    assert {text.format(**places) for text in told} <= set(doing)
