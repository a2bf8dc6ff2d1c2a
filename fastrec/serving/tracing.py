"""Traces: ids that connect the work for one request across several services (W3C Trace Context)."""

import re
import secrets
from typing import NamedTuple

from fastrec.serving.asgi import Headers

TRACE_HEADER = b"traceparent"
# a version later than 00 may have more fields
_FORM = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(NamedTuple):
    """The place of one request in a trace.

    Parameters
    ----------
    trace
        The id of the whole trace.
    span
        The id of this request.
    parent
        The id of the calling work; empty if unknown.
    flags
        The flags as received: whether the trace is recorded.
    """

    trace: str
    span: str
    parent: str = ""
    flags: str = "00"

    @property
    def header(self) -> bytes:
        """The value of the header in the answer."""
        return f"00-{self.trace}-{self.span}-{self.flags}".encode()


def read_trace(headers: Headers) -> Trace:
    """Returns the trace that a request belongs to; a new one if it names none, or an invalid one.

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
