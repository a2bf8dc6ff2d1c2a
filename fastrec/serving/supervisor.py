"""Several workers on one port: those that die are started again, and all end together."""

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
    """One place for a worker: its process, and when there may be a new one.

    Parameters
    ----------
    target
        What the process calls, with the listening socket and a connection: it sends something once it takes requests,
        and ends when the other side is closed.
    listener
        The listening socket.
    """

    def __init__(self, target: Callable[[socket, Connection], None], listener: socket) -> None:
        self._target, self._listener = target, listener
        self.pause, self.may_start_at = 0.0, 0.0
        self.start()

    def start(self) -> None:
        """Begins a process."""
        self.is_ready = False
        self.line, other = _spawning.Pipe()
        self.process: SpawnProcess = _spawning.Process(target=self._target, args=(self._listener, other))
        self.process.start()
        other.close()

    def look(self) -> bool:
        """Reads the line from a worker, and tells whether it takes requests; the line's end is no message."""
        with contextlib.suppress(EOFError, OSError):
            if not self.is_ready and self.line.poll():
                self.line.recv_bytes()
                self.is_ready, self.pause = True, 0.0
        return self.is_ready

    def bury(self) -> None:
        """Takes note of an end; one that never took a request is begun again after twice the pause."""
        self.line.close()
        if not self.is_ready:
            self.pause = min(LONGEST_PAUSE, 2 * self.pause or FIRST_PAUSE)
        self.may_start_at = time.monotonic() + self.pause
        log.error("worker %s has ended (%s)", self.process.pid, self.process.exitcode)


class Supervisor:
    """Starts workers, and starts anew those that end; until a signal.

    Parameters
    ----------
    target
        As for `Worker`.
    listener
        The listening socket.
    n_workers
        How many.
    """

    def __init__(self, target: Callable[[socket, Connection], None], listener: socket, n_workers: int) -> None:
        self._target, self._listener, self._n = target, listener, n_workers
        self._workers: list[Worker] = []
        self._signals = 0

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; returns the exit code.

        One worker that cannot begin harms none that serves: it is begun again, later and later. Where none has ever
        begun, nothing would mend it here.
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
        """Lets the workers drain: none of them has the socket for longer than it takes requests."""
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
