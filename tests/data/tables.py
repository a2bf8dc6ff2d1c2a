"""Makes tables in files and frames, for the tests of the functions that read them."""

import importlib.util

CSV = "userId,movieId,rating,timestamp\nann,7,4.5,1500000000\nbob,9,3,1500000060\nann,9,1,1500000030\n"
MIXED = "user,item\n1,10\n1,X9\n2,10\n"
PLAIN = "user,item\n1,10\n2,10\n"
# Text is read by our own kernels, so the result is the same with any other libraries.
ENGINES = {"with frames": (), "without": ("pyarrow", "polars", "pandas")}
_find_spec = importlib.util.find_spec


def hide(monkeypatch, names):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else _find_spec(name))


def write(folder, text, name="data.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def rows(data):
    """Returns the interactions as tuples of the caller's ids, values and times."""
    columns = [data.users.decode(data.user_codes), data.items.decode(data.item_codes)]
    columns += [column for column in (data.values, data.times) if column is not None]
    return list(zip(*(column.tolist() for column in columns), strict=True))
