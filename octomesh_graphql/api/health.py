"""What machines ask about the server: is the process there, can it work, and how is it doing."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from octomesh_graphql import __version__
from octomesh_graphql.api.metrics import Metrics
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from octomesh_graphql.store.tenants import Registry

PING_SECONDS: Final = 2.0
"""How long MongoDB may take to answer before the server calls itself not ready."""


class Health:
    """The answers for load balancers, orchestrators and Prometheus."""

    def __init__(self, registry: Registry, feed: Feed, metrics: Metrics) -> None:
        self._registry = registry
        self._feed = feed
        self._metrics = metrics

    async def healthz(self, _: Request) -> Response:
        """200: the process answers."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(self, _: Request) -> Response:
        """200 if MongoDB answers and the change stream is open, else 503 with what is missing."""
        missing = [] if await self._mongo_answers() else ["MongoDB does not answer"]
        if not self._feed.alive:
            missing.append("the change stream is not open")
        return JSONResponse(
            {"status": "not ready" if missing else "ready", "missing": missing}, 503 if missing else 200
        )

    async def metrics(self, _: Request) -> Response:
        """The metrics for Prometheus."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _mongo_answers(self) -> bool:
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._registry.mongo.command("admin", {"ping": 1})
        except (TimeoutError, MongoUnavailable, MongoCommandFailed):
            return False
        return True
