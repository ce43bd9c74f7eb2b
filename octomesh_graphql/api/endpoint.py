"""The endpoints of tenants and of agents: who is let in, and by which ways GraphQL is spoken there."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from asyncio import Semaphore
from datetime import timedelta
from typing import Any, Generic

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from octomesh_graphql.api.admitting import Gate, token_of
from octomesh_graphql.api.asking import Unclear, json_in
from octomesh_graphql.api.entering import entered
from octomesh_graphql.api.errors import NO_MEMORY, FailureCode
from octomesh_graphql.api.over_http import (
    STOPS,
    Rejected,
    accepted,
    answered,
    encoded,
    rejection,
    unavailable,
    wants_page,
)
from octomesh_graphql.api.over_websocket import Line, Socket
from octomesh_graphql.api.pages import Pages
from octomesh_graphql.api.requests import request_id
from octomesh_graphql.api.schema import ServedSchema
from octomesh_graphql.api.visiting import AgentVisit, C, TenantVisit, Visit
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions


class Endpoint(GraphQL[Any, None], Generic[C]):
    """GraphQL on one path. The library serves its WebSockets, as many at once as there is room for in `sockets`, which
    paths share; what a visitor finds is up to `visit`."""

    graphql_transport_ws_handler_class = Socket
    websocket_adapter_class = Line

    def __init__(self, schema: ServedSchema, gate: Gate, sessions: Sessions, feed: Feed, sockets: Semaphore) -> None:
        super().__init__(
            schema,
            graphql_ide=None,  # Strawberry's loads everything from another host
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            allowed_origins=["*"],  # who comes this far has passed `OwnOrigins`
            connection_init_wait_timeout=timedelta(seconds=schema.limits.init_seconds),
        )
        self.served = schema
        self._gate = gate
        self._sessions = sessions
        self._feed = feed
        self._sockets = sockets

    @abstractmethod
    def visit(self, connection: HTTPConnection) -> Visit[C]:
        """Somebody who has not entered yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or serve a WebSocket."""
        if scope["type"] == "websocket":
            await self._watched(WebSocket(scope, receive, send))
            return
        try:
            response = await self.answered(Request(scope, receive))
        except ClientDisconnect:
            return  # nobody waits for an answer
        except asyncio.CancelledError:  # the server stops, and has waited long enough for the database
            response = rejection(STOPS)
        except MemoryError:
            response = rejection(unavailable(NO_MEMORY))
        await response(scope, receive, send)

    async def answered(self, request: Request) -> Response:
        """The answer to a request."""
        visit = self.visit(request)

        async def enter() -> C:
            return await entered(visit, token_of(request))

        return await answered(request, self.served, enter)

    async def _watched(self, websocket: WebSocket) -> None:
        """Serve a WebSocket. Whoever need not, or does, say who they are at once may be refused during the handshake;
        others are heard first."""
        visit, token = self.visit(websocket), token_of(websocket)
        try:
            self._check_room()
            if token or not self._gate.asks:
                await entered(visit, token)
        except Rejected as no:
            await websocket.send_denial_response(rejection(no))
        else:
            async with self._sockets:
                await self.run(websocket, context=visit)

    def _check_room(self) -> None:
        """Raises `Rejected` when as many WebSockets are open as may be."""
        if self._sockets.locked():
            message = f"{self.served.limits.sockets} WebSockets are open here, as many as may be. Try again later."
            raise Rejected(503, FailureCode.RATE_LIMITED, message, {"retry-after": "5"})

    def decode_json(self, data: str | bytes) -> object:
        """A message of a WebSocket: JSON, as over HTTP."""
        try:
            return json_in(data, "A message")
        except Unclear as error:  # the library knows that it may be no JSON, and nothing else
            raise json.JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: object) -> str:
        """As over HTTP."""
        return encoded(data)


class TenantEndpoint(Endpoint[Any]):
    """GraphQL for `/tenants/{tenant_id}/graphql`; a visitor finds the data of that tenant and no other."""

    def __init__(
        self, schema: ServedSchema, gate: Gate, sessions: Sessions, feed: Feed, sockets: Semaphore, pages: Pages
    ) -> None:
        super().__init__(schema, gate, sessions, feed, sockets)
        self._pages = pages

    def visit(self, connection: HTTPConnection) -> TenantVisit:
        """Somebody in the tenant of the path."""
        tenant_id = connection.path_params["tenant_id"]
        return TenantVisit(self._gate, self._sessions, self._feed, request_id(connection), tenant_id=tenant_id)

    async def answered(self, request: Request) -> Response:
        """An answer; for browsers GraphiQL, whatever the tenant: the page asks this API, and says if there is none."""
        looks = request.method in ("GET", "HEAD") and "query" not in request.query_params
        if looks and wants_page(accepted(request)):
            return self._pages.graphiql()
        return await super().answered(request)


class AgentsEndpoint(Endpoint[Any]):
    """GraphQL for `/agents/graphql`. It is for programs: a browser finds no page there."""

    def visit(self, connection: HTTPConnection) -> AgentVisit:
        """An agent."""
        return AgentVisit(self._gate, self._sessions, self._feed, request_id(connection))
