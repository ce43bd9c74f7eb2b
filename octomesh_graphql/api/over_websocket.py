"""GraphQL over WebSockets, by the protocol `graphql-transport-ws`: what is added to the library's handling of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, cast

from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.admitting import token_in
from octomesh_graphql.api.asking import Asked, Unclear, check_characters, request_in
from octomesh_graphql.api.entering import entered
from octomesh_graphql.api.errors import FailureCode, failure
from octomesh_graphql.api.over_http import Rejected
from octomesh_graphql.api.schema import ServedSchema
from octomesh_graphql.api.visiting import Visit

ID_CHARACTERS: Final = 128
"""Longest id of an operation; clients use numbers or UUIDs."""

_REASON_BYTES: Final = 120  # of a close frame, which may have 123
_GOOD_TO_RETRY: Final = 1013
_FORBIDDEN: Final = 4403


class Line(ASGIWebSocketAdapter):
    """What carries the messages of a `Socket`."""

    async def close(self, code: int, reason: str) -> None:
        """Close, with as much of the reason as there is room for: the library quotes in it what the client wrote."""
        cut = reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
        with suppress(RuntimeError, WebSocketDisconnect):  # it is closed already, or nobody is there any more
            await super().close(code, cut)


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """The server's end of a WebSocket; a message of the wrong form closes it with 4400, as the protocol wants."""

    _expiry: asyncio.TimerHandle | None = None

    async def handle_message(self, message: Any) -> None:
        """Take one message, and let others have their turn: thousands may have come at once."""
        await asyncio.sleep(0)
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
                await entered(visit, token_in(payload))
            except Rejected as no:
                code = _GOOD_TO_RETRY if no.code is FailureCode.UNAVAILABLE else _FORBIDDEN
                await self.websocket.close(code, str(no))
                return
        await super().handle_connection_init({"type": "connection_init", "payload": payload})
        if visit.caller and visit.caller.until and not self._expiry:
            seconds = (visit.caller.until - now()).total_seconds()
            self._expiry = asyncio.get_running_loop().call_later(seconds, self._expire)

    async def handle_subscribe(self, message: Any) -> None:
        """Begin an operation, if there are not too many."""
        try:
            asked = request_in(message.get("payload"))
        except Unclear as no:
            await self.handle_invalid_message(str(no))
            return
        refused = self._refusal(message["id"], asked) if self.connection_acknowledged else None
        if refused:
            await self.send_message({"id": message["id"], "type": "error", "payload": [refused.formatted]})
        else:
            payload: Any = {"query": asked.query, "variables": asked.variables, "operationName": asked.operation_name}
            await super().handle_subscribe({"id": message["id"], "type": "subscribe", "payload": payload})

    def _refusal(self, id: str, asked: Asked) -> GraphQLError | None:
        """Why an operation is not even begun, if it is not. An id that is in use is for the library to refuse."""
        most = cast(ServedSchema, self.schema).limits.subscriptions
        if id not in self.operations and len(self.operations) >= most:
            many = f"{most} operations are under way on this connection; end one, or open another."
            return failure(FailureCode.RATE_LIMITED, many)
        try:
            check_characters(asked.variables, "'variables'")
        except Unclear as no:
            return failure(FailureCode.BAD_REQUEST, str(no))
        return None

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
        reason = "The token has expired; come back with another one."
        self._closing = asyncio.create_task(self.websocket.close(_FORBIDDEN, reason))


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
    return None  # a request is looked at where it begins; the library names unknown types
