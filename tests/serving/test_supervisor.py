"""Workers that die are restarted; a worker that cannot start harms none that serves."""

import os
import signal
import socket
import time

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import Popularity
from fastrec.serving.supervisor import Worker
from tests.serving.running import Running, some_data


def say_nothing_and_live_on(listener, line):
    line.close()
    signal.sigwait([signal.SIGTERM]) if hasattr(signal, "sigwait") else time.sleep(60)


def test_a_worker_that_ends_without_a_word_has_not_served():
    with socket.socket() as listener:
        worker = Worker(say_nothing_and_live_on, listener)
        try:
            assert worker.line.poll(60)  # the end of the line shows before the process has ended
            assert worker.process.is_alive()
            assert not worker.look()
        finally:
            worker.process.kill()
            worker.process.join()
        worker.bury()
        assert not worker.look()
        assert worker.pause > 0


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_worker_that_cannot_begin_is_started_again_until_it_can_and_ends_nobody(tmp_path):
    path, bad = tmp_path / "model.fastrec", tmp_path / "bad"
    Popularity().fit(some_data()).save(path)
    good = path.read_bytes()
    with Running(path, "--workers", "2") as server:
        server.wait_until(lambda: 'fastrec_models_total{how="start"} 2.0' in server.get("/metrics")[1].decode())
        before = server.workers()
        bad.write_bytes(good[:-50])
        os.replace(bad, path)
        os.kill(before[0], signal.SIGKILL)
        begun = set()

        def has_failed_twice():
            assert server.post("/recommend", {"user": "1"})[0] == 200
            begun.update(server.workers())
            return len(begun - set(before)) >= 2

        server.wait_until(has_failed_twice)
        bad.write_bytes(good)
        os.replace(bad, path)
        server.wait_until(lambda: 'fastrec_models_total{how="start"} 3.0' in server.get("/metrics")[1].decode())
        assert before[1] in server.workers()
        code, log = server.stop()
    assert code == 0
    assert "cannot serve" in log
