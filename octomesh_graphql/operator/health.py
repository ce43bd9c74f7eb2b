"""What machines ask about the operator: is the process there, can it work, and how is it doing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from octomesh_graphql import __version__
from octomesh_graphql.operator.operating import Operator
from octomesh_graphql.operator.working import Result

_STOP_SECONDS: Final = 0.5
"""How long a probe under way may hold up the end."""


class NotListening(Exception):
    """Probes can't be answered at this address; the cause is the `OSError`."""


class Metrics:
    """What Prometheus is told. No pool or tenant is a label: those are without bound."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rounds = Counter(
            "octomesh_operator_reconcile_total", "Rounds of reconciling.", ["result"], registry=self._registry
        )
        self._seconds = Histogram(
            "octomesh_operator_reconcile_duration_seconds", "Time that a round took.", registry=self._registry
        )
        build = Gauge("octomesh_build_info", "The version.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)

    def reconciled(self, result: Result, seconds: float) -> None:
        """Count a round."""
        self._rounds.labels(result).inc()
        self._seconds.observe(seconds)

    def show(self, operator: Operator) -> None:
        """Tell of this operator what can be seen of it."""
        self._gauge("workqueue_depth", "Pools that wait to be looked at.", lambda: operator.depth)
        self._gauge("pools", "Pools this operator is in charge of.", lambda: operator.pools)
        self._gauge("connected", "Whether the link to the server is up.", lambda: operator.connected)
        self._gauge("leading", "Whether this replica leads.", lambda: operator.term is not None)

    def _gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        Gauge(f"octomesh_operator_{name}", description, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """In the format Prometheus reads."""
        return generate_latest(self._registry)


@asynccontextmanager
async def answering(operator: Operator, metrics: Metrics, *, host: str, port: int) -> AsyncIterator[int]:
    """Probes are answered until the block ends; gives the port. Raises `NotListening`."""
    probes = _Probes(operator, metrics)
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", probes.healthz),
            web.get("/readyz", probes.readyz),
            web.get("/metrics", probes.metrics),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise NotListening(str(error)) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class _Probes:
    """The answers."""

    operator: Operator
    told: Metrics

    async def healthz(self, _: web.Request) -> web.Response:
        """200: the process answers, and its work has not died."""
        alive = self.operator.alive
        return web.json_response(
            {"status": "ok" if alive else "dead", "version": __version__}, status=200 if alive else 503
        )

    async def readyz(self, _: web.Request) -> web.Response:
        """200 when it leads and is linked, or stands by; else 503 with what is missing."""
        missing, leading = self.operator.missing, self.operator.term is not None
        return web.json_response(
            {"status": "not ready" if missing else "ready", "leading": leading, "missing": missing},
            status=503 if missing else 200,
        )

    async def metrics(self, _: web.Request) -> web.Response:
        """The metrics for Prometheus."""
        return web.Response(body=self.told.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
