"""The number of requests that a client may send."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from hypothesis import given
from hypothesis import strategies as st

from fastrec.serving.rate_limits import Buckets, network_of
from tests.serving.running import InThread


@given(
    rate=st.floats(0.01, 100),
    steps=st.lists(st.floats(0, 10), max_size=60),
)
def test_no_more_than_a_bucket_and_what_flows_into_it(rate, steps):
    now, taken = 0.0, []
    buckets = Buckets(rate, clock=lambda: now)
    for step in steps:
        now += step
        wait = buckets.take("ann")
        taken += [now] if wait == 0 else []
        assert 0 <= wait <= 1 / rate + 1e-9
    assert len(taken) <= max(1, rate) + rate * now + 1e-6
    wait = buckets.take("ann")
    if wait:  # a client that waits as long as it was told is let in
        now += wait + 1e-6
        assert buckets.take("ann") == 0


def test_clients_are_apart_and_the_one_longest_away_is_forgotten():
    buckets = Buckets(1, most=2, clock=lambda: 0.0)
    assert [buckets.take(name) for name in "aabb"] == [0, 1, 0, 1]
    buckets.take("a")
    assert buckets.take("c") == 0
    assert [buckets.take(name) for name in "ac"] == [1, 1]  # b was dropped
    assert len(buckets._levels) == 2


def test_an_address_of_ipv6_is_its_network():
    assert network_of("2001:db8:0:1::5") == network_of("2001:db8:0:1:9::") != network_of("2001:db8:0:2::5")
    assert network_of("not an address") == "not an address"


def test_a_client_that_asks_too_much_is_told_when_to_come_again(tmp_path, folder):
    (tmp_path / "tokens").write_text("read one\nread two\nadmin three\n")
    options = "--rate-limit", "0.2", "--token-file", tmp_path / "tokens", "--access-log", tmp_path / "log"
    with InThread(folder / "model.fastrec", *options) as server:
        bearer = lambda token: {"Authorization": f"Bearer {token}"}
        ask = lambda **headers: server.post("/recommend", {"history": ["1000"]}, **headers)
        assert ask()[0] == 200
        _, answer, told = next(given for given in iter(ask, None) if given[0] == 429)
        assert 1 <= int(told["retry-after"]) <= 5
        assert told["x-content-type-options"] == "nosniff"
        assert "too many requests" in answer["error"]["message"]
        assert ask(**bearer("one"))[0] == 200  # each token has a bucket of its own; a wrong one has none
        assert ask(**bearer("two"))[0] == 200
        assert 429 in [ask(**bearer(f"guess{n}"))[0] for n in range(6)]
        assert {server.get(path)[0] for path in ("/healthz", "/readyz") for _ in range(3)} == {200}
        assert 'status="429"' in server.get("/metrics", **bearer("three"))[1].decode()
    assert '"status":429' in (tmp_path / "log").read_text()
