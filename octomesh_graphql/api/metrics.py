"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from octomesh_graphql import __version__
from octomesh_graphql.store.feed import Feed


class Metrics:
    """The metrics of one server. No tenant, pool or operation name is a label: those are without bound."""

    def __init__(self, feed: Feed) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "octomesh_requests_total", "Requests answered.", ["kind", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "octomesh_request_duration_seconds", "Time to answer HTTP requests.", registry=self._registry
        )
        self._open = Gauge("octomesh_connections", "Requests under way.", ["kind"], registry=self._registry)
        subscribers = Gauge("octomesh_subscriptions_active", "Subscriptions being served.", registry=self._registry)
        subscribers.set_function(lambda: feed.subscribers)
        alive = Gauge("octomesh_change_stream_up", "Whether the change stream is open.", registry=self._registry)
        alive.set_function(lambda: feed.alive)
        build = Gauge("octomesh_build_info", "The version.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)

    @contextmanager
    def connection(self, kind: str) -> Iterator[None]:
        """A request or WebSocket under way."""
        with self._open.labels(kind).track_inprogress():
            yield

    def answered(self, kind: str, status: int, seconds: float) -> None:
        """Count an answer; WebSockets have no meaningful duration."""
        self._answers.labels(kind, str(status)).inc()
        if kind == "http":
            self._seconds.observe(seconds)

    def text(self) -> bytes:
        """In the format Prometheus reads."""
        return generate_latest(self._registry)
