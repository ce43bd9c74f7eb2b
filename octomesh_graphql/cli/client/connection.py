"""The connection: one tenant's GraphQL API, asked over HTTP and followed over a WebSocket.

Whatever stands in the way becomes one sentence, in a `CommandFailed`. The protocol of the WebSocket is
graphql-transport-ws, of which one subscription at a time is all that a command needs.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import aiohttp

from octomesh_graphql import __version__
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.credentials import Credentials, NoToken, Unknown, authorization
from octomesh_graphql.domain.text import shown

CONNECT_SECONDS: Final = 10.0
"""How long it may take to be connected; over the worst of lines it is two."""

ANSWER_SECONDS: Final = 40.0
"""How long an answer may take: the server gives itself 30."""

PING_SECONDS: Final = 15.0
"""Between two signs of life of a WebSocket on which nothing happens."""

LARGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes of one message: room for an adapter with its configuration many times."""

_PROTOCOL: Final = "graphql-transport-ws"
_ACCEPT: Final = "application/graphql-response+json, application/json;q=0.9"
_TOKEN_REFUSED: Final = 4403
_NOT_LET_IN: Final = (401, 403)
_SUBSCRIPTION: Final = "1"
_END: Final = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

_WHERE: Final = "--server-url or OCTOMESH_SERVER_URL says where the server is."
_HOW: Final = (
    "OCTOMESH_TOKEN_FILE or --token-file names a file with an access token; OCTOMESH_TOKEN is one; OCTOMESH_CLIENT_ID, "
    "OCTOMESH_CLIENT_SECRET_FILE and OCTOMESH_TOKEN_URL have an issuer give some."
)


class Interrupted(Exception):
    """The server can't be followed just now; following it once more is the answer."""


class Refused(CommandFailed):
    """The server refuses what was asked for; `codes` are those of the API."""

    def __init__(self, message: str, codes: Collection[str] = ()) -> None:
        super().__init__(message)
        self.codes = codes


