"""Computes the bytes and seconds of an epoch of SparkImplicitALS, for your own numbers and each exchange.

`python bench/scale.py --users 100e6 --items 10e6 --entries 10e9 --nodes 64 --cores 16 --gigabits 10 --factors 64`

Each node has one shard. The entries of a shard fall on random rows, which is the worst case: real entries fall on
popular rows again and again. Seconds are those of the bytes into the busiest place. `--pipe` is the speed of a core
through the engine's pipe to Python, and `--flops` its speed in our kernels. Steps that overlap are all counted.
docs/how-to/spark.md says how the bytes were checked.

"grid" is on paper alone: no exchange does it. Users are solved as by "wanted". For the items, the nodes stand in a
square of g × g: a node has the entries of a g-th of the items with a g-th of the users. It needs the vectors of these
users, and the nodes of a row add up their parts of each product of the solver (`grid_network`).
"""

import argparse
from typing import NamedTuple

import numpy as np


class Scale(NamedTuple):
    """The user's own numbers."""

    users: float
    items: float
    entries: float
    nodes: int
    cores: int
    gigabits: float
    factors: int
    value_bytes: int  # 0 if all values are equal
    pipe: float  # seconds of a core for a gigabyte
    flops: float  # operations of a core in a second
    steps: int = 2


class Moved(NamedTuple):
    """The bytes of one node in one epoch."""

    network: float
    pipe: float


def width_of(factors: int) -> int:
    """Returns the numbers in a row as kernels take them: whole lanes of sixteen."""
    return -(-factors // 16) * 16


def named_rows(n: float, entries: float, nodes: int) -> float:
    """Returns the number of rows, of n, that a shard names."""
    return float(n * -np.expm1(-entries / nodes / n))


def moved(scale: Scale, exchange: str) -> Moved:
    """Returns the bytes into a node in an epoch: other rows for both halves, and its own if the engine carries them."""
    width, both = width_of(scale.factors), (scale.users, scale.items)
    own = sum(both) / scale.nodes * 4 * width
    if exchange == "files":
        return Moved(sum(both) * 4 * width, 2 * 8 * width**2)  # float32 is read; the Gramian of a piece goes out
    rows = sum(both) if exchange == "all" else sum(named_rows(n, scale.entries, scale.nodes) for n in both)
    blocks = 2 * scale.entries / scale.nodes * (4 + scale.value_bytes)
    return Moved(rows * 2 * width, rows * 2 * width + blocks + 2 * own)


def grid_network(scale: Scale) -> float:
    """Returns the bytes into a node of a square of nodes in an epoch.

    A row of g nodes holds a g-th of the items. For each of the steps + 1 products, a node gets the parts of its own
    share from the g - 1 others, and for each step the others' shares of the direction. The numbers are float32.
    """
    width, g = width_of(scale.factors), scale.nodes**0.5
    users_half = named_rows(scale.items, scale.entries, scale.nodes) * 2 * width
    vectors = named_rows(scale.users / g, scale.entries / g, scale.nodes / g) * 2 * width
    share = scale.items / g * (g - 1) / g * 4 * width
    return users_half + vectors + (2 * scale.steps + 1) * share


def solving_seconds(scale: Scale) -> float:
    """Returns the seconds of a node: two products of a row and a vector for each entry, pass and side."""
    passes = scale.steps + 1
    return 2 * scale.entries / scale.nodes * passes * 4 * width_of(scale.factors) / (scale.flops * scale.cores)


def table(scale: Scale) -> list[str]:
    """Returns the lines of the table."""
    lines = ["exchange   GB into a node   network s   GB through a node's pipe   pipe s   kernels s"]
    for exchange in ("files", "all", "wanted"):
        bytes_ = moved(scale, exchange)
        network = bytes_.network * 8 / (scale.gigabits * 1e9)
        pipe = bytes_.pipe / 1e9 * scale.pipe
        lines.append(
            f"{exchange:8} {bytes_.network / 1e9:15.2f} {network:11.1f} {bytes_.pipe / 1e9:26.2f} {pipe:8.1f}"
            f" {solving_seconds(scale):11.1f}"
        )
    network = grid_network(scale)
    seconds = network * 8 / (scale.gigabits * 1e9)
    lines.append(f"grid     {network / 1e9:15.2f} {seconds:11.1f}   (on paper: no exchange does it)")
    return lines


def check() -> None:
    """Prints what the engine moves for random entries beside what the table says: on Sail, at a small scale."""
    import tempfile

    import pyarrow as pa
    from pyspark.sql import functions as sql
    from spark import open_session

    from fastrec.distributed import SparkImplicitALS
    from fastrec.distributed.exchange import ITEMS, USERS

    scale = Scale(30_000, 8_000, 60_000, 4, 1, 10, 64, 0, 3.3, 20e9)
    random = np.random.default_rng(0)
    ends = (random.integers(0, int(n), int(scale.entries)) for n in (scale.users, scale.items))
    frame = open_session("sail", "1g").createDataFrame(pa.table(dict(zip(("user", "item"), ends, strict=True))))
    for exchange in ("all", "wanted"):
        with tempfile.TemporaryDirectory() as folder:
            options = dict(path=folder, shards=scale.nodes, iterations=1, random_state=0, exchange=exchange)
            run = SparkImplicitALS(scale.factors, **options).fit(frame)._run
            sent, half = 0, run.final_turn()._replace(dtype="float16")
            for side in (USERS, ITEMS):
                way, folders = run.exchange, run.layout.folders(side, 1, 1)
                mail = way._send_all(folders, half) if exchange == "all" else way._send_wanted(1 - side, folders, half)
                sent += mail.agg(sql.sum(sql.length("data"))).first()[0]
            n = run.layout.shape
            told = moved(scale._replace(users=n[USERS], items=n[ITEMS]), exchange).network
            print(
                f"{exchange:8} measured {sent / scale.nodes / 1e6:.3f} MB into a shard, the table says {told / 1e6:.3f}"
            )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, given in (
        ("users", float, 100e6), ("items", float, 10e6), ("entries", float, 10e9), ("nodes", int, 64),
        ("cores", int, 16), ("gigabits", float, 10.0), ("factors", int, 64), ("value-bytes", int, 0),
        ("pipe", float, 3.3), ("flops", float, 20e9),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=given)
    parser.add_argument("--check", action="store_true", help="measure the bytes at a small scale instead")
    options = vars(parser.parse_args())
    if options.pop("check"):
        check()
        return
    scale = Scale(**options)
    kept = 2 * (scale.users + scale.items) * 4 * width_of(scale.factors) / 1e9
    print(f"{scale.entries / scale.nodes:.3g} entries a node; factors in the folder: {kept:.1f} GB")
    print("\n".join(table(scale)))


if __name__ == "__main__":
    main()
