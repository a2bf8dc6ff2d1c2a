"""Brings about real faults, and shows as a table how `fastrec serve` behaves under each of them.

    python bench/faults.py [--quick] [--only NAME …] [--journal postgresql://…] [--output bench/results/faults.md]

Processes, files and signals are real, unless a row says otherwise. Only 127.0.0.1 is loaded, for a bounded time.
With a journal in PostgreSQL each fault has its own schema there, and faults that concern files alone are left out.
"""

import argparse
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fastrec as fr
from fastrec.data import Interactions
from fastrec.online import Journal, Updater, Versions, open_log
from fastrec.online.admission import Admission
from fastrec.online.versions import Marks

ROWS = []
DATABASE = None  # the address of a PostgreSQL database if the journals are to be in one


def journal_in(folder):
    """Returns the address of a fault's own journal."""
    if DATABASE is None:
        return str(folder / "events.db")
    import psycopg

    schema = folder.name.replace("-", "_").lower()
    with psycopg.connect(DATABASE, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return f"{DATABASE}{'&' if '?' in DATABASE else '?'}options=-csearch_path%3D{schema}"


class Server:
    """A server in a process of its own."""

    def __init__(self, *arguments, limit=None, port=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = port or probe.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastrec.cli", "serve", *map(str, arguments), "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            preexec_fn=limit,
        )
        self.wait(lambda: self.ask("GET", "/readyz")[1]["status"] == "ready")

    def wait(self, true, seconds=600):
        """Waits until a condition is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise SystemExit(f"the server ended: {self.log.read()[-2000:]}")
            try:
                if true():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("it took too long")

    def ask(self, method, path, body=None, headers=None):
        """Returns the status and the answer."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body)
            line.request(method, path, raw, headers or {})
            answer = line.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            line.close()

    def kill(self):
        """Kills the server with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends the server with SIGTERM; returns its log."""
        self.process.terminate()
        self.process.wait(60)
        self.log.seek(0)
        return self.log.read()  # the text that it wrote to stderr


def failed_start(*arguments):
    """Returns the exit code of a server that cannot start, and its message."""
    command = [sys.executable, "-m", "fastrec.cli", "serve", *map(str, arguments), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = next(line for line in ended.stderr.splitlines() if "cannot serve" in line)
    return ended.returncode, said.partition(".fastrec: ")[2]


def data(n_users=300, n_items=200):
    rng = np.random.default_rng(0)
    cells = np.argwhere(rng.random((n_users, n_items)) < 0.1)
    return Interactions(cells[:, 0], cells[:, 1], users=np.arange(n_users), items=np.arange(n_items))


def model_file(folder):
    path = folder / "model.fastrec"
    fr.ImplicitALS(factors=16, iterations=5, random_state=0).fit(data()).save(path)
    return path


def told(fault, done, found):
    ROWS.append((fault, done, found))
    print(f"{fault:38} {done:48} {found}", flush=True)


# -- the faults


def killed_under_load(folder, quick):
    """Kills the server with SIGKILL under load: no acknowledged event is lost, and none is counted twice."""
    times = 3 if quick else 20
    path, journal_path = model_file(folder), journal_in(folder)
    versions = folder / "models"
    rng = random.Random(0)
    sent, acknowledged, unsure = {}, set(), set()
    for kill in range(times):
        server = Server(path, "--journal", journal_path, "--versions", versions, "--checkpoint-every", "0.5")
        stop = threading.Event()

        def write(number, server=server, stop=stop, kill=kill):
            n = 0
            while not stop.is_set():
                key = f"{kill}-{number}-{n}"
                event = {"user": number * 37 % 300, "item": (n * 13 + number) % 200, "id": key}
                sent[key] = event
                unsure.add(key)
                try:
                    if server.ask("POST", "/events", {"events": [event]})[0] == 200:
                        acknowledged.add(key)
                        unsure.discard(key)
                except (OSError, http.client.HTTPException, ValueError):
                    pass
                n += 1

        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.5, 2))
        server.kill()
        stop.set()
        for writer in writers:
            writer.join()
    # Events that were not acknowledged are sent again, as a client would; then each event must be there exactly once.
    server = Server(path, "--journal", journal_path, "--versions", versions)
    for key in sorted(unsure):
        server.ask("POST", "/events", {"events": [sent[key]]})
    again = sorted(acknowledged)[: len(acknowledged) // 10]
    known = sum(server.ask("POST", "/events", {"events": [sent[key]]})[1]["known"] for key in again)
    served = server.ask("POST", "/batch", {"users": list(range(300)), "k": 10})[1]["results"]
    server.stop()
    with contextlib.closing(open_log(journal_path)) as journal:
        first = Updater(Versions(versions), journal).snapshot
        expected = data().matrix.toarray()
        for event in sent.values():
            expected[event["user"], event["item"]] += 1
        rows = np.zeros_like(expected)
        for user in range(300):
            row = first.history(user)
            rows[user, row.codes] = row.values
        same_counts = np.array_equal(rows, expected)
        # The answers of the last server, and those that another process computes from the same files, have the same
        # bits.
        top = first.recommend(list(range(300)), 10)
        same_bits = all(
            row["items"] == top.items[user][top.valid[user]].tolist()
            and row["scores"] == top.scores[user][top.valid[user]].tolist()
            for user, row in enumerate(served)
        )
    told(
        f"kill -9 under load, {times} times",
        f"{len(acknowledged)} acknowledged of {len(sent)} sent, the rest sent again",
        f"lost or counted twice: {'none' if same_counts else 'SOME'}; {known} of {len(again)} sent twice were known; "
        f"scores after a replay {'equal bit for bit' if same_bits else 'DIFFER'}",
    )
    assert same_counts
    assert same_bits
    assert known == len(again)


def replayed_from_the_first_model(folder, quick):
    """Kills a process between checkpoints of a journal: a replay from the first model gives the same bits."""
    path, journal_path = model_file(folder), journal_in(folder)
    code = (
        "import sys; from fastrec.online import Updater, open_log\n"
        "j = open_log(sys.argv[2]); u = Updater(sys.argv[1], j); n = j.last_seq()\n"
        "import hashlib\n"
        "while True:\n"
        "    j.append([(int((n + i) * 7 % 320), int((n * 3 + i) % 210)) for i in range(50)]); n += 50\n"
        "    s = u.checkpoint()\n"
        "    print(s.model_seq, hashlib.sha256(s.model.item_factors_.tobytes()).hexdigest(), flush=True)\n"
    )
    seen = {}
    times = 3 if quick else 10
    for run in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(journal_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2 + run % 3):
            seq, digest = process.stdout.readline().split()
            seen[int(seq)] = digest
        process.kill()
        for line in process.communicate()[0].splitlines():
            if len(line.split()) == 2:
                seen[int(line.split()[0])] = line.split()[1]
    with contextlib.closing(open_log(journal_path)) as journal:
        updater, points = Updater(path), journal.checkpoints()
        updater.journal = journal
        model, marks, right, compared = updater.snapshot.model, Marks(seq=0), 0, 0
        for point in points:
            model, marks, _ = updater._update(model, marks, point.seq, Admission.parse(point.rule))
            if point.seq in seen:
                compared += 1
                right += hashlib.sha256(model.item_factors_.tobytes()).hexdigest() == seen[point.seq]
    told(
        f"kill -9 among checkpoints, {times} times",
        f"{len(points)} checkpoints replayed from the first model",
        f"item factors equal bit for bit: {right} of the {compared} that the killed processes had told",
    )
    assert right == compared > 0


def killed_while_publishing(folder, quick):
    times = 5 if quick else 25
    code = (
        "import sys, numpy as np, fastrec as fr; from fastrec.online import Versions\n"
        "m = fr.Popularity().fit(np.ones((400, 3000))); v = Versions(sys.argv[1]); v.publish(m)\n"
        "print('go', flush=True)\n"
        "while True: v.publish(m)\n"
    )
    rng, readable = random.Random(1), 0
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        readable += Versions(folder).load().model.n_features_in_ == 3000
    told(
        f"kill -9 while publishing, {times} times",
        "then the current version is loaded, checksums and all",
        f"readable: {readable} of {times}",
    )
    assert readable == times


def full_disk(folder, quick):
    """Limits the size of files, which SQLite meets as a full disk: writes fail, and Python ignores the signal."""
    path = model_file(folder)
    size = 600_000
    server = Server(
        path, "--journal", folder / "events.db", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    )
    status, n = 200, 0
    while status == 200 and n < 400:
        status, answer = server.ask("POST", "/events", {"events": [{"user": 1, "item": n % 200} for n in range(500)]})
        n += 1
    serving = server.ask("POST", "/recommend", {"user": 2})[0]
    problem = server.ask("GET", "/readyz")[1].get("problem")
    deleted = server.ask("DELETE", "/users/1")[0]
    server.stop()
    told(
        "full disk",
        f"{status} with “{answer['error']['message'].replace(str(folder), '…')}”",
        f"still answers: {serving}; /readyz says so: {bool(problem)}; a user is deleted: {deleted}",
    )
    assert (status, serving, deleted) == (507, 200, 200)
    assert problem


def read_only_folder(folder, quick):
    """Mounts a read-only folder where models are to be published, and where a journal is to be opened."""
    path, target = model_file(folder), folder / "mounted"
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(target)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        told("read-only folder", "no right to mount here", "NOT RUN")
        return
    try:
        Versions(target).publish(fr.load(path))
        with Journal(target / "events.db") as journal:
            journal.append([(1, 1)])
        subprocess.run(["mount", "-o", "remount,ro", str(target)], check=True)
        server = Server(target, "--journal", folder / "events.db", "--checkpoint-every", "0.5")
        status = server.ask("POST", "/events", {"events": [{"user": 1, "item": 1}]})[0]
        server.wait(lambda: "problem" in server.ask("GET", "/readyz")[1])
        problem = server.ask("GET", "/readyz")[1]["problem"].replace(str(target), "…")
        serving = server.ask("POST", "/recommend", {"user": 2})[0]
        server.stop()
        told("read-only folder of models", f"events: {status}; /readyz: {problem}", f"still answers: {serving}")
        assert (status, serving) == (200, 200)
        code, said = failed_start(path, "--journal", target / "events.db")
        said = said.replace(str(target), "…")
        told("read-only folder of the journal", "a server started on it", f"ends with code {code}: {said}")
        assert code == 3
    finally:
        subprocess.run(["umount", "-l", str(target)], capture_output=True)


def damaged_models(folder, quick):
    path = model_file(folder)
    good = path.read_bytes()
    server = Server(path)
    version = server.ask("GET", "/model")[1]["version"]
    rng, refused, times = random.Random(2), 0, 4 if quick else 20
    for n in range(times):
        bad = bytearray(good)
        if n % 2:
            bad = bad[: rng.randrange(len(bad))]
        else:
            bad[rng.randrange(len(bad))] ^= 0xFF
        (folder / "next").write_bytes(bytes(bad))
        os.replace(folder / "next", path)
        server.wait(lambda: "problem" in server.ask("GET", "/readyz")[1])
        refused += server.ask("POST", "/recommend", {"user": 2})[1]["version"] == version
        (folder / "next").write_bytes(good)
        os.replace(folder / "next", path)
        server.wait(lambda: "problem" not in server.ask("GET", "/readyz")[1])
    server.stop()
    told(
        "a model file cut or altered",
        f"{times} bad files put in the place of a served one",
        f"old model went on: {refused} of {times}",
    )
    assert refused == times


def overwritten_model(folder, quick):
    """Empties, cuts or overwrites the file of a served model in place, as cp does, instead of replacing it."""
    path = model_file(folder)
    good = path.read_bytes()
    server = Server(path)
    before = server.ask("POST", "/recommend", {"user": 2})[1]["items"]
    same = 0
    contents = [b"", good[:1000], bytes(len(good)), good[: len(good) // 2]]
    for content in contents:
        path.write_bytes(content)
        server.wait(lambda: "problem" in server.ask("GET", "/readyz")[1])
        same += server.ask("POST", "/recommend", {"user": 2})[1]["items"] == before
        path.write_bytes(good)
        server.wait(lambda: "problem" not in server.ask("GET", "/readyz")[1])
    server.stop()
    told(
        "a model file overwritten in place",
        f"{len(contents)} times emptied, cut or filled with zeros, and mended",
        f"same answers: {same} of {len(contents)}",
    )
    assert same == len(contents)


def killed_parent(folder, quick):
    """Kills the parent of the workers with SIGKILL: the workers end, and the same command starts again."""
    path, times, right = model_file(folder), 2 if quick else 5, 0
    arguments = path, "--journal", journal_in(folder), "--workers", "2"
    server, waited = Server(*arguments), 0.0
    for n in range(times):
        server.ask("POST", "/events", {"events": [{"user": 1, "item": n}]})
        began = time.monotonic()
        server.kill()
        while is_open(server.port):
            time.sleep(0.01)
        waited = max(waited, time.monotonic() - began)
        server = Server(*arguments, port=server.port)
        right += server.ask("POST", "/recommend", {"user": 1})[1]["seq"] == n + 1
    server.stop()
    told(
        f"kill -9 of the parent of two workers, {times} times",
        "the same command again, on the same port",
        f"port free after {waited:.1f} s at most; started again with all events: {right} of {times}",
    )
    assert right == times


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clock_going_backwards(folder, quick):
    path = model_file(folder)
    server = Server(path, "--journal", journal_in(folder))
    seqs = [
        server.ask("POST", "/events", {"events": [{"user": 5, "item": n, "time": 10**12 - n * 10**9}]})[1]["seq"]
        for n in range(20)
    ]
    _, answer = server.ask("GET", "/users/5")
    server.stop()
    right = seqs == sorted(seqs) and set(range(20)) <= {row["item"] for row in answer["items"]}
    told(
        "clock going backwards",
        "20 events, each stamped before the one ahead of it",
        f"order is the journal's own: {right}",
    )
    assert right


def two_processes(folder, quick):
    path = model_file(folder)
    address = journal_in(folder)
    servers = [Server(path, "--journal", address) for _ in range(2)]
    wrong = 0
    for n in range(30 if quick else 200):
        writer, reader = servers[n % 2], servers[1 - n % 2]
        user = n % 300
        best = writer.ask("POST", "/recommend", {"user": user, "k": 1})[1]["items"][0]["item"]
        told_seq = writer.ask("POST", "/events", {"events": [{"user": user, "item": best, "id": f"{n}"}]})[1]["seq"]
        asked = {"user": user, "k": 200}
        answer = reader.ask("POST", "/recommend", asked, {"fastrec-seq": str(told_seq)})[1]
        wrong += best in [row["item"] for row in answer["items"]]
        reader.ask("POST", "/events", {"events": [{"user": user, "item": best, "id": f"{n}"}]})
    for server in servers:
        server.stop()
    with contextlib.closing(open_log(address)) as journal:
        count = len(journal.read(0))
    told(
        "two servers on one journal",
        f"{n + 1} events written to one, read by their seq at the other, sent to both",
        f"not seen: {wrong}; in the journal: {count}",
    )
    assert (wrong, count) == (0, n + 1)


def malformed_requests(folder, quick):
    path = model_file(folder)
    server = Server(path, "--journal", folder / "events.db")
    values = [
        None,
        True,
        0,
        -1,
        1.5,
        1e400,
        2**63,
        2**70,
        "",
        "1",
        "é\ud800",
        [],
        {},
        [[]],
        {"a": 1},
        "x" * 3000,
        [1] * 50,
    ]
    extremes = [1e30, -1e30, 1e10, 1e-300, 1e-37, 0, -0.0, 1e39, 5]
    names = [
        "user",
        "history",
        "k",
        "allow",
        "deny",
        "explain",
        "on_unknown",
        "users",
        "events",
        "item",
        "value",
        "time",
        "id",
        "x",
    ]
    counts = {}
    total = 500 if quick else 10_000

    def one(seed):
        rng = random.Random(seed)
        body = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(4))}
        if rng.random() < 0.3:
            body = {
                "events": [{name: rng.choice(values) for name in rng.sample(names, 4)} for _ in range(rng.randrange(4))]
            }
        if rng.random() < 0.2:  # only its values are wrong
            rows = [{"item": rng.choice((1, 5, 250, -1)), "value": rng.choice(extremes)} for _ in range(3)]
            body = (
                {"events": [{"user": rng.choice((1, 2**62)), **row} for row in rows]} if seed % 2 else {"history": rows}
            )
        raw = json.dumps(body).encode("utf-8", "replace")
        if rng.random() < 0.3:
            raw = bytes(rng.choice(raw + b"{}[]\x00\xff") for _ in range(len(raw) + 1))
        target = rng.choice(
            [
                "/recommend",
                "/batch",
                "/events",
                "/similar?item=%00&k="
                + str(rng.choice(values))[:20].encode("ascii", "replace").decode().replace(" ", "+"),
                "/users/%ff",
                "/items?search=%f0&limit=9",
                "/%2e%2e/etc/passwd",
                "/page/../../run.py",
            ]
        )
        try:
            return server.ask(rng.choice(["POST", "POST", "POST", "GET", "DELETE", "PATCH"]), target, raw)[0]
        except (http.client.InvalidURL, UnicodeError, ValueError):
            return 0

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for status in pool.map(one, range(total)):
            counts[status] = counts.get(status, 0) + 1
    alive = server.ask("POST", "/recommend", {"user": 2})[0]
    log = server.stop()
    bad = sum(count for status, count in counts.items() if status >= 500)
    shown = ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()) if status)
    told(
        f"{total} malformed requests",
        shown,
        f"5xx: {bad}; tracebacks in the log: {log.count('Traceback')}; then {alive}",
    )
    assert bad == 0
    assert alive == 200


