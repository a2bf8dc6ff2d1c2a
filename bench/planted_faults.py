"""Plants mistakes that a person could make into the code, one at a time, and runs the tests that are to notice each.

    python bench/planted_faults.py                            # all of them, about half an hour of processor time
    python bench/planted_faults.py --only updates halved      # those of these groups, or with this in their names
    python bench/planted_faults.py --unchanged                # the same tests on the code as it is: all must pass

The faults are written by hand, in the groups of `bench/planted/*.toml`: the file, the text that is there, the text in
its place, why answers are wrong then, and the tests to run. A fault that no test notices says so in `escapes`, with the
reason; any other unnoticed fault makes the script fail. So does a fault whose text is no longer in its file.

A copy of the tracked files gets the faults. Each run of tests is forked from a process that has imported the libraries,
which Windows cannot do.
"""

import argparse
import ast
import compileall
import contextlib
import multiprocessing
import os
import py_compile
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLES = Path(__file__).parent / "planted"
SECONDS = 60  # seconds of processor time that the tests of one fault may take, with all kernels compiled
MOST_SECONDS = 600  # seconds on the clock after which tests are ended: the fault has made them hang
LIBRARIES = ["numpy", "scipy.sparse", "numba", "sklearn.utils.estimator_checks", "hypothesis", "pytest", "narwhals"]
CAUGHT, ESCAPED, HUNG, BROKEN = "caught", "escaped", "hung", "broken"
FAILED = 1  # pytest's exit code if a test has failed; other codes say that it could not run the tests


@dataclass(frozen=True)
class Fault:
    """A mistake in one file, and the tests that are to notice it."""

    group: str
    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]
    escapes: str = ""

    @property
    def in_kernels(self) -> bool:
        return self.file.startswith("src_numba/")

    def applied(self, source: str) -> str:
        """Returns the source with the fault in it.

        Raises
        ------
        ValueError
            Where the old text is not there exactly once, or what comes of it is no Python.
        """
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"{self.group}, {self.name}: the old text is {found} times in {self.file}, wanted once")
        if self.old == self.new:
            raise ValueError(f"{self.group}, {self.name}: the new text is the old one")
        changed = source.replace(self.old, self.new)
        ast.parse(changed)
        return changed


@dataclass(frozen=True)
class Outcome:
    """The result of a fault's tests."""

    fault: Fault
    verdict: str
    seconds: float  # seconds of processor time
    by: str = ""  # the test that failed


def read_faults(words: list[str] | None = None) -> list[Fault]:
    """Reads all faults, or those of the groups that `words` name, and those with one of the words in their names."""
    faults = []
    for table in sorted(TABLES.glob("*.toml")):
        for entry in tomllib.loads(table.read_text(encoding="utf-8"))["fault"]:
            entry["tests"] = tuple(entry["tests"])
            faults.append(Fault(table.stem, **entry))
    if not words:
        return faults
    return [fault for fault in faults if any(word == fault.group or word in fault.name for word in words)]


# -- the copy, and the runs in it


def copy_tree(folder: Path) -> Path:
    """Copies the tracked files, each with its compiled form, which Python checks against its source."""
    files = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for part in ("fastrec", "src_numba", "tests", "bench"):
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / part, quiet=2, invalidation_mode=mode)
    return folder


