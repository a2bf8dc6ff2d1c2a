"""A server in a process of its own, for tests: real sockets, real files, real signals."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fastrec.data import Interactions


def some_data(ids=str, n_users=60, n_items=40):
    rng = np.random.default_rng(0)
    tastes = np.repeat(np.eye(4), n_items // 4, axis=1)[rng.integers(0, 4, n_users)]
    cells = np.argwhere(rng.random((n_users, n_items)) < 0.05 + 0.4 * tastes)
    return Interactions(
        cells[:, 0], cells[:, 1], users=[ids(n) for n in range(n_users)], items=[ids(1000 + n) for n in range(n_items)],
        item_info={"title": [f"Film number {n} & <b>more</b>" for n in range(n_items)]},
    )  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """`fastrec serve` with these arguments, until the end of the with block."""

    def __init__(self, *arguments, environment=None, wait=True, port=None, host=None):
        self.host = host
        self.port = port or free_port()
        given = [*map(str, arguments), *([] if "--drain" in arguments else ["--drain", "0"])]
        command = [
            *(host.command if host else ()),
            sys.executable,
            "-m",
            "fastrec.cli",
            "serve",
            *given,
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(
            [*(host.command if host else ()), *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        if wait:
            try:
                self.wait_until(lambda: self.ask("GET", "/readyz")[0] == 200)
            except BaseException:
                self.kill()
                raise

    def wait_until(self, true, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.process.stderr.read()}")
            try:
                if true():
                    return
            except OSError:
                pass
            time.sleep(0.03)
        raise AssertionError("it took too long")

    def ask(self, method, path, body=None, **headers):
        """Status, decoded answer, headers; of a server on another host it is asked there."""
        ask = lambda: self.ask_here(method, path, body, **headers)
        return self.host.do(ask) if self.host else ask()

    def ask_here(self, method, path, body=None, **headers):
        """Ask from this thread's own host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, raw, headers)
            response = connection.getresponse()
            content = response.read()
            told = dict(response.getheaders())
            return response.status, json.loads(content) if "json" in told.get("content-type", "") else content, told
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def workers(self):
        """The processes of several workers."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = status.read_text().rpartition(")")[2].split()[1]
                command = status.with_name("cmdline").read_bytes()
                if int(parent) == self.process.pid and b"spawn_main" in command:
                    found.append(int(status.parent.name))
        return found

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self):
        """SIGTERM; returns the exit code and what was logged."""
        if self.process.poll() is None:
            self.process.terminate()
        _, log = self.process.communicate(timeout=40)
        return self.process.returncode, log

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        elif not self.process.stderr.closed:
            self.process.communicate()
