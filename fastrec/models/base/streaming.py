"""Recommendations for many users, written to a file in batches: in bounded memory, and resumable."""

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec import __version__
from fastrec.data.ids import as_ids, as_sequence
from fastrec.fingerprint import fingerprint
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.models.base.items import read_items
from fastrec.permissions import PRIVATE, make_folder, open_anew
from fastrec.progress import epoch_progress
from fastrec.retrieval import TopK
from fastrec.validation import check_choice, check_size

FORMATS = {".parquet": "parquet", ".csv": "csv"}


def recommend_to(
    model: Any,
    path: str | os.PathLike[str],
    users: Any = None,
    k: int = 10,
    *,
    batch_size: int = 10_000,
    verbose: bool | int = False,
    mode: int = PRIVATE,
    **options: Any,
) -> int:
    """Writes the recommendations for many users to a Parquet or CSV file, a batch of users at a time.

    Finished batches wait in a folder beside the file, ``.<name>.parts``, until all are there. Then they become the file
    at once, so that nobody ever reads half a file. A call after a kill continues with the missing batches if model,
    users and options have the same content.

    Parameters
    ----------
    model
        A fitted recommender.
    path
        The file to write, ``.parquet`` (needs pyarrow) or ``.csv``: user, item, score, rank (from 1), and title if
        titles are known. An existing file is replaced.
    users
        Ids, or histories, as in `recommend`; None for all users of the training data. A set is sorted.
    k
        The number of items for each user.
    batch_size
        The number of users at a time, which bounds the memory.
    verbose
        Whether to show progress.
    mode
        The file's permissions: recommendations tell about people, so by default the file's owner alone may read it;
        0o640 lets a group read it.
    **options
        Further options of `recommend`. `allow` and `deny` are for all users, or have a row for each of them.

    Returns
    -------
    int
        The number of rows written.

    Raises
    ------
    ValueError
        If the file has another ending, or parts of another job are in the way.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.models import Popularity
    >>> model = Popularity().fit(np.array([[1, 1, 0], [0, 1, 1]]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = recommend_to(model, Path(folder) / "all.csv", k=1)
    ...     print(rows, (Path(folder) / "all.csv").read_text().split())
    2 ['user,item,score,rank', '0,2,1.0,1', '1,0,1.0,1']
    """
    target = Path(path)
    kind = check_choice("path", FORMATS.get(target.suffix.lower(), target.suffix), tuple(FORMATS.values()))
    k = check_size("k", k)
    batch_size = check_size("batch_size", batch_size)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    asked = _list_users(model, users)
    n = asked.shape[0] if hasattr(asked, "shape") else len(asked)
    filters: dict[str, Any] = {
        name: _Filter.of(model, name, options, n) for name in ("allow", "deny") if name in options
    }
    parts = target.with_name(f".{target.name}.parts")
    _prepare(parts, _job_of(model, asked, n, k, batch_size, {**options, **filters}))
    starts = range(0, n, batch_size)
    with epoch_progress(f"recommend to {target.name}", len(starts), bool(verbose)) as advance:
        for number, start in enumerate(starts):
            place = parts / f"{number:08d}.{kind}"
            if not place.exists():
                stop = min(start + batch_size, n)
                some = {name: filter.part(start, stop) for name, filter in filters.items()}
                top = model.recommend(_rows(asked, start, stop), k, **{**options, **some})
                _write_part(top, place, kind)
            advance(f"{min(start + batch_size, n):,} of {n:,} users")
    rows = (_join_parquet if kind == "parquet" else _join_csv)(model, sorted(parts.glob(f"*.{kind}")), target, mode)
    shutil.rmtree(parts)
    return rows


def _list_users(model: Any, users: Any) -> Any:
    """The users in an order that is the same in each run and can be cut: ids, or rows of histories."""
    if users is None:
        model._check_has_users("there are none to write recommendations for", "give their histories as users=")
        return model.user_vocabulary.ids
    if hasattr(type(users), "n_interactions") or hasattr(users, "tocsr") or getattr(users, "ndim", 1) == 2:
        return users
    if isinstance(users, set | frozenset):
        return as_ids(sorted(users), "users")
    rows = as_sequence(users)
    return np.asarray(rows) if np.ndim(rows[:1] if isinstance(rows, list) else rows) == 2 else as_ids(rows, "users")


def _rows(asked: Any, start: int, stop: int) -> Any:
    return asked.tocsr()[start:stop] if hasattr(asked, "tocsr") else asked[start:stop]


