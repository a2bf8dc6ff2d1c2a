"""Vocabulary: the caller's ids, and the int32 codes that stand for them inside."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.ids import Kind, as_ids, as_numbers, check_text, parse_integer
from fastrec.data.pseudonyms import make_pseudonyms
from fastrec.data.strings import ERRORS, OFFSETS, check_block, check_strings, is_rising, pack_strings, unpack_strings
from fastrec.fields import Array, Fields, Sizes, check_fields
from fastrec.matrix.arrays import check_codes
from fastrec.validation import check_choice

# A table over the whole range of integer ids pays off up to this many entries for each id and query.
_TABLE_SPREAD = 8
# Without ids, users and items are numbers. A number may make a vocabulary at most twice as large, plus so many more.
LEEWAY = 1000


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Returns a read-only array with the same content: the array itself if nobody can write to it, otherwise a copy."""
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


INTEGERS: Fields = {"ids": Array(("n",), "int64", order="distinct")}
STRINGS: Fields = {
    "utf8": Array(("bytes",), "uint8"),
    "offsets": OFFSETS,
    "order": Array(("n",), "int32", least=0, below="n", order="distinct", absent=True),
}
"""The arrays of a vocabulary: integers, or strings."""


class Vocabulary:
    """The ids of all users, or of all items, in the order of their codes: a fixed map between ids and codes.

    An *id* is the caller's own, an integer (int64) or a string; a *code* is its place in the vocabulary, an int32.
    A vocabulary never changes. `extended` returns a larger one in which every id keeps its code.

    Parameters
    ----------
    ids : array-like, shape (n,)
        Integers, or strings: unique, and all of one type. Id number i gets code i.

    Raises
    ------
    TypeError
        If ids are neither integers nor strings, or a mix.
    ValueError
        If an id is missing or occurs twice.

    Examples
    --------
    >>> films = Vocabulary(["Alien", "Brazil", "Clue"])
    >>> films.encode(["Clue", "Alien"])
    array([2, 0], dtype=int32)
    >>> films.decode([1])
    array(['Brazil'], dtype=object)
    >>> films.encode(["Dune"], unknown="code")
    array([-1], dtype=int32)
    >>> "Brazil" in films, len(films)
    (True, 3)
    """

    __slots__ = ("_ascending", "_ids", "_kind", "_length", "_lookup", "_offsets", "_order", "_table", "_utf8")

    _lookup: dict[str, int] | None

    def __init__(self, ids: ArrayLike | Any) -> None:
        array = as_ids(ids)
        self._set("str" if array.dtype == object else "int", len(array), ids=array)
        if array.dtype == object:
            check_text(array.tolist(), "ids")
            self._lookup = dict(zip(array.tolist(), range(len(array)), strict=True))
            unique = len(self._lookup)
        else:
            unique = len(np.unique(array))
        if unique < len(array):
            raise ValueError(f"the ids of a vocabulary must be unique, got {_first_repeated(array.tolist())!r} twice")

    def _set(
        self,
        kind: Kind,
        length: int,
        *,
        ids: NDArray[Any] | None = None,
        utf8: NDArray[np.uint8] | None = None,
        offsets: NDArray[np.int64] | None = None,
        order: NDArray[np.int32] | None = None,
        ascending: bool | None = None,
    ) -> None:
        if length > np.iinfo(np.int32).max:
            raise ValueError(f"a vocabulary holds at most {np.iinfo(np.int32).max} ids, got {length}")
        self._kind: Kind = kind
        self._length = length
        self._ids = None if ids is None else frozen(ids)  # int64, or Python strings made on demand
        self._utf8 = utf8
        self._offsets = offsets
        self._ascending = ascending  # None: not known yet
        self._order = order  # codes in ascending order of their ids, if that is not the order of the codes
        self._lookup = None
        self._table: NDArray[np.int32] | None = None

    @classmethod
    def from_sorted(cls, ids: NDArray[Any]) -> Self:
        """Makes a vocabulary of an array that must be strictly ascending (not checked): int64, or Python strings
        (object).
        """
        new = cls.__new__(cls)
        new._set("str" if ids.dtype == object and len(ids) else "int", len(ids), ids=ids, ascending=True)
        return new

    def picked(self, codes: NDArray[Any]) -> "Vocabulary":
        """Makes a vocabulary of some of the ids, in the order of their codes: distinct and in range (not checked)."""
        new = Vocabulary.__new__(Vocabulary)
        rising = self._ascending is True and bool((codes[1:] > codes[:-1]).all())
        new._set(self._kind, len(codes), ids=self.ids[codes], ascending=rising or None)
        return new

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Makes the vocabulary that `to_arrays` wrote, over the same memory; no id is read before it is needed.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            `ids`, or `utf8` and `offsets`. Without `order` the strings must be in ascending order.

        Raises
        ------
        ValueError
            If an array is missing, or has another type or shape.
        """
        new = cls.__new__(cls)
        sizes: Sizes = {}
        if set(arrays) == {"ids"}:
            check_fields(INTEGERS, arrays, sizes, ranges=False)
            new._set("int", sizes["n"], ids=arrays["ids"])
        elif {"utf8", "offsets"} <= set(arrays) <= {"utf8", "offsets", "order"}:
            check_fields(STRINGS, arrays, sizes, ranges=False)
            utf8, offsets, order = arrays["utf8"], arrays["offsets"], arrays.get("order")
            check_block(utf8, offsets)
            new._set("str", sizes["n"], utf8=utf8, offsets=offsets, order=order, ascending=order is None)
        else:
            raise ValueError(f"a vocabulary is made of 'ids', or of 'utf8' and 'offsets', got {sorted(arrays)}")
        return new

    def check_content(self) -> None:
        """Raises a ValueError if ids are not UTF-8, occur twice, or are not in the stated order.

        `from_arrays` reads no id, so that mapping a file is fast; this checks a file from an untrusted source.
        """
        sizes = {"n": self._length}
        if self._kind == "int":
            INTEGERS["ids"].check("the ids of a vocabulary", self.ids, sizes, ranges=True)
            return
        utf8, offsets = self._block()
        check_strings(utf8, offsets)
        if self._order is not None:
            STRINGS["order"].check("the order of a vocabulary", self._order, sizes, ranges=True)
        if self._ascending is not None:
            order = np.arange(self._length, dtype=np.int32) if self._order is None else self._order
            if not is_rising(utf8, offsets, order):
                raise ValueError("the ids of a vocabulary must be distinct, and its order that of the ids")

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the vocabulary as plain arrays, for a file.

        Returns
        -------
        dict of str to ndarray
            Integers: `ids`, int64. Strings: `utf8`, one block of uint8, and `offsets`, int64 of shape (n + 1,), with
            `order`, the int32 codes in ascending order of their ids, if that is not the order of the codes.

        Examples
        --------
        >>> Vocabulary(["b", "a"]).to_arrays()
        {'utf8': array([98, 97], dtype=uint8), 'offsets': array([0, 1, 2]), 'order': array([1, 0], dtype=int32)}
        """
        if self._kind == "int":
            return {"ids": self.ids}
        utf8, offsets = self._block()
        arrays: dict[str, NDArray[Any]] = {"utf8": utf8, "offsets": offsets}
        order = self._sorting()
        return arrays if order is None else {**arrays, "order": order}

    def _block(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if self._utf8 is None or self._offsets is None:
            self._utf8, self._offsets = pack_strings(self.ids.tolist())
        return self._utf8, self._offsets

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.to_arrays())

    @property
    def kind(self) -> Kind:
        """The type of the ids: "int" (int64), or "str"."""
        return self._kind

    @property
    def reach(self) -> int | None:
        """The bound below which an id must lie to be added by `extended`; None if any id may be added."""
        return None

    @property
    def ids(self) -> NDArray[Any]:
        """The ids in the order of their codes: int64, or Python strings (dtype object); shape (n,),
        read-only.
        """
        if self._ids is None:
            self._ids = unpack_strings(*self._block())
            self._ids.flags.writeable = False
        return self._ids

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        if self is other:
            return True
        if self._kind != other._kind or self._length != other._length:
            return False
        mine, theirs = self.to_arrays(), other.to_arrays()
        return all(np.array_equal(mine[key], theirs[key]) for key in mine if key != "order")

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, id: object) -> bool:
        try:
            return bool(self.encode([id], unknown="code")[0] >= 0)
        except (TypeError, ValueError):
            return False

    def __repr__(self) -> str:
        shown = self.decode(np.arange(min(3, self._length))).tolist()
        ids = ", ".join(map(repr, shown)) + (", …" if self._length > 3 else "")
        return f"Vocabulary({self._length} {'integers' if self._kind == 'int' else 'strings'}: {ids})"

    def encode(self, ids: ArrayLike | Any, *, unknown: Literal["error", "code"] = "error") -> NDArray[np.int32]:
        """Returns the codes of the given ids.

        Parameters
        ----------
        ids : array-like, shape (n,)
            Integers or strings; types are strict, "42" is not 42. A single id is accepted.
        unknown : {"error", "code"}
            The treatment of an unknown id: an error that names it, or the code -1.

        Returns
        -------
        ndarray of int32, shape (n,)

        Raises
        ------
        ValueError
            If an id is unknown (and `unknown` is "error"), or missing.
        TypeError
            If ids are neither integers nor strings.
        """
        check_choice("unknown", unknown, ("error", "code"))
        array = as_ids(ids)
        if not len(array):
            return np.empty(0, np.int32)
        kind = "str" if array.dtype == object else "int"
        if kind != self._kind:
            codes = np.full(len(array), -1, np.int32)
        elif kind == "int":
            codes = self._encode_integers(array)
        else:
            codes = self._encode_strings(array)
        if unknown == "error" and codes.min() < 0:
            raise ValueError(self._unknown(array[int(np.argmax(codes < 0))]))
        return codes

    def look_up(
        self, name: str, ids: ArrayLike | Any, *, unknown: Literal["error", "code"] = "error"
    ) -> NDArray[np.int32]:
        """Runs `encode`, with errors that name the argument with the ids.

        >>> Vocabulary(["a", "b"]).look_up("users", ["b"])
        array([1], dtype=int32)
        """
        try:
            return self.encode(ids, unknown=unknown)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from None

    def match(self, ids: list[int | str]) -> list[int]:
        """Returns the codes of ids, -1 for unknown ids and ids of another type; it raises no error for these.

        >>> Vocabulary(["a", "b"]).match(["b", 1, "c"])
        [1, -1, -1]
        """
        wanted = int if self._kind == "int" else str
        right = [given for given in ids if type(given) is wanted]
        found: list[int] = self.encode(right, unknown="code").tolist() if right else []
        if len(right) == len(ids):
            return found
        rest = iter(found)
        return [next(rest) if type(given) is wanted else -1 for given in ids]

    def find(self, id: int | str) -> int:
        """Returns the code of one id, -1 if it is unknown or of another type: `match` of one id, without arrays.

        >>> Vocabulary([7, 5, 6]).find(6), Vocabulary([5, 6]).find("6")
        (2, -1)
        """
        if type(id) is not (int if self._kind == "int" else str) or not self._length:
            return -1
        if self._lookup is not None:
            return self._lookup.get(id, -1)  # type: ignore[arg-type]  # there are strings alone
        if self._kind == "int" and self._sorting() is None:
            low, high = self.ids.item(0), self.ids.item(-1)
            if high - low + 1 == self._length:  # a run without gaps
                return id - low if low <= id <= high else -1
        elif self._ascending is None:
            return self.match([id])[0]
        return self._find(id)

    def decode_few(self, codes: list[int]) -> list[int] | list[str]:
        """Returns the ids of a few codes, which must be in range: `decode` without arrays.

        >>> Vocabulary(["a", "b", "c"]).decode_few([2, 0])
        ['c', 'a']
        """
        if self._ids is not None:
            return list(map(self._ids.item, codes))
        read = self._reader()
        return [str(read(code), "utf-8", ERRORS) for code in codes]

    def _unknown(self, id: Any) -> str:
        given = id if isinstance(id, str) else int(id)
        twin: Any = None
        if self._kind == "int" and isinstance(given, str):
            twin = parse_integer(given)
        elif self._kind == "str" and not isinstance(given, str):
            twin = str(given)
        hint = ""
        if isinstance(given, str) != (self._kind == "str"):
            hint = f": the ids here are {'strings' if self._kind == 'str' else 'integers'}"
            hint += f", {twin!r} among them" if twin is not None and twin in self else ""
        return f"unknown id {given!r}{hint}"

    def _encode_integers(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        known, length = self.ids, self._length
        if not length:
            return np.full(len(ids), -1, np.int32)
        order = self._sorting()
        low, high = (known[0], known[-1]) if order is None else (known[order[0]], known[order[-1]])
        spread = int(high) - int(low) + 1
        if spread == length and order is None:  # a run without gaps
            if len(ids) == 1:  # a single id costs no arithmetic on arrays
                return np.array([int(ids[0]) - int(low) if low <= ids[0] <= high else -1], np.int32)
            return np.where((ids >= low) & (ids <= high), ids - low, -1).astype(np.int32)
        if self._table is None and len(ids) > 1000 and spread <= _TABLE_SPREAD * (length + len(ids)):
            self._table = _code_table(known, int(low), spread)
        if self._table is not None and len(ids) > 1000:
            outside = (ids < low) | (ids > high)
            places = np.where(outside, spread, ids - low)
            return self._table[places]
        codes: NDArray[Any] = np.searchsorted(known, ids, sorter=order)
        codes[codes == length] = 0
        if order is not None:
            codes = order[codes]
        return np.where(known[codes] == ids, codes, -1).astype(np.int32)

    def _encode_strings(self, ids: NDArray[np.object_]) -> NDArray[np.int32]:
        # A few ids are found by bisection, so that a newly mapped model answers without reading all its ids.
        if self._lookup is None and self._ascending is not None and len(ids) * 16 < self._length:
            return np.fromiter(map(self._find, ids), np.int32, len(ids))
        if self._lookup is None:
            self._lookup = dict(zip(self.ids.tolist(), range(self._length), strict=True))
        lookup = self._lookup
        return np.fromiter((lookup.get(id, -1) for id in ids.tolist()), np.int32, len(ids))

    def _find(self, id: int | str) -> int:
        key: Any = id
        if self._ids is None:
            key, read = str(id).encode("utf-8", ERRORS), self._reader()
        else:
            read = self._ids.item
        order = self._order
        place = bisect_left(range(self._length), key, key=read if order is None else lambda i: read(int(order[i])))
        if place == self._length:
            return -1
        code = place if order is None else int(order[place])
        return code if read(code) == key else -1

    def _reader(self) -> Callable[[int], bytes]:
        """Returns a function from a code to its UTF-8 bytes; it uses memoryviews, which are faster here than arrays."""
        block, bounds = (array.data for array in self._block())
        return lambda code: bytes(block[bounds[code] : bounds[code + 1]])

    def _sorting(self) -> NDArray[np.int32] | None:
        """The codes in ascending order of their ids; None if codes are in that order already."""
        if self._ascending is None:
            ids = self.ids
            self._ascending = bool((ids[1:] > ids[:-1]).all())
            if not self._ascending:
                self._order = np.argsort(ids, kind="stable").astype(np.int32)
        return self._order

    def decode(self, codes: ArrayLike) -> NDArray[Any]:
        """Returns the ids of the given codes.

        Parameters
        ----------
        codes : array-like of integers, any shape

        Returns
        -------
        ndarray of int64 or of Python strings (dtype object), the shape of `codes`

        Raises
        ------
        ValueError
            If a code is below 0 or beyond the vocabulary.

        Examples
        --------
        >>> Vocabulary([10, 20, 30]).decode([[2, 0], [1, 1]])
        array([[30, 10],
               [20, 20]])
        """
        array = np.asarray(codes)
        array = check_codes("codes", array.ravel(), self._length).reshape(array.shape)
        if self._ids is None and array.size * 8 < self._length:
            ids = np.empty(array.size, object)
            read = self._reader()
            ids[:] = [str(read(code), "utf-8", ERRORS) for code in array.ravel().tolist()]
            return ids.reshape(array.shape)
        return np.asarray(self.ids[array])

    def extended(self, ids: ArrayLike | Any) -> "Vocabulary":
        """Returns a larger vocabulary: every id keeps its code, and new ids follow in the given order.

        Parameters
        ----------
        ids : array-like
            Ids of the same type; known and repeated ones are no error.

        Examples
        --------
        >>> Vocabulary(["a", "b"]).extended(["c", "a", "c"]).ids
        array(['a', 'b', 'c'], dtype=object)
        """
        array = as_ids(ids)
        kind = "str" if array.dtype == object else "int"
        if len(array) and self._length and kind != self._kind:
            raise TypeError(f"a vocabulary of type {self._kind!r} cannot be extended with ids of type {kind!r}")
        new = array[self.encode(array, unknown="code") < 0] if self._length else array
        if not len(new):
            return self
        _, first = np.unique(new, return_index=True)
        new = new[np.sort(first)]
        return Vocabulary(np.concatenate([self.ids, new]) if self._length else new)

    def pseudonymised(self, key: bytes) -> "Vocabulary":
        """Returns the vocabulary with a `pseudonym` in place of each id; the codes stay.

        Parameters
        ----------
        key : bytes
            16 to 64 bytes. It is not kept.

        Examples
        --------
        >>> from fastrec.data import pseudonym
        >>> Vocabulary(["anna", "bert"]).pseudonymised(b"sixteen or more!").encode(
        ...     [pseudonym("bert", b"sixteen or more!")]
        ... )
        array([1], dtype=int32)
        """
        return Vocabulary(make_pseudonyms(self.ids, key))

    def grow(self, name: str, ids: ArrayLike | Any) -> tuple["Vocabulary", NDArray[np.int32]]:
        """Returns `extended`, and the codes of the given ids; errors name the argument with the ids."""
        try:
            grown = self.extended(ids)
            return grown, grown.encode(ids)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None


class CodeVocabulary(Vocabulary):
    """The vocabulary of a plain matrix, whose rows or columns have no ids: codes take their place.

    Examples
    --------
    >>> CodeVocabulary(3).look_up("users", [2, 0])
    array([2, 0], dtype=int32)
    >>> CodeVocabulary(3).encode([2, 3], unknown="code")
    array([ 2, -1], dtype=int32)
    """

    __slots__ = ()

    def __init__(self, size: int) -> None:
        self._set("int", size, ascending=True)

    @property
    def ids(self) -> NDArray[Any]:
        """The codes: int64, of shape (n,)."""
        if self._ids is None:
            self._ids = frozen(np.arange(self._length))
        return self._ids

    def look_up(
        self, name: str, ids: ArrayLike | Any, *, unknown: Literal["error", "code"] = "error"
    ) -> NDArray[np.int32]:
        """Returns the codes themselves after a check of their range; a code out of range is always an error."""
        return check_codes(name, as_numbers(ids, name), self._length)

    def match(self, ids: list[int | str]) -> list[int]:
        """Returns the codes that are in range, and -1 for all others."""
        return [given if isinstance(given, int) and 0 <= given < self._length else -1 for given in ids]

    def find(self, id: int | str) -> int:
        """Returns the code itself, -1 if it is out of range."""
        return id if isinstance(id, int) and 0 <= id < self._length else -1

    def decode_few(self, codes: list[int]) -> list[int]:
        """Returns the codes themselves, unchecked."""
        return codes

    def decode(self, codes: ArrayLike) -> NDArray[Any]:
        """Returns the codes themselves, unchecked."""
        return np.asarray(codes)

    @property
    def reach(self) -> int:
        """The bound below which a code must lie to be added by `extended`: twice the present number, plus a thousand.

        >>> CodeVocabulary(500).reach
        2000
        """
        return reach(self._length)

    def extended(self, ids: ArrayLike | Any) -> "CodeVocabulary":
        """Returns a larger vocabulary with room for the given codes; a typing error must not cost gigabytes.

        >>> len(CodeVocabulary(3).extended([1, 7]))
        8
        """
        return self.grow("ids", ids)[0]

    def grow(self, name: str, ids: ArrayLike | Any) -> tuple["CodeVocabulary", NDArray[np.int32]]:
        """See `Vocabulary.grow`."""
        codes = check_codes(name, as_numbers(ids, name), np.iinfo(np.int32).max)
        top = int(codes.max(initial=-1))
        if top >= self.reach:
            raise ValueError(
                f"{name} has the code {top}, but there are {self._length} now, and codes that are added must be below "
                f"{self.reach}. Models fitted with Interactions take any id"
            )
        return (CodeVocabulary(top + 1) if top >= self._length else self), codes

    def _encode_integers(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        return np.where((ids >= 0) & (ids < self._length), ids, -1).astype(np.int32)


def reach(size: int) -> int:
    """The bound below which codes may be added to so many, without ids.

    >>> reach(500)
    2000
    """
    return 2 * size + LEEWAY


def _restore(cls: type[Vocabulary], arrays: dict[str, NDArray[Any]]) -> Vocabulary:
    for array in arrays.values():
        array.flags.writeable = False
    return cls.from_arrays(arrays)


def _code_table(ids: NDArray[np.int64], low: int, spread: int) -> NDArray[np.int32]:
    """Returns a table from every integer from `low` on to its code or -1, and a last place -1 for all integers
    outside.
    """
    table = np.full(spread + 1, -1, np.int32)
    table[ids - low] = np.arange(len(ids), dtype=np.int32)
    return table


def _first_repeated(values: list[Any]) -> Any:
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    raise AssertionError("nothing is repeated")
