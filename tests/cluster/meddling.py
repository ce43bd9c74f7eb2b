"""Stands between an operator and a server, passes on what both say, and meddles where a test tells it to.

    async with Proxy(url).running() as proxy:
        proxy.meddling = Outage(503)

It knows two languages: HTTP with watches, as the API server of Kubernetes speaks, and graphql-transport-ws. What a
meddling may be is in `faults.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import aiohttp
from aiohttp import web

from tests.cluster.eventually import until_one_ends
from tests.cluster.plant import Place

T = TypeVar("T")

QUIET_SECONDS: Final = 0.7
"""When nothing more was said for so long, it was all."""

_WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
_TOLD: Final = ("registerOperator", "claimPool", "reportPool", "releasePool")
"""What an operator says to our server that changes something there."""

_LINE_BYTES: Final = 1024 * 1024
_FIELD: Final = re.compile(r"\{\s*(\w+)")
_PLACED: Final = re.compile(r"/namespaces/[^/]+/(?P<kind>[a-z]+)(?:/[^/]+(?P<part>/status)?)?$")
_NOT_PASSED_ON: Final = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """A request, or an operation over a WebSocket."""

    what: str
    """As `PATCH deployments`, `WATCH pods` or `reportPool`."""
    text: str
    """Path and body, which tell whom it is about."""
    writes: bool
    at: float
    """When it was said, by the monotonic clock."""

    def about(self, ids: Iterable[str]) -> bool:
        """Whether it names one of them."""
        return any(id in self.text for id in ids)


class Dropped(Exception):
    """It gets lost with its connection."""


class Cut(Exception):
    """The connection breaks after these bytes."""

    def __init__(self, after: bytes = b"") -> None:
        super().__init__()
        self.after = after


class Meddling:
    """What is done to what is said; here nothing. All of it may wait, and may raise `Dropped`."""

    async def before(self, said: Said) -> web.Response | None:
        """Before it is passed on; with an answer it is not."""

    async def after(self, said: Said) -> None:
        """When it was answered, before the answer is passed back."""

    async def watched(self, said: Said, line: bytes) -> list[bytes]:
        """What becomes of a line that a watch tells. Raises `Cut`."""
        return [line]


class Proxy:
    """Passes on what is said to a server, and what that answers. Whoever hangs up, a write that was begun arrives."""

    def __init__(self, target: str, trust: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self.heard: list[Said] = []
        """All that was said, in this order."""
        self.connections = 0
        """How many WebSockets were asked for."""
        self.meddling = Meddling()
        self._target = target
        self._trust: ssl.SSLContext | bool = trust or True
        self._http: aiohttp.ClientSession
        self._on_their_way: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listening until the block ends."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        async with AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
            options: dict[str, Any] = {"auto_decompress": False, "read_bufsize": _LINE_BYTES}
            limit = aiohttp.ClientTimeout(total=None)
            self._http = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, timeout=limit, **options)
            )
            stack.push_async_callback(self._forget)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self

    def writes(self, *ids: str) -> list[Said]:
        """The writes about these that were said, in this order."""
        return [said for said in self.heard if said.writes and said.about(ids)]

    async def quiet(self, *ids: str) -> None:
        """Wait until nothing more is written about these."""
        before = -1
        while before != (now := len(self.writes(*ids))):
            before = now
            await asyncio.sleep(QUIET_SECONDS)

    async def _forget(self) -> None:
        for task in self._on_their_way:
            task.cancel()
        await asyncio.gather(*self._on_their_way, return_exceptions=True)

    async def _kept(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Done to its end, whatever becomes of who waits for it."""
        task = asyncio.create_task(coroutine)
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)
        return await asyncio.shield(task)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._talk(request)
            body = await request.read()
            said = _request(request, body)
            self.heard.append(said)
            if said.what.startswith("WATCH"):
                return await self._watch(said, request)
            return await self._kept(self._answer(said, request, body))
        except aiohttp.WSServerHandshakeError:
            return await self._refused(request)
        except (Dropped, aiohttp.ClientError):
            return _hung_up(request)

    # HTTP

    async def _answer(self, said: Said, request: web.Request, body: bytes) -> web.Response:
        if instead := await self.meddling.before(said):
            return instead
        async with self._passed_on(request, body) as answer:
            content = await answer.read()
        await self.meddling.after(said)
        return web.Response(status=answer.status, headers=_passing(answer.headers), body=content)

    async def _watch(self, said: Said, request: web.Request) -> web.StreamResponse:
        if instead := await self.meddling.before(said):
            return instead
        async with self._passed_on(request, b"") as answer:
            response = web.StreamResponse(status=answer.status, headers=_passing(answer.headers))
            await response.prepare(request)
            try:
                async for line in answer.content:
                    for each in await self.meddling.watched(said, line):
                        await response.write(each)
            except Cut as cut:
                await response.write(cut.after)
                await asyncio.sleep(0.05)  # so that these bytes are read before the end is
                return _hung_up(request, response)
        await response.write_eof()
        return response

    @asynccontextmanager
    async def _passed_on(self, request: web.Request, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._http.request(
            request.method, self._target + request.raw_path, headers=_passing(request.headers), data=body
        ) as answer:
            yield answer

    # WebSockets

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        self.connections += 1
        protocols = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        headers = {name: value for name, value in request.headers.items() if name == "Authorization"}
        async with self._http.ws_connect(
            self._target + request.raw_path, protocols=protocols, headers=headers
        ) as there:
            here = web.WebSocketResponse(protocols=protocols)
            await here.prepare(request)
            asked: dict[str, Said] = {}
            try:
                await until_one_ends(self._say(here, there, asked), self._tell(there, here, asked))
            finally:
                with suppress(ConnectionError):
                    await here.close(code=there.close_code or 1000)
        return here

    async def _refused(self, request: web.Request) -> web.Response:
        """The refusal of a WebSocket in full: asked for once more, because its words are lost the first time."""
        headers = _passing(request.headers) | {"Connection": "Upgrade"}
        async with self._http.get(self._target + request.raw_path, headers=headers) as answer:
            return web.Response(status=answer.status, headers=_passing(answer.headers), body=await answer.read())

    async def _say(
        self, here: web.WebSocketResponse, there: aiohttp.ClientWebSocketResponse, asked: dict[str, Said]
    ) -> None:
        async for frame in here:
            message = json.loads(frame.data)
            if message["type"] == "subscribe":
                said = asked[message["id"]] = _operation(message)
                self.heard.append(said)
                await self.meddling.before(said)
            await there.send_str(frame.data)

    async def _tell(
        self, there: aiohttp.ClientWebSocketResponse, here: web.WebSocketResponse, asked: dict[str, Said]
    ) -> None:
        async for frame in there:
            if said := asked.pop(json.loads(frame.data).get("id", ""), None):
                await self.meddling.after(said)
            await here.send_str(frame.data)


@asynccontextmanager
async def proxied(place: Place) -> AsyncIterator[tuple[Proxy, Place]]:
    """What stands before the API server, and the place as it looks from there."""
    plane = place.control_plane
    async with Proxy(plane.url, ssl.create_default_context(cafile=plane.ca_file)).running() as proxy:
        yield proxy, replace(place, control_plane=replace(plane, url=proxy.url))


def _request(request: web.Request, body: bytes) -> Said:
    placed = _PLACED.search(request.path)
    kind = placed["kind"] + (placed["part"] or "") if placed else request.path
    method = "WATCH" if request.query.get("watch") == "true" else request.method
    text = request.path + body.decode(errors="replace")
    return Said(what=f"{method} {kind}", text=text, writes=method in _WRITES, at=time.monotonic())


def _operation(message: dict[str, Any]) -> Said:
    payload = message["payload"]
    field = _FIELD.search(payload["query"])
    assert field
    text = json.dumps(payload.get("variables"))
    return Said(what=field[1], text=text, writes=field[1] in _TOLD, at=time.monotonic())


def _passing(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED_ON}


def _hung_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return response or web.Response()
