"""The application: its routes."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Awaitable, Callable, Collection

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.schema import BaseSchema

from octomesh_graphql.api.admitting import OPEN, Gate
from octomesh_graphql.api.endpoint import AgentsEndpoint, TenantEndpoint
from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.health import Health
from octomesh_graphql.api.metrics import Metrics
from octomesh_graphql.api.naming import OwnNames, OwnOrigins
from octomesh_graphql.api.over_http import Rejected, rejection
from octomesh_graphql.api.pages import Pages
from octomesh_graphql.api.requests import Requests
from octomesh_graphql.api.schema import build_agents_schema, build_schema
from octomesh_graphql.limits import DEFAULT, Limits
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions

TENANT_PATH = "/tenants/{tenant_id}/graphql"
AGENTS_PATH = "/agents/graphql"


def create_app(
    sessions: Sessions,
    feed: Feed,
    *,
    gate: Gate = OPEN,
    limits: Limits = DEFAULT,
    default_tenant: str | None = None,
    names: Collection[str] | None = None,
    origins: Collection[str] = (),
) -> Starlette:
    """The server for all tenants and agents of a deployment; the feed must be running. `gate` says who is let in.

    A browser that asks for no tenant is led to the default one, if there is one. With `names` the server answers only
    to these and to those of its machine. Pages of `origins`, which are URLs, may open WebSockets, besides those of the
    host that is asked.
    """
    pages = Pages(default_tenant=default_tenant)
    sockets = Semaphore(limits.sockets)
    tenants = TenantEndpoint(build_schema(limits), gate, sessions, feed, sockets, pages)
    agents = AgentsEndpoint(build_agents_schema(limits), gate, sessions, feed, sockets)
    metrics = Metrics(feed)
    health = Health(sessions.registry, feed, metrics)

    named = [] if names is None else [Middleware(OwnNames, names)]

    async def failed(_: Request, __: Exception) -> Response:
        return rejection(Rejected(500, FailureCode.INTERNAL, "Something went wrong on the server."))

    app = Starlette(
        routes=[
            Route(TENANT_PATH, tenants),
            WebSocketRoute(TENANT_PATH, tenants),
            Route(AGENTS_PATH, agents),
            WebSocketRoute(AGENTS_PATH, agents),
            Route("/schema.graphql", _printed(tenants.schema)),
            Route("/agents.graphql", _printed(agents.schema)),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *pages.routes(),
        ],
        middleware=[Middleware(_AsSent), Middleware(Requests, metrics), *named, Middleware(OwnOrigins, origins)],
        exception_handlers={404: pages.nowhere, Exception: failed},
    )
    app.router.redirect_slashes = False  # it leads to whatever host the request names
    return app


class _AsSent:
    """ASGI middleware: paths are matched as they were sent. Ours need no percent signs, and so nothing is reached by
    two names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "raw_path" in scope:
            scope["path"] = scope["raw_path"].decode("latin-1")
        await self._app(scope, receive, send)


def _printed(schema: BaseSchema) -> Callable[[Request], Awaitable[Response]]:
    """What answers with the printed form of a schema."""
    sdl = schema.as_str()

    async def printed(_: Request) -> Response:
        return PlainTextResponse(sdl, media_type="application/graphql; charset=utf-8")

    return printed
