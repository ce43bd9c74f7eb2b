"""The endpoints of tenants and of agents: GraphQL over HTTP and over WebSocket (`graphql-transport-ws`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

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

from octomesh_graphql.api.agents import AgentContext
from octomesh_graphql.api.context import Context
from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.pages import Pages
from octomesh_graphql.api.requests import BodyTooLarge, request_id
from octomesh_graphql.api.schema import ServedSchema
from octomesh_graphql.domain.caller import ANONYMOUS
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import MongoUnavailable
from octomesh_graphql.store.sessions import Sessions

C = TypeVar("C", Context, AgentContext)

SUBSCRIPTIONS_PER_SOCKET: Final = 50
"""Operations under way at once on one WebSocket; a page of the Admin Panel needs three."""

INIT_SECONDS: Final = 10
"""How long a WebSocket may stay silent before `connection_init`."""


class Socket(BaseGraphQLTransportWSHandler[Any, None]):
    """The server's end of a WebSocket; a message of the wrong form closes it with 4400, as the protocol wants."""

    async def handle_message(self, message: Any) -> None:
        """Take one message."""
        if message.get("type") == "subscribe" and not _is_request(message.get("payload")):
            await self.handle_invalid_message("The payload is not a GraphQL request")
            return
        await super().handle_message(message)


class Endpoint(GraphQL[C, None]):
    """GraphQL on one path: its manners, whoever asks. What a request finds is up to `get_context`."""

    graphql_transport_ws_handler_class = Socket

    def __init__(self, schema: ServedSchema, sessions: Sessions, feed: Feed) -> None:
        super().__init__(
            schema,
            graphql_ide=None,  # Strawberry's loads everything from another host
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=SUBSCRIPTIONS_PER_SOCKET,
        )
        self._sessions = sessions
        self._feed = feed

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
            return await self.run(request)
        except HTTPException as error:
            headers = {"allow": "GET, POST"} if error.status_code == 405 else None
            return refusal(error.status_code, FailureCode.BAD_REQUEST, error.reason, headers)
        except Refused as error:
            return refusal(404, FailureCode.TENANT_NOT_FOUND, str(error))
        except MongoUnavailable:
            return unavailable()

    async def _watched(self, websocket: WebSocket) -> None:
        """Serve a WebSocket; one for an unknown tenant is refused during its handshake."""
        try:
            await self.get_context(websocket, websocket)
        except Refused as error:
            await websocket.send_denial_response(refusal(404, FailureCode.TENANT_NOT_FOUND, str(error)))
        except MongoUnavailable:
            await websocket.send_denial_response(unavailable())
        else:
            await self.run(websocket)

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

    def __init__(self, schema: ServedSchema, sessions: Sessions, feed: Feed, pages: Pages) -> None:
        super().__init__(schema, sessions, feed)
        self._pages = pages

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """What resolvers find. Raises `Refused` for an unknown tenant."""
        connection: HTTPConnection = request
        store = await self._sessions.registry.open(connection.path_params["tenant_id"])
        return Context(self._sessions, store, self._feed, ANONYMOUS, request_id(connection))

    async def _answered(self, request: Request) -> Response:
        """An answer; for browsers GraphiQL, whatever the tenant: the page asks this API, and says if there is none."""
        if self.should_render_graphql_ide(self.request_adapter_class(request)):
            return self._pages.graphiql()
        return await super()._answered(request)


class AgentsEndpoint(Endpoint[AgentContext]):
    """GraphQL for `/agents/graphql`. It is for programs: a browser finds no page there."""

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> AgentContext:
        """What resolvers find."""
        return AgentContext(self._sessions, self._feed, request_id(request))


def refusal(status: int, code: FailureCode, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without data, in the form of a GraphQL response."""
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": code.value}}]}
    return JSONResponse(body, status_code=status, headers=headers)


def unavailable() -> Response:
    """The database does not answer; clients may come back in a moment."""
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
