"""Plays a hostile client against a real server with tokens, and tells whether any attack succeeds.

    python bench/red_team.py [--short]

Starts `fastrec serve` on loopback, with a token of each scope, plays the client, and prints a table. Ends with 1 if
an attack succeeds. `--short` leaves out the long attacks: the many samples of times, the floods, and the kill.
"""

import argparse
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

import fastrec as fr
from fastrec.data import Interactions
from fastrec.online import Journal

N_USERS, N_ITEMS, VICTIM = 300, 120, 17
SCOPES = ("read", "write", "admin")
TOKENS = {scope: f"{scope}-{os.urandom(16).hex()}" for scope in SCOPES}
PAGE = Path(fr.__file__).parent / "serving" / "page"
# Of 1000 comparisons of equal times, one would be called unequal.
SIGNIFICANT = 0.001


def history_of_the_victim():
    rng = np.random.default_rng(VICTIM)
    return sorted(rng.choice(N_ITEMS, 30, replace=False).tolist())


def make_model(path):
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.1)
    kept = users != VICTIM
    users = np.concatenate([users[kept], np.full(30, VICTIM)])
    items = np.concatenate([items[kept], history_of_the_victim()])
    data = Interactions(users, items, users=list(range(N_USERS)), items=list(range(N_ITEMS)))
    fr.ImplicitALS(factors=8, iterations=3, random_state=0, n_jobs=1).fit(data).save(path)


