"""Parses delimited text in plain Python: the twin of the kernels in fastrec.kernels.text."""

import re


class Malformed(ValueError):
    """Raised for a fault, in the words of the kernels' constants."""


def read_records(text, delimiter, quote):
    """Returns the records of a text as lists of fields; empty lines are no records."""
    records, at = [], 0
    while at < len(text):
        if end := _line_end(text, at):
            at += end
            continue
        record = []
        while True:
            field, at = _read_field(text, at, delimiter, quote)
            record.append(field)
            if at == len(text) or _line_end(text, at):
                break
            at += len(delimiter)
        if records and len(record) != len(records[0]):
            raise Malformed("RAGGED")
        records.append(record)
        at += _line_end(text, at)
    return records


def _line_end(text, at):
    return 1 if text[at : at + 1] == "\n" else 2 if text[at : at + 2] == "\r\n" else 0


def _read_field(text, at, delimiter, quote):
    if quote and text[at : at + 1] == quote:
        found = re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*+){quote}").match(text, at)
        inside = text[at:] if found is None else found[1]
        if "\0" in inside:
            raise Malformed("NUL")
        if found is None:
            raise Malformed("OPEN_QUOTE")
        end = found.end()
        if end < len(text) and not _line_end(text, end) and not text.startswith(delimiter, end):
            raise Malformed("AFTER_QUOTE")
        return found[1].replace(quote * 2, quote), end
    end = at
    while end < len(text) and not text.startswith(delimiter, end) and text[end] != "\n":
        if text[end] == "\r":
            if text[end + 1 : end + 2] == "\n":
                break
            raise Malformed("CARRIAGE_RETURN")
        if text[end] == "\0":
            raise Malformed("NUL")
        if text[end] == quote:
            raise Malformed("QUOTE_INSIDE")
        end += 1
    return text[at:end], end
