"""The program as a whole: help, exit codes, errors of one line."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import fastrec as fr
from fastrec import cli
from tests.cli.running import FASTREC, in_process_of_its_own

COMMANDS = ["demo", "train", "evaluate", "search", "compress", "recommend", "similar", "info", "warmup"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_an_example(command):
    result = CliRunner().invoke(cli.app, [command, "--help"], prog_name="fastrec")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "Example" in text
    assert f"fastrec {command}" in text


def commands():
    program = typer.main.get_command(cli.app)
    return {name: program.commands[name] for name in program.list_commands(None)}


def words(text):
    return {word.strip(",;.") for word in text.split()}


@pytest.mark.parametrize("name", commands())
def test_a_narrow_terminal_shows_names_texts_and_examples_whole(name):
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, [name, "--help"], prog_name="fastrec").stdout
    command = commands()[name]
    for parameter in command.params:
        names = [option for option in parameter.opts if option.startswith("--")]
        assert words(" ".join([getattr(parameter, "help", None) or "", *names])) <= words(shown), parameter.name
    lines = [line.strip() for line in shown.splitlines()]
    assert all(example.strip() in lines for example in command.epilog.split("\n\n"))


def test_a_narrow_terminal_shows_the_first_sentence_of_each_command():
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, ["--help"], prog_name="fastrec").stdout
    for name, command in commands().items():
        assert re.search(rf"^ *{name} +{re.escape(command.get_short_help_str())}$", shown, re.MULTILINE)
        assert not command.get_short_help_str().endswith("..."), name


def test_help_lists_all_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from fastrec.cli import main\n"
        "main(['train', '--help']); main(['--help'])\n"
        "heavy = {'numba', 'sklearn', 'scipy', 'numpy', 'matplotlib', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version(run):
    assert run("--version") == (0, f"fastrec {fr.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["train", "ratings.csv"],
        ["train", "missing.csv", "-o", "m.fastrec"],
        ["train", "ratings.csv", "-o", "no/such/folder/m.fastrec"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--factors", "0"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--factors", "many"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--alpha", "0"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--value-column", "rating", "--values", "binary"],
        ["recommend", "ratings.fastrec"],
        ["recommend", "ratings.fastrec", "--user", "1", "--all"],
        ["recommend", "ratings.fastrec", "--user", "1", "--format", "xml"],
        ["recommend", "ratings.fastrec", "--user", "1", "-k", "0"],
        ["similar", "ratings.fastrec"],
        ["evaluate", "ratings.fastrec"],
        ["evaluate", "ratings.csv", "-m", "ndgc@10"],
        ["evaluate", "ratings.csv", "-m", ","],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("fastrec: ")
    assert len(err.splitlines()) == 1
    assert "--help" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "ratings.csv", "--user", "1"], "ratings.csv"),
        (["train", "ratings.csv", "-o", "m.fastrec", "--user-column", "nobody"], "nobody"),
        (["train", "ratings.csv", "-o", "m.fastrec", "--min-value", "99"], "no interactions left"),
        (["similar", "ratings.fastrec", "--item", "77"], "77"),
    ],
)
def test_a_failure_is_one_line_and_code_1(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_debug_shows_the_traceback(run):
    code, _, err = run("--debug", "recommend", "ratings.csv", "--user", "1")
    assert code == 1
    assert "Traceback" in err


def test_the_real_process_has_the_same_exit_codes(folder):
    assert in_process_of_its_own("recommend", "ratings.fastrec", "-u", 1, cwd=folder).returncode == 0
    assert in_process_of_its_own("recommend", "ratings.fastrec", "-u", 999, cwd=folder).returncode == 1
    assert in_process_of_its_own("recommend", cwd=folder).returncode == 2


def test_the_installed_command_is_there():
    found = shutil.which("fastrec", path=os.path.dirname(sys.executable))
    assert found, "the entry point is installed beside python"
    assert subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "fastrec "
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_leaves_early_is_no_error(folder):
    process = subprocess.Popen(
        [*FASTREC, "recommend", "ratings.fastrec", "--all", "-k", "20", "--format", "csv"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    said = process.stderr.read().splitlines()
    assert all(re.fullmatch(rb"(loading|recommending).*: \d+ s", line) for line in said)  # seconds on a busy machine
    process.stderr.close()
    assert process.wait(60) in (0, 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_is_quiet(folder):
    process = subprocess.Popen(
        [*FASTREC, "recommend", "ratings.fastrec", "--users-from", "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.set_blocking(process.stdin.fileno(), False)
    with contextlib.suppress(BlockingIOError):
        while True:  # until the pipe is full
            os.write(process.stdin.fileno(), b"1\n" * 2000)
    assert select.select([], [process.stdin], [], 120)[1], "it reads ids, and waits for more"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err.strip() == b""


def test_a_warning_is_a_line_without_a_place_in_the_code(run, tmp_path):
    (tmp_path / "r.csv").write_text("user,item,value\n1,10,4\n1,11,5\n2,10,3\n2,12,2\n3,11,1\n1,10,5\n")
    ended = in_process_of_its_own("train", "r.csv", "-o", "m.fastrec", "-f", "2", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "warning" in line.lower()]
    assert line.startswith("fastrec: warning: 1 pair of a user and an item")
    assert "--duplicates sum" in line
    said = run("train", tmp_path / "r.csv", "-o", tmp_path / "m.fastrec", "-f", "2", "--duplicates", "sum")[2]
    assert "fastrec: warning" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "ratings.fastrec", "-o", "x.fastrec"], "ratings.fastrec is a model by its name: give a table"),
        (
            ["train", "ratings.csv", "-o", "x.fastrec", "--model", "EASE", "--budget", "5s"],
            "--budget: belongs to the contest of models",
        ),
        (
            ["train", "ratings.csv", "-o", "x.fastrec", "-f", "4", "--validation", "last"],
            "--validation: belongs to the contest of models",
        ),
        (["evaluate", "ratings.csv", "--fraction", "0"], "must be above 0 and below 1, got 0"),
        (["search", "ratings.csv", "--option", "factors=4", "--fraction", "1"], "must be above 0 and below 1, got 1"),
        (["recommend", "ratings.fastrec", "--user", "1", "--allow", ""], "--allow: must name at least one item"),
        (["recommend", "ratings.fastrec", "--user", "1", "--deny", "@no.txt"], "fastrec: no.txt: "),
        (["recommend", "ratings.fastrec", "--history", " , "], "--history: must name at least one item"),
        (["recommend", "ratings.fastrec", "--all", "-o", "x.txt"], "must end in .parquet or .csv, got x.txt"),
        (["recommend", "ratings.fastrec", "--all", "-o", "no/x.csv"], "there is no folder no"),
        (["export", "ratings.fastrec", "history", "-o", "no/x.csv"], "there is no folder no"),
        (["export", "ratings.fastrec", "nonsense", "-o", "x.csv"], "'nonsense' is not one of"),
        (
            ["forget", "ratings.fastrec", "--user", "abc"],
            "the model's user ids are integers: give an integer, got 'abc'",
        ),
        (["recommend", "ratings.fastrec", "--user", "1", "-k", "0"], "'-k'"),
    ],
)
def test_contradictory_options_are_refused_in_the_words_of_the_command_line(run, arguments, said):
    code, out, err = run(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert said in err
    for strange in ("Errno", "Value error", "Input should be", "invalid literal", "codec can't"):
        assert strange not in err
    assert not os.path.exists("x.fastrec")


def test_a_model_without_users_is_asked_by_histories(run, tmp_path):
    shipped = tmp_path / "shipped.fastrec"
    assert run("strip", "ratings.fastrec", "-o", shipped)[0] == 0
    for asked in (["--all"], ["--user", "1"]):
        code, out, err = run("recommend", shipped, *asked)
        assert (code, out) == (1, "")
        assert "give a history with --history ITEM,…" in err
    assert run("recommend", shipped, "--history", "10,20", "-k", 3)[0] == 0
