"""Ids of traces, as W3C has them."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
from hypothesis import given
from hypothesis import strategies as st

from fastrec.serving.tracing import read_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("given", [f"00-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"])
def test_a_trace_is_taken_over(given):
    trace = read_trace([(b"host", b"x"), (b"traceparent", given.encode())])
    assert (trace.trace, trace.parent, trace.flags) == (TRACE, SPAN, "01")
    assert trace.header == f"00-{TRACE}-{trace.span}-01".encode()
    assert trace.span not in (SPAN, read_trace([(b"traceparent", given.encode())]).span)


@pytest.mark.parametrize(
    "given",
    [
        [], [f"00-{TRACE}-{SPAN}-01"] * 2, ["x"], [f"ff-{TRACE}-{SPAN}-01"], [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"], [f"00-{TRACE}-{SPAN}-01-more"], [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-01\n"],
    ],
)  # fmt: skip
def test_a_header_without_a_trace_begins_a_new_one(given):
    trace = read_trace([(b"traceparent", value.encode()) for value in given])
    assert (len(trace.trace), len(trace.span), trace.parent, trace.flags) == (32, 16, "", "00")
    assert TRACE not in trace.trace


@given(st.binary(max_size=80))
def test_any_header_gives_a_trace_that_another_server_takes(header):
    trace = read_trace([(b"traceparent", header)])
    assert read_trace([(b"traceparent", trace.header)]).trace == trace.trace
