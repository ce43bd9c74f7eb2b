"""The operator put together: one of its replicas leads, is linked to the server, watches the cluster and reconciles."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar

import structlog

from octomesh_graphql import __version__
from octomesh_graphql.credentials import NOBODY, Credentials
from octomesh_graphql.domain.session import OperatorFacts
from octomesh_graphql.domain.text import shown
from octomesh_graphql.logs import Trouble
from octomesh_graphql.operator.charges import Key, PoolId
from octomesh_graphql.operator.cluster import Cluster, ClusterUnavailable, Kind, Object
from octomesh_graphql.operator.link import Link
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.noticing import Noticing
from octomesh_graphql.operator.queueing import WorkQueue
from octomesh_graphql.operator.reconciling import UNDEPLOY_SECONDS, Reconciler
from octomesh_graphql.operator.together import until_one_ends
from octomesh_graphql.operator.working import Counting, work

log = structlog.get_logger()

T = TypeVar("T")

WORKERS: Final = 8
"""Pools worked on at once: most of the time is waiting for the cluster, which should not be flooded either."""

FIRST_CONTACT_SECONDS: Final = 10.0
"""How long a new leader waits for the server before it looks at anything: usually it answers within one, and nobody
should read that it can't be reached because it was not asked yet. Deletions go on without it."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between tries to get the first answers from the cluster
_NAME_CHARACTERS = 60  # of the cluster, in the operator's id


@dataclass(frozen=True, kw_only=True)
class OperatorPlan:
    """Whom an operator serves, and where."""

    server_url: str
    place: PlaceSettings
    operator_id: str | None = None
    """None: made of the name of the cluster and its identity, so that it is the same after a restart."""
    watch_namespace: str | None = None
    """None: all namespaces."""
    credentials: Credentials = NOBODY
    undeploy_seconds: float = UNDEPLOY_SECONDS


class Term:
    """One stay in the lead: everything begins anew with it, and ends with it."""

    def __init__(
        self, cluster: Cluster, plan: OperatorPlan, operator_id: str, counting: Counting, held: Callable[[], bool]
    ) -> None:
        """`held` tells whether the lead is."""
        self._cluster = cluster
        self._namespace = plan.watch_namespace
        self._counting = counting
        self.queue: WorkQueue[Key] = WorkQueue()
        self.link = Link(
            plan.server_url,
            OperatorFacts(id=operator_id, cluster=shown(cluster.name, 100), version=__version__),
            credentials=plan.credentials,
            look_again=self._look_again,
            lost=self._look_at_all,
            held=held,
        )
        self.reconciler = Reconciler(
            cluster,
            self.link,
            plan.place,
            operator_id=operator_id,
            look_at=self.queue.add,
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
            held=held,
            undeploy_seconds=plan.undeploy_seconds,
        )

    async def run(self) -> None:
        """Until it is cancelled, or a part of it fails."""
        async with self.link.running() as linked:
            await until_one_ends(_end_of(linked), self._serve())

    async def _serve(self) -> None:
        self.reconciler.begin(await _answer(self._resources))
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CONTACT_SECONDS):
                await self.link.connected.wait()
        noticing = Noticing(self._cluster, self.reconciler.charges, self.queue.add, namespace=self._namespace)
        await until_one_ends(noticing.run(), *self._workers())

    def _workers(self) -> list[Coroutine[Any, Any, NoReturn]]:
        return [work(self.queue, self.reconciler, self._counting) for _ in range(WORKERS)]

    async def _resources(self) -> list[Object]:
        return await self._cluster.objects(Kind.COMMUNICATION_POOL, namespace=self._namespace)

    # What the link tells

    def _look_again(self, tenant_id: str | None, pool_rt_id: str | None) -> None:
        if tenant_id is None or pool_rt_id is None:
            self._look_at_all()
        elif holder := self.reconciler.charges.holder(PoolId(tenant_id, pool_rt_id)):
            self.queue.add(holder.key)

    def _look_at_all(self) -> None:
        for key in self.reconciler.charges.known():
            self.queue.add(key)


class Operator:
    """One replica: it stands by until it leads."""

    def __init__(self, cluster: Cluster, plan: OperatorPlan, counting: Counting) -> None:
        self._cluster = cluster
        self._plan = plan
        self._counting = counting
        self._running: asyncio.Task[object] | None = None
        self.term: Term | None = None
        """The present stay in the lead; None while standing by."""
        self.id = plan.operator_id
        """As the server knows it; None: the cluster could not be asked yet."""

    async def run(self) -> NoReturn:
        """Lead whenever nobody else does, until it is cancelled. Raises what a part of it failed with."""
        self._running = asyncio.current_task()
        self.id = self.id or f"{slug(self._cluster.name)}-{await _answer(self._cluster.identity)}"
        while True:
            log.info("standing by", operator=self.id, cluster=self._cluster.name)
            async with self._cluster.leading() as leadership:
                self.term = Term(self._cluster, self._plan, self.id, self._counting, leadership.held)
                try:
                    await until_one_ends(leadership.lost(), self.term.run())
                finally:
                    self.term = None
            log.warning("no longer leading; what runs is left as it is", operator=self.id)

    @property
    def alive(self) -> bool:
        """Whether it still works at all."""
        return self._running is not None and not self._running.done()

    @property
    def connected(self) -> bool:
        """Whether it is linked to the server."""
        return self.term is not None and self.term.link.connected.is_set()

    @property
    def pools(self) -> int:
        """How many pools it is in charge of."""
        return len(self.term.reconciler.charges) if self.term else 0

    @property
    def depth(self) -> int:
        """How many pools wait to be looked at."""
        return len(self.term.queue) if self.term else 0

    @property
    def missing(self) -> list[str]:
        """What keeps it from doing its work, in words."""
        if self.id is None:
            return ["the cluster has not answered yet"]
        if self.term and not self.connected:
            return [f"the link to the server is down: {self.term.link.trouble}"]
        return []


def slug(name: str) -> str:
    """A name as it may stand in an id."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_CHARACTERS].strip("-") or "cluster"


async def _answer(ask: Callable[[], Awaitable[T]]) -> T:
    """What the cluster answers, sooner or later."""
    trouble = Trouble(log, broken="the cluster can't be asked", well="the cluster answers again")
    pause = _FIRST_PAUSE
    while True:
        try:
            answer = await ask()
        except ClusterUnavailable as error:
            trouble.note(str(error))
            await asyncio.sleep(max(error.retry_after or 0, pause * random.uniform(0.5, 1)))
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            trouble.end()
            return answer


async def _end_of(task: asyncio.Task[NoReturn]) -> None:
    await asyncio.wait({task})
    task.result()
