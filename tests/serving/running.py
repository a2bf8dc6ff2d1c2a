"""Runs servers for tests, with real sockets and files: in a process of its own with real signals, or in a thread."""

import contextlib
import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

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


class ServerHandle:
    """The questions to a server on a port of this machine."""

    host = None
    port = 0

    def check_alive(self):
        """Raises an AssertionError if the server has ended."""
        raise NotImplementedError

    def wait_until_ready(self):
        self.wait_until(lambda: self.ask("GET", "/readyz")[0] == 200)

    def wait_until(self, true, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check_alive()
            try:
                if true():
                    return
            except OSError:
                pass
            time.sleep(0.03)
        raise AssertionError("it took too long")

    def ask(self, method, path, body=None, **headers):
        """Returns status, decoded answer and headers; a server on another host is asked there."""
        ask = lambda: self.ask_here(method, path, body, **headers)
        return self.host.do(ask) if self.host else ask()

    def ask_here(self, method, path, body=None, **headers):
        """Asks from this thread's own host."""
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


class InThread(ServerHandle):
    """`fastrec serve` with these arguments and one worker, in a thread until the end of the block.

    It starts in milliseconds, a process in seconds. Tests of signals, of several workers, and of a server that cannot
    begin need `Running`.
    """

    def __init__(self, *arguments, environment=None):
        self.port = free_port()
        self._given = [*arguments, "--drain", "0", "--port", self.port]
        self._environment = environment or {}
        self._open = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as opening:
            opening.enter_context(mock.patch.dict(os.environ, self._environment))
            opening.enter_context(threadpool_limits(1, "blas"))  # as in a worker, for the time of the block
            opening.callback(gc.unfreeze)
            self._begin()
            opening.callback(self._end)
            self.wait_until_ready()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_):
        self._open.close()

    def _begin(self):
        # Only tests of servers need these packages.
        from uvicorn import Config

        from fastrec.serving.app import create_app
        from fastrec.serving.draining import DrainingServer

        settings, options = read_command(self._given)
        app = create_app(settings)
        config = Config(app, **{**options, "log_config": None})  # the process's own logging stays unchanged
        self._server = DrainingServer(config, app.server.begin_to_drain, settings.drain)
        self._thread = threading.Thread(target=self._server.run, name="test-server")
        self._thread.start()

    def _end(self):
        self._server.should_exit = True
        self._thread.join()

    def check_alive(self):
        assert self._thread.is_alive(), "the server ended"


def read_command(arguments):
    """Returns the settings and uvicorn's options that `fastrec serve` starts a worker with."""
    from fastrec.cli import app

    with mock.patch("fastrec.serving.run.run_worker") as run_worker:
        app(["serve", *map(str, arguments)], standalone_mode=False)
    return run_worker.call_args.args


class Running(ServerHandle):
    """`fastrec serve` with these arguments, in a process of its own until the end of the block."""

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
                self.wait_until_ready()
            except BaseException:
                self.kill()
                raise

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {self.process.stderr.read()}")

    def workers(self):
        """Returns the processes of several workers."""
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
        """Sends SIGTERM; returns the exit code and the log."""
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
