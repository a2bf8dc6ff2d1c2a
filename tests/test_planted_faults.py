"""The table of planted faults stays valid: each can be put into the present code, and its tests exist."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bench.planted_faults import ROOT, Fault, read_faults

FAULTS = read_faults()
named = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.group}-{fault.name.replace(' ', '_')}")


@named
def test_a_fault_is_that_of_the_code_as_it_is(fault):
    fault.applied((ROOT / fault.file).read_text(encoding="utf-8"))
    assert fault.why


@named
def test_its_tests_are_there(fault):
    files = [ROOT / word for word in fault.tests if word.startswith("tests/")]
    assert files
    assert all(file.is_file() for file in files)
    # A selection by words selects something in these files: a function, or a parameter.
    words = " ".join(fault.tests[fault.tests.index("-k") + 1 :]) if "-k" in fault.tests else ""
    found = "\n".join(file.name + file.read_text(encoding="utf-8") for file in files).lower()
    wanted = [word for word in re.findall(r"\w+", words) if word not in ("and", "or", "not")]
    assert not wanted or any(word.lower() in found for word in wanted)


def test_there_are_enough_of_those_that_matter():
    assert max(Counter((fault.group, fault.name) for fault in FAULTS).values()) == 1
    counts = Counter(fault.group for fault in FAULTS)
    core = counts["bounds"] + counts["updates"] + counts["stopping"] + counts["identity"]
    assert len(FAULTS) >= 200
    assert 2 * core >= len(FAULTS)


def test_a_fault_whose_text_is_gone_is_an_error():
    fault = Fault("group", "name", "file.py", "x = 1", "x = 2", "why", ("tests/test_import.py",))
    assert fault.applied("x = 1\n") == "x = 2\n"
    for source in ("y = 1\n", "x = 1\nx = 1\n"):
        with pytest.raises(ValueError, match=r"the old text is \d times in file.py, wanted once"):
            fault.applied(source)
    with pytest.raises(SyntaxError):
        Fault("group", "name", "file.py", "x = 1", "x = (", "why", ()).applied("x = 1\n")


def test_each_group_says_what_it_is_about():
    for table in sorted(Path(ROOT, "bench", "planted").glob("*.toml")):
        assert table.read_text(encoding="utf-8").startswith("# ")
