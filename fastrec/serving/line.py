"""Longer work on threads, so that short requests need not wait for it; and a bound to how much of it may wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastrec.serving.refusal import Refusal

# Requests that may wait for a thread, beyond which they are told to come later.
LARGEST_LINE = 64
THREADS = 2

Result = TypeVar("Result")


class Line:
    """Threads, and the requests that wait for them; all in the hands of one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fastrec-answers")
        self.length = 0

    async def run(self, work: Callable[..., Result], *given: object) -> Result:
        """The result of some work, in its turn.

        Raises
        ------
        Refusal
            Of status 429, where too many wait already.
        """
        return (await self.run_parts([lambda: work(*given)]))[0]

    async def run_parts(self, parts: list[Callable[[], Result]]) -> list[Result]:
        """The results of pieces of work, one after the other: between two of them it is the others' turn."""
        if self.length >= LARGEST_LINE:
            raise Refusal(429, f"{self.length} requests wait for a long answer", **{"retry-after": "1"})
        self.length += 1
        try:
            loop = asyncio.get_running_loop()
            return [await loop.run_in_executor(self._threads, part) for part in parts]
        finally:
            self.length -= 1

    def close(self) -> None:
        """Lets what has begun end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
