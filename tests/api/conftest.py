"""A real server on a real port, and clients that speak to it."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import pytest
import websockets

from octomesh_graphql.api.admitting import OPEN, Gate
from octomesh_graphql.api.app import create_app
from octomesh_graphql.api.listening import listening
from octomesh_graphql.limits import DEFAULT, Limits
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions


@dataclass
class Api:
    """A client of one tenant."""

    base: str
    tenant: str
    http: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The endpoint of the tenant."""
        return f"/tenants/{self.tenant}/graphql"

    async def post(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """The HTTP answer to an operation."""
        body = json.dumps({"query": query, "variables": variables, **more})
        return await self.http.post(self.path, content=body, headers={"content-type": "application/json"})

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an operation that must have no errors."""
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def fail(self, query: str, **variables: Any) -> Any:
        """The one error of an operation that must fail."""
        answer = (await self.post(query, variables)).json()
        assert len(answer.get("errors", [])) == 1, answer
        return answer["errors"][0]

    @asynccontextmanager
    async def socket(self, **init: Any) -> AsyncIterator[Socket]:
        """An acknowledged graphql-transport-ws connection."""
        url = f"ws://{self.base}{self.path}"
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as ws:
            client = Socket(ws)
            await client.send({"type": "connection_init", "payload": init})
            assert (await client.receive())["type"] == "connection_ack"
            yield client


@dataclass
class Socket:
    """The client's end of a WebSocket."""

    ws: Any
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, message: dict[str, Any]) -> None:
        """Say something."""
        await self.ws.send(json.dumps(message))

    async def receive(self) -> Any:
        """What is said next, within ten seconds."""
        return json.loads(await asyncio.wait_for(self.ws.recv(), 10))

    async def subscribe(self, query: str, **variables: Any) -> str:
        """Start an operation; returns its id."""
        operation = str(next(self._ids))
        payload = {"query": query, "variables": variables}
        await self.send({"id": operation, "type": "subscribe", "payload": payload})
        return operation

    async def next(self) -> Any:
        """The data of the next result, under its only field."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def until(self, kind: str) -> list[Any]:
        """All changes up to the first of this kind."""
        changes = [await self.next()]
        while changes[-1]["kind"] != kind:
            changes.append(await self.next())
        return changes


@asynccontextmanager
async def serving(
    sessions: Sessions,
    feed: Feed,
    gate: Gate = OPEN,
    limits: Limits = DEFAULT,
    names: Collection[str] | None = None,
    origins: Collection[str] = (),
) -> AsyncIterator[str]:
    """A running server; gives its host and port."""
    app = create_app(sessions, feed, gate=gate, limits=limits, names=names, origins=origins)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with listening(app, sock, leaving=feed.leave, closing=lambda: None, limits=limits):
            yield f"127.0.0.1:{sock.getsockname()[1]}"


def limited(**amounts: float) -> pytest.MarkDecorator:
    """For a test whose server has other limits, also ones that nobody could set."""
    told = ", ".join(f"{name}={amount}" for name, amount in amounts.items())
    return pytest.mark.parametrize("limits", [pytest.param(DEFAULT.model_copy(update=amounts), id=told)])


@pytest.fixture
def limits() -> Limits:
    """Those of the running server: see `limited`."""
    return DEFAULT


@pytest.fixture
async def base(sessions: Sessions, feed: Feed, limits: Limits) -> AsyncIterator[str]:
    """Host and port of a running server."""
    async with serving(sessions, feed, limits=limits) as address:
        yield address


@pytest.fixture
async def http(base: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server."""
    async with httpx.AsyncClient(base_url=f"http://{base}") as client:
        yield client


@pytest.fixture
def api(base: str, http: httpx.AsyncClient, store: TenantStore) -> Api:
    """A client of the tenant `acme`."""
    return Api(base, store.tenant.id, http)
