"""What surrounds every request: what the log says of it."""

from __future__ import annotations

import asyncio

import pytest
import websockets
from starlette.types import Message, Receive, Scope, Send

from octomesh_graphql.api.metrics import Metrics
from octomesh_graphql.api.requests import Requests
from octomesh_graphql.store.feed import Feed
from tests.api.conftest import Api


@pytest.mark.parametrize("path", ["/" + "%01" * 5_000, "/" + "x" * 15_000, "/%E2%80%A8%C2%85"])
async def test_a_path_fits_a_line_of_the_log_whatever_is_in_it(
    api: Api, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await api.http.get(path)).status_code == 404
    logged = [line for line in capsys.readouterr().out.splitlines() if "404" in line]
    assert len(logged) == 1
    assert len(logged[0]) < 600
    assert "\u2028" not in logged[0]


async def test_the_log_tells_how_a_handshake_was_answered(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    for path, headers in ((api.path, {"Origin": "https://evil.example"}), ("/nowhere", {})):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"ws://{api.base}{path}", additional_headers=headers)
        assert refused.value.response.status_code == 403
    async with api.socket():
        pass
    async with asyncio.timeout(10):
        logged: list[str] = []
        while len(logged) < 3:
            logged += [line for line in capsys.readouterr().out.splitlines() if "WEBSOCKET" in line]
            await asyncio.sleep(0.01)
    assert [("403" in line, "101" in line) for line in logged] == [(True, False), (True, False), (False, True)]


async def test_a_websocket_that_breaks_after_it_was_opened_counts_as_a_fault_of_ours(
    feed: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        raise LookupError

    async def nothing() -> Message:
        raise AssertionError

    async def sent(message: Message) -> None:
        pass

    metrics = Metrics(feed)
    scope = {"type": "websocket", "path": "/somewhere", "headers": []}
    with pytest.raises(LookupError):
        await Requests(app, metrics)(scope, nothing, sent)
    assert b'octomesh_requests_total{kind="websocket",status="500"} 1.0' in metrics.text()
    assert "500" in capsys.readouterr().out
