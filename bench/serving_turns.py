"""Runs an older fastrec's server and this one's in turns, by wrk, beside servers that only say hello.

    python bench/serving_turns.py /path/to/older/.venv/bin/python [--turns 5] [--seconds 3] [--connections 16]

The older fastrec is a checkout of its own, with its own environment. The cost of a request depends on the machine
and on what else runs there. The ratios of its costs in two versions, and to the cost of a hello, depend on these
little. All servers are asked one after the other, again and again, and the medians of the turns are compared.
Figures go to bench/results/serving_turns.json, from which `python bench/report.py` makes a table of
docs/reference/serving.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE
from serving import CASES, Serving, Started, prepare_by_wrk, singles, write

UNITS = {name: unit for name, _, _, unit in CASES}
HELLOS = {"a hello of uvicorn": "asgi", "a hello of asyncio's protocol": "protocol"}


def measure_once(server, make, connections, seconds, weight):
    """Measures one turn of one server."""
    run = prepare_by_wrk(server, make, connections, seconds)
    computed = server.cpu_seconds()
    found = run()
    asked = max(1, found["requests"]) * weight
    return {
        "per_second": asked / found["seconds"],
        "p99_ms": found["p99_ms"],
        "server_cpu_us": (server.cpu_seconds() - computed) / asked * 1e6,
        "failures": found["failures"],
    }


def measure_turns(servers, given):
    """Measures the turns of all servers, by case and server."""
    cases = [case for case in CASES if case[0] in given.only]
    versions = {label: server for label, server in servers.items() if label not in HELLOS}
    hellos = {label: servers[label] for label in HELLOS}
    turns = {}
    # Case by case: once users have events, they are answered by their histories.
    for (name, make, weight, _), asked in [
        *((case, versions) for case in cases),
        (("a hello", singles, 1, ""), hellos),
    ]:
        connections = given.connections * (4 if "one at a time" in name else 1)
        for label, server in [*asked.items()] * given.turns:
            run = measure_once(server, make, connections, given.seconds, weight)
            turns.setdefault(name, {}).setdefault(label, []).append(run)
            print(f"{name:36} {label:30}", run, flush=True)
    return turns


def middle(runs):
    """Returns the medians of some turns."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def records_of(turns):
    """Returns the rows of the table."""
    rows = []
    for case, by_server in turns.items():
        for label, runs in by_server.items():
            found, each = middle(runs), sorted(run["server_cpu_us"] for run in runs)
            rows.append({
                "what": label if label in HELLOS else f"{case}, {label}",
                "processor time of the server": f"{found['server_cpu_us']:.1f} µs {UNITS.get(case, 'each')} "
                f"({each[0]:.1f} to {each[-1]:.1f})",
                "answers": f"{found['per_second']:,.0f}/s, p99 {found['p99_ms']:.2f} ms",
            })  # fmt: skip
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("older", type=Path, help="the Python of the environment of an older fastrec")
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--only", nargs="*", default=[name for name, *_ in CASES])
    given = options.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder, servers = Path(name), {}
        # The older version makes the model; the newer one reads its files, too.
        make = "import sys; from serving import make_model; make_model(sys.argv[1])"
        bench = given.older.absolute().parents[2] / "bench"
        subprocess.run([given.older, "-c", make, folder / "model.fastrec"], cwd=bench, check=True)
        for label, python in (("before", given.older), ("now", sys.executable)):
            journal = folder / f"{label}.db"
            servers[label] = Serving(folder / "model.fastrec", "--journal", journal, python=python)
        servers |= {label: Started([sys.executable, HERE / "hello.py", kind]) for label, kind in HELLOS.items()}
        turns = measure_turns(servers, given)
        for server in servers.values():
            server.stop()
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h"], cwd=given.older.parent, capture_output=True, text=True
    ).stdout.strip()
    title = (
        f"before: commit {commit}; medians of {given.turns} turns of {given.seconds:g} s, in brackets the least and "
        f"the most of them, load average before {load:.1f}"
    )
    write("serving_turns", {"title": title, "records": records_of(turns), "results": {"turns": turns}})


if __name__ == "__main__":
    main()