def slow_and_many(folder, quick):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    path = model_file(folder)
    server = Server(path)
    slow = []
    for _ in range(50):
        line = socket.create_connection(("127.0.0.1", server.port))
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{")
        slow.append(line)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for line in silent:
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\n")
    began = time.perf_counter()
    beside = server.ask("POST", "/recommend", {"user": 2})[0]
    waited = time.perf_counter() - began
    many = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
    body = b'{"user":2}'
    for line in many:
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n" + body)
    right = 0
    for line in many:
        line.settimeout(60)
        right += b" 200 " in line.recv(100)
    for line in slow:
        line.settimeout(60)
    late = sum(b" 408 " in line.recv(200) for line in slow)
    for line in silent:
        line.settimeout(60)
    closed = sum(line.recv(200) == b"" for line in silent)
    heads = time.perf_counter() - began
    server.stop()
    for line in many + slow + silent:
        line.close()
    told(
        "50 clients that send no body",
        f"another one is answered ({beside}) in {waited * 1000:.0f} ms",
        f"408 after ten seconds: {late} of 50",
    )
    told("50 clients that send half a head", "and wait", f"closed: {closed} of 50, all after {heads:.0f} s")
    told("1000 connections at once", "one request on each", f"answered: {right}")
    assert (beside, late, right, closed) == (200, 50, 1000, 50)


FAULTS = [
    killed_under_load, replayed_from_the_first_model, killed_while_publishing, full_disk, read_only_folder,
    damaged_models, overwritten_model, killed_parent, clock_going_backwards, two_processes, malformed_requests,
    slow_and_many,
]  # fmt: skip


OF_ANY_JOURNAL = [
    killed_under_load, replayed_from_the_first_model, killed_parent, clock_going_backwards, two_processes,
]  # fmt: skip


def main():
    global DATABASE
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", nargs="*")
    options.add_argument("--journal", help="the address of a database in PostgreSQL; else journals are files")
    options.add_argument("--output", type=Path)
    given = options.parse_args()
    DATABASE = given.journal
    failed = []
    for fault in FAULTS if DATABASE is None else OF_ANY_JOURNAL:
        if given.only and fault.__name__ not in given.only:
            continue
        folder = Path(tempfile.mkdtemp(prefix="fastrec-faults-"))
        try:
            fault(folder, given.quick)
        except AssertionError as error:
            failed.append(fault.__name__)
            print(f"FAILED {fault.__name__}: {error}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if given.output:
        lines = [
            "| fault | what was done | what was found |",
            "|---|---|---|",
            *("| " + " | ".join(row) + " |" for row in ROWS),
        ]
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text("\n".join(lines) + "\n")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