class Api:
    """The API of one tenant."""

    def __init__(self, http: aiohttp.ClientSession, server_url: str, tenant: str, credentials: Credentials) -> None:
        self._http = http
        self._credentials = credentials
        self.server_url = server_url
        self.tenant = tenant
        self._url = f"{server_url.rstrip('/')}/tenants/{tenant}/graphql"

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation. Raises `CommandFailed`."""
        body = {"query": document, "variables": variables}
        headers = {**await self._authorization(), "accept": _ACCEPT}
        try:
            async with self._http.post(self._url, json=body, headers=headers, allow_redirects=False) as answer:
                status, target, text = answer.status, answer.headers.get("location"), await answer.read()
        except aiohttp.ConnectionTimeoutError as error:
            raise CommandFailed(_away(self.server_url, "it does not answer")) from error
        except TimeoutError as error:
            raise CommandFailed(
                f"The server at {self.server_url} did not answer within {ANSWER_SECONDS:.0f} s. If it was to change "
                "something, look whether it did before you repeat it."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise CommandFailed(_away(self.server_url, reason_of(error))) from error
        if 300 <= status < 400 and target:
            raise CommandFailed(f"The server at {self.server_url} has moved to {shown(target, 200)}. {_WHERE}")
        return self._data(_object(text), status)

    async def change(self, document: str, **variables: Any) -> dict[str, Any]:
        """The payload of a mutation. Raises `Refused` with all that stood in the way, and `CommandFailed`."""
        (payload,) = (await self.ask(document, **variables)).values()
        if problems := payload.pop("errors"):
            messages = [str(problem["message"]) for problem in problems]
            text = messages[0] if len(messages) == 1 else "\n  - ".join(["It is refused:", *messages])
            raise Refused(text, {problem["code"] for problem in problems})
        return dict(payload)

    async def changes(self, document: str, **variables: Any) -> AsyncGenerator[dict[str, Any], None]:
        """What a subscription tells, until it is left. Raises `Interrupted` and `CommandFailed`."""
        async with self._socket() as ws:
            request = {"query": document, "variables": variables}
            await _send(ws, {"type": "subscribe", "id": _SUBSCRIPTION, "payload": request})
            while True:
                message = await self._received(ws, acknowledged=True)
                match message.get("type"):
                    case "next":
                        (change,) = self._data(message["payload"], 200).values()
                        yield change
                    case "error":
                        raise self._failure(message["payload"][0])
                    case "complete":
                        raise Interrupted("The server ended the subscription.")

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Connected and let in."""
        header = await self._authorization()
        url = f"ws{self._url.removeprefix('http')}"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                ws = await self._http.ws_connect(
                    url, protocols=(_PROTOCOL,), headers=header, heartbeat=PING_SECONDS, max_msg_size=LARGEST_MESSAGE
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status >= 500:
                raise Interrupted(f"The server at {self.server_url} answers {error.status}.") from error
            if error.status in _NOT_LET_IN:
                raise CommandFailed(self._unknown_here(f"it answers {error.status}.")) from error
            raise CommandFailed(
                f"The server at {self.server_url} can't be followed: it answers {error.status} instead of a WebSocket. "
                "Does everything between here and there let WebSockets pass?"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Interrupted(f"The server at {self.server_url} can't be reached: {reason_of(error)}.") from error
        try:
            await _send(ws, {"type": "connection_init", "payload": header})
            async with asyncio.timeout(CONNECT_SECONDS):
                while (await self._received(ws, acknowledged=False)).get("type") != "connection_ack":
                    pass
            yield ws
        except TimeoutError as error:
            raise Interrupted(f"The server at {self.server_url} does not answer.") from error
        finally:
            await ws.close()

    async def _received(self, ws: aiohttp.ClientWebSocketResponse, *, acknowledged: bool) -> Mapping[str, Any]:
        """The next message that is about more than being there."""
        while True:
            message = await ws.receive()
            if message.type in _END:
                self._ended(ws.close_code or message.data, str(message.extra or ""), acknowledged=acknowledged)
            told = _object(message.data) if isinstance(message.data, str) else None
            if told is None:
                raise CommandFailed(_stranger(self.server_url, "it sends something else than GraphQL"))
            if told.get("type") != "ping":
                return told
            await _send(ws, {"type": "pong"})

    def _ended(self, code: Any, reason: str, *, acknowledged: bool) -> NoReturn:
        if code == _TOKEN_REFUSED:
            if not acknowledged:
                raise CommandFailed(self._unknown_here(reason))
            self._credentials.refused()
        raise Interrupted(f"The connection broke{f': {shown(reason, 200)}' if reason else ''}".rstrip(".") + ".")

    async def _authorization(self) -> dict[str, str]:
        try:
            return await authorization(self._credentials)
        except NoToken as error:
            raise CommandFailed(str(error)) from error

    def _data(self, answer: Mapping[str, Any] | None, status: int) -> dict[str, Any]:
        """Raises `CommandFailed` when there is none."""
        if answer is None or not isinstance(answer.get("data", answer.get("errors")), dict | list):
            raise CommandFailed(_stranger(self.server_url, f"it answers {status}"))
        errors: Sequence[Any] = answer.get("errors") or ()
        if errors:
            raise self._failure(errors[0])
        return dict(answer["data"])

    def _failure(self, error: Mapping[str, Any]) -> CommandFailed:
        """What a GraphQL error means to whoever typed the command."""
        message, told = shown(str(error.get("message")), 500), error.get("extensions") or {}
        match told.get("code"):
            case "UNAUTHENTICATED":
                return Refused(self._unknown_here(message))
            case "TENANT_NOT_FOUND":
                return Refused(
                    f"{message} `octomesh tenants list`, where the server runs, shows which there are; a token is good "
                    "for its own tenant only."
                )
            case "GRAPHQL_VALIDATION_FAILED":
                return Refused(
                    f"The server at {self.server_url} has another version than this command, {__version__}: {message}"
                )
            case "INTERNAL":
                return CommandFailed(f"{message} Its log tells more, at the request {told.get('requestId')}.")
            case _:
                return Refused(message)

    def _unknown_here(self, message: str) -> str:
        if isinstance(self._credentials, Unknown):
            return f"The server at {self.server_url} wants to know who asks. {_HOW}"
        return f"The server at {self.server_url} does not take the token: {shown(message, 500)}"


@asynccontextmanager
async def connected(server_url: str, tenant: str, credentials: Credentials) -> AsyncIterator[Api]:
    """The API of a tenant; nothing is sent before it is asked something."""
    limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS)
    headers = {"user-agent": f"octomesh/{__version__}"}
    async with aiohttp.ClientSession(timeout=limits, headers=headers, trust_env=True) as http:
        yield Api(http, server_url, tenant, credentials)


def reason_of(error: BaseException) -> str:
    """What is behind an error of the network, in the words of the system."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, TimeoutError):
        return "it does not answer"
    words = str(cause)
    if isinstance(cause, OSError) and cause.strerror:
        words = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
    return (words or type(cause).__name__).rstrip(".")


async def _send(ws: aiohttp.ClientWebSocketResponse, message: Mapping[str, Any]) -> None:
    try:
        await ws.send_str(json.dumps(message))
    except (aiohttp.ClientError, OSError) as error:
        raise Interrupted(f"The connection broke: {reason_of(error)}.") from error


def _object(text: str | bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _away(server_url: str, reason: str) -> str:
    return f"The server at {server_url} can't be reached: {reason}. Does it run? {_WHERE}"


def _stranger(server_url: str, what: str) -> str:
    return f"What is at {server_url} is no OctoMesh server: {what}. {_WHERE}"