class _Filter(NamedTuple):
    """Allowed or denied items: as given, for all users, or their rows."""

    given: Any
    codes: Any

    @classmethod
    def of(cls, model: Any, name: str, options: dict[str, Any], n: int) -> "_Filter":
        given = options[name]
        given = list(given) if isinstance(given, Iterator) else given  # each batch reads it again
        return cls(given, read_items(model, name, given, n, options.get("on_unknown", "error")))

    def part(self, start: int, stop: int) -> Any:
        return pick_rows(self.codes, slice(start, stop)) if isinstance(self.codes, CodeMatrix) else self.given

    def __str__(self) -> str:
        if self.codes is None:
            return "None"
        items = self.codes if isinstance(self.codes, CodeMatrix) else np.unique(self.codes)
        return f"{items.shape[0]} {'rows' if items.ndim == 2 else 'items'} #{fingerprint(items)}"


def _job_of(model: Any, asked: Any, n: int, k: int, batch_size: int, options: dict[str, Any]) -> dict[str, Any]:
    """Describes the job of the parts: parts of another job must not be mixed with them."""
    return {
        "fastrec": __version__,
        "model": f"{type(model).__name__} #{fingerprint(model)}",
        "users": f"{n} #{fingerprint(asked)}",
        "k": k,
        "batch_size": batch_size,
        "options": {name: str(value) for name, value in sorted(options.items())},
    }


def _prepare(parts: Path, job: dict[str, Any]) -> None:
    """The folder of the parts: a new one, or one of the same job; half-written parts of a killed run are removed."""
    note = parts / "job.json"
    if note.exists():
        known = json.loads(note.read_text(encoding="utf-8"))
        for name, value in job.items():
            if known.get(name) != value:
                raise ValueError(
                    f"{parts} holds parts of another job: its {name} is {known.get(name)}, not {value}; remove it first"
                )
    else:
        make_folder(parts)
        aside = note.with_suffix(".tmp")
        aside.write_text(json.dumps(job), encoding="utf-8")
        os.replace(aside, note)
    for left in parts.glob("*.tmp"):
        left.unlink()


# --- parts -----------------------------------------------------------------------------------------------------------


def _columns(top: TopK) -> dict[str, NDArray[Any]]:
    """The valid places of a result: user, item, score, rank, title."""
    valid = top.valid
    rows, places = np.nonzero(valid)
    columns = {"user": top.users[rows], "item": top.items[valid], "score": top.scores[valid]}
    columns["rank"] = (places + 1).astype(np.int32)
    titles = top.titles()
    if titles is not None:
        columns["title"] = titles[valid]
    return columns


def _write_part(top: TopK, place: Path, kind: str) -> None:
    aside = place.with_suffix(".tmp")
    if kind == "parquet":
        pa, pq = _arrow()
        columns = {
            name: pa.array(column.tolist() if column.dtype == object else column)
            for name, column in _columns(top).items()
        }
        with os.fdopen(open_anew(aside), "wb") as binary:
            pq.write_table(pa.table(columns), binary)
    else:
        with os.fdopen(open_anew(aside), "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            # The digits of a float32, no more.
            columns_ = _columns(top)
            columns_["score"] = columns_["score"].astype("U32")
            writer.writerows(zip(*(column.tolist() for column in columns_.values()), strict=True))
    os.replace(aside, place)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("a Parquet file needs pyarrow: pip install 'fastrec[frames]'") from error
    return pyarrow, pyarrow.parquet


def _join_parquet(model: Any, parts: list[Path], target: Path, mode: int) -> int:
    pa, pq = _arrow()
    schema = pq.read_schema(parts[0]) if parts else pa.schema([("user", pa.int64()), ("item", pa.int64())])
    # A part without rows does not know the types of its texts.
    for part in parts:
        if pq.read_metadata(part).num_rows:
            schema = pq.read_schema(part)
            break
    rows = 0
    aside = target.with_name(f".{target.name}.tmp")
    with os.fdopen(open_anew(aside, mode), "wb") as file, pq.ParquetWriter(file, schema) as writer:
        for part in parts:
            table = pq.read_table(part)
            if table.num_rows:
                writer.write_table(table.cast(schema))
                rows += table.num_rows
    os.replace(aside, target)
    return rows


def _join_csv(model: Any, parts: list[Path], target: Path, mode: int) -> int:
    names = ["user", "item", "score", "rank"]
    if "title" in (model.item_info_ or {}):
        names.append("title")
    rows = 0
    aside = target.with_name(f".{target.name}.tmp")
    with os.fdopen(open_anew(aside, mode), "w", encoding="utf-8", newline="") as file:
        file.write(",".join(names) + "\n")
        for part in parts:
            with part.open(encoding="utf-8", newline="") as source:
                for chunk in _chunks(source):
                    file.write(chunk)
            rows += _count_records(part)
    os.replace(aside, target)
    return rows


def _chunks(file: Any) -> Iterator[str]:
    while chunk := file.read(1 << 20):
        yield chunk


def _count_records(part: Path) -> int:
    with part.open(encoding="utf-8", newline="") as file:  # an id or a title may hold a line break
        return sum(1 for _ in csv.reader(file))
