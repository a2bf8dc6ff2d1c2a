"""The door to pandas, polars and Arrow: frames made for the caller, and the caller's frames opened, by narwhals."""

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal

import narwhals as nw
from numpy.typing import NDArray

Backend = Literal["pandas", "polars", "pyarrow"]
BACKENDS: tuple[Backend, ...] = ("pandas", "polars", "pyarrow")


def installed_backends() -> list[Backend]:
    """Which of pandas, polars and pyarrow can be imported here, in that order."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def make_frame(columns: Mapping[str, NDArray[Any]], backend: Backend | None = None) -> Any:
    """A data frame of the given columns.

    Parameters
    ----------
    columns : mapping of str to ndarray
        Arrays of one length; strings as object arrays.
    backend : {"pandas", "polars", "pyarrow"}, optional
        None: the first one that is installed.

    Raises
    ------
    ImportError
        If none is installed.

    Examples
    --------
    >>> import numpy as np
    >>> make_frame({"user": np.array([1, 2])}, "pyarrow").num_rows
    2
    """
    if backend is None:
        installed = installed_backends()
        if not installed:
            raise ImportError("a data frame needs pandas, polars or pyarrow: pip install 'fastrec[frames]'")
        backend = installed[0]
    data = {
        name: array.tolist() if array.dtype == object and backend != "pandas" else array
        for name, array in columns.items()
    }
    return nw.from_dict(data, backend=backend).to_native()


def open_frame(source: Any) -> "nw.DataFrame[Any]":
    """Any frame as one of narwhals: of pandas, polars, pyarrow, or an object with an Arrow stream or `__dataframe__`.

    Lazy frames are collected.

    Raises
    ------
    TypeError
        If the object is no frame.
    """
    frame: Any = nw.from_native(source, pass_through=True, allow_series=False)
    if isinstance(frame, nw.LazyFrame):
        return frame.collect()
    if isinstance(frame, nw.DataFrame):
        return frame
    if hasattr(source, "__arrow_c_stream__"):
        return _from_arrow_stream(source)
    if hasattr(source, "__dataframe__"):
        return _from_interchange(source)
    raise TypeError(
        "interactions are read from a path, a frame of pandas, polars or pyarrow, or an object with an Arrow stream; "
        f"got {type(source).__name__}"
    )


def _from_arrow_stream(source: Any) -> "nw.DataFrame[Any]":
    for backend in ("pyarrow", "polars"):
        if backend in installed_backends():
            return nw.from_arrow(source, backend=backend)
    raise ImportError("an Arrow stream is read by pyarrow or polars: pip install 'fastrec[frames]'")


def _from_interchange(source: Any) -> "nw.DataFrame[Any]":
    if "pyarrow" not in installed_backends():
        raise ImportError("the __dataframe__ protocol is read by pyarrow: pip install 'fastrec[frames]'")
    from pyarrow.interchange import from_dataframe

    return nw.from_native(from_dataframe(source), eager_only=True)
