"""Bodies and heads have bounds."""

import json
import select
import socket

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")


def test_a_body_in_chunks_is_counted_too(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            for _ in range(400):
                line.sendall(chunk)
        except OSError:
            pass
        assert b" 413 " in line.recv(4096)


def test_heads_have_an_end(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-more: ")
        for _ in range(200):  # in parts, as a network delivers them, until there is an answer
            try:
                line.sendall(b"y" * 2000)
            except OSError:
                break
            if select.select([line], [], [], 0.002)[0]:
                break
        answer = line.recv(4096)
    assert b" 431 " in answer
    assert b"65536 bytes" in answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b" 400 " in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b" 400 " in line.recv(4096)


def test_a_slow_client_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        assert server.post("/recommend", {"user": "1"})[0] == 200
