"""A slow model delays no request to others, and no more requests wait for it than the line holds."""

import asyncio
import json
import threading

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import ItemKNN
from fastrec.online import Event, Journal, JournalDiskFullError, Snapshot, Updater
from fastrec.serving.app import create_app
from fastrec.serving.line import LARGEST_LINE, Line
from fastrec.serving.refusal import Refusal
from fastrec.serving.settings import Settings
from fastrec.serving.warming import SLOW_SECONDS, measure_pace
from tests.serving.running import some_data


async def ask(app, method, path, body=b""):
    """Returns status, decoded answer, headers."""
    sent = []
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]}  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])


class Slow(ItemKNN):
    """A model that answers when it may, and whose clock goes on by three milliseconds a question."""

    may_go = threading.Event()
    time = 0.0

    def recommend(self, *given, **options):
        type(self).time += 0.003
        assert self.may_go.wait(60)
        return super().recommend(*given, **options)


@pytest.fixture
def app():
    Slow.may_go.set()
    app = create_app(Settings(model="none"))
    app.server.updater = Updater(Slow(3, n_jobs=1).fit(some_data()))
    yield app
    Slow.may_go.set()
    app.server.line.close()


def test_the_pace_of_a_model_is_that_of_its_slowest_kind_of_question():
    Slow.may_go.set()
    pace = measure_pace(Snapshot(Slow(3, n_jobs=1).fit(some_data())), lambda: Slow.time)
    assert pace == pytest.approx(0.003)
    assert pace > SLOW_SECONDS


def test_a_fast_model_on_a_busy_machine_is_not_taken_for_a_slow_one():
    """Other threads hold up most tries; one try that is not held up shows the speed."""
    Slow.may_go.set()
    lengths = [0.0, *[0.05] * 7, 0.0004] * 10
    now = np.cumsum(np.repeat(lengths, 2) * np.tile([0, 1], len(lengths)))
    clock = iter(now.tolist())
    assert measure_pace(Snapshot(Slow(3, n_jobs=1).fit(some_data())), lambda: next(clock)) <= SLOW_SECONDS


def test_a_slow_model_is_asked_on_threads_and_its_line_has_an_end(app, monkeypatch):
    monkeypatch.setattr(
        "fastrec.serving.server.measure_pace", lambda snapshot: measure_pace(snapshot, lambda: Slow.time)
    )
    app.server._prepare(app.server.updater.snapshot)

    async def main():
        Slow.may_go.clear()
        body = json.dumps({"user": "1"}).encode()
        batch = json.dumps({"users": ["1", "2"]}).encode()
        waiting = [asyncio.create_task(ask(app, "POST", "/recommend", body)) for _ in range(LARGEST_LINE - 1)]
        waiting.append(asyncio.create_task(ask(app, "POST", "/batch", batch)))
        await asyncio.sleep(0)
        while app.server.line.length < LARGEST_LINE:
            await asyncio.sleep(0)
        assert (await ask(app, "GET", "/healthz"))[0] == 200
        assert (await ask(app, "GET", "/readyz"))[0] == 200
        for path, asked in (("/recommend", body), ("/batch", batch)):
            status, answer, headers = await ask(app, "POST", path, asked)
            assert (status, headers[b"retry-after"]) == (429, b"1")
            assert "wait" in answer["error"]["message"]
        assert not [task for task in waiting if task.done()]
        Slow.may_go.set()
        assert [(await task)[0] for task in waiting] == [200] * LARGEST_LINE
        assert (await ask(app, "POST", "/recommend", body))[0] == 200

    asyncio.run(main())


def test_a_fast_model_enters_no_line(app):
    async def main():
        app.server.line.length = LARGEST_LINE
        assert (await ask(app, "POST", "/recommend", b'{"user": "1"}'))[0] == 200
        assert (await ask(app, "POST", "/recommend", b'{"history": ["1000"]}'))[0] == 200
        assert (await ask(app, "POST", "/batch", b'{"users": ["1"]}'))[0] == 429

    asyncio.run(main())


def test_a_thread_that_waits_for_a_load_keeps_no_other_waiting(app, tmp_path):
    """Another thread loads a newer model, and holds the lock."""
    with Journal(tmp_path / "events.db") as journal:
        updater = Updater(ItemKNN(3, n_jobs=1).fit(some_data()), journal)
        app.server.updater, app.server.journal = updater, journal
        journal.append([Event("1", "1000")])

        async def main():
            with updater._taking_in:
                waiting = asyncio.create_task(ask(app, "POST", "/recommend", b'{"user": "1"}'))
                for path in ("/healthz", "/readyz"):
                    assert (await ask(app, "GET", path))[0] == 200
                assert (await ask(app, "POST", "/recommend", b'{"history": ["1000"]}'))[0] == 200
                assert not waiting.done()
            status, answer, _ = await waiting
            assert (status, answer["seq"]) == (200, 1)

        asyncio.run(main())


def test_new_ids_are_refused_where_they_are_not_wanted(app, tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        updater = Updater(ItemKNN(3, n_jobs=1).fit(some_data()), journal, new_items="refuse")
        app.server.updater, app.server.journal = updater, journal

        async def main():
            for item, wanted in (("1000", 200), ("new", 422)):
                body = json.dumps({"events": [{"user": "new", "item": "1001"}, {"user": "1", "item": item}]}).encode()
                status, answer, _ = await ask(app, "POST", "/events", body)
                assert status == wanted
            assert answer["error"]["field"] == "events[1]"

        asyncio.run(main())
        assert journal.last_seq() == 2


def test_a_full_disk_is_said_to_be_full(app, tmp_path, monkeypatch):
    def full(*given):
        raise JournalDiskFullError("no room")

    with Journal(tmp_path / "events.db") as journal:
        app.server.updater = Updater(ItemKNN(3, n_jobs=1).fit(some_data()), journal)
        app.server.journal = journal
        monkeypatch.setattr(journal, "submit", full)
        monkeypatch.setattr(journal, "delete_user", full)

        async def main():
            body = b'{"events": [{"user": "1", "item": "1000"}]}'
            for method, path, sent in (("POST", "/events", body), ("DELETE", "/users/1", b"")):
                status, answer, headers = await ask(app, method, path, sent)
                assert (status, answer["error"]["message"], headers[b"retry-after"]) == (507, "no room", b"5")

        asyncio.run(main())


def test_between_the_parts_of_a_batch_it_is_the_others_turn():
    """Two threads ask two long batches, and a short question comes later: it waits for one part of each, no more."""

    async def main():
        line, order = Line(), []
        long = [
            asyncio.create_task(line.run_parts([lambda name=name, n=n: order.append((name, n)) for n in range(50)]))
            for name in "ab"
        ]
        while not order:
            await asyncio.sleep(0)
        await line.run(order.append, "short")
        await asyncio.gather(*long)
        assert order.index("short") < len(order) - 1
        assert len(order) == 101
        line.close()

    asyncio.run(main())


def test_work_that_fails_leaves_its_place_in_the_line():
    async def main():
        line = Line()
        for _ in range(2 * LARGEST_LINE):
            with pytest.raises(Refusal, match="no"):
                await line.run(fail)
        assert line.length == 0
        line.close()

    def fail():
        raise Refusal(422, "no")

    asyncio.run(main())
