"""The client and a real server."""

import asyncio

import pytest

httpx = pytest.importorskip("httpx", reason="needs fastrec[client]")
pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

# ruff: noqa: E402
from fastrec.client import AsyncClient, BatchRequest, Client, Entry, NewEvent, RecommendRequest, ServerError
from fastrec.models import ImplicitALS
from tests.client.test_calls import EXAMPLES
from tests.serving.running import InThread, some_data

TOKEN = "a-token-of-an-operator"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    ImplicitALS(factors=4, iterations=2, random_state=0, n_jobs=1).fit(some_data()).save(folder / "model.fastrec")
    (folder / "tokens").write_text(TOKEN)
    options = "--journal", folder / "e.db", "--versions", folder / "models", "--token-file", folder / "tokens"
    with InThread(folder / "model.fastrec", *options) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(f"http://127.0.0.1:{server.port}", token=TOKEN) as client:
        yield client


def test_answers_are_typed(client):
    receipt = client.send_events([NewEvent("ann/1", "1000", id="e1"), NewEvent("ann/1", "1001", 2.0)])
    assert (receipt.added, receipt.known) == (2, 0)
    assert client.send_events([NewEvent("ann/1", "1000", id="e1")]).known == 1
    answer = client.recommend(RecommendRequest(user="ann/1", k=3, explain=True), seq=receipt.seq)
    assert (len(answer.items), answer.user, answer.seq >= receipt.seq) == (3, "ann/1", True)
    assert answer.items[0].why[0].item in ("1000", "1001")
    assert answer.items[0].score >= answer.items[1].score
    assert client.recommend(RecommendRequest(history=["1000", Entry("1001", 3.0)])).user is None
    rows = client.recommend_batch(BatchRequest(users=["1", "ann/1"], k=2)).results
    assert [(row.user, len(row.items)) for row in rows] == [("1", 2), ("ann/1", 2)]
    assert {seen.item for seen in client.get_history("ann/1", seq=receipt.seq).items} == {"1000", "1001"}
    assert client.find_users("ann").users in ([], ["ann/1"])  # a new user is found by id from the next model on
    assert client.similar_items("1000", 2).item == "1000"
    assert client.find_items("number 3", limit=1).items[0].title == "Film number 3 & <b>more</b>"
    assert client.make_checkpoint().done
    assert client.get_model().model_seq == receipt.seq
    assert client.refit().version == "v000003"
    assert client.reload().said == "there is no newer model"
    assert client.delete_user("ann/1").seq > receipt.seq
    assert (client.get_readiness().status, client.get_health().status) == ("ready", "alive")
    assert "fastrec_events_total" in client.get_metrics()


def test_errors_are_typed(server, client):
    with pytest.raises(ServerError, match=r"404: unknown user 'nobody' \(id\)") as told:
        client.get_history("nobody")
    assert (told.value.status, told.value.field, told.value.is_temporary) == (404, "id", False)
    with pytest.raises(ServerError) as told:
        client.recommend(RecommendRequest(user="1"), seq=123456789)
    assert (told.value.status, told.value.retry_after, told.value.is_temporary) == (503, 1.0, True)
    with (
        Client(f"http://127.0.0.1:{server.port}", token="wrong") as stranger,
        pytest.raises(ServerError, match="401") as told,
    ):
        stranger.make_checkpoint()
    with Client("http://127.0.0.1:1") as nobody, pytest.raises(httpx.ConnectError):
        nobody.get_health()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"status": "loading", "version": ""}', "loading"),
        (b"<h1>Bad gateway</h1>", "Bad gateway"),
        (b"", "Bad Gateway"),
    ],
)
def test_an_error_that_is_not_the_servers_own_is_told_as_it_is(content, said):
    answering = httpx.MockTransport(lambda request: httpx.Response(502, content=content))
    with Client("http://x", transport=answering) as client, pytest.raises(ServerError, match=said):
        client.get_model()


def test_both_clients_send_the_same(server):
    sent = []

    def answer(request):
        sent.append((request.method, str(request.url), dict(request.headers), request.read()))
        return httpx.Response(500)

    async def ask(name, call):
        async with AsyncClient("http://x", token="t", transport=httpx.MockTransport(answer)) as client:
            await client.send(call)

    for name, call in EXAMPLES.items():
        sent.clear()
        with Client("http://x", token="t", transport=httpx.MockTransport(answer)) as client, pytest.raises(ServerError):
            client.send(call)
        with pytest.raises(ServerError):
            asyncio.run(ask(name, call))
        assert sent[0] == sent[1]
        assert sent[0][2]["authorization"] == "Bearer t"

    async def recommend():
        async with AsyncClient(f"http://127.0.0.1:{server.port}", token=TOKEN) as client:
            asked = [RecommendRequest(user=str(n)) for n in range(5)]
            return await asyncio.gather(*map(client.recommend, asked))

    assert [answer.user for answer in asyncio.run(recommend())] == list("01234")
