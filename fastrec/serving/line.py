"""Longer work on threads, so that short requests need not wait; and a limit of the work that may wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastrec.serving.refusal import Refusal

# The number of requests that may wait for a thread; more are told to come later.
LARGEST_LINE = 64
THREADS = 2

Result = TypeVar("Result")


class Line:
    """Threads, and the requests that wait for them, all managed by one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fastrec-answers")
        self.length = 0

    async def run(self, work: Callable[..., Result], *given: object) -> Result:
        """Returns the result of some work, in its turn.

        Raises
        ------
        Refusal
            Of status 429, if too many requests wait already.
        """
        return (await self.run_parts([lambda: work(*given)]))[0]

    async def run_parts(self, parts: list[Callable[[], Result]]) -> list[Result]:
        """Returns the results of pieces of work, one after the other; between two of them other requests have their
        turn.
        """
        if self.length >= LARGEST_LINE:
            raise Refusal(429, f"{self.length} requests wait for a long answer", **{"retry-after": "1"})
        self.length += 1
        try:
            loop = asyncio.get_running_loop()
            return [await loop.run_in_executor(self._threads, part) for part in parts]
        finally:
            self.length -= 1

    def close(self) -> None:
        """Lets the running work end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
