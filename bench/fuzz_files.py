"""Writes files with wrong contents and right checksums: `load` refuses each, or the model answers as it should.

    python bench/fuzz_files.py                     # every array and every value of every file, some thousands of cases
    python bench/fuzz_files.py --cases 300 --seed 1

Each array gets each of `ARRAY_CHANGES`, each value of the metadata becomes each of `VALUES`, and some files get three
changes. A case runs in a child process. It passes where `load` raises a FileError, or the model answers all that the
unchanged one answers, each question within ten seconds, with finite scores, and items of the catalogue, none twice.
"""

import argparse
import collections
import contextlib
import copy
import multiprocessing
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

import fastrec as fr
from fastrec.storage import FileError, read_arrays, write_arrays

Arrays = dict[str, np.ndarray]
Record = dict[str, Any]
SECONDS = 10.0
MEMORY = 4 << 30  # beyond the memory that the process has at the start
CASES_IN_A_CHILD = 200


# -- changes


def _filled(value: Callable[[np.dtype], Any]) -> Callable[[np.ndarray, random.Random], np.ndarray]:
    return lambda array, rng: np.full_like(array, value(array.dtype))


def _at_one(value: Callable[[np.dtype], Any]) -> Callable[[np.ndarray, random.Random], np.ndarray]:
    def change(array: np.ndarray, rng: random.Random) -> np.ndarray:
        changed = array.copy()
        if changed.size:
            changed.reshape(-1)[rng.randrange(changed.size)] = value(array.dtype)
        return changed

    return change


def _limits(dtype: np.dtype) -> Any:
    return np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype if dtype.kind in "iu" else np.uint8)


def _largest(dtype: np.dtype) -> Any:
    return _limits(dtype).max


def _smallest(dtype: np.dtype) -> Any:
    return _limits(dtype).min


def _minus_one(dtype: np.dtype) -> Any:
    return -1 if dtype.kind in "if" else _largest(dtype)


def _not_a_number(dtype: np.dtype) -> Any:
    return np.nan if dtype.kind == "f" else _largest(dtype)


def _infinite(dtype: np.dtype) -> Any:
    return np.inf if dtype.kind == "f" else _largest(dtype) // 2


def _tiny(dtype: np.dtype) -> Any:
    return _limits(dtype).smallest_subnormal if dtype.kind == "f" else 1


def _shuffled(array: np.ndarray, rng: random.Random) -> np.ndarray:
    return np.random.default_rng(rng.randrange(1 << 30)).permutation(array.reshape(-1)).reshape(array.shape)


def _flipped(array: np.ndarray, rng: random.Random) -> np.ndarray:
    changed = np.ascontiguousarray(array).copy()
    raw = changed.reshape(-1).view(np.uint8)
    for _ in range(3 if len(raw) else 0):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return changed


def _other_type(array: np.ndarray, rng: random.Random) -> np.ndarray:
    others = [dtype for dtype in ("int8", "int32", "int64", "float32", "float64", "uint8") if dtype != array.dtype.name]
    with np.errstate(all="ignore"):
        return array.astype(rng.choice(others))


ARRAY_CHANGES: dict[str, Callable[[np.ndarray, random.Random], np.ndarray]] = {
    "largest": _filled(_largest),
    "one largest": _at_one(_largest),
    "smallest": _filled(_smallest),
    "one smallest": _at_one(_smallest),
    "-1": _filled(_minus_one),
    "one -1": _at_one(_minus_one),
    "NaN": _filled(_not_a_number),
    "one NaN": _at_one(_not_a_number),
    "infinite": _filled(_infinite),
    "one infinite": _at_one(_infinite),
    "zeros": _filled(lambda dtype: 0),
    "tiny": _filled(_tiny),
    "shuffled": _shuffled,
    "reversed": lambda array, rng: array[::-1].copy(),
    "rolled": lambda array, rng: np.roll(array, 1),
    "all the first": lambda array, rng: np.full_like(array, array.reshape(-1)[0]) if array.size else array,
    "bits flipped": _flipped,
    "one shorter": lambda array, rng: array[:-1],
    "one longer": lambda array, rng: np.concatenate([array, array[-1:]]),
    "empty": lambda array, rng: array[:0],
    "twice": lambda array, rng: np.concatenate([array, array]),
    "other type": _other_type,
    "transposed": lambda array, rng: np.ascontiguousarray(array.T) if array.ndim > 1 else array[None],
    "flat": lambda array, rng: array.reshape(-1) if array.ndim > 1 else array[:, None],
    "absurd shape": lambda array, rng: np.empty((0, 1 << 40), array.dtype),
    "bytes": lambda array, rng: np.ascontiguousarray(array).reshape(-1).view(np.uint8),
}
VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 3, 10**6, 10**12, 2**63, 10**30, 0.5, 1e300, {"float": "nan"}, {"float": "inf"}),
    *("x", "", [], [1], {}, {"tuple": [1, 2]}, {"dict": {"a": 1}}, {"codec": {"class": "Int8Codec"}}),
]


