"""Requests that HTTP wants refused are refused, and the connection ends: each rule with its section.

Sections are those of RFC 9112, unless another is named.
"""

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import Popularity
from fastrec.serving.framing import LARGEST_HEAD, LARGEST_LINE, MOST_FIELDS, Chunks, Fault, find_head, read_head
from tests.serving.running import InThread, some_data

HOST = b"host: localhost\r\n"
ASK = b'{"history": ["1000"]}'
LENGTH = b"content-length: %d\r\n" % len(ASK)
CHUNKED = b"transfer-encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("framing")
    Popularity().fit(some_data()).save(folder / "model.fastrec")
    with InThread(folder / "model.fastrec") as server:
        yield server


def talk(server, raw, end=False):
    """Returns all bytes until the server closes; None if it resets the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(raw)
        if end:
            line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def statuses(answer):
    """Returns the codes of the answers, one after the other."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        found.append(int(head.split()[1]))
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"), 0)
        answer = rest if found[-1] < 200 else rest[length:]
    return found


def get(target=b"/healthz", version=b"1.1", fields=HOST, method=b"GET"):
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, fields)


def post(fields=HOST + LENGTH, body=ASK, version=b"1.1"):
    return b"POST /recommend HTTP/%b\r\n%b\r\n%b" % (version, fields, body)


def chunked(body, more=b""):
    return post(HOST + CHUNKED + more, body)


