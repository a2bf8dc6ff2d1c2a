"""How fast `fastrec serve` is: requests a second and their latencies, measured from outside by a plain asyncio client.

    python bench/serving.py [--seconds 5] [--connections 16] [--workers 1] [--minutes 10]

The client runs beside the server on the same cores, as wrk would; it speaks HTTP/1.1 over kept-alive sockets and does
as little as it can (a request is bytes made before, an answer is read up to its length). Loads 127.0.0.1 alone.
Figures go to bench/results/serving.json, from which `python bench/report.py` makes the table of docs/serving.md.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
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

import fastrec as fr
from fastrec.data import Interactions

N_USERS, N_ITEMS, FACTORS = 60_000, 50_000, 64


def make_model(path, n_users=N_USERS, events=50, iterations=6):
    """A model of 50 000 items with popularity and tastes as real ones have them."""
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


class Serving:
    """A server in processes of its own."""

    def __init__(self, *arguments):
        self.port = free_port()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastrec.cli", "serve", *map(str, arguments), "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit("the server ended")
            time.sleep(0.005)
        self.ready_after = time.perf_counter() - self.began

    def is_ready(self):
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def memory(self):
        """Resident megabytes of all processes, those of shared files apart."""
        total = 0.0
        family = [self.process.pid]
        for pid in family:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            family += map(int, children.read_text().split()) if children.exists() else []
            status = Path(f"/proc/{pid}/status").read_text()
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024
        return total

    def cpu_seconds(self):
        """What the processes have computed so far: on a machine with other work it says more than the clock."""
        total = 0
        family = [self.process.pid]
        for pid in family:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            family += map(int, children.read_text().split()) if children.exists() else []
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def request(path, body):
    raw = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw


class Connection(asyncio.Protocol):
    """Sends requests one after the other for as long as it is told to."""

    def __init__(self, requests, until, latencies, failures, done):
        self.requests, self.until, self.latencies, self.failures, self.done = requests, until, latencies, failures, done
        self.buffer = b""

    def connection_made(self, transport):
        """Begin."""
        self.transport = transport
        self.send()

    def send(self):
        """The next request."""
        self.sent = time.perf_counter()
        if self.sent > self.until:
            self.transport.close()
            return
        self.transport.write(next(self.requests))

    def data_received(self, data):
        """A part of an answer."""
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
        """The end."""
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


def measure(server, make, connections, seconds, weight=1, repeats=3):
    """The best of some runs, the client in a process of its own."""
    best = None
    for _ in range(repeats):
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        client = context.Process(target=_load_in_process, args=(queue, server.port, make, connections, seconds))
        computed = server.cpu_seconds()
        client.start()
        latencies, failures = queue.get()
        client.join()
        ms = np.array(latencies) * 1000
        run = {
            "per_second": round(len(ms) / seconds * weight),
            "p50_ms": round(float(np.percentile(ms, 50)), 2),
            "p99_ms": round(float(np.percentile(ms, 99)), 2),
            "server_cpu_us": round((server.cpu_seconds() - computed) / max(1, len(ms) * weight) * 1e6),
            "failures": len(failures),
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
    """One event for every ten recommendations: users ask right after what they did."""
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
    """Start to ready of a large model, on a warm cache: the best of some starts."""
    path = folder / "large.fastrec"
    make_model(path, n_users=700_000, events=10, iterations=2)
    ready, computed, memory = [], [], []
    for _ in range(repeats + 1):  # the first one compiles what is missing, and fills the page cache
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


def watch_memory(folder, model, given):
    """Private memory under load: users ask and send events, and the model takes these in every minute."""
    server = Serving(
        model, "--journal", folder / "watched.db", "--versions", folder / "versions", "--checkpoint-every", 60,
        "--workers", given.workers,
    )  # fmt: skip
    context = multiprocessing.get_context("fork")
    queue, seconds, samples = context.Queue(), given.minutes * 60, []
    arguments = (queue, server.port, mixed, given.connections, seconds)
    client = context.Process(target=_load_in_process, args=arguments)
    client.start()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        time.sleep(1)
        samples.append(server.memory())
    latencies, failures = queue.get()
    client.join()
    server.stop()
    by_minute = [round(float(np.median(samples[start : start + 60]))) for start in range(0, len(samples), 60)]
    return {
        "private_mb_by_minute": by_minute, "highest_mb": round(max(samples)), "answers": len(latencies),
        "failures": len(failures),
    }  # fmt: skip


def records_of(results):
    """The rows of the table."""
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
            "measured": f"{start['seconds']} s; {start['private_mb']} MB of memory beside the mapped file",
            cpu: f"{start['server_cpu_s']} s",
        }
    )
    if "memory" in results:
        memory = results["memory"]
        by_minute = ", ".join(map(str, memory["private_mb_by_minute"]))
        rows.append(
            {
                "what": f"memory under load, {len(memory['private_mb_by_minute'])} minutes, a checkpoint each minute",
                "measured": f"{by_minute} MB minute by minute (at most {memory['highest_mb']}); "
                f"{memory['answers']:,} answers, {memory['failures']} failed",
                cpu: "",
            }
        )
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--minutes", type=int, default=0, help="watch the memory under load for so long")
    options.add_argument("--output", type=Path, default=HERE / "results" / "serving.json")
    given = options.parse_args()
    results = {"load_before": os.getloadavg(), "workers": given.workers, "connections": given.connections}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.fastrec"
        make_model(path)
        results["start"] = measure_start(folder, given.workers)
        print("start", results["start"], flush=True)
        server = Serving(path, "--journal", folder / "events.db", "--workers", given.workers)
        before, results["rates"] = server.memory(), {}
        for what, make, weight, _ in CASES:
            # A single event waits for the disk: more connections, so that a commit has some to take along.
            connections = given.connections * (4 if "one at a time" in what else 1)
            results["rates"][what] = measure(server, make, connections, given.seconds, weight, given.repeats)
            print(f"{what:40}", results["rates"][what], flush=True)
        results["private_memory_mb"] = [round(before, 1), round(server.memory(), 1)]
        server.stop()
        if given.minutes:
            results["memory"] = watch_memory(folder, path, given)
            print("memory", results["memory"], flush=True)
    results["load_after"] = os.getloadavg()
    title = (
        f"{N_USERS:,} users and {N_ITEMS:,} items at {FACTORS} factors, k=10, seen items out; "
        f"{given.workers} worker{'s' if given.workers > 1 else ''}, {given.connections} connections (four times as "
        f"many for single events), the client on the same machine, load average before {results['load_before'][0]:.1f}"
    )
    content = {
        "title": title, "page": "serving.md", "machine": machine(), "records": records_of(results), "results": results,
    }  # fmt: skip
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
