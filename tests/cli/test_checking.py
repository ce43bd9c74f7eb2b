"""`octomesh healthcheck`, against servers that are well, ill, silent or absent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from octomesh_graphql.cli import checking


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_a_server_that_is_well(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with answering(200) as port:
        monkeypatch.setenv("OCTOMESH_HOST", host)
        monkeypatch.setenv("OCTOMESH_PORT", str(port))
        assert checking.healthcheck() == 0


def test_a_server_that_is_ill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(503) as port:
        monkeypatch.setenv("OCTOMESH_PORT", str(port))
        assert checking.healthcheck() == 1
    assert capsys.readouterr().err == f"octomesh: The server on 127.0.0.1, port {port}, answered 503.\n"


@pytest.mark.parametrize("port", ["1", "abc", "99999"])
def test_no_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str) -> None:
    monkeypatch.setenv("OCTOMESH_PORT", port)
    assert checking.healthcheck() == 1
    assert f"octomesh: The server on 127.0.0.1, port {port}, can't be asked:" in capsys.readouterr().err
