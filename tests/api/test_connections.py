"""Connections of peers that are slow, silent, or never read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count, repeat

import pytest
from websockets.frames import Frame, Opcode

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


async def test_a_head_beyond_the_bound_is_refused(api: Api) -> None:
    async with connected(api) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"X-More: more\r\n" * (DEFAULT.head_bytes // 14 + 10))
        assert b" 431 " in await ended(reader)


LONG = "{" + " ".join(f"x{n}: pools(first: 9) {{ nodes {{ description }} }}" for n in range(20)) + "}"
"""Its answer has some hundred thousand bytes."""


def asked_over_http(api: Api) -> Iterator[bytes]:
    """Requests for long answers, without end."""
    body = json.dumps({"query": LONG})
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    yield from repeat(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


def asked_over_websocket(api: Api) -> Iterator[bytes]:
    """The same by a WebSocket."""
    head = f"GET {api.path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    keys = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    protocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    yield (head + keys + protocol).encode()
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