class Case(NamedTuple):
    """A file that is to be tried."""

    subject: str
    place: str
    kind: str
    change: Callable[[Arrays, Record], None]


def array_cases(subject: str, arrays: Arrays, rng: random.Random) -> Iterator[Case]:
    """Lists each array with each change, and arrays that are swapped, missing or unknown to the model."""
    names = list(arrays)
    for number, name in enumerate(names):
        for kind, change in ARRAY_CHANGES.items():
            seed = rng.randrange(1 << 30)

            def put(arrays: Arrays, record: Record, name: str = name, change: Any = change, seed: int = seed) -> None:
                arrays[name] = change(arrays[name], random.Random(seed))

            yield Case(subject, name, kind, put)
        other = names[(number + 1) % len(names)]

        def swap(arrays: Arrays, record: Record, name: str = name, other: str = other) -> None:
            arrays[name], arrays[other] = arrays[other], arrays[name]

        yield Case(subject, name, "swapped", swap)
        yield Case(subject, name, "missing", lambda arrays, record, name=name: arrays.pop(name))
        yield Case(
            subject, name, "additional", lambda arrays, record, name=name: arrays.update({name + "/more": np.zeros(3)})
        )


def places_of(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Lists the places of all values of a record, lists and dicts among them."""
    if place:
        yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places_of(value[key], (*place, key))


def record_cases(subject: str, record: Record) -> Iterator[Case]:
    """Lists each value of the record replaced by each of `VALUES`, or removed."""
    for place in places_of(record):
        said = "/".join(map(str, place))
        for value in VALUES:

            def put(arrays: Arrays, record: Record, place: tuple[Any, ...] = place, value: Any = value) -> None:
                _parent(record, place)[place[-1]] = copy.deepcopy(value)

            yield Case(subject, said, f"value {value!r}", put)

        def drop(arrays: Arrays, record: Record, place: tuple[Any, ...] = place) -> None:
            del _parent(record, place)[place[-1]]

        yield Case(subject, said, "no value", drop)


def _parent(record: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        record = record[key]
    return record


def several(cases: list[Case], rng: random.Random, n: int) -> Iterator[Case]:
    """Lists cases with three changes of one file at once."""
    by_subject: dict[str, list[Case]] = collections.defaultdict(list)
    for case in cases:
        by_subject[case.subject].append(case)
    for _ in range(n):
        chosen = rng.sample(by_subject[rng.choice(list(by_subject))], 3)

        def put(arrays: Arrays, record: Record, chosen: list[Case] = chosen) -> None:
            for case in chosen:
                with contextlib.suppress(KeyError, IndexError, TypeError, ValueError):
                    case.change(arrays, record)

        yield Case(chosen[0].subject, " + ".join(f"{c.place} ({c.kind})" for c in chosen), "three at once", put)


# -- questions


def ask(path: Path, allowed: set[str] | None) -> set[str]:
    """Returns the names of the answered questions; raises an error for a wrong answer. None allows failures."""
    model = _load(path)
    answered = set()
    for name, question in questions(model):
        if allowed is not None and name not in allowed:
            continue
        try:
            question()
            answered.add(name)
        except Exception:
            if allowed is not None:
                raise
    return answered


def _load(path: Path) -> Any:
    kind = getattr(fr, path.stem.split("-")[0], None)
    return kind.load(path) if kind in (fr.ExactIndex, fr.IVFIndex) else fr.load(path)


def questions(model: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """Returns the questions to a model, by name."""
    if isinstance(model, fr.ExactIndex | fr.IVFIndex):
        vectors = np.random.default_rng(0).normal(size=(3, model.n_features_in_)).astype(np.float32)
        n = len(model.vectors_) if isinstance(model, fr.ExactIndex) else model.shape[0]
        yield "search", lambda: check(model.search(vectors, 3), n)
        yield "search, excluded", lambda: check(model.search(vectors, 3, exclude=[0, 1]), n)
        yield "search, allowed", lambda: check(model.search(vectors, 3, allow=[0, 1, 2, 3]), n)
        return
    n_users, n_items = model.seen_.shape
    users = (
        list(range(min(3, n_users))) if model.users_ is None else model.users_.decode(range(min(3, n_users))).tolist()
    )
    items = (
        list(range(min(3, n_items))) if model.items_ is None else model.items_.decode(range(min(3, n_items))).tolist()
    )
    histories = sp.random_array((2, n_items), density=0.4, rng=0, format="csr", dtype=np.float32)
    yield "recommend", lambda: check(model.recommend(users, k=3), n_items)
    yield "recommend, seen too", lambda: check(model.recommend(users, k=3, exclude_seen=False), n_items)
    yield "recommend, denied", lambda: check(model.recommend(users, k=3, deny=items), n_items)
    yield "recommend, allowed", lambda: check(model.recommend(users, k=3, allow=items), n_items)
    yield "one user", lambda: check(model.recommend(users[:1], k=5), n_items)
    yield "histories", lambda: check(model.recommend(histories, k=3), n_items)
    yield "similar items", lambda: check(model.similar_items(items, k=3), n_items)
    yield "similar users", lambda: check(model.similar_users(users, k=3), n_users)
    yield "pairs", lambda: check_finite(model.predict_pairs(users[:1] * len(items), items))
    yield "explain", lambda: check_finite(model.explain(users[0], items[0]).contributions)
    yield "frame", lambda: len(model.recommend(users, k=3).to_frame())
    yield "update", lambda: check(model.update_users(users[:2], histories).recommend(users, k=3), n_items)


def check(top: Any, n: int) -> None:
    """Raises an AssertionError unless the argument is a valid answer."""
    for codes, scores in zip(top.codes, top.scores, strict=True):
        there = codes[codes >= 0]
        assert codes.min(initial=0) >= -1, f"codes {codes}"
        assert codes.max(initial=0) < n, f"codes {codes} of {n}"
        assert len(np.unique(there)) == len(there), f"repeated: {codes}"
        assert np.isfinite(scores[codes >= 0]).all(), f"scores {scores}"


def check_finite(scores: Any) -> None:
    """Raises an AssertionError unless all scores are finite."""
    assert np.isfinite(scores).all(), f"scores {scores}"


# -- children


def work(connection: Connection, allowed: dict[str, set[str]]) -> None:
    """Tries the files whose names arrive; sends the outcome of each."""
    warnings.simplefilter("ignore")
    _limit_memory()
    for path, subject in iter(connection.recv, None):
        try:
            ask(path, allowed[subject])
            connection.send("answers")
        except FileError:
            connection.send("refused")
        except BaseException as error:
            connection.send(f"{type(error).__name__}: {error}"[:300])


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def results(folder: Path, cases: list[Case], allowed: dict[str, set[str]]) -> Iterator[tuple[Case, str]]:
    """Runs the cases and returns the outcome of each: "refused" and "answers" are well; any other text is a
    fault.
    """
    files = {name: read_arrays(folder / f"{name}.fastrec", mapped=False) for name in allowed}
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    left = collections.deque(cases)
    while left:
        ours, theirs = context.Pipe()
        child = context.Process(target=work, args=(theirs, allowed), daemon=True)
        child.start()
        theirs.close()
        for _ in range(min(len(left), CASES_IN_A_CHILD)):
            case = left.popleft()
            path = folder / f"{case.subject}-lie.fastrec"
            said = "not to be written"
            if _write(path, case, files[case.subject]):
                ours.send((path, case.subject))
                said = _answer(ours, child)
                path.unlink()
            yield case, said
            if said.startswith(("ended", "took")):
                break
        child.kill()
        child.join()


def _write(path: Path, case: Case, file: tuple[Arrays, Record]) -> bool:
    """Writes the file of a case with sound checksums; returns False if the change gives nothing that can be written."""
    arrays, record = dict(file[0]), copy.deepcopy(file[1])
    try:
        case.change(arrays, record)
        write_arrays(path, arrays, record)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        return False
    return True


def _answer(connection: Connection, child: Any) -> str:
    try:
        if connection.poll(SECONDS):
            return str(connection.recv())
    except (EOFError, OSError):
        child.join()
        return f"ended by {child.exitcode}"
    child.kill()
    return f"took more than {SECONDS:.0f} s"


def is_well(said: str) -> bool:
    """Tells whether a case passes."""
    return said in ("refused", "answers", "not to be written")


def make_files(folder: Path) -> None:
    """Makes a file of every model, codec and index."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.fixtures.upgrades import make

    for name, model in make.models():
        model.save(folder / f"{name}.fastrec")
    for name, index in make.indexes():
        index.save(folder / f"{name}.fastrec")


def prepare(folder: Path, rng: random.Random) -> tuple[list[Case], dict[str, set[str]]]:
    """Makes all cases of the files of a folder, and notes the questions that each unchanged file answers."""
    cases: list[Case] = []
    allowed = {}
    for path in sorted(folder.glob("*.fastrec")):
        allowed[path.stem] = ask(path, None)
        arrays, record = read_arrays(path)
        cases += [*array_cases(path.stem, arrays, rng), *record_cases(path.stem, record)]
    return cases, allowed


def main() -> int:
    """Prints figures by array and kind; returns 1 if a case fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, help="the number of cases, drawn at random; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=Path, help="a folder of model files; by default they are made")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    rng, counts = random.Random(given.seed), collections.Counter[tuple[str, str]]()
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if given.files is None:
            make_files(folder)
        else:
            for path in given.files.glob("*.fastrec"):
                (folder / path.name).write_bytes(path.read_bytes())
        cases, allowed = prepare(folder, rng)
        cases += several(cases, rng, len(cases) // 10)
        if given.cases is not None:
            cases = rng.sample(cases, min(given.cases, len(cases)))
        for case, said in results(folder, cases, allowed):
            counts[case.kind, said if is_well(said) else "failed"] += 1
            if not is_well(said):
                failed += 1
                print(f"FAILED {case.subject} | {case.place} | {case.kind} | {said}", flush=True)
    for (kind, said), n in sorted(counts.items()):
        print(f"{n:7d}  {said:18s} {kind}")
    print(f"{sum(counts.values())} cases of {len(allowed)} files, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
