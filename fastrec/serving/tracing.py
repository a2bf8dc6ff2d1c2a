"""Traces: the ids by which the work for one request is followed through several services (W3C Trace Context)."""

import re
import secrets
from typing import NamedTuple

from fastrec.serving.asgi import Headers

TRACE_HEADER = b"traceparent"
# Of a later version than 00 more may follow.
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(NamedTuple):
    """The place of one request in a trace.

    Parameters
    ----------
    trace
        The id of the whole.
    span
        The id of this request here.
    parent
        The id of the work that asked; empty where nobody said.
    flags
        As they came: whether the trace is recorded.
    """

    trace: str
    span: str
    parent: str = ""
    flags: str = "00"

    @property
    def header(self) -> bytes:
        """The header's value for who gets the answer."""
        return f"00-{self.trace}-{self.span}-{self.flags}".encode()


def read_trace(headers: Headers) -> Trace:
    """The trace that a request belongs to; a new one where it names none, or not as it must be.

    >>> asked = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    >>> trace = read_trace([(b"traceparent", asked)])
    >>> trace.trace, trace.parent, trace.flags
    ('0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', '01')
    """
    span = secrets.token_hex(8)
    given = [value for name, value in headers if name == TRACE_HEADER]
    found = _FORM.fullmatch(given[0]) if len(given) == 1 else None
    if found is None or (found[1] == b"00" and found[5]):
        return Trace(secrets.token_hex(16), span)
    trace, parent, flags = (found[place].decode() for place in (2, 3, 4))
    return Trace(trace, span, parent, flags)
