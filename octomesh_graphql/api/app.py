"""The application: its routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from octomesh_graphql.api import pages
from octomesh_graphql.api.endpoint import TenantEndpoint, refusal
from octomesh_graphql.api.errors import FailureCode
from octomesh_graphql.api.health import Health
from octomesh_graphql.api.metrics import Metrics
from octomesh_graphql.api.requests import Requests
from octomesh_graphql.api.schema import build_schema
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.tenants import Registry

TENANT_PATH = "/tenants/{tenant_id}/graphql"


def create_app(registry: Registry, feed: Feed) -> Starlette:
    """The server for all tenants of a registry; the feed must be running."""
    schema = build_schema()
    endpoint = TenantEndpoint(schema, registry, feed)
    metrics = Metrics(feed)
    health = Health(registry, feed, metrics)
    sdl = schema.as_str()

    async def printed(_: Request) -> Response:
        return PlainTextResponse(sdl, media_type="application/graphql; charset=utf-8")

    async def failed(_: Request, __: Exception) -> Response:
        return refusal(500, FailureCode.INTERNAL, "Something went wrong on the server.")

    return Starlette(
        routes=[
            Route("/", pages.start),
            Route(TENANT_PATH, endpoint),
            WebSocketRoute(TENANT_PATH, endpoint),
            Route("/schema.graphql", printed),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            Mount("/files", pages.files()),
        ],
        middleware=[Middleware(Requests, metrics)],
        exception_handlers={Exception: failed},
    )
