"""Several workers on one port: those that die are restarted, and all end together."""

import contextlib
import logging
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from socket import socket
from types import FrameType

from fastrec.serving.failure import STARTUP_FAILURE

log = logging.getLogger("uvicorn.error")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
_spawning = get_context("spawn")


class Worker:
    """A place for a worker: its process, and the time when a new one may start.

    Parameters
    ----------
    target
        The function of the process, which gets the listening socket and a connection. It sends a message once it
        accepts requests, and ends when the other side is closed.
    listener
        The listening socket.
    """

    def __init__(self, target: Callable[[socket, Connection], None], listener: socket) -> None:
        self._target, self._listener = target, listener
        self.pause, self.may_start_at = 0.0, 0.0
        self.start()

    def start(self) -> None:
        """Starts a process."""
        self.is_ready = False
        self.line, other = _spawning.Pipe()
        self.process: SpawnProcess = _spawning.Process(target=self._target, args=(self._listener, other))
        self.process.start()
        other.close()

    def look(self) -> bool:
        """Reads messages of a worker, and tells whether it accepts requests; the end of the connection is no
        message.
        """
        with contextlib.suppress(EOFError, OSError):
            if not self.is_ready and self.line.poll():
                self.line.recv_bytes()
                self.is_ready, self.pause = True, 0.0
        return self.is_ready

    def bury(self) -> None:
        """Records the end of a process; one that never accepted a request is restarted after twice the pause."""
        self.line.close()
        if not self.is_ready:
            self.pause = min(LONGEST_PAUSE, 2 * self.pause or FIRST_PAUSE)
        self.may_start_at = time.monotonic() + self.pause
        log.error("worker %s has ended (%s)", self.process.pid, self.process.exitcode)


class Supervisor:
    """Starts workers, and restarts those that end, until a signal.

    Parameters
    ----------
    target
        As in `Worker`.
    listener
        The listening socket.
    n_workers
        The number of workers.
    """

    def __init__(self, target: Callable[[socket, Connection], None], listener: socket, n_workers: int) -> None:
        self._target, self._listener, self._n = target, listener, n_workers
        self._workers: list[Worker] = []
        self._signals = 0

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; returns the exit code.

        A worker that cannot start does not harm the others: it is restarted after growing pauses. If no worker has ever
        started, restarting would not help.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)
        self._workers = [Worker(self._target, self._listener) for _ in range(self._n)]
        alive, served = set(self._workers), False
        while not self._signals:
            if not wait([worker.process.sentinel for worker in alive], timeout=0.1):
                time.sleep(0 if alive else 0.1)
            ready = [worker.look() for worker in self._workers]
            served = served or any(ready)
            for worker in [worker for worker in alive if not worker.process.is_alive()]:
                worker.bury()
                alive.remove(worker)
            if not served and not alive:
                return STARTUP_FAILURE
            for worker in self._workers:
                if served and worker not in alive and time.monotonic() >= worker.may_start_at:
                    worker.start()
                    alive.add(worker)
        self._end()
        return 0

    def _end(self) -> None:
        """Lets the workers drain: none holds the socket longer than it accepts requests."""
        self._listener.close()
        for worker in self._workers:
            worker.line.close()
        for worker in self._workers:
            while worker.process.is_alive():
                worker.process.join(0.1)
                if self._signals > 1:
                    worker.process.kill()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
