"""How fast `fastrec serve` is: requests a second and their latencies, measured from outside by a plain asyncio client.

    python bench/serving.py [--seconds 5] [--connections 16] [--workers 1] [--output bench/results/serving.json]

The client runs beside the server on the same cores, as wrk would; it speaks HTTP/1.1 over kept-alive sockets and does
as little as it can (a request is bytes made before, an answer is read up to its length). Loads 127.0.0.1 alone.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

import fastrec as fr
from fastrec.data import Interactions

N_USERS, N_ITEMS, FACTORS = 60_000, 50_000, 64


def make_model(path):
    """A model of 50 000 items with popularity and tastes as real ones have them."""
    rng = np.random.default_rng(0)
    tastes = rng.integers(0, 50, N_USERS)
    homes = rng.permutation(N_ITEMS).reshape(50, -1)
    places = (rng.pareto(1.0, (N_USERS, 50)) * 60).astype(int)
    own = homes[tastes[:, None], places % homes.shape[1]]
    anywhere = homes.T.ravel()[places * 7 % N_ITEMS]
    items = np.where(rng.random((N_USERS, 50)) < 0.7, own, anywhere)
    users = np.repeat(np.arange(N_USERS), 50)
    data = Interactions(users, items.ravel(), users=np.arange(N_USERS), items=np.arange(N_ITEMS), duplicates="max")
    fr.ImplicitALS(factors=FACTORS, iterations=6, random_state=0).fit(data).save(path)


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
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw


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


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--output", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.fastrec"
        make_model(path)
        arguments = (path, "--journal", Path(folder) / "events.db", "--workers", given.workers)
        Serving(*arguments).stop()  # kernels compiled, files in the page cache
        server = Serving(*arguments)
        before = server.memory()
        results = {"start_to_ready_s": round(server.ready_after, 2), "load_before": os.getloadavg()}
        for name, make, weight in (
            ("recommend", singles, 1),
            ("batch of 64, users", batches, 64),
            ("recommend, with one event for ten", mixed, 1),
            ("events, single", events(1), 1),
            ("events, batches of 500", events(500), 500),
        ):
            if name.startswith("events, single"):
                few = measure(server, make, given.connections * 4, given.seconds, weight, given.repeats)
            else:
                few = measure(server, make, given.connections, given.seconds, weight, given.repeats)
            results[name] = few
            print(f"{name:36}", few, flush=True)
        results["private_memory_mb"] = [round(before, 1), round(server.memory(), 1)]
        results["load_after"] = os.getloadavg()
        server.stop()
    results["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(), "workers": given.workers}
    print(json.dumps(results, indent=1))
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