@contextlib.contextmanager
def planted(fault: Fault, tree: Path) -> Iterator[None]:
    """Puts the fault into the tree for the time of the context."""
    file = tree / fault.file
    source = file.read_text(encoding="utf-8")
    file.write_text(fault.applied(source), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(source, encoding="utf-8")


def run_tests(tree: Path, tests: tuple[str, ...], kernels: str, said: Path) -> None:
    """Runs tests in a tree; their output goes to a file. The process ends with pytest's exit code."""
    import pytest

    with open(said, "w", encoding="utf-8") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    if kernels:
        os.environ["NUMBA_CACHE_DIR"] = kernels
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(tree))
    arguments = ["-x", "-q", "--tb=line", "-rf", "-p", "no:cacheprovider", "-p", "no:xdist"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that were imported before
    code = pytest.main([*arguments, *tests])
    print(f"\nseconds {sum(os.times()[:4]):.1f}", flush=True)  # of the process and its children
    os._exit(code)


def judge(fault: Fault, tree: Path, kernels: str, unchanged: bool = False) -> Outcome:
    """Runs a fault's tests with the fault in the tree, or without it."""
    said = tree / "said.txt"
    context = multiprocessing.get_context("forkserver")
    with contextlib.nullcontext() if unchanged else planted(fault, tree):
        process = context.Process(target=run_tests, args=(tree, fault.tests, kernels, said))
        process.start()
        process.join(MOST_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            return Outcome(fault, HUNG, MOST_SECONDS)
    lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
    seconds = next((float(line.split()[1]) for line in lines if line.startswith("seconds ")), 0.0)
    by = next((line.split()[1] for line in lines if line.startswith("FAILED ")), "")
    code = process.exitcode or 0
    if code < 0:  # a signal: the fault has crashed a kernel, which no test could miss
        return Outcome(fault, CAUGHT, seconds, f"signal {-code}")
    if code == FAILED and by:
        return Outcome(fault, CAUGHT, seconds, by)
    return Outcome(fault, BROKEN if code else ESCAPED, seconds, " ".join(lines[-3:])[-300:] if code else "")


def judge_all(faults: list[Fault], jobs: int, unchanged: bool) -> Iterator[Outcome]:
    """Returns the outcomes of all faults, by as many processes as there are jobs, each with a copy of its own.

    Compiled kernels are found where they were; those with a fault are kept in a temporary folder.
    """
    waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for fault in faults:
        waiting.put(fault)

    def work(folder: Path) -> None:
        tree = copy_tree(folder / "tree")
        while not waiting.empty():
            fault = waiting.get()
            kernels = str(folder / "kernels") if fault.in_kernels and not unchanged else ""
            done.put(judge(fault, tree, kernels, unchanged))

    multiprocessing.get_context("forkserver").set_forkserver_preload(LIBRARIES)
    with tempfile.TemporaryDirectory(prefix="fastrec-planted-") as base:
        for number in range(jobs):
            threading.Thread(target=work, args=(Path(base, str(number)),), daemon=True).start()
        for _ in faults:
            yield done.get()


def is_as_it_should_be(outcome: Outcome, unchanged: bool) -> bool:
    """Tells whether a fault was noticed, or escaped as its table says; or the tests of the unchanged code passed."""
    if unchanged:
        return outcome.verdict == ESCAPED
    return outcome.verdict == ESCAPED if outcome.fault.escapes else outcome.verdict in (CAUGHT, HUNG)


def summarize(outcomes: list[Outcome]) -> str:
    """Returns the number of noticed faults, and the tests that took too long."""
    noticed = sum(outcome.verdict in (CAUGHT, HUNG) for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    slow = [outcome.fault.name for outcome in outcomes if outcome.seconds > SECONDS]
    said = f"{noticed} of {len(outcomes)} noticed; {seconds:.0f} s of processor time"
    return f"{said}; beyond {SECONDS} s each: {', '.join(slow) or 'none'}"


def main() -> int:
    """Plants the faults that the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="groups, or parts of names")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    parser.add_argument("--unchanged", action="store_true", help="run the tests without the faults")
    options = parser.parse_args()
    faults = read_faults(options.only)
    for fault in faults:
        fault.applied((ROOT / fault.file).read_text(encoding="utf-8"))
    if options.unchanged:
        faults = list({fault.tests: fault for fault in faults}.values())
    outcomes, failed = [], False
    for outcome in judge_all(faults, options.jobs, options.unchanged):
        outcomes.append(outcome)
        is_right = is_as_it_should_be(outcome, options.unchanged)
        failed |= not is_right
        named = f"{outcome.fault.group}: {outcome.fault.name}  {outcome.by}"
        print(f"{'ok' if is_right else '!!'} {outcome.verdict:8} {outcome.seconds:5.1f} s  {named}", flush=True)
    print(summarize(outcomes))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
