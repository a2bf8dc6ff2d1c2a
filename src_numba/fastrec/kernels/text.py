"""Parsing of delimited text: records are checked, and columns are copied, numbered, or read as numbers."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Bytes, Codes, Counts, Doubles, Seeds

# The kinds of faults of a text, in facts[KIND]; the byte of the fault is in facts[PLACE].
FINE, RAGGED, QUOTE_INSIDE, AFTER_QUOTE, OPEN_QUOTE, CARRIAGE_RETURN, NUL = range(7)
# The places in `facts`.
KIND, PLACE, RECORDS, FIELDS, RECORD_START, RECORD_END, GOT = range(7)
N_FACTS = 7

_FEED, _RETURN = np.uint8(10), np.uint8(13)


@kernel(inner=True)
def _ends_line(text, at):
    """Returns the length of the line end here: 1 for a line feed, 2 for a carriage return and a line feed, else 0."""
    if text[at] == _FEED:
        return 1
    if text[at] == _RETURN and at + 1 < text.shape[0] and text[at + 1] == _FEED:
        return 2
    return 0


@kernel(inner=True)
def _delimits(text, at, delimiter):
    """Tells whether the delimiter stands here."""
    if text[at] != delimiter[0] or at + delimiter.shape[0] > text.shape[0]:
        return False
    for i in range(1, delimiter.shape[0]):
        if text[at + i] != delimiter[i]:
            return False
    return True


@kernel(inner=True)
def _find_end(text, start, delimiter, quote):
    """Finds the end of a field that begins at `start`, and its fault; `quote` is -1 if there is none."""
    at, size = start, text.shape[0]
    # In quotes: up to a quote that is not doubled, after which the field must end.
    if size > at and text[at] == quote:
        at += 1
        while True:
            while at < size and text[at] != quote:
                if text[at] == 0:
                    return at, NUL
                at += 1
            if at == size:
                return start, OPEN_QUOTE
            at += 1
            if at == size or text[at] != quote:
                break
            at += 1
        if at == size or _ends_line(text, at) > 0 or _delimits(text, at, delimiter):
            return at, FINE
        return at, AFTER_QUOTE
    # Without quotes: up to a delimiter or the end of the line; all bytes below 14 are looked at more closely.
    first = delimiter[0]
    while at < size:
        letter = text[at]
        if letter == first and _delimits(text, at, delimiter):
            return at, FINE
        if letter < 14:
            if letter == _FEED:
                return at, FINE
            if letter == _RETURN:
                return at, FINE if _ends_line(text, at) > 0 else CARRIAGE_RETURN
            if letter == 0:
                return at, NUL
        if letter == quote:
            return at, QUOTE_INSIDE
        at += 1
    return at, FINE


@kernel()
def check_records(
    text: Bytes,
    delimiter: Bytes,
    quote: int,
    most: int,
    sizes: Counts,
    facts: Counts,
) -> None:
    """Counts records and fields, until the first fault or until `most` records are read.

    Parameters
    ----------
    text, delimiter
        Their bytes; the delimiter has one or more.
    quote
        The byte around fields that contain a delimiter or a line end; doubled inside a field. -1: no quotes.
    most
        The largest number of records to read.
    sizes
        Filled with the largest number of bytes of each column, as far as it has places.
    facts
        Of N_FACTS places, filled: the fault and its byte, the number of records and of fields in each, the begin, the
        end and the number of fields of the last record. Given: the number of fields of a record, or 0 to take that of
        the first record. Empty lines are no records.
    """
    at, size, wanted = 0, text.shape[0], facts[FIELDS]
    n, kind = 0, FINE
    while at < size and n < most:
        # Empty lines are skipped.
        ended = _ends_line(text, at)
        if ended > 0:
            at += ended
            continue
        # Field by field to the end of the record.
        start, fields = at, 0
        while True:
            stop, kind = _find_end(text, at, delimiter, quote)
            if kind != FINE:
                facts[KIND], facts[PLACE] = kind, stop
                facts[RECORDS], facts[RECORD_START] = n, start
                return
            if fields < sizes.shape[0]:
                sizes[fields] += stop - at
            fields += 1
            at = stop
            if at == size or _ends_line(text, at) > 0:
                break
            at += delimiter.shape[0]
        # The first record sets the number of fields of all.
        if wanted == 0:
            wanted = fields
        facts[RECORD_START], facts[RECORD_END], facts[GOT] = start, at, fields
        if fields != wanted:
            facts[KIND], facts[PLACE], facts[RECORDS], facts[FIELDS] = RAGGED, start, n, wanted
            return
        n += 1
        if at < size:
            at += _ends_line(text, at)
    facts[KIND], facts[RECORDS], facts[FIELDS] = FINE, n, wanted


@kernel(inner=True)
def _copy_field(text, start, stop, quote, out, at):
    """Copies a field without its outer quotes, and with single inner ones; returns the place of the next field."""
    # In quotes: of two quotes one is copied.
    if start < stop and text[start] == quote:
        i = start + 1
        while i < stop - 1:
            out[at] = text[i]
            at += 1
            i += 2 if text[i] == quote else 1
        return at
    # Without quotes: as it is.
    for i in range(start, stop):
        out[at] = text[i]
        at += 1
    return at


@kernel()
def copy_columns(
    text: Bytes,
    delimiter: Bytes,
    quote: int,
    slots: Counts,
    blocks: Bytes,
    ends: Counts,
    offsets: Counts,
) -> None:
    """Copies the fields of some columns of a text, which `check_records` has accepted, one after the other.

    Parameters
    ----------
    slots
        The number of each column of the text among the wanted ones, or -1.
    blocks
        Filled with the bytes of all wanted columns, each in its own part.
    ends
        The begin of each wanted column's part; replaced by its end.
    offsets
        Of shape (wanted, records + 1), filled: the begin of each field in its column's part.
    """
    at, size, row = 0, text.shape[0], 0
    starts = ends.copy()
    while at < size:
        ended = _ends_line(text, at)
        if ended > 0:
            at += ended
            continue
        # Field by field to the end of the record; those of wanted columns are copied.
        column = 0
        while True:
            stop, _ = _find_end(text, at, delimiter, quote)
            slot = slots[column]
            if slot >= 0:
                ends[slot] = _copy_field(text, at, stop, quote, blocks, ends[slot])
                offsets[slot, row + 1] = ends[slot] - starts[slot]
            column += 1
            at = stop
            if at == size or _ends_line(text, at) > 0:
                break
            at += delimiter.shape[0]
        row += 1
        if at < size:
            at += _ends_line(text, at)


@kernel()
def trim_fields(utf8: Bytes, offsets: Counts) -> int:
    """Strips blanks and tabs from the fields of a column, in place; returns the first empty field, or -1."""
    at, gap, start = 0, -1, 0
    for row in range(offsets.shape[0] - 1):
        first, last = start, offsets[row + 1]
        start = last
        # Blanks at the beginning and the end are skipped; the rest moves up.
        while first < last and (utf8[first] == 32 or utf8[first] == 9):
            first += 1
        while first < last and (utf8[last - 1] == 32 or utf8[last - 1] == 9):
            last -= 1
        if first == last and gap < 0:
            gap = row
        for i in range(first, last):
            utf8[at] = utf8[i]
            at += 1
        offsets[row + 1] = at
    return gap


@kernel()
def parse_integers(utf8: Bytes, offsets: Counts, numbers: Counts) -> int:
    """Reads plain integers: no plus, no leading zero, within int64; returns the first row that is none, or -1.

    Fills `numbers` up to that row.
    """
    for row in range(numbers.shape[0]):
        at, stop = offsets[row], offsets[row + 1]
        negative = at < stop and utf8[at] == 45
        # A minus may come first; then only digits, at most 19, without a leading zero.
        if negative:
            at += 1
        digits = stop - at
        if digits < 1 or digits > 19 or (utf8[at] == 48 and (digits > 1 or negative)):
            return row
        total = np.uint64(0)
        for i in range(at, stop):
            digit = np.int64(utf8[i]) - 48
            if digit < 0 or digit > 9:
                return row
            total = total * np.uint64(10) + np.uint64(digit)
        # The largest number is one more below zero.
        most = np.uint64(9223372036854775807)
        if negative:
            most += np.uint64(1)
        if total > most:
            return row
        numbers[row] = np.int64(~total + np.uint64(1)) if negative else np.int64(total)
    return -1


@kernel()
def parse_decimals(
    utf8: Bytes,
    offsets: Counts,
    powers: Doubles,
    first: int,
    numbers: Doubles,
) -> int:
    """Reads decimals from row `first` on that a quotient of two floats gives exactly; returns the first other row, or
    -1.

    They have digits, at most one point, and a sign. The digits are below 2**53, and the fraction is no longer than
    `powers`, the powers of ten from 0 to 22.
    """
    for row in range(first, numbers.shape[0]):
        at, stop = offsets[row], offsets[row + 1]
        # A sign may come first.
        sign = 1.0
        if at < stop and (utf8[at] == 45 or utf8[at] == 43):
            sign = -1.0 if utf8[at] == 45 else 1.0
            at += 1
        # The digits before and after the point as one integer, which must stay exact.
        total, digits, fraction, pointed = np.uint64(0), 0, 0, False
        for i in range(at, stop):
            letter = utf8[i]
            if letter == 46 and not pointed:
                pointed = True
                continue
            digit = np.int64(letter) - 48
            if digit < 0 or digit > 9 or total >= np.uint64(900719925474099):
                return row
            total = total * np.uint64(10) + np.uint64(digit)
            digits += 1
            fraction += 1 if pointed else 0
        if digits == 0 or fraction >= powers.shape[0]:
            return row
        numbers[row] = sign * (np.float64(total) / powers[fraction])
    return -1


@kernel()
def number_fields(
    utf8: Bytes,
    offsets: Counts,
    first: int,
    table: Codes,
    hashes: Seeds,
    examples: Counts,
    codes: Codes,
    n: int,
) -> tuple[int, int]:
    """Numbers the distinct fields of a column in their order of appearance, from row `first` on.

    Parameters
    ----------
    table
        The places of a hash table, a power of two: numbers, or -1 if free.
    hashes, examples
        The hash and the first row of the field of each of the n numbers given so far.
    codes
        Filled with the number of each row's field.

    Returns
    -------
    row, n
        The row at which the table is half full and must grow, or the number of rows; and the number of numbers given.
    """
    mask = np.uint64(table.shape[0] - 1)
    for row in range(first, codes.shape[0]):
        if 2 * n >= table.shape[0]:
            return row, n
        start, stop = offsets[row], offsets[row + 1]
        # The FNV-1a hash of the bytes, with its bits mixed once more.
        key = np.uint64(14695981039346656037)
        for i in range(start, stop):
            key = (key ^ np.uint64(utf8[i])) * np.uint64(1099511628211)
        key = (key ^ (key >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(29)
        # A known field has the same hash and bytes; the first free place means a new field.
        place = key & mask
        while True:
            code = table[place]
            if code < 0:
                table[place] = n
                hashes[n], examples[n], codes[row] = key, row, n
                n += 1
                break
            if hashes[code] == key and _same(utf8, offsets, row, examples[code]):
                codes[row] = code
                break
            place = (place + np.uint64(1)) & mask
    return codes.shape[0], n


@kernel(inner=True)
def _same(utf8, offsets, one, other):
    """Tells whether two rows have the same bytes."""
    here, there = offsets[one], offsets[other]
    if offsets[one + 1] - here != offsets[other + 1] - there:
        return False
    for i in range(offsets[one + 1] - here):
        if utf8[here + i] != utf8[there + i]:
            return False
    return True


@kernel()
def fill_table(hashes: Seeds, n: int, table: Codes) -> None:
    """Puts n numbers into a larger table of -1."""
    mask = np.uint64(table.shape[0] - 1)
    # Each number goes to the first free place from its hash on.
    for code in range(n):
        place = hashes[code] & mask
        while table[place] >= 0:
            place = (place + np.uint64(1)) & mask
        table[place] = code
