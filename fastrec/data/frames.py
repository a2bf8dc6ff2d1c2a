"""The bridge to pandas, polars and Arrow by narwhals: frames made for the caller, and the caller's frames opened."""

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal

import narwhals as nw
from numpy.typing import NDArray

Backend = Literal["pandas", "polars", "pyarrow"]
BACKENDS: tuple[Backend, ...] = ("pandas", "polars", "pyarrow")


def installed_backends() -> list[Backend]:
    """Returns the names of those of pandas, polars and pyarrow that can be imported here, in that order."""
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


def open_frame(source: Any) -> "tuple[list[str], nw.DataFrame[Any]]":
    """Opens a frame: returns its columns' names, and a narwhals frame whose columns can be chosen by their places.

    Frames are those of pandas, polars and pyarrow, and objects with an Arrow stream or `__dataframe__`. Lazy frames are
    collected. Names may repeat, as in pandas and Arrow.

    Raises
    ------
    TypeError
        If the object is no frame.
    """
    native, names = _number_columns(source)
    frame: Any = nw.from_native(native, pass_through=True, allow_series=False)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        return names or list(map(str, frame.columns)), frame
    if hasattr(source, "__arrow_c_stream__"):
        return open_frame(_from_arrow_stream(source))
    if hasattr(source, "__dataframe__"):
        return open_frame(_from_interchange(source))
    raise TypeError(
        "interactions are read from a path, a frame of pandas, polars or pyarrow, or an object with an Arrow stream; "
        f"got {type(source).__name__}"
    )


def _number_columns(source: Any) -> tuple[Any, list[str] | None]:
    """The frame and its names; if several columns have one name, the frame's columns are named by numbers."""
    kind = type(source).__module__.partition(".")[0], type(source).__name__
    if kind == ("pandas", "DataFrame"):
        names = list(map(str, source.columns))  # names may be numbers in pandas
        return (source, names) if len(set(names)) == len(names) else (source.set_axis(_numbers(names), axis=1), names)
    if kind == ("pyarrow", "Table"):
        names = list(source.column_names)
        return (source, names) if len(set(names)) == len(names) else (source.rename_columns(_numbers(names)), names)
    return source, None


def _numbers(names: list[str]) -> list[str]:
    return list(map(str, range(len(names))))


def _from_arrow_stream(source: Any) -> Any:
    installed = installed_backends()
    if "pyarrow" in installed:
        import pyarrow as pa

        return source.read_all() if isinstance(source, pa.RecordBatchReader) else pa.table(source)
    if "polars" in installed:
        return nw.from_arrow(source, backend="polars")
    raise ImportError("an Arrow stream is read by pyarrow or polars: pip install 'fastrec[frames]'")


def _from_interchange(source: Any) -> Any:
    if "pyarrow" not in installed_backends():
        raise ImportError("the __dataframe__ protocol is read by pyarrow: pip install 'fastrec[frames]'")
    from pyarrow.interchange import from_dataframe

    return from_dataframe(source)


def find_column(given: Any) -> "nw.Series[Any] | None":
    """Returns a series of pandas or polars, or an array of pyarrow, as one of narwhals; None for anything else."""
    if type(given).__module__.partition(".")[0] == "pyarrow" and hasattr(given, "dictionary_encode"):
        import pyarrow as pa

        given = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array([given])
    found: Any = nw.from_native(given, pass_through=True, series_only=True)
    return found if isinstance(found, nw.Series) else None


def plain_column(column: "nw.Series[Any]") -> NDArray[Any] | list[Any]:
    """The content of a column: numbers and truth values without gaps as an array; everything else as a list.

    Categories are replaced by their values; 128-bit integers and decimals without a fraction become int64 if all fit.
    """
    column = decoded(column)
    dtype = column.dtype
    if dtype.is_decimal() or dtype in (nw.Int128, nw.UInt128):
        return _narrow(column)
    if (dtype.is_numeric() or dtype == nw.Boolean) and not column.is_null().any():
        return column.to_numpy()
    return column.to_list()


def plain_list(column: "nw.Series[Any]") -> list[Any]:
    """The content of a column as Python objects, None for missing values."""
    plain = plain_column(column)
    return plain if isinstance(plain, list) else list(plain.tolist())


def decoded(column: "nw.Series[Any]") -> "nw.Series[Any]":
    """A column of categories as the values of its categories, which need not be strings; most others unchanged.

    Decimals of a negative scale, of which narwhals knows nothing, become decimals without a fraction.
    """
    column = with_known_scale(column)
    if column.dtype not in (nw.Categorical, nw.Enum):
        return column
    native = column.to_native()
    if column.implementation.is_polars():
        return column.cast(nw.String)
    if column.implementation.is_pandas() and hasattr(native, "cat"):
        return nw.from_native(native.astype(native.cat.categories.dtype), series_only=True)
    import pyarrow as pa

    encoded = native if column.implementation.is_pyarrow() else column.to_arrow()
    chunks = [chunk.dictionary_decode() for chunk in getattr(encoded, "chunks", [encoded])]
    return nw.from_native(pa.chunked_array(chunks, encoded.type.value_type), series_only=True)


def with_known_scale(column: "nw.Series[Any]") -> "nw.Series[Any]":
    """Returns decimals of a negative scale, of which narwhals has no dtype, as decimals without a fraction; others
    unchanged.
    """
    native = column.to_native()
    if _fraction_digits(column) >= 0:
        return column
    import pyarrow as pa

    whole = pa.decimal128(38, 0)
    cast = native.cast(whole) if column.implementation.is_pyarrow() else native.astype(type(native.dtype)(whole))
    return nw.from_native(cast, series_only=True)


def _narrow(column: "nw.Series[Any]") -> NDArray[Any] | list[Any]:
    """Integers of any width as int64 if all fit; otherwise, and for decimals with a fraction, as Python objects."""
    if _fraction_digits(column) <= 0 and not column.is_null().any():
        try:
            return column.cast(nw.Int64).to_numpy()
        except Exception:  # one does not fit; each library raises another error
            return column.to_list()
    return column.to_list()


def _fraction_digits(column: "nw.Series[Any]") -> int:
    """The digits after the point of a column of decimals; 0 for any other column."""
    native = column.to_native()
    dtype = native.dtype if hasattr(native, "dtype") else native.type
    return int(getattr(getattr(dtype, "pyarrow_dtype", dtype), "scale", 0) or 0)
