"""Runs contenders in turns: wall and CPU seconds, and the peak of memory above that of the start."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def measure(work: Callable[[], Any]) -> tuple[Record, Any]:
    """Returns the wall seconds, the CPU seconds of all threads, on Linux the peak MiB above the start; the result."""
    gc.collect()
    start = _reset_peak()
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    record = {"seconds": time.perf_counter() - began, "CPU s": time.process_time() - cpu}
    return record | ({} if start is None else {"peak MiB": (_status("VmHWM") - start) / 1024}), found


def _reset_peak() -> int | None:
    """Gives free memory back, so that it is not counted, and restarts the peak; returns the KiB held."""
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


def in_turns(
    same: Record,
    contenders: Mapping[str, Callable[[], Any]],
    judge: Callable[[Any], Record],
    repeats: int,
    ours: str = "fastrec",
) -> Iterator[Record]:
    """Returns the records of each contender; "times fastrec" is a peer's seconds divided by ours in the same repeat.

    Parameters
    ----------
    same
        The fields that all records have.
    contenders
        Names, and what is timed.
    judge
        The quality of what came of it, worked out once, off the clock.
    repeats
        How many.
    ours
        The contender that ratios refer to.
    """
    runs: dict[str, list[Record]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name, work in contenders.items():
            record, found = measure(work)
            quality = runs[name][0]["quality"] if repeat else judge(found)
            runs[name].append({"repeat": repeat, **record, "quality": quality})
            del found
    for name, records in runs.items():
        for record, base in zip(records, runs[ours], strict=True):
            times = {"times fastrec": record["seconds"] / base["seconds"], "CPU times": record["CPU s"] / base["CPU s"]}
            quality = record["quality"]
            figures = {key: value for key, value in record.items() if key != "quality"}
            yield {**same, "library": name, **figures, **times, **quality}
