"""The endpoints of tenants and of agents: GraphQL over HTTP and over WebSocket (`graphql-transport-ws`)."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Generic

import structlog
from cross_web import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.admitting import Forbidden, Gate, token_in, token_of
from octomesh_graphql.api.agents import AgentContext
from octomesh_graphql.api.context import Context
from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.issuer import IssuerSilent
from octomesh_graphql.api.pages import Pages
from octomesh_graphql.api.requests import BodyTooLarge, request_id
from octomesh_graphql.api.schema import ServedSchema
from octomesh_graphql.api.tokens import Unauthenticated
from octomesh_graphql.api.visiting import AgentVisit, C, TenantVisit, Visit
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.sessions import Sessions

log = structlog.get_logger()

TURNED_AWAY: Final = (Unauthenticated, Forbidden, Refused, IssuerSilent, MongoUnavailable)
"""Why somebody is not served at all; see `turned_away`."""

SUBSCRIPTIONS_PER_SOCKET: Final = 50
"""Operations under way at once on one WebSocket; a page of the Admin Panel needs three."""

INIT_SECONDS: Final = 10
"""How long a WebSocket may stay silent before `connection_init`."""

REASON_BYTES: Final = 120
"""Longest reason of a close frame, which may have 123."""


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """The server's end of a WebSocket; a message of the wrong form closes it with 4400, as the protocol wants."""

    _expiry: asyncio.TimerHandle | None = None

    async def handle_message(self, message: Any) -> None:
        """Take one message."""
        if message.get("type") == "subscribe" and not _is_request(message.get("payload")):
            await self.handle_invalid_message("The payload is not a GraphQL request")
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        """Let in who says who they are; others are told why not, and the socket is closed."""
        visit: Visit[Any] = self.context
        payload = message.get("payload", {})
        if visit.caller is None and isinstance(payload, dict):
            try:
                await visit.enter(token_in(payload))
            except IssuerSilent as error:
                await self._close(1013, str(error))
                return
            except (Unauthenticated, Forbidden, Refused) as error:
                await self._close(4403, str(error))
                return
        await super().handle_connection_init(message)
        if visit.caller and visit.caller.until:
            self._expiry = asyncio.get_running_loop().call_later(
                (visit.caller.until - now()).total_seconds(), self._expire
            )

    async def shutdown(self) -> None:
        """Nobody is there any more."""
        if self._expiry:
            self._expiry.cancel()
        await super().shutdown()

    def _expire(self) -> None:
        self._closing = asyncio.create_task(self._close(4403, "The token has expired; come back with another one."))

    async def _close(self, code: int, reason: str) -> None:
        with suppress(RuntimeError):  # it is closed already
            await self.websocket.close(code=code, reason=reason.encode()[:REASON_BYTES].decode(errors="ignore"))


