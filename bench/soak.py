"""Soaks `fastrec serve`: load for a long time, processes killed at random, and every event counted at the end.

    python bench/soak.py [--minutes 30] [--workers 2] [--clients 4] [--seed 0]

Clients send events, each again until it is acknowledged, and ask for recommendations right after; the model takes the
events in every few seconds. Meanwhile a worker or the whole server is killed (SIGKILL). At the end the histories must
have each event once. Only 127.0.0.1 is loaded. Figures go to bench/results/soak.json; `python bench/report.py`
makes a table of docs/reference/serving.md.
"""

import contextlib
import http.client
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from faults import Server, data, model_file
from serving import parse_numbers, sizes_of, write

from fastrec.online import Updater, Versions, open_log

N_USERS, N_ITEMS = 300, 200
NAMES = {
    "200": "requests answered (an event and a question each time)",
    "no answer": "requests without an answer, as the server was down; an event is sent again",
    "events": "events acknowledged",
    "events sent again that were known": "events sent again that the journal had already",
}
EVERY = 10  # seconds between two samples of the memory


class Load:
    """The clients, and the events and answers that they have sent and seen.

    `sent` counts the events of each user and item, `seen` the answers by kind.
    """

    def __init__(self):
        self.server = None
        self.stopping = False
        self.sent = np.zeros((N_USERS, N_ITEMS))
        self.seen = Counter()
        self.lock = threading.Lock()

    def ask(self, path, body):
        """Returns the answer, or None if there is none, for example from a killed server."""
        try:
            status, answer = self.server.ask("POST", path, body)
        except (OSError, http.client.HTTPException, ValueError):
            self.count("no answer")
            return None
        self.count(f"{status}")
        return answer if status == 200 else None

    def count(self, what):
        with self.lock:
            self.seen[what] += 1

    def run(self, number):
        """Runs one client."""
        rng, n = random.Random(number), 0
        while not self.stopping:
            user, item = rng.randrange(N_USERS), rng.randrange(N_ITEMS)
            event, n = {"user": user, "item": item, "id": f"{number}-{n}"}, n + 1
            while (answer := self.ask("/events", {"events": [event]})) is None:
                time.sleep(0.05)
            with self.lock:
                self.sent[user, item] += 1
            self.count("events sent again that were known" if answer["known"] else "events")
            answer = self.ask("/recommend", {"user": user, "k": 50})
            if answer is not None and item in [row["item"] for row in answer["items"]]:
                self.count("lists without the event before")
            time.sleep(0.02)


def workers_of(pid):
    """Returns the processes that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def megabytes(pid):
    """Returns the resident memory of a server's processes, and the part of it that is not shared with files."""
    rows = []
    for one in [pid, *workers_of(pid)]:
        with contextlib.suppress(OSError, ValueError):
            rows.append(sizes_of(one))
    return sum(row[1] for row in rows)


def soak(folder, given):
    """Runs the load; returns the load, the kills, the memory by time, and whether the histories are right."""
    path, rng, load = model_file(folder), random.Random(given.seed), Load()
    arguments = [path, "--journal", folder / "events.db", "--versions", folder / "models", "--checkpoint-every", "5"]
    arguments += ["--workers", given.workers]
    load.server = Server(*arguments)
    clients = [threading.Thread(target=load.run, args=(number,)) for number in range(given.clients)]
    for client in clients:
        client.start()
    end, kills, memory = time.monotonic() + given.minutes * 60, Counter(), []
    began = next_kill = time.monotonic()
    while time.monotonic() < end:
        time.sleep(EVERY)
        memory.append((round(time.monotonic() - began), round(megabytes(load.server.process.pid))))
        if time.monotonic() < next_kill:
            continue
        next_kill = time.monotonic() + rng.uniform(20, 60)
        workers = [pid for pid in workers_of(load.server.process.pid) if is_worker(pid)]
        if workers and rng.random() < 0.5:
            kills["a worker"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
        else:
            kills["the server"] += 1
            load.server.kill()
            time.sleep(1)
            load.server = Server(*arguments, port=load.server.port)
    load.stopping = True
    for client in clients:
        client.join()
    log = load.server.stop()
    with contextlib.closing(open_log(folder / "events.db")) as journal:
        snapshot = Updater(Versions(folder / "models"), journal).snapshot
        rows = np.zeros((N_USERS, N_ITEMS))
        for user in range(N_USERS):
            row = snapshot.history(user)
            rows[user, row.codes] = row.values
    wrong = int(np.count_nonzero(rows != data(N_USERS, N_ITEMS).matrix.toarray() + load.sent))
    return load, kills, memory, wrong, log.count("Traceback")


def is_worker(pid):
    """Tells whether a process answers requests."""
    with contextlib.suppress(OSError):
        return "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text()
    return False


def main():
    given = parse_numbers(__doc__, minutes=30.0, workers=2, clients=4, seed=0)
    with tempfile.TemporaryDirectory() as name:
        load, kills, memory, wrong, tracebacks = soak(Path(name), given)
    rows = [("killed", ", ".join(f"{what} {n} times" for what, n in sorted(kills.items())))]
    rows += [(NAMES.get(what, what), f"{n:,}") for what, n in sorted(load.seen.items())]
    rows.append(("users and items whose count is not that of what was acknowledged", f"{wrong}"))
    rows.append(("tracebacks in the log of the last server", f"{tracebacks}"))
    third = max(1, len(memory) // 3)
    first, last = (np.median([size for _, size in part]) for part in (memory[:third], memory[-third:]))
    rows.append(("memory of all processes, MB", f"median {first:.0f} in the first third, {last:.0f} in the last"))
    title = f"{given.minutes:g} minutes, {given.workers} workers, {given.clients} clients, a checkpoint each 5 seconds"
    print(title, *rows, sep="\n  ", flush=True)
    records = [{"what": what, "found": found} for what, found in rows]
    write("soak", {"title": title, "records": records, "results": {"memory": memory, "seen": load.seen}})
    raise SystemExit(f"{wrong} counts are wrong" if wrong else 0)


if __name__ == "__main__":
    main()
