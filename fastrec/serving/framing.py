"""The ends of a request's head and body, and the refusals that HTTP asks for: RFC 9112, sections 2, 3, 5, 6 and 7.

The parser behind it is lenient in places. So a request reaches it only in the one form that all HTTP parsers read
alike. Otherwise a proxy in front might read one request where this server reads two.
"""

import functools
import re
from typing import NamedTuple

# Limits: the bytes of a request's first line, of the line and headers, the number of fields, and the first line of a
# chunk.
LARGEST_LINE = 16 << 10
LARGEST_HEAD = 64 << 10
MOST_FIELDS = 256
LARGEST_CHUNK_LINE = 4096
# Heads of POST up to this size are cached, so many of them: a client sends the same one again and again.
LARGEST_KEPT, HEADS_KEPT = 512, 256
# The limit of bytes of a request: more than the server reads of a body, for bodies that nobody reads.
LARGEST_MESSAGE = 20 << 20

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY"})
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
_LINE = re.compile(rb"(%b) ([!\"$-~]+) HTTP/([0-9])\.([0-9])\r\n" % _TOKEN)
_FIELDS = re.compile(rb"(?:%b:%b\r\n)*\r\n" % (_TOKEN, _TEXT))
_FIELD = re.compile(rb"(%b):[ \t]*(%b)\r\n" % (_TOKEN, _TEXT))
# A line must end in CR LF, and neither may occur alone.
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-fvV:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)(/[^?#]*)?(\?.*)?")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;%b)?\r\n" % _TEXT)
_LENGTH = re.compile(rb"[0-9]{1,15}")
# the fields that decide a message's length, its host, and the form of its answer
_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"})
# the fields that ask for more than an answer and the next request
_UNUSUAL = frozenset({b"expect", b"upgrade", b"connection"})


class Fault(Exception):  # noqa: N818  (an answer, not a fault of ours)
    """An error: HTTP wants the request refused, and the connection closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Head(NamedTuple):
    """The line and the fields of a request.

    Parameters
    ----------
    raw
        The head in the form for the parser.
    length
        The bytes of the body; None: it comes in chunks.
    method, target
        The method and target of an HTTP/1.1 request that asks nothing unusual of the connection; otherwise empty.
    fields
        The headers of such a request, their names in lower case.
    """

    raw: bytes
    length: int | None
    method: bytes = b""
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = []  # noqa: RUF012  (never changed)


def find_head(data: bytes | bytearray, known: int = 0) -> int:
    r"""Finds the end of a head, or -1 while it is not there; `known` bytes were looked at before.

    >>> find_head(b"GET / HTTP/1.1\r\n\r\nmore"), find_head(b"GET / HTTP/1.1\r\n")
    (18, -1)

    Raises
    ------
    Fault
        If the head is too large, or a line does not end in CR LF.
    """
    end = data.find(b"\r\n\r\n", max(0, known - 3))
    if end < 0:
        if _BARE.search(data, max(0, known - 1)):
            raise Fault(400, "a line of a head must end in CR LF, and have neither within it, nor NUL (RFC 9112, 2.2)")
        size = len(data)
        if size > LARGEST_LINE and data.find(b"\r\n", 0, LARGEST_LINE) < 0:
            raise Fault(414, f"the first line of a request may have {LARGEST_LINE} bytes")
    else:
        size = end + 4
    if size > LARGEST_HEAD:
        raise Fault(431, f"the line and headers of a request may have {LARGEST_HEAD} bytes")
    return -1 if end < 0 else size


def read_head(raw: bytes) -> Head:
    """Parses a head; a small head of POST, whose target names no user, is cached."""
    return _parse_small(raw) if raw[:5] == b"POST " and len(raw) <= LARGEST_KEPT else parse_head(raw)


@functools.lru_cache(maxsize=HEADS_KEPT)
def _parse_small(raw: bytes) -> Head:
    return parse_head(raw)


def parse_head(raw: bytes) -> Head:
    r"""Parses and checks a whole head.

    >>> parse_head(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").length
    0

    Raises
    ------
    Fault
        If HTTP wants it refused.
    """
    line = _LINE.match(raw)
    if line is None:
        raise _fault_of_line(raw)
    if line.end() > LARGEST_LINE:
        raise Fault(414, f"the first line of a request may have {LARGEST_LINE} bytes")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise Fault(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    if method not in METHODS:
        raise Fault(501, f"the method {method[:40].decode()} is not implemented")
    if _FIELDS.fullmatch(raw, line.end()) is None:
        raise _fault_of_fields(raw[line.end() :])
    fields = _FIELD.findall(raw, line.end())
    if len(fields) > MOST_FIELDS:
        raise Fault(431, f"a request may have {MOST_FIELDS} header fields, got {len(fields)}")
    fields = [(name.lower(), value.rstrip(b" \t")) for name, value in fields]
    special: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        if name in _SPECIAL:
            special.setdefault(name, []).append(value)
    old = minor == b"0"
    host = _check_host(special.get(b"host"), old)
    length = _length_of(special, old)
    _check_expectation(special.get(b"expect"), old)
    dropped = {b"upgrade"} | ({b"expect"} if old else set())
    if target[:1] != b"/":
        target, named = _target_of(method, target)
        host, dropped = named or host, dropped | {b"host"}
    elif minor in b"01" and length is not None and special.keys().isdisjoint(dropped):
        usual = not old and special.keys().isdisjoint(_UNUSUAL)
        return Head(raw, length, method, target, fields) if usual else Head(raw, length)
    return Head(_rewrite(b"%b %b HTTP/1.%b" % (method, target, b"0" if old else b"1"), fields, dropped, host), length)


def _rewrite(line: bytes, fields: list[tuple[bytes, bytes]], dropped: set[bytes], host: bytes | None) -> bytes:
    """Rewrites a head in the form for the parser."""
    dropped = dropped | {b"transfer-encoding"}
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in fields)
    kept = [(name, value) for name, value in fields if name.lower() not in dropped]
    if b"host" in dropped and host is not None:
        kept.append((b"host", host))
    if chunked:
        kept.append((b"transfer-encoding", b"chunked"))
    return b"\r\n".join([line, *(b"%b: %b" % field for field in kept), b"", b""])


def _fault_of_line(raw: bytes) -> Fault:
    """Checks section 3: method SP request-target SP HTTP-version."""
    first, _, _ = raw.partition(b"\r\n")
    if _BARE.search(raw):
        return Fault(400, "a line of a head must end in CR LF, and have neither within it, nor NUL (RFC 9112, 2.2)")
    if len(first) > LARGEST_LINE:
        return Fault(414, f"the first line of a request may have {LARGEST_LINE} bytes")
    return Fault(400, "a request must begin with METHOD TARGET HTTP/1.1, one space between them (RFC 9112, 3)")


def _fault_of_fields(raw: bytes) -> Fault:
    """Checks section 5: field-name ":" OWS field-value OWS."""
    if _BARE.search(raw):
        return Fault(400, "a line of a head must end in CR LF, and have neither within it, nor NUL (RFC 9112, 2.2)")
    if raw[:1] in b" \t" or b"\r\n " in raw or b"\r\n\t" in raw:
        return Fault(400, "a header field may not go on in the next line (RFC 9112, 5.2)")
    if re.search(rb"(?:^|\n)[^:\r\n]*[ \t]:", raw):
        return Fault(400, "no space may be between a field's name and its colon (RFC 9112, 5.1)")
    return Fault(400, "a header field must be NAME: VALUE, without control characters (RFC 9112, 5)")


def _check_host(given: list[bytes] | None, old: bool) -> bytes | None:
    """Checks section 3.2: one valid Host."""
    if given is None:
        if old:
            return None
        raise Fault(400, "a request must name the host that it is for, in one field Host (RFC 9112, 3.2)")
    if len(given) > 1 or not _HOST.fullmatch(given[0]):
        raise Fault(400, "a request must have one field Host, of a name or an address and a port (RFC 9112, 3.2)")
    return given[0]


def _length_of(special: dict[bytes, list[bytes]], old: bool) -> int | None:
    """Returns the bytes of the body by section 6, None if it comes in chunks."""
    lengths, codings = special.get(b"content-length"), special.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None:
            raise Fault(400, "a message has either Transfer-Encoding or Content-Length (RFC 9112, 6.1)")
        if old:
            raise Fault(400, "HTTP/1.0 knows no Transfer-Encoding (RFC 9112, 6.1)")
        _check_codings([one.strip().lower() for one in b",".join(codings).split(b",") if one.strip()])
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        if len(lengths) == 1 and lengths[0].isdigit():
            raise Fault(413, "the body is too large")
        raise Fault(400, "Content-Length must be one number, of digits alone (RFC 9112, 6.3)")
    return int(lengths[0])


def _check_codings(codings: list[bytes]) -> None:
    if not codings or codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        raise Fault(400, "the last transfer coding, and no other, must be chunked (RFC 9112, 6.3)")
    if len(codings) > 1:
        raise Fault(501, "of the transfer codings this server knows chunked alone (RFC 9112, 6.1)")


def _check_expectation(given: list[bytes] | None, old: bool) -> None:
    """Checks RFC 9110, section 10.1.1."""
    if given is not None and not old and any(one.lower() != b"100-continue" for one in given):
        raise Fault(417, "the one expectation that this server can meet is 100-continue")


def _target_of(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """Returns a target that is no path (sections 3.2.2 and 3.2.4) as a path and its host."""
    if target == b"*" and method == b"OPTIONS":
        return b"/*", None
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _HOST.fullmatch(found[1]):
        raise Fault(400, "the target of a request must be a path, or http://HOST and a path (RFC 9112, 3.2)")
    return (found[2] or b"/") + (found[3] or b""), found[1]


class Chunks:
    """Decodes a body of chunks (section 7.1); the fields behind the last one are checked, and dropped (7.1.2)."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._left = 0  # the missing bytes of the chunk's data
        self._part = "size"
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        r"""Takes data in; returns their content, and the bytes behind the body, None until it has ended.

        >>> Chunks().feed(b"3;x=y\r\nabc\r\n0\r\nx: y\r\n\r\nmore")
        (b'abc', b'more')

        Raises
        ------
        Fault
            If the data are not made of chunks.
        """
        self._waiting += data
        content = bytearray()
        while True:
            if self._part == "data":
                part = self._waiting[: self._left]
                del self._waiting[: len(part)]
                content += part
                self._left -= len(part)
                if self._left:
                    return bytes(content), None
                self._part = "end"
            line = self._line()
            if line is None:
                return bytes(content), None
            if self._part == "size":
                self._begin(line)
            elif self._part == "end":
                if line != b"\r\n":
                    raise Fault(400, "a chunk must have as many bytes as it says (RFC 9112, 7.1)")
                self._part = "size"
            elif line == b"\r\n":
                return bytes(content), bytes(self._waiting)
            elif not _FIELD.fullmatch(line):
                raise _fault_of_fields(line)

    def _line(self) -> bytes | None:
        """Returns the next line, once it is complete."""
        end = self._waiting.find(b"\n") + 1
        limit = 2 if self._part == "end" else LARGEST_CHUNK_LINE
        if end > limit or (end == 0 and len(self._waiting) >= limit):
            raise Fault(400, "a chunk has more bytes than it says, or a line that is too long (RFC 9112, 7.1)")
        if end == 0:
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[:end]
        if _BARE.search(line):
            raise Fault(400, "a line among chunks must end in CR LF (RFC 9112, 7.1)")
        if self._part == "trailers":
            self._trailers += end
            if self._trailers > LARGEST_HEAD:
                raise Fault(431, f"the fields behind a body may have {LARGEST_HEAD} bytes")
        return line

    def _begin(self, line: bytes) -> None:
        size = _CHUNK.fullmatch(line)
        if size is None:
            said = "a chunk must begin with its size, in hexadecimal digits, and CR LF (RFC 9112, 7.1)"
            raise Fault(413 if re.match(rb"[0-9A-Fa-f]{16}", line) else 400, said)
        self._left = int(size[1], 16)
        if self._left > LARGEST_MESSAGE:
            raise Fault(413, "the body is too large")
        self._part = "data" if self._left else "trailers"
