"""Measures the speed of `fastrec serve`: requests a second and latencies, from outside, by wrk or else by asyncio.

    python bench/serving.py [--seconds 5] [--repeats 3] [--connections 16] [--workers 1]
    python bench/serving.py --minutes 10      # memory under load instead, with one worker and with two

The client runs beside the server on the same cores, over kept-alive sockets: wrk (https://github.com/wg/wrk, a package
of Debian) with one thread where it is installed. Else it is a plain asyncio client, which takes several times as much
of the processor. Requests are bytes made beforehand. Only 127.0.0.1 is loaded.
Figures go to bench/results/serving.json and serving-memory.json, from which `python bench/report.py` makes the tables
of docs/reference/serving.md.
"""

import argparse
import asyncio
import http.client
import json
import math
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from run import HERE, machine
from scipy.stats import theilslopes

import fastrec as fr
from fastrec.data import Interactions

N_USERS, N_ITEMS, FACTORS = 60_000, 50_000, 64
WRK = shutil.which("wrk")
# The requests that wrk is given for each second, more than a server answers; and the bytes of all of them together.
WRK_REQUESTS, WRK_BYTES = 20_000, 64 << 20


def make_model(path, n_users=N_USERS, events=50, iterations=6):
    """Makes a model of 50 000 items whose popularity and factors are spread as in real data."""
    rng = np.random.default_rng(0)
    tastes = rng.integers(0, 50, n_users)
    homes = rng.permutation(N_ITEMS).reshape(50, -1)
    places = (rng.pareto(1.0, (n_users, events)) * 60).astype(int)
    own = homes[tastes[:, None], places % homes.shape[1]]
    anywhere = homes.T.ravel()[places * 7 % N_ITEMS]
    items = np.where(rng.random((n_users, events)) < 0.7, own, anywhere)
    users = np.repeat(np.arange(n_users), events)
    data = Interactions(users, items.ravel(), users=np.arange(n_users), items=np.arange(N_ITEMS), duplicates="max")
    fr.ImplicitALS(factors=FACTORS, iterations=iterations, random_state=0).fit(data).save(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Started:
    """A server in processes of its own."""

    def __init__(self, command):
        self.port = free_port()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*map(str, command), "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit("the server ended")
            time.sleep(0.005)
        self.ready_after = time.perf_counter() - self.began

    def is_ready(self):
        """Tells whether the server answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def family(self):
        """Returns the ids of the process and its children."""
        family = [self.process.pid]
        for pid in family:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            family += map(int, children.read_text().split()) if children.exists() else []
        return family

    def memory(self):
        """Returns the megabytes of all processes that belong to no file: what a worker needs beside a mapped model."""
        lines = [line for pid in self.family() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

    def cpu_seconds(self):
        """Sums the processor time of the processes: on a machine with other work it says more than the
        clock.
        """
        total = 0
        for pid in self.family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Ends the server with SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Serving(Started):
    """A server of this fastrec, or of the environment of another Python."""

    def __init__(self, *arguments, python=sys.executable):
        # Without -P the fastrec of the working directory would be taken, whichever environment runs.
        super().__init__([python, "-P", "-m", "fastrec.cli", "serve", *arguments])


def request(path, body):
    raw = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw


class Connection(asyncio.Protocol):
    """Sends requests one after the other for as long as it is told to."""

    def __init__(self, requests, until, latencies, failures, done):
        self.requests, self.until, self.latencies, self.failures, self.done = requests, until, latencies, failures, done
        self.buffer = b""

    def connection_made(self, transport):
        """Keeps the transport."""
        self.transport = transport
        self.send()

    def send(self):
        """Sends the next request."""
        self.sent = time.perf_counter()
        if self.sent > self.until:
            self.transport.close()
            return
        self.transport.write(next(self.requests))

    def data_received(self, data):
        """Takes a part of an answer."""
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self.buffer.lower().find(b"content-length: ") + 16
        length = int(self.buffer[start : self.buffer.find(b"\r", start)])
        if len(self.buffer) < head + 4 + length:
            return
        self.latencies.append(time.perf_counter() - self.sent)
        if self.buffer[9:12] != b"200":
            self.failures.append(self.buffer[:400])
        self.buffer = b""
        self.send()

    def connection_lost(self, error):
        """Notes the end of the connection."""
        if not self.done.done():
            self.done.set_result(None)


async def load(port, make, connections, seconds):
    latencies, failures, waiting = [], [], []
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    for number in range(connections):
        done = loop.create_future()
        waiting.append(done)
        requests = make(number)
        await loop.create_connection(
            lambda r=requests, d=done: Connection(r, until, latencies, failures, d), "127.0.0.1", port
        )
    await asyncio.gather(*waiting)
    return latencies, failures


def _load_in_process(queue, *arguments):
    try:
        import uvloop

        queue.put(uvloop.run(load(*arguments)))
    except ImportError:
        queue.put(asyncio.run(load(*arguments)))


def prepare_by_asyncio(server, make, connections, seconds):
    """Prepares a run of the asyncio client in a process of its own."""

    def run():
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        client = context.Process(target=_load_in_process, args=(queue, server.port, make, connections, seconds))
        client.start()
        latencies, failures = queue.get()
        client.join()
        p50, p99 = np.percentile(np.array(latencies) * 1000, (50, 99))
        found = {"requests": len(latencies), "seconds": seconds, "p50_ms": p50, "p99_ms": p99}
        return {**found, "failures": len(failures)}

    return run


def prepare_by_wrk(server, make, connections, seconds):
    """Prepares a run of wrk: its requests are in a file, those of all connections in turn."""
    clients = [make(number) for number in range(connections)]
    file = Path(tempfile.mkdtemp()) / "requests"
    with file.open("wb") as out:
        size = count = 0
        while size < WRK_BYTES and count < WRK_REQUESTS * seconds:
            raw = next(clients[count % connections])
            size, count = size + out.write(b"%d\n%b" % (len(raw), raw)), count + 1
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "-s", HERE / "wrk.lua"]
    command += [f"http://127.0.0.1:{server.port}", "--", file]

    def run():
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        shutil.rmtree(file.parent)
        return json.loads(said.strip().splitlines()[-1])

    return run


def measure(server, make, connections, seconds, weight=1, repeats=3):
    """Returns the best of some runs."""
    best = None
    for _ in range(repeats):
        begin = (prepare_by_wrk if WRK else prepare_by_asyncio)(server, make, connections, seconds)
        computed = server.cpu_seconds()
        found = begin()
        run = {
            "per_second": round(found["requests"] / found["seconds"] * weight),
            "p50_ms": round(float(found["p50_ms"]), 2),
            "p99_ms": round(float(found["p99_ms"]), 2),
            "server_cpu_us": round((server.cpu_seconds() - computed) / max(1, found["requests"] * weight) * 1e6),
            "failures": found["failures"],
        }
        if best is None or run["per_second"] > best["per_second"]:
            best = run
    return best


def singles(number):
    rng = np.random.default_rng(number)
    ready = [request("/recommend", {"user": int(user), "k": 10}) for user in rng.integers(0, N_USERS, 2000)]
    while True:
        yield from ready


def batches(number):
    rng = np.random.default_rng(number)
    ready = [request("/batch", {"users": rng.integers(0, N_USERS, 64).tolist(), "k": 10}) for _ in range(100)]
    while True:
        yield from ready


def events(size):
    def make(number):
        rng = np.random.default_rng(number)
        n = 0
        while True:
            rows = [
                {"user": int(user), "item": int(item), "id": f"{os.getpid()}-{number}-{n}-{place}-{time.time_ns()}"}
                for place, (user, item) in enumerate(rng.integers(0, N_ITEMS, (size, 2)).tolist())
            ]
            n += 1
            yield request("/events", {"events": rows})

    return make


def mixed(number):
    """Mixes one event with every ten recommendations: users ask right after their event."""
    rng = np.random.default_rng(number)
    while True:
        user = int(rng.integers(0, N_USERS))
        yield request("/events", {"events": [{"user": user, "item": int(rng.integers(0, N_ITEMS))}]})
        for _ in range(10):
            yield request("/recommend", {"user": user, "k": 10})


CASES = (
    ("`/recommend`", singles, 1, "each"),
    ("`/batch` of 64 users", batches, 64, "a user"),
    ("`/recommend`, with one event for ten", mixed, 1, "each"),
    ("`/events`, one at a time", events(1), 1, "each"),
    ("`/events`, 500 at a time", events(500), 500, "an event"),
)


def measure_start(folder, workers, repeats=5):
    """Measures the time from start to ready of a large model, on a warm cache: the best of some starts."""
    path = folder / "large.fastrec"
    make_model(path, n_users=700_000, events=10, iterations=2)
    ready, computed, memory = [], [], []
    for _ in range(repeats + 1):  # the first start compiles missing kernels, and fills the page cache
        server = Serving(path, "--journal", folder / "start.db", "--workers", workers)
        ready.append(server.ready_after)
        computed.append(server.cpu_seconds())
        memory.append(server.memory())
        server.stop()
    return {
        "megabytes": round(path.stat().st_size / 1e6),
        "seconds": round(min(ready[1:]), 2),
        "server_cpu_s": round(min(computed[1:]), 2),
        "private_mb": round(memory[-1]),
    }


SIZES = ("Rss", "Pss", "Private")
EVERY = 10  # seconds between two samples of the memory
SETTLING = 120  # seconds after which the memory should not grow any more


def sizes_of(pid):
    """Returns a process's megabytes: resident, its share of shared memory, its own (Private_Clean + Private_Dirty)."""
    kilobytes = dict.fromkeys(SIZES, 0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        name = name.partition("_")[0] if name.startswith("Private_") else name
        if name in kilobytes and "Hugetlb" not in line:
            kilobytes[name] += int(rest.split()[0])
    return [value / 1024 for value in kilobytes.values()]


def watch_memory(folder, model, workers, minutes, connections):
    """Watches every process's memory under load: users ask and send events, which the model takes in every minute."""
    folder = folder / str(workers)
    folder.mkdir()
    server = Serving(
        model, "--journal", folder / "events.db", "--versions", folder / "versions", "--checkpoint-every", 60,
        "--workers", workers,
    )  # fmt: skip
    context = multiprocessing.get_context("fork")
    queue, seconds, samples = context.Queue(), minutes * 60, {pid: [] for pid in server.family()}
    client = context.Process(target=_load_in_process, args=(queue, server.port, mixed, connections, seconds))
    client.start()
    began, times = time.perf_counter(), []
    while len(times) * EVERY < seconds:
        time.sleep(max(0, began + (len(times) + 1) * EVERY - time.perf_counter()))
        times.append(time.perf_counter() - began)
        for pid, rows in samples.items():
            rows.append(sizes_of(pid))
    names = {pid: process_name(pid) for pid in samples}
    latencies, failures = queue.get()
    client.join()
    server.stop()
    late = np.array(times) > SETTLING
    records = []
    for pid, rows in samples.items():
        record = {"what": f"{names[pid]} {len(records) + 1} of {len(samples)}" if workers > 1 else names[pid]}
        for name, column in zip(SIZES, np.array(rows).T, strict=True):
            # Theil and Sen's slope: some samples fall into a checkpoint, which needs more memory for a second.
            growth = theilslopes(column[late], np.array(times)[late] / 60).slope
            between = f"{column[late].min():.0f} to {column[late].max():.0f}"
            record[f"{name}, MB"] = f"{column[0]:.0f} at first, then {between}, {growth:+.2f} a minute"
        records.append(record)
    return {
        "workers": workers, "answers": len(latencies), "failures": len(failures), "records": records,
        "seconds": times, "samples": {names[pid] + f" {pid}": rows for pid, rows in samples.items()},
    }  # fmt: skip


def measure_users(folder, model, users=40_000, asking=20_000):
    """Measures the private memory that a user with an event costs until the next new model, and the journal's size.

    Events of items that the model does not know are the journal's alone; then each user has one event, then some ask.
    """
    server = Serving(model, "--journal", folder / "users.db")
    line = http.client.HTTPConnection("127.0.0.1", server.port)

    def post(path, body):
        line.request("POST", path, json.dumps(body))
        answer = line.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.read()}")
        answer.read()

    def post_events(item):
        for start in range(0, users, 500):
            post("/events", {"events": [{"user": user, "item": item(user)} for user in range(start, start + 500)]})
        post("/recommend", {"user": 0})
        return private()

    def private():
        return sum(sizes_of(pid)[2] for pid in server.family())

    for user in range(500):  # the cost of the first questions is no part of it
        post("/recommend", {"user": user})
    before = private()
    journal = post_events(lambda user: N_ITEMS + user)
    had = post_events(lambda user: user * 7 % N_ITEMS)
    for user in range(asking):
        post("/recommend", {"user": user})
    asked = private()
    server.stop()
    return {
        "users": users,
        "journal_mb": journal - before,
        "bytes_a_user": (had - journal) / users * 2**20,
        "bytes_a_user_who_asked": (asked - had) / asking * 2**20,
    }


def process_name(pid):
    """Names the task of a process of the server."""
    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    if "resource_tracker" in words:
        return "multiprocessing's tracker"
    if "multiprocessing" in words:
        return "worker"
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return "parent of the workers" if children else "worker"


def records_of(results):
    """Returns the rows of the table."""
    cpu = "processor time of the server"
    rows = []
    for name, _, _, unit in CASES:
        run = results["rates"][name]
        measured = f"{run['per_second']:,}/s, median {run['p50_ms']} ms, p99 {run['p99_ms']} ms"
        measured += f", {run['failures']} failed" if run["failures"] else ""
        rows.append({"what": name, "measured": measured, cpu: f"{run['server_cpu_us']} µs {unit}"})
    start = results["start"]
    rows.append(
        {
            "what": f"start until ready, a model of {start['megabytes']} MB",
            "measured": f"{start['seconds']} s; {start['private_mb']} MB of memory that is no file's",
            cpu: f"{start['server_cpu_s']} s",
        }
    )
    return rows


def main():
    given = parse_numbers(__doc__, seconds=5.0, repeats=3, connections=16, workers=1, minutes=0)
    if not (WRK or given.minutes):
        print(
            "wrk is not installed (Debian's package wrk): the client is one of asyncio, which takes more of the machine"
        )
    with tempfile.TemporaryDirectory() as name:
        if given.minutes:
            write("serving-memory", memory(Path(name), given))
        else:
            write("serving", rates(Path(name), given))


def rates(folder, given):
    """Measures the requests a second, and the seconds until the server is ready."""
    results = {"load_before": os.getloadavg(), "workers": given.workers, "connections": given.connections}
    path = folder / "model.fastrec"
    make_model(path)
    results["start"] = measure_start(folder, given.workers)
    print("start", results["start"], flush=True)
    server = Serving(path, "--journal", folder / "events.db", "--workers", given.workers)
    before, results["rates"] = server.memory(), {}
    for what, make, weight, _ in CASES:
        # A single event waits for the disk: with more connections a commit has some events to take along.
        connections = given.connections * (4 if "one at a time" in what else 1)
        results["rates"][what] = measure(server, make, connections, given.seconds, weight, given.repeats)
        print(f"{what:40}", results["rates"][what], flush=True)
    results["private_memory_mb"] = [round(before, 1), round(server.memory(), 1)]
    server.stop()
    results["load_after"] = os.getloadavg()
    title = (
        f"{N_USERS:,} users and {N_ITEMS:,} items at {FACTORS} factors, k=10, seen items out; "
        f"{given.workers} worker{'s' if given.workers > 1 else ''}, {given.connections} connections (four times as "
        f"many for single events), {'wrk' if WRK else 'an asyncio client'} on the same machine, load average before "
        f"{results['load_before'][0]:.1f}"
    )
    return {"title": title, "records": records_of(results), "results": results}


def memory(folder, given):
    """Measures memory under load, by one worker and by two."""
    path, runs = folder / "model.fastrec", []
    make_model(path)
    for workers in (1, 2):
        runs.append(watch_memory(folder, path, workers, given.minutes, given.connections))
        print(
            runs[-1]["answers"],
            "answers,",
            runs[-1]["failures"],
            "failed",
            *runs[-1]["records"],
            sep="\n  ",
            flush=True,
        )
    users = measure_users(folder, path)
    print(users)
    asked = " and ".join(f"{run['answers']:,} answers ({run['failures']} failed)" for run in runs)
    title = (
        f"{given.minutes} minutes of load by {given.connections} connections, one event for ten recommendations, a "
        f"checkpoint each minute, every process looked at each {EVERY} seconds; a minute's growth is the slope after "
        f"the first {SETTLING // 60} minutes; {N_USERS:,} users and {N_ITEMS:,} items at {FACTORS} factors, a file of "
        f"{path.stat().st_size / 1e6:.0f} MB; {asked}"
    )
    records = [record for run in runs for record in run["records"]]
    return {"title": title, "records": records, "results": {"runs": runs, "users": users}}


def parse_numbers(doc, **defaults):
    """Parses options that are numbers, each of the type of its default; `doc` is the help."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        options.add_argument(f"--{name}", type=type(default), default=default, metavar=f"{default:g}")
    return options.parse_args()


def write(name, content):
    """Writes a file of results for a table of docs/reference/serving.md."""
    path = HERE / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    content = {"page": "reference/serving.md", "machine": machine(), **content}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