REFUSED = [
    ("2.2 a bare LF ends no line", 400, b"GET /healthz HTTP/1.1\nhost: localhost\n\n"),
    ("2.2 a bare LF among fields", 400, get(fields=HOST + b"a: b\nc: d\r\n")),
    ("2.2 a bare CR among fields", 400, get(fields=HOST + b"a: b\rc: d\r\n")),
    ("2.2 a bare CR in the line", 400, b"GET /healthz\rHTTP/1.1\r\n" + HOST + b"\r\n"),
    ("2.2 space ahead of the first field", 400, get(fields=b" a: b\r\n" + HOST)),
    ("2.2 a tab ahead of the first field", 400, get(fields=b"\thost: localhost\r\n" + HOST)),
    ("2.2 what is no HTTP", 400, b"nonsense\r\n\r\n"),
    ("2.2 TLS", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n\r\n\r\n"),
    ("2.3 a version without its digits", 400, get(version=b"1")),
    ("2.3 a version of two digits", 400, get(version=b"1.10")),
    ("2.3 HTTP in small letters", 400, b"GET /healthz http/1.1\r\n" + HOST + b"\r\n"),
    ("2.3 another protocol", 400, b"GET /healthz RTSP/1.0\r\n" + HOST + b"\r\n"),
    ("2.3 another major version (RFC 9110, 15.6.6)", 505, get(version=b"2.0")),
    ("2.3 the preface of HTTP/2", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("2.3 HTTP/0.9 by name", 505, get(version=b"0.9")),
    ("3 HTTP/0.9, without a version", 400, b"GET /healthz\r\n\r\n"),
    ("3 two spaces after the method", 400, b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("3 a tab after the method", 400, b"GET\t/healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("3 a space behind the version", 400, b"GET /healthz HTTP/1.1 \r\n" + HOST + b"\r\n"),
    ("3 a space ahead of the method", 400, b" GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("3.1 a method that is no token", 400, get(method=b"GE(T")),
    ("3.1 a method that nobody knows", 501, get(method=b"FROBNICATE")),
    ("3.1 a method in small letters", 501, get(method=b"get")),
    ("3.1 a method of great length", 501, get(method=b"G" * 5000)),
    ("3.1 CONNECT", 501, get(method=b"CONNECT", target=b"localhost:80")),
    ("3.2 a space in the target", 400, get(target=b"/health z")),
    ("3.2 a fragment in the target", 400, get(target=b"/healthz#part")),
    ("3.2 bytes beyond ASCII in the target", 400, get(target=b"/health\xc3\xa9")),
    ("3.2 NUL in the target", 400, get(target=b"/health\0z")),
    ("3 a target that is too long", 414, get(target=b"/" + b"x" * LARGEST_LINE)),
    ("3 a target without an end", 414, b"GET /" + b"x" * (LARGEST_LINE + 10)),
    ("3.2 no Host", 400, get(fields=b"")),
    ("3.2 Host twice, the same", 400, get(fields=HOST + HOST)),
    ("3.2 Host twice, different", 400, get(fields=HOST + b"Host: evil\r\n")),
    ("3.2 an empty Host", 400, get(fields=b"host:\r\n")),
    ("3.2 a Host with a path", 400, get(fields=b"host: localhost/x\r\n")),
    ("3.2 a Host with a user", 400, get(fields=b"host: a@localhost\r\n")),
    ("3.2 a Host with a space", 400, get(fields=b"host: local host\r\n")),
    ("3.2 a Host with two values", 400, get(fields=b"host: localhost, localhost:80:90\r\n")),
    ("3.2 a Host whose port is none", 400, get(fields=b"host: localhost:http\r\n")),
    ("3.2.2 an absolute target without a Host", 400, get(target=b"http://localhost/healthz", fields=b"")),
    ("3.2.2 an absolute target without a host in it", 400, get(target=b"http:///healthz")),
    ("3.2.2 an absolute target with a user in it", 400, get(target=b"http://a:b@localhost/healthz")),
    ("3.2.2 an absolute target of another scheme", 400, get(target=b"ftp://localhost/healthz")),
    ("3.2.3 an authority for a target", 400, get(target=b"localhost:80")),
    ("3.2.4 the asterisk for another method", 400, get(target=b"*")),
    ("3.2 a target that begins with no slash", 400, get(target=b"healthz")),
    ("5.1 a space ahead of the colon", 400, get(fields=HOST + b"a : b\r\n")),
    ("5.1 a tab ahead of the colon", 400, post(HOST + b"content-length\t: %d\r\n" % len(ASK))),
    ("5.1 a space ahead of the colon, of a length", 400, post(HOST + b"Content-Length : %d\r\n" % len(ASK))),
    ("5.1 a name that is no token", 400, get(fields=HOST + b"a[b]: c\r\n")),
    ("5.1 no name", 400, get(fields=HOST + b": b\r\n")),
    ("5.1 no colon", 400, get(fields=HOST + b"abc\r\n")),
    ("5.2 a field that goes on by a space", 400, get(fields=HOST + b"a: b\r\n c\r\n")),
    ("5.2 a field that goes on by a tab", 400, get(fields=HOST + b"a: b\r\n\tc\r\n")),
    ("5.2 a length that goes on", 400, post(HOST + b"content-length:\r\n %d\r\n" % len(ASK))),
    ("5.5 of RFC 9110: NUL in a value", 400, get(fields=HOST + b"a: b\0c\r\n")),
    ("5.5 of RFC 9110: a control character in a value", 400, get(fields=HOST + b"a: b\x01c\r\n")),
    ("5.4 of RFC 9110: fields that are too large", 431, get(fields=HOST + b"a: " + b"b" * LARGEST_HEAD + b"\r\n")),
    ("5.4 of RFC 9110: too many fields", 431, get(fields=HOST + b"a: b\r\n" * MOST_FIELDS)),
    ("6.1 Transfer-Encoding and Content-Length", 400, post(HOST + LENGTH + CHUNKED, b"0\r\n\r\n")),
    ("6.1 Content-Length and Transfer-Encoding", 400, post(HOST + CHUNKED + LENGTH, b"0\r\n\r\n")),
    ("6.1 Transfer-Encoding in HTTP/1.0", 400, post(HOST + CHUNKED, b"0\r\n\r\n", b"1.0")),
    ("6.1 a coding that nobody knows", 501, post(HOST + b"transfer-encoding: rot13, chunked\r\n", b"0\r\n\r\n")),
    ("6.1 a coding that is not done here", 501, post(HOST + b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    ("6.1 chunked twice", 400, post(HOST + b"transfer-encoding: chunked, chunked\r\n", b"0\r\n\r\n")),
    ("6.1 chunked twice, in two fields", 400, post(HOST + CHUNKED + CHUNKED, b"0\r\n\r\n")),
    ("6.3 chunked, but not at last", 400, post(HOST + b"transfer-encoding: chunked, gzip\r\n", b"0\r\n\r\n")),
    ("6.3 a last coding other than chunked", 400, post(HOST + b"transfer-encoding: gzip\r\n", b"")),
    ("6.3 identity", 400, post(HOST + b"transfer-encoding: identity\r\n" + LENGTH)),
    ("6.3 chunked with something behind it", 400, post(HOST + b"transfer-encoding: chunked;q=1\r\n", b"0\r\n\r\n")),
    ("6.3 nearly chunked", 400, post(HOST + b"transfer-encoding: xchunked\r\n", b"0\r\n\r\n")),
    ("6.3 no coding at all", 400, post(HOST + b"transfer-encoding:\r\n", b"0\r\n\r\n")),
    ("6.3 two lengths", 400, post(HOST + LENGTH + b"content-length: 3\r\n")),
    ("6.3 two lengths, the same", 400, post(HOST + LENGTH + LENGTH)),
    ("6.3 a list of lengths", 400, post(HOST + b"content-length: %d, 3\r\n" % len(ASK))),
    *(
        (f"6.3 a length of {length!r}", 400, post(HOST + b"content-length: " + length + b"\r\n"))
        for length in (b"", b"-1", b"+21", b"0x15", b"2 1", b"21;", b"21.0", b"1_0", b"\xb2", b"abc", b'"21"')
    ),
    ("6.3 a length that no machine holds", 413, post(HOST + b"content-length: " + b"9" * 30 + b"\r\n", b"")),
    ("7.1 a size that is no number", 400, chunked(b"g\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a size with 0x", 400, chunked(b"0x3\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a negative size", 400, chunked(b"-3\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a size with a sign", 400, chunked(b"+3\r\nabc\r\n0\r\n\r\n")),
    ("7.1 no size", 400, chunked(b"\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a space ahead of the size", 400, chunked(b" 3\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a space behind the size", 400, chunked(b"3 \r\nabc\r\n0\r\n\r\n")),
    ("7.1 a size that overflows", 413, chunked(b"ffffffffffffffffff\r\nabc")),
    ("7.1 a size beyond any body", 413, chunked(b"fffffffffff\r\nabc")),
    ("7.1 a chunk that is longer than it says", 400, chunked(b"3\r\nabcdef\r\n0\r\n\r\n")),
    ("7.1 a chunk that is shorter than it says", 400, chunked(b"5\r\nabc\r\n0\r\n\r\n")),
    ("7.1 a size that ends in a bare LF", 400, chunked(b"3\nabc\r\n0\r\n\r\n")),
    ("7.1 a size that ends in a bare CR", 400, chunked(b"3\rabc\r\n0\r\n\r\n")),
    ("7.1 a chunk that ends in a bare LF", 400, chunked(b"3\r\nabc\n0\r\n\r\n")),
    ("7.1.1 an extension without an end", 400, chunked(b"3;" + b"x" * 5000)),
    ("7.1.1 an extension with a bare LF", 400, chunked(b"3;x=\ny\r\nabc\r\n0\r\n\r\n")),
    ("7.1.2 a trailer that is no field", 400, chunked(b"0\r\nabc\r\n\r\n")),
    ("7.1.2 a trailer that goes on in the next line", 400, chunked(b"0\r\na: b\r\n c\r\n\r\n")),
    ("7.1.2 trailers without an end", 431, chunked(b"0\r\n" + b"a: b\r\n" * 11_000)),
    ("10.1.1 of RFC 9110: another expectation", 417, post(HOST + LENGTH + b"expect: a-miracle\r\n")),
]  # fmt: skip


@pytest.mark.parametrize(("status", "raw"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_it_is_refused_with_an_answer_and_the_connection_closed(server, status, raw):
    follows = get(target=b"/readyz")
    for whole in (raw, raw + follows, get() + raw):
        answer = talk(server, whole)
        found = statuses(answer)
        assert found == ([200, status] if whole == get() + raw else [status]), answer[:300]
        last = answer[answer.rindex(b"HTTP/1.1 %d " % status) :]
        assert b"\r\nconnection: close\r\n" in last
        assert b'{"error":{"message":' in last


TAKEN = [
    ("2.2 an empty line ahead", b"\r\n" + get()),
    ("2.3 a higher minor version", get(version=b"1.3")),
    ("3.2 a Host with a port", get(fields=b"Host:localhost:80\r\n")),
    ("3.2 a Host of IPv6", get(fields=b"host: [::1]:8000\r\n")),
    ("3.2 HTTP/1.0 without a Host", get(version=b"1.0", fields=b"")),
    ("3.2.2 an absolute target", get(target=b"http://localhost/healthz")),
    ("3.2.2 an absolute target, whatever the case", get(target=b"HTTP://localhost:8000/healthz?x=http://a/")),
    ("5 no space behind the colon, and several", get(fields=b"host:localhost\r\na: \t b \t \r\n")),
    ("5 an empty value", get(fields=HOST + b"a:\r\n")),
    ("5.5 of RFC 9110: bytes beyond ASCII in a value", get(fields=HOST + b"a: \xff\xe9\r\n")),
    ("6.3 a length with zeros ahead", post(HOST + b"content-length: 000%d\r\n" % len(ASK))),
    ("6.3 a length of a question without a body", get(fields=HOST + b"content-length: 0\r\n")),
    ("7.1 chunks", chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(ASK), ASK))),
    ("7.1 many chunks, in letters of any case", chunked(b"A\r\n%b\r\n00b\r\n%b\r\n000\r\n\r\n" % (ASK[:10], ASK[10:]))),
    ("7 the name of a coding in any case", post(HOST + b"Transfer-Encoding: CHUNKED\r\n",
                                                b"15\r\n%b\r\n0\r\n\r\n" % ASK)),
    ("5.6.1 of RFC 9110: empty parts of a list", post(HOST + b"transfer-encoding: , chunked,\r\n",
                                                      b"15\r\n%b\r\n0\r\n\r\n" % ASK)),
    ("7.1.1 extensions that nobody knows", chunked(b"15;a=b;c=\"d e\";f\r\n%b\r\n0;x\r\n\r\n" % ASK)),
    ("7.1.2 trailers", chunked(b"15\r\n%b\r\n0\r\nauthorization: Bearer x\r\nhost: evil\r\n\r\n" % ASK)),
    ("9.3 Connection: keep-alive", get(fields=HOST + b"connection: keep-alive\r\n")),
    ("10.1.1 of RFC 9110: an expectation in HTTP/1.0 is none",
     post(HOST + LENGTH + b"expect: a-miracle\r\n", version=b"1.0")),
    ("7.8 of RFC 9110: an upgrade that is not done here",
     post(HOST + LENGTH + b"connection: upgrade\r\nupgrade: h2c\r\n")),
]  # fmt: skip


@pytest.mark.parametrize("raw", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_it_is_taken_in_whatever_parts_it_comes(server, raw):
    last = get(fields=HOST + b"connection: close\r\n")
    answer = talk(server, raw + last)
    old = b" HTTP/1.0\r\n" in raw
    assert statuses(answer) == ([200] if old else [200, 200]), answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(raw)):
            line.sendall(raw[place : place + 1])
        if not old:
            line.sendall(last)
        assert statuses(b"".join(iter(lambda: line.recv(65536), b""))) == ([200] if old else [200, 200])


def test_the_host_of_an_absolute_target_counts_and_not_the_field(server):
    """Section 3.2.2 says so; else a page of another site could have its own name lead here."""
    close = b"connection: close\r\n"
    assert statuses(talk(server, get(target=b"http://evil.example/healthz", fields=HOST + close))) == [403]
    assert statuses(
        talk(server, get(target=b"http://localhost/healthz", fields=b"host: evil.example\r\n" + close))
    ) == [200]


def test_a_path_of_two_slashes_is_a_path(server):
    close = HOST + b"connection: close\r\n"
    assert statuses(talk(server, get(target=b"//localhost/healthz", fields=close))) == [404]
    assert statuses(talk(server, get(target=b"//healthz", fields=close))) == [404]


def test_the_asterisk_asks_about_the_server(server):
    answer = talk(server, get(method=b"OPTIONS", target=b"*", fields=HOST + b"connection: close\r\n"))
    assert statuses(answer) == [204]
    assert b"\r\nallow: DELETE, GET, HEAD, OPTIONS, POST, PUT\r\n" in answer


def test_a_client_that_waits_to_be_told_to_go_on_is_told(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(post(HOST + LENGTH + b"Expect: 100-Continue\r\nconnection: close\r\n", b""))
        assert line.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(ASK)
        assert statuses(b"".join(iter(lambda: line.recv(65536), b""))) == [200]


def test_after_the_last_request_nothing_is_read(server):
    """Section 9.6: nothing after "close" is a request, and nothing after a request of HTTP/1.0."""
    for first in (get(fields=HOST + b"Connection: Keep-Alive, Close\r\n"), get(version=b"1.0")):
        answer = talk(server, first + get() + get())
        assert statuses(answer) == [200]
        assert b"\r\nconnection: close\r\n" in answer


def test_requests_in_a_row_are_answered_in_a_row(server):
    n = 40
    asked = b"".join(get(target=b"/items?limit=%d" % (place + 1)) for place in range(n))
    answer = talk(server, asked + get(fields=HOST + b"connection: close\r\n"))
    assert statuses(answer) == [200] * (n + 1)


def test_a_client_that_sends_no_more_is_answered_and_half_a_body_is_not(server):
    assert statuses(talk(server, get(), end=True)) == [200]
    assert statuses(talk(server, post(), end=True)) == [200]
    assert talk(server, post(body=ASK[:5]), end=True) == b""


def test_a_large_body_that_nobody_reads_does_not_break_the_answer(server):
    body = b"x" * 3_000_000
    for path, status in ((b"/events", 409), (b"/nothing", 404)):
        raw = b"POST %b HTTP/1.1\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (path, HOST, len(body), body)
        assert statuses(talk(server, raw)) == [status]


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6), st.data())
def test_chunks_come_apart_as_they_were_put_together(parts, data):
    raw = b"".join(b"%x;e\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nx: y\r\n\r\nmore"
    chunks, content, place = Chunks(), b"", 0
    rest = None
    while rest is None:
        step = data.draw(st.integers(1, len(raw)))
        some, rest = chunks.feed(raw[place : place + step])
        content, place = content + some, place + step
    assert content == b"".join(parts)
    assert rest + raw[place:] == b"more"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_a_part_of_one_or_a_fault(raw):
    for whole in (raw, b"GET / HTTP/1.1\r\nhost: a\r\n" + raw + b"\r\n\r\n"):
        with contextlib.suppress(Fault):
            end = find_head(whole)
            if end >= 0:
                head = read_head(whole[:end])
                assert head.raw.endswith(b"\r\n\r\n")
                assert head.raw.count(b"\n") == head.raw.count(b"\r\n")


@pytest.mark.parametrize("known", range(18))
def test_a_head_that_comes_in_two_pieces_ends_where_it_ends(known):
    assert find_head(b"GET / HTTP/1.1\r\n\r\nmore", known) == 18