class Target:
    """The server, and functions that speak with it."""

    def __init__(self, folder):
        self.folder, self.journal = folder, folder / "events.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self):
        command = [
            sys.executable,
            "-m",
            "fastrec.cli",
            "serve",
            self.folder / "model.fastrec",
            "--journal",
            self.journal,
        ]
        variables = {f"FASTREC_{scope.upper()}_TOKEN": token for scope, token in TOKENS.items()}
        self.process = subprocess.Popen(
            [*map(str, command), "--port", str(self.port), "--drain", "0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **variables},
        )  # fmt: skip
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server did not start")

    def ask(self, method, path, body=None, scope=None, **headers):
        """Returns the status, the body and the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if scope is not None:
                headers["Authorization"] = f"Bearer {TOKENS.get(scope, scope)}"
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def talk(self, raw, seconds=30):
        """Sends bytes and returns all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as line:
            line.sendall(raw)
            return b"".join(iter(lambda: line.recv(65536), b""))

    def times(self, questions, n):
        """Returns the seconds of each question, asked in turn over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        found = [[] for _ in questions]
        for _ in range(n):
            for place, (method, path, body, headers) in enumerate(questions):
                began = time.perf_counter()
                connection.request(method, path, body, headers)
                connection.getresponse().read()
                found[place].append(time.perf_counter() - began)
        connection.close()
        return found


# -- attacks: each returns whether the server held, and what was found


def rebuild_history(target, scope):
    """Reads a history from the items that a list leaves out."""
    everything = list(range(N_ITEMS))
    ways = [
        ("POST", "/recommend", {"user": VICTIM, "k": 1000, "allow": everything}),
        ("POST", "/recommend", {"user": VICTIM, "k": 1000, "exclude_seen": False, "explain": True}),
        ("POST", "/batch", {"users": [VICTIM], "k": 1000}),
        ("GET", f"/users/{VICTIM}", None),
    ]
    found = set()
    for method, path, body in ways:
        status, raw, _ = target.ask(method, path, body, scope)
        if status != 200:
            continue
        answer = json.loads(raw)
        if path.startswith("/users/"):
            found |= {row["item"] for row in answer["items"]}
        elif "results" in answer:
            found |= set(everything) - set(answer["results"][0]["items"])
        elif not body.get("explain"):
            found |= set(everything) - {row["item"] for row in answer["items"]}
    taken = len(found & set(history_of_the_victim()))
    may = scope in ("read", "admin")
    return (taken == 30) == may, f"{taken} of 30 items" + (" (the token is for that)" if may else "")


def enumerate_by_answers(target, scope=None):
    """Tells whether any answer differs between users who exist and users who do not."""
    seen = set()
    for user in (VICTIM, 1, 999_999, -1, "17", "nobody"):
        for method, path, body in (
            ("POST", "/recommend", {"user": user}), ("POST", "/recommend", {"user": user, "on_unknown": "error"}),
            ("POST", "/batch", {"users": [user]}), ("GET", f"/users/{user}", None), ("DELETE", f"/users/{user}", None),
            ("GET", f"/users?search={user}", None),
        ):  # fmt: skip
            status, raw, headers = target.ask(method, path, body, scope)
            kept = {name: value for name, value in headers.items() if name not in ("date", "server-timing")}
            seen.add((method, path.split("/")[1].partition("?")[0], status, raw, str(sorted(kept.items()))))
    kinds = {(method, path) for method, path, *_ in seen}
    return len(seen) == len(kinds), f"{len(seen)} different answers to {len(kinds)} kinds of questions"


def enumerate_by_times(target, scope=None, n=1500):
    """Tells whether refusals take longer for users who exist (Mann-Whitney)."""
    headers = {} if scope is None else {"Authorization": f"Bearer {TOKENS[scope]}"}
    asked = [("POST", "/recommend", json.dumps({"user": user}).encode(), headers) for user in (VICTIM, 99)]
    asked += [("POST", "/recommend", json.dumps({"user": 900 + user}).encode(), headers) for user in (17, 99)]
    known, _, unknown, _ = target.times(asked, n)
    p = mannwhitneyu(known, unknown).pvalue
    return p > SIGNIFICANT, f"p = {p:.3f} of {n} samples each"


def guess_token(target, n=1500):
    """Tells whether a token that begins right takes longer than one that does not."""
    right = TOKENS["admin"]
    wrong = [("x" * len(right)), right[:-1] + ("x" if right[-1] != "x" else "y")]
    asked = [("GET", "/users", None, {"Authorization": f"Bearer {token}"}) for token in wrong]
    first, second = target.times(asked, n)
    p = mannwhitneyu(first, second).pvalue
    return p > SIGNIFICANT, f"p = {p:.3f} of {n} samples each"


def guess_many(target, n=300):
    """Sends wrong tokens: they are refused, and other clients are answered meanwhile."""
    statuses = {target.ask("GET", "/users", scope=f"guess-{number}" + "x" * (number % 900))[0] for number in range(n)}
    return statuses == {401} and target.ask("GET", "/users", scope="read")[0] == 200, f"{n} guesses: {statuses}"


def overreach(target):
    """Tells whether a token can do what needs another scope."""
    event = {"events": [{"user": 1, "item": 1}]}
    wrong = [
        (scope, method, path)
        for scope in ("read", "write")
        for method, path, body, needed in (
            ("POST", "/events", event, "write"), ("DELETE", "/users/5", None, "admin"), ("GET", "/users", None, "read"),
            ("GET", "/metrics", None, "read"), ("POST", "/batch", {"users": [1]}, "read"),
        )
        if scope != needed and target.ask(method, path, body, scope)[0] != 403
    ]  # fmt: skip
    return not wrong, f"{wrong or 'none'}"


def smuggle(target):
    """Sends bytes that two readers of HTTP could take for different requests."""
    head = b"POST /recommend HTTP/1.1\r\nhost: localhost\r\n"
    hidden = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    ways = {
        "CL.TE": head + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "TE.TE": head + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
        "TE with a tab": head + b"transfer-encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n" + hidden,
        "space ahead of a colon": head + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
        "two lengths": head + b"content-length: 0\r\ncontent-length: %d\r\n\r\n" % len(hidden) + hidden,
        "obs-fold": head + b"x: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "bare LF": head + b"x: y\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "bare CR": head + b"x: y\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "chunk size 0x0": head + b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n" + hidden,
        "chunk LF": head + b"transfer-encoding: chunked\r\n\r\n0\n\n" + hidden,
        "HTTP/1.0 in chunks": head.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "two hosts": b"GET /users HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n" + hidden,
    }
    passed = [name for name, raw in ways.items() if not re.fullmatch(rb"HTTP/1.1 4.*?\r\n.*", target.talk(raw), re.S)
              or target.talk(raw).count(b"HTTP/1.1 ") > 1]  # fmt: skip
    trailer = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\nauthorization: Bearer %b\r\n\r\n"
    if b" 401 " not in target.talk(b"GET /users HTTP/1.1\r\nhost: localhost\r\n" + trailer % TOKENS["read"].encode()):
        passed.append("a token behind the body")
    return not passed, f"{len(ways) + 1} ways, passed: {passed or 'none'}"


def trick_paths(target):
    """Asks for paths that lead to private routes or to files, around the check."""
    tricks = (
        "//users", "/users/", "/./users", "/users/..%2f", "/USERS", "/%75sers", "/users%00", "/users;x",
        "/page/../../x", "/page/%2e%2e/server.py", "/page/..%2f..%2fstorage.py",
        "//x/users", "/page//etc/passwd", "/users%2f17", "/metrics/",
        "/page/%2e%2e%2fsettings.py", "/\\users", "/users?x#y", "http://localhost/users", "/healthz/../users",
    )  # fmt: skip
    wrong = []
    for path in tricks:
        raw = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
        status = int(target.talk(raw).split()[1])
        if status < 400 or status >= 500:
            wrong.append((path, status))
    return not wrong, f"{len(tricks)} paths, answered: {wrong or 'none'}"


def other_sites(target):
    """Asks as pages of other sites would, by their origin, with a token that the browser has."""
    statuses = [
        target.ask("POST", "/recommend", {"user": VICTIM}, "read", Origin="https://evil.example")[0],
        target.ask("GET", "/users", None, "read", Origin="null")[0],
    ]
    told = target.ask("POST", "/recommend", {"history": []}, Origin="https://evil.example")[2]
    opened = [name for name in told if name.lower().startswith("access-control")]
    return statuses == [403, 403] and not opened, f"{statuses}, CORS headers: {opened or 'none'}"


def page_is_text(target):
    """Reads the page's code: ids and titles never become markup, and nothing from elsewhere is loaded."""
    source = "".join(file.read_text(encoding="utf-8") for file in PAGE.glob("*.js"))
    risky = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    policy = target.ask("GET", "/")[2].get("content-security-policy", "")
    inline = re.findall(r"<script(?![^>]*src=)[^>]*>|\son\w+=", target.ask("GET", "/")[1].decode())
    held = not risky and not inline and "default-src 'self'" in policy and "unsafe" not in policy
    return held, f"markup by code: {risky or 'none'}, inline: {inline or 'none'}"


def strange_bodies(target):
    """Sends deep, huge and broken JSON."""
    bodies = (
        b'{"history": ' + b"[" * 100_000, b"[" * 1_000_000, b'{"a":' * 50_000, b'{"history": ["\\ud800"]}',
        b'{"history": [' + b"1," * 900_000 + b"1]}", b'{"history": [1e400]}', b'{"history": [NaN]}', b"\xff\xfe",
        b'{"k": ' + b"9" * 100_000 + b"}", b'{"history": ["' + b"x" * 3_000_000 + b'"]}', b"\0" * 1000, b"",
        b"x" * 5_000_000,
    )  # fmt: skip
    statuses = [target.ask("POST", "/recommend", body)[0] for body in bodies]
    return all(400 <= status < 500 for status in statuses), f"{statuses}"


def slowloris(target, n=200):
    """Begins many requests and does not go on: other clients are answered."""
    lines = []
    for number in range(n):
        line = socket.create_connection(("127.0.0.1", target.port), timeout=60)
        line.sendall(
            b"POST /recommend HTTP/1.1\r\nhost: localhost\r\n"
            + (b"content-length: 9\r\n\r\n{" if number % 2 else b"x:")
        )
        lines.append(line)
    status = target.ask("POST", "/recommend", {"history": []})[0]
    for line in lines:
        line.close()
    return status == 200, f"{n} waiting connections; another one gets {status}"


def flood_ids(target, n=20_000):
    """Sends new ids with a token that may write: questions are answered meanwhile."""
    step = 2000
    for start in range(0, n, step):
        rows = [{"user": 10**6 + start + row, "item": 10**6 + start + row} for row in range(step)]
        target.ask("POST", "/events", {"events": rows}, "write")
    facts = json.loads(target.ask("GET", "/model", scope="read")[1])
    status = target.ask("POST", "/recommend", {"user": VICTIM}, "read")[0]
    return status == 200 and facts["items"] == N_ITEMS, f"{n} new users and items: the model has {facts['items']} items"


def kill(target, seconds=3.0):
    """Kills the server with SIGKILL under load: no acknowledged event is lost."""
    acknowledged, stop = [], threading.Event()

    def write(number):
        for n in range(100_000):
            if stop.is_set():
                return
            try:
                row = {"user": 7_000_000 + 1000 * number + n, "item": 1}
                if target.ask("POST", "/events", {"events": [row]}, "write")[0] == 200:
                    acknowledged.append(row["user"])
            except (OSError, http.client.HTTPException):
                return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(seconds)
    target.process.send_signal(signal.SIGKILL)
    target.process.wait()
    stop.set()
    for writer in writers:
        writer.join()
    with Journal(target.journal) as journal:
        kept = {entry.user for entry in journal.read(0, 1_000_000)}
    lost = set(acknowledged) - kept
    target.start()
    return not lost, f"{len(acknowledged)} acknowledged, {len(lost)} lost"


Attack = Callable[[Target], tuple[bool, str]]
SHORT: dict[str, Attack] = {
    "rebuild a history without a token": lambda target: rebuild_history(target, None),
    **{f"rebuild a history with scope {scope}": lambda target, s=scope: rebuild_history(target, s) for scope in SCOPES},
    "find users by answers, without a token": enumerate_by_answers,
    "find users by answers, with scope write": lambda target: enumerate_by_answers(target, "write"),
    "do what another scope is for": overreach,
    "guess a token": guess_many,
    "smuggle a request": smuggle,
    "trick the path": trick_paths,
    "ask from another site": other_sites,
    "bring markup into the page": page_is_text,
    "strange bodies": strange_bodies,
    "slowloris": slowloris,
}
LONG: dict[str, Attack] = {
    "find users by times, without a token": enumerate_by_times,
    "find users by times, with scope write": lambda target: enumerate_by_times(target, "write"),
    "guess a token by times": guess_token,
    "flood with new ids": flood_ids,
    "kill it": kill,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="Leave out the long attacks.")
    attacks = SHORT if parser.parse_args().short else {**SHORT, **LONG}
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder) / "model.fastrec")
        target = Target(Path(folder))
        try:
            for name, attack in attacks.items():
                held, found = attack(target)
                failed += not held
                print(f"{'held' if held else 'FAILED':6}  {name:42}  {found}", flush=True)
        finally:
            target.process.terminate()
            target.process.wait(60)
    print(f"{len(attacks) - failed} of {len(attacks)} held")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
