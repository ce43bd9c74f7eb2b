"""Connections of peers that are slow, silent, or never read."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, repeat

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from websockets.frames import Frame, Opcode

from octomesh_graphql.api.listening import listening
from octomesh_graphql.api.tokens import TOKEN_CHARACTERS
from octomesh_graphql.limits import DEFAULT
from octomesh_graphql.store.entities import TenantStore
from tests.api.conftest import Api, limited
from tests.builders import created_pool

TYPENAME = json.dumps({"query": "{ __typename }"})


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to the server."""
    reader, writer = await asyncio.open_connection(*api.base.split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side closes, which is soon."""
    async with asyncio.timeout(10):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def posted(api: Api) -> bytes:
    """A whole request."""
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(TYPENAME)}\r\n\r\n{TYPENAME}".encode()


@limited(head_seconds=0.1)
@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nUpgrade: websoc"]
)
async def test_half_a_head_is_not_waited_for(api: Api, sent: bytes) -> None:
    async with connected(api) as (reader, writer):
        writer.write(sent)
        assert await ended(reader) == b""


@limited(head_seconds=0.2)
async def test_nor_is_it_behind_a_whole_request(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(posted(api))
        assert b" 200 " in await reader.readline()
        writer.write(b"GET / HT")
        assert b"__typename" in await ended(reader)


@limited(head_seconds=0.1)
async def test_who_says_what_they_want_has_all_the_time_they_need(api: Api) -> None:
    async with connected(api) as (reader, writer), api.socket() as client:
        for _ in range(3):
            writer.write(posted(api))
            assert b" 200 " in await reader.readline()
            await reader.readuntil(b"}}")
            await asyncio.sleep(0.15)
        await client.subscribe("{ __typename }")
        assert await client.next() == "Query"


def refused_early(api: Api, length: int) -> bytes:
    """The head of a request that is answered without its body."""
    return f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n".encode()


@limited(head_seconds=0.2)
@pytest.mark.parametrize(
    ("head", "later"),
    [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n"),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", "{"),
        ("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", "{"),
        ("POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n"),
    ],
)
async def test_what_begins_no_request_keeps_no_connection_open(api: Api, head: str, later: str) -> None:
    async with connected(api) as (reader, writer):
        writer.write(head.encode())
        assert b"HTTP/1.1 " in await reader.readline()
        await asyncio.sleep(0.05)
        writer.write(later.encode())
        await ended(reader)


async def test_a_body_that_nobody_wants_may_still_come_before_the_next_request(api: Api) -> None:
    body = DEFAULT.head_bytes * 3
    async with connected(api) as (reader, writer):
        writer.write(refused_early(api, body))
        assert b" 415 " in await reader.readline()
        for _ in range(3):
            writer.write(b"x" * (body // 3))
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(posted(api))
        async with asyncio.timeout(10):
            assert b"HTTP/1.1 200 OK" in await reader.readuntil(b"HTTP/1.1 200 OK")


async def test_a_head_beyond_the_bound_is_refused(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"X-More: more\r\n" * (DEFAULT.head_bytes // 14 + 10))
        assert b" 431 " in await ended(reader)


HANDSHAKE = (
    "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
)


@pytest.mark.parametrize(
    "more",
    ["".join(f"X-{number}: x\r\n" for number in range(130)), "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"],
)
async def test_a_handshake_that_can_not_be_read_is_refused_at_once(api: Api, more: str) -> None:
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}{more}\r\n".encode())
        assert b" 400 " in await ended(reader)


async def test_a_handshake_carries_the_longest_token_and_query_string(api: Api) -> None:
    more = f"Authorization: Bearer {'x' * TOKEN_CHARACTERS}\r\n"
    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path}?x={'x' * 16_000} HTTP/1.1\r\n{HANDSHAKE}{more}\r\n".encode())
        assert b" 101 " in await asyncio.wait_for(reader.readline(), 10)


async def test_crowds_of_frames_leave_others_their_turn_and_are_all_answered(api: Api) -> None:
    pings = 20_000
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with connected(api) as (reader, writer):
        writer.write(f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        turning = asyncio.create_task(somebody_else())
        writer.write(Frame(Opcode.PING, b"").serialize(mask=True) * pings)
        pong = Frame(Opcode.PONG, b"").serialize(mask=False)
        async with asyncio.timeout(20):
            assert await reader.readexactly(len(pong) * pings) == pong * pings
        turning.cancel()
    assert turns > pings * 6 / 8_192  # each time no more than eight KiB are taken


@limited(connections=10)
async def test_whoever_finds_no_room_is_told_when_to_come_back_and_that_the_server_lives(api: Api) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(10):
            await opened.enter_async_context(connected(api))
        full = await api.post("{ __typename }")
        assert (full.status_code, full.json()["errors"][0]["extensions"]["code"]) == (503, "RATE_LIMITED")
        assert full.headers["retry-after"]
        assert (await api.http.get("/healthz")).status_code == 200
    async with asyncio.timeout(10):
        while (await api.post("{ __typename }")).status_code == 503:
            await asyncio.sleep(0.01)


def test_who_leaves_before_several_answers_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: Request) -> Response:
        await request.body()  # uvicorn reads on, and hears that they leave
        await asyncio.sleep(0.02)
        return Response(b"x")

    async def leave_early() -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            app = Starlette(routes=[Route("/", answer)])
            async with listening(app, door, leaving=lambda: None, closing=lambda: None):
                for pipelined in (2, 5, 50):
                    _, writer = await asyncio.open_connection(*door.getsockname())
                    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * pipelined)
                    await asyncio.sleep(0.005)
                    writer.transport.abort()
                    await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # asyncio's own loop writes into the void
        runner.run(leave_early())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@asynccontextmanager
async def answering(size: int, stalled_seconds: float) -> AsyncIterator[socket.socket]:
    """Somebody who has asked for that much, on a line that holds next to nothing."""

    async def answer(_: Request) -> Response:
        return Response(b"x" * size, headers={"connection": "close"})

    limits = DEFAULT.model_copy(update={"stalled_seconds": stalled_seconds})
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as peer:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        app = Starlette(routes=[Route("/", answer)])
        async with listening(app, door, leaving=lambda: None, closing=lambda: None, limits=limits):
            await asyncio.get_running_loop().sock_connect(peer, door.getsockname())
            await asyncio.get_running_loop().sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            yield peer


async def read(peer: socket.socket, at_once: int, pause: float) -> int:
    """How much comes, when so much is read with such pauses, until the connection ends."""
    got = 0
    async with asyncio.timeout(30):
        while True:
            try:
                part = await asyncio.get_running_loop().sock_recv(peer, at_once)
            except ConnectionError:
                return got
            if not part:
                return got
            got += len(part)
            await asyncio.sleep(pause)


async def test_the_last_words_before_closing_are_not_kept_for_who_does_not_read_them() -> None:
    async with answering(40_000, stalled_seconds=0.2) as peer:
        await asyncio.sleep(1)
        assert await read(peer, 100_000, 0) < 40_000


async def test_who_reads_slowly_has_all_the_time_they_need() -> None:
    async with answering(1_000_000, stalled_seconds=0.5) as peer:
        assert await read(peer, 4_096, 0.005) > 1_000_000


async def test_who_reads_next_to_nothing_has_not() -> None:
    async with answering(1_000_000, stalled_seconds=0.2) as peer:
        assert await read(peer, 100, 0.05) < 1_000_000


LONG = "{" + " ".join(f"x{n}: pools(first: 9) {{ nodes {{ description }} }}" for n in range(20)) + "}"
"""Its answer has some hundred thousand bytes."""


def asked_over_http(api: Api) -> Iterator[bytes]:
    """Requests for long answers, without end."""
    body = json.dumps({"query": LONG})
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    yield from repeat(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


def asked_over_websocket(api: Api) -> Iterator[bytes]:
    """The same by a WebSocket."""
    yield f"GET {api.path} HTTP/1.1\r\n{HANDSHAKE}\r\n".encode()
    yield _framed({"type": "connection_init"})
    for number in count():
        yield _framed({"id": str(number), "type": "subscribe", "payload": {"query": LONG}})


def _framed(message: object) -> bytes:
    return Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True)


@limited(stalled_seconds=0.1)
@pytest.mark.parametrize("asking", [asked_over_http, asked_over_websocket])
async def test_a_peer_that_does_not_read_is_dropped_with_all_it_holds(
    api: Api, store: TenantStore, asking: Callable[[Api], Iterator[bytes]]
) -> None:
    for number in range(9):
        await created_pool(store, f"Pool {number}", description="d" * 2_000)
    loop, (host, port) = asyncio.get_running_loop(), api.base.split(":")

    async def ask_on() -> None:
        requests = asking(api)
        async with asyncio.timeout(20):
            await loop.sock_sendall(peer, next(requests))
            await loop.sock_recv(peer, 100)  # the beginning of an answer, and nothing more
            for request in requests:
                await loop.sock_sendall(peer, request)

    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        with pytest.raises(ConnectionError):
            await ask_on()
    assert await api.ask("{ __typename }") == {"__typename": "Query"}
