"""GraphQL over WebSockets, by the protocol `graphql-transport-ws`: what is added to the library's handling of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketState
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.admitting import Forbidden, token_in
from octomesh_graphql.api.errors import FailureCode, failure
from octomesh_graphql.api.issuer import IssuerSilent
from octomesh_graphql.api.schema import ServedSchema
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.api.visiting import Visit
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.mongo import MongoUnavailable

ID_CHARACTERS: Final = 128
"""Longest id of an operation; clients use numbers or UUIDs."""

_REASON_BYTES: Final = 120  # of a close frame, which may have 123
_GOOD_TO_RETRY: Final = 1013


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """The server's end of a WebSocket; a message of the wrong form closes it with 4400, as the protocol wants."""

    _expiry: asyncio.TimerHandle | None = None

    async def handle_message(self, message: Any) -> None:
        """Take one message."""
        if wrong := _wrong(message):
            await self.handle_invalid_message(wrong)
        else:
            await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        """Let in who says who they are; others are told why not, and the socket is closed."""
        visit: Visit[Any] = self.context
        payload = message.get("payload") or {}
        if visit.caller is None:
            try:
                await visit.enter(token_in(payload))
            except (IssuerSilent, MongoUnavailable) as error:
                await self._close(_GOOD_TO_RETRY, str(error))
                return
            except (Unauthenticated, Forbidden, Refused) as error:
                await self._close(4403, str(error))
                return
        await super().handle_connection_init({"type": "connection_init", "payload": payload})
        if visit.caller and visit.caller.until and not self._expiry:
            seconds = (visit.caller.until - now()).total_seconds()
            self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire)

    async def handle_subscribe(self, message: Any) -> None:
        """Begin an operation, if there are not too many."""
        most = cast(ServedSchema, self.schema).limits.subscriptions
        if self.connection_acknowledged and len(self.operations) >= most:
            many = f"{most} operations are under way on this connection; end one, or open another."
            error = failure(FailureCode.RATE_LIMITED, many).formatted
            await self.send_message({"id": message["id"], "type": "error", "payload": [error]})
        else:
            await super().handle_subscribe(message)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """None: what can't be run is an error of its operation, as the protocol has it, and ends no connection."""
        return None

    async def handle_task_exception(self, error: Exception) -> None:
        """An operation failed. That nobody is there any more to hear of it is no fault, and not worth a line."""
        socket: WebSocket = cast(Any, self.websocket).ws
        if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
            await super().handle_task_exception(error)

    async def shutdown(self) -> None:
        """Nobody is there any more."""
        if self._expiry:
            self._expiry.cancel()
        await super().shutdown()

    def _expire(self) -> None:
        self._closing = asyncio.create_task(self._close(4403, "The token has expired; come back with another one."))

    async def _close(self, code: int, reason: str) -> None:
        with suppress(RuntimeError):  # it is closed already
            await self.websocket.close(code=code, reason=reason.encode()[:_REASON_BYTES].decode(errors="ignore"))


def _wrong(message: Any) -> str | None:
    """Why a message is none of the protocol's, if it is not."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is a JSON object with a type"
    if not isinstance(message.get("payload"), dict | list | None):
        return "The payload has to be an object"
    match message["type"]:
        case "connection_init" | "ping" | "pong":
            return "The payload has to be an object" if isinstance(message.get("payload"), list) else None
        case "subscribe" | "complete":
            id = message.get("id")
            if not isinstance(id, str) or not 1 <= len(id) <= ID_CHARACTERS:
                return f"The id has to be text of 1 to {ID_CHARACTERS} characters"
            if message["type"] == "subscribe" and not _is_request(message.get("payload")):
                return "The payload is not a GraphQL request"
            return None
    return None  # the library names unknown types


def _is_request(payload: Any) -> bool:
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
        and isinstance(payload.get("extensions"), dict | None)
    )
