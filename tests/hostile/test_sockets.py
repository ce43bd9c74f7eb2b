"""WebSockets in the hands of people who know the protocol well, and mean no good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.hostile.conftest import Target

WATCH = "subscription { poolChanges { kind cursor pool { name } } }"
Abuse = Callable[[Target], Awaitable[None]]


async def opened(target: Target, *, init: bool = True, **more: Any) -> ClientConnection:
    """A connection, with `connection_init` sent unless it shall not be."""
    protocols = [websockets.Subprotocol("graphql-transport-ws")]
    ws = await websockets.connect(f"ws://{target.base}{target.path}", subprotocols=protocols, **more)
    if init:
        await ws.send(json.dumps({"type": "connection_init"}))
    return ws


def subscribe(id: str, query: str = WATCH, **more: Any) -> str:
    """The message that begins an operation."""
    return json.dumps({"id": id, "type": "subscribe", "payload": {"query": query, **more}})


async def _sent(ws: ClientConnection, *messages: str | bytes) -> None:
    with suppress(websockets.ConnectionClosed):
        for message in messages:
            await ws.send(message)


async def many_silent(target: Target) -> None:
    """Open, and never say a word."""
    sockets = await asyncio.gather(*(opened(target, init=False) for _ in range(100)))
    await asyncio.sleep(0.5)
    for ws in sockets:
        ws.transport.abort()


async def cut_everywhere(target: Target) -> None:
    """Break the connection in the middle of everything."""
    for _ in range(5):
        sockets = await asyncio.gather(*(opened(target) for _ in range(40)))
        for ws in sockets:
            await _sent(ws, *(subscribe(str(n)) for n in range(5)))
            ws.transport.abort()


async def pings(target: Target) -> None:
    """Ping and pong without end."""
    ws = await opened(target)
    await _sent(ws, *[json.dumps({"type": kind, "payload": {"x": "y" * 500}}) for kind in ("ping", "pong")] * 3_000)
    ws.transport.abort()


async def churn(target: Target) -> None:
    """Begin and end subscriptions without end."""
    ws = await opened(target)
    for number in range(1_500):
        await _sent(ws, subscribe(str(number)), json.dumps({"id": str(number), "type": "complete"}))
    ws.transport.abort()


async def crowd(target: Target) -> None:
    """As many subscriptions as a connection takes, and more, on several."""
    sockets = [await opened(target) for _ in range(5)]
    for ws in sockets:
        await _sent(ws, *(subscribe(str(n)) for n in range(200)))
    await asyncio.sleep(1)
    for ws in sockets:
        ws.transport.abort()


async def never_read(target: Target) -> None:
    """Ask for much, and read nothing."""
    query = "{" + " ".join(f"x{n}: pools {{ nodes {{ name description }} }}" for n in range(20)) + "}"
    sockets = [await opened(target, max_queue=1) for _ in range(10)]
    for ws in sockets:
        ws.transport.pause_reading()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await _sent(ws, *(subscribe(str(n), query) for n in range(2_000)))
    for ws in sockets:
        ws.transport.abort()


async def nonsense(target: Target) -> None:
    """Messages of every wrong form, each on a connection of its own."""
    wrong: list[str | bytes] = [
        "", "{", "[]", "7", "null", "{}", '{"type": null}', '{"type": "subscribe"}', b"\x00", b"\xff" * 1000,
        "[" * 200_000,        subscribe("x" * 100_000), subscribe(""), json.dumps({"id": {}, "type": "complete"}),
        '{"type": "connection_init"}',
        json.dumps({"id": "1", "type": "subscribe", "payload": {"query": ["x"]}}), '{"type": "next"}', "x" * 1_100_000,
        subscribe("1", "{" * 50_000), subscribe("1", variables={"x": [[[[[]]]]]}),
        '{"type": "subscribe", "id": "\\ud83d"}',
    ]  # fmt: skip
    for message in wrong:
        ws = await opened(target)
        await _sent(ws, message)
        ws.transport.abort()


async def compressed(target: Target) -> None:
    """Offer extensions and versions that are not served."""
    with suppress(websockets.InvalidHandshake):
        ws = await opened(target, compression="deflate", additional_headers={"Origin": "http://evil.example.com"})
        await ws.close()


async def storms(target: Target) -> None:
    """All come back at once, again and again."""
    for _ in range(3):
        sockets = await asyncio.gather(*(opened(target) for _ in range(150)))
        await asyncio.gather(*(_sent(ws, subscribe("1")) for ws in sockets))
        await asyncio.gather(*(ws.recv() for ws in sockets))
        await asyncio.gather(*(ws.close() for ws in sockets))


async def expensive(target: Target) -> None:
    """Subscriptions to what is refused, over and over."""
    deep = (
        "subscription { poolChanges { pool { " + "adapters { nodes { pool { " * 20 + "name" + " } } }" * 20 + " } } }"
    )
    ws = await opened(target)
    await _sent(ws, *(subscribe(str(n), deep) for n in range(1_000)))
    ws.transport.abort()


@pytest.mark.parametrize(
    "abuse",
    [many_silent, cut_everywhere, pings, churn, crowd, never_read, nonsense, compressed, storms, expensive],
)
async def test_what_one_client_does_is_felt_by_no_other(target: Target, abuse: Abuse) -> None:
    async with asyncio.timeout(60):
        await abuse(target)