class Endpoint(GraphQL[Any, None], Generic[C]):
    """GraphQL on one path: its manners, whoever asks. What a request finds is up to `get_context`."""

    graphql_transport_ws_handler_class = Socket

    def __init__(self, schema: ServedSchema, gate: Gate, sessions: Sessions, feed: Feed) -> None:
        super().__init__(
            schema,
            graphql_ide=None,  # Strawberry's loads everything from another host
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=SUBSCRIPTIONS_PER_SOCKET,
        )
        self._gate = gate
        self._sessions = sessions
        self._feed = feed

    @abstractmethod
    def visit(self, connection: HTTPConnection) -> Visit[C]:
        """Somebody who has not entered yet."""

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Any:
        """What an operation over HTTP finds; for a WebSocket the visit, which its operations take theirs from."""
        visit: Visit[C] = request.state.visit
        return await visit.context() if isinstance(request, Request) else visit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whatever keeps a request from being GraphQL at all is told as JSON too."""
        try:
            if scope["type"] == "http":
                await (await self._answered(Request(scope, receive)))(scope, receive, send)
            else:
                await self._watched(WebSocket(scope, receive, send))
        except BodyTooLarge as error:
            await refusal(413, FailureCode.BAD_REQUEST, str(error))(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        try:
            await self._arrived(request).enter(token_of(request))
            return await self.run(request)
        except HTTPException as error:
            headers = {"allow": "GET, POST"} if error.status_code == 405 else None
            return refusal(error.status_code, FailureCode.BAD_REQUEST, error.reason, headers)
        except TURNED_AWAY as error:
            return turned_away(error)

    async def _watched(self, websocket: WebSocket) -> None:
        """Serve a WebSocket. Whoever need not, or does, say who they are at once may be refused during the handshake;
        others are heard first."""
        visit, token = self._arrived(websocket), token_of(websocket)
        try:
            if token or not self._gate.asks:
                await visit.enter(token)
        except TURNED_AWAY as error:
            await websocket.send_denial_response(turned_away(error))
        else:
            await self.run(websocket)

    def _arrived(self, connection: HTTPConnection) -> Visit[C]:
        connection.state.visit = self.visit(connection)
        visit: Visit[C] = connection.state.visit
        return visit

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """The answer; without `data` if the operation was never run."""
        response = await super().process_result(request, result)
        if isinstance(result, PreExecutionError):
            response.pop("data")
        return response

    def decode_json(self, data: str | bytes) -> object:
        """A JSON object, as the standard has it: no NaN. All else is a parse error; batches are not served."""
        try:
            decoded = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("not JSON", "", 0) from error
        if not isinstance(decoded, dict):
            raise json.JSONDecodeError("not a JSON object", "", 0)
        return decoded

    def encode_json(self, data: object) -> str:
        """JSON without blanks, and with every character as itself: escaped, some texts would be three times as long."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:  # half a character, which a client sent and is shown again
            return json.dumps(data, separators=(",", ":"))
        return text


class TenantEndpoint(Endpoint[Context]):
    """GraphQL for `/tenants/{tenant_id}/graphql`; a request's context holds the data of that tenant and no other."""

    def __init__(self, schema: ServedSchema, gate: Gate, sessions: Sessions, feed: Feed, pages: Pages) -> None:
        super().__init__(schema, gate, sessions, feed)
        self._pages = pages

    def visit(self, connection: HTTPConnection) -> TenantVisit:
        """Somebody in the tenant of the path."""
        tenant_id = connection.path_params["tenant_id"]
        return TenantVisit(self._gate, self._sessions, self._feed, request_id(connection), tenant_id=tenant_id)

    async def _answered(self, request: Request) -> Response:
        """An answer; for browsers GraphiQL, whatever the tenant: the page asks this API, and says if there is none."""
        if self.should_render_graphql_ide(self.request_adapter_class(request)):
            return self._pages.graphiql()
        return await super()._answered(request)


class AgentsEndpoint(Endpoint[AgentContext]):
    """GraphQL for `/agents/graphql`. It is for programs: a browser finds no page there."""

    def visit(self, connection: HTTPConnection) -> AgentVisit:
        """An agent."""
        return AgentVisit(self._gate, self._sessions, self._feed, request_id(connection))


def refusal(status: int, code: FailureCode, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without data, in the form of a GraphQL response."""
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": code.value}}]}
    return JSONResponse(body, status_code=status, headers=headers)


def turned_away(why: Exception) -> Response:
    """The answer to somebody who may not, or can't, be served."""
    match why:
        case Unauthenticated():
            return refusal(401, FailureCode.UNAUTHENTICATED, str(why), {"www-authenticate": "Bearer"})
        case Forbidden():
            return refusal(403, FailureCode.FORBIDDEN, str(why))
        case Refused():
            return refusal(404, FailureCode.TENANT_NOT_FOUND, str(why))
        case IssuerSilent():
            log.warning("tokens can't be checked", reason=str(why))
            message = "The issuer of access tokens does not answer. Try again in a moment."
        case _:
            message = "The database does not answer. Try again in a moment."
    return refusal(503, FailureCode.UNAVAILABLE, message, {"retry-after": "2"})


def _is_request(payload: Any) -> bool:
    """Whether a message asks in the form of the protocol."""
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
