"""An operator's surroundings: a server that says what is wished, a simulated cluster, and a time of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import API_VERSION, FIELD_MANAGER, KIND
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import AdapterType
from octomesh_graphql.domain.wish import Finding, PoolWish, WishedAdapter
from octomesh_graphql.operator.charges import Key, PoolId, key_of
from octomesh_graphql.operator.cluster import Kind, Object
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.noticing import Noticing
from octomesh_graphql.operator.queueing import WorkQueue
from octomesh_graphql.operator.reconciling import Reconciler
from octomesh_graphql.operator.server import LinkDown
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.operator.working import Result, attempt

NAMESPACE: Final = "octo"
PLACE: Final = PlaceSettings(server_url="http://octomesh.example.com")
BEGIN: Final = datetime(2026, 9, 1, 12, tzinfo=UTC)

_SOON = 0.5  # virtual seconds: what a step of `settle` passes over without being told
_TURNS = 30  # of the loop: enough for the simulated controllers to come to an end, which take no time
_STEPS = 30_000


def rt_id(number: int) -> str:
    """The rtId with this number."""
    return f"{number:024x}"


def pool(number: int = 1, tenant: str = "acme") -> PoolId:
    """A pool."""
    return PoolId(tenant, rt_id(0xA000 + number))


def resource(of: PoolId | None = None, *, name: str | None = None, namespace: str = NAMESPACE, **spec: Any) -> Object:
    """The CommunicationPool of a pool."""
    of = of or pool()
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name or f"{of.tenant_id}-{of.rt_id}", "namespace": namespace},
        "spec": {"tenantId": of.tenant_id, "poolRtId": of.rt_id, **spec},
    }


def adapter(number: int = 1, **given: Any) -> WishedAdapter:
    """An adapter that is wanted."""
    defaults: dict[str, Any] = {
        "rt_id": rt_id(0xB000 + number),
        "name": f"Adapter {number}",
        "type": AdapterType.EDGE,
        "wanted": True,
        "generation": 1,
        "image_name": "registry.example.com/plant/opcua",
        "image_version": "3.13.2",
    }
    return WishedAdapter(**(defaults | given))


class FakeServer:
    """The API server as an operator sees it: it knows what is wished, and who has claimed what."""

    def __init__(self) -> None:
        self.session: Session | None = Session(agent="plant-1", epoch=1)
        self.leased = True
        self.away = False
        self.trouble = ""
        self.wishes: dict[PoolId, PoolWish] = {}
        self.claims: dict[PoolId, Session] = {}
        self.reports: list[tuple[PoolId, Sequence[Finding]]] = []
        self.released: list[PoolId] = []
        self.refusal: AgentRefused | None = None
        self.before_answer: Callable[[], None] = lambda: None
        self.failing_reports: list[tuple[Phase, Exception]] = []
        """The next report that has this phase in it fails with this."""

    def wishing(self, of: PoolId, *adapters: WishedAdapter, name: str = "North") -> None:
        """From now on this is wished about a pool."""
        self.wishes[of] = PoolWish(tenant_id=of.tenant_id, pool_rt_id=of.rt_id, pool_name=name, adapters=adapters)

    def finding(self, of: PoolId, number: int = 1) -> Finding:
        """What was last told about an adapter."""
        told = [each for about, all_ in self.reports for each in all_ if about == of]
        return [each for each in told if each.rt_id == rt_id(0xB000 + number)][-1]

    def phases(self) -> dict[tuple[PoolId, str], Phase]:
        """What was last told about every adapter."""
        return {(about, each.rt_id): each.phase for about, findings in self.reports for each in findings}

    def go_down(self, *, for_long: bool = True) -> None:
        """It can't be reached; for so long that the lease ran out, or not yet."""
        self.session, self.leased, self.away = None, False, for_long

    def come_back(self, epoch: int = 2) -> None:
        """Reached again, in a new session: what the earlier one had claimed is nobody's."""
        self.session, self.leased, self.away = Session(agent="plant-1", epoch=epoch), True, False

    async def claim(self, tenant_id: str, pool_rt_id: str, namespace: str) -> str:
        await self._asked()
        assert self.session
        of = PoolId(tenant_id, pool_rt_id)
        if of not in self.wishes:
            raise AgentRefused(AgentErrorCode.NOT_FOUND, f"There is no pool {pool_rt_id}.")
        self.claims[of] = self.session
        return self.wishes[of].pool_name

    async def wish(self, tenant_id: str, pool_rt_id: str) -> PoolWish:
        await self._asked()
        return self.wishes[self._claimed(tenant_id, pool_rt_id)]

    async def report(self, tenant_id: str, pool_rt_id: str, findings: Sequence[Finding]) -> None:
        await self._asked()
        for phase, error in self.failing_reports:
            if any(finding.phase is phase for finding in findings):
                self.failing_reports.clear()
                raise error
        self.reports.append((self._claimed(tenant_id, pool_rt_id), list(findings)))

    async def release(self, tenant_id: str, pool_rt_id: str) -> None:
        await self._asked()
        of = PoolId(tenant_id, pool_rt_id)
        if self.claims.pop(of, None) == self.session:
            self.released.append(of)

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        if self.session is None:
            raise LinkDown("Nobody is there.")
        if self.refusal:
            raise self.refusal
        self.before_answer()

    def _claimed(self, tenant_id: str, pool_rt_id: str) -> PoolId:
        of = PoolId(tenant_id, pool_rt_id)
        if self.claims.get(of) != self.session:
            raise AgentRefused(AgentErrorCode.POOL_NOT_CLAIMED, "Claim it.")
        return of


@dataclass
class Plant:
    """A cluster with an operator in it, and the server the operator is linked to."""

    cluster: SimulatedCluster = field(default_factory=lambda: SimulatedCluster(speed=0))
    server: FakeServer = field(default_factory=FakeServer)
    seconds: float = 0.0
    leads: bool = True
    results: list[Result] = field(default_factory=list)
    queue: WorkQueue[Key] = field(init=False)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.start_operator()

    def start_operator(self) -> None:
        """A process that knows nothing of what an earlier one did."""
        self.queue = WorkQueue(clock=lambda: self.seconds)
        self.reconciler = Reconciler(
            self.cluster,
            self.server,
            PLACE,
            operator_id="plant-1",
            look_at=self.queue.add,
            now=lambda: BEGIN + timedelta(seconds=self.seconds),
            clock=lambda: self.seconds,
            held=lambda: self.leads,
        )

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The operator notices what happens in the cluster."""
        self.reconciler.begin(await self.cluster.objects(Kind.COMMUNICATION_POOL))
        noticing = asyncio.create_task(Noticing(self.cluster, self.reconciler.charges, self.queue.add).run())
        try:
            yield
        finally:
            noticing.cancel()
            await asyncio.wait({noticing})

    async def restarted(self) -> None:
        """Another process of the operator, registered anew, which has looked at everything."""
        self.start_operator()
        self.server.come_back((self.server.session.epoch if self.server.session else 1) + 1)
        self.reconciler.begin(await self.cluster.objects(Kind.COMMUNICATION_POOL))
        await self.settle()

    async def settle(self, within: float = 100.0) -> None:
        """Work until nothing is left to do within so many seconds, which pass at once."""
        until = self.seconds + within
        for _ in range(_STEPS):
            key = self.queue.next()
            if key:
                self.results.append(await attempt(self.queue, self.reconciler, key))
            await self._turn(1 if key else _TURNS)
            wait = self.queue.wait()
            if wait is None or self.seconds + wait > until:
                await self._turn(_TURNS)
                wait = self.queue.wait()
                if wait is None or self.seconds + wait > until:
                    return
            self.seconds += wait
        raise AssertionError("it does not come to rest")

    async def _turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    async def look_again(self) -> None:
        """Everything is looked at once more, as at a resync."""
        for key in self.reconciler.charges.known():
            self.queue.add(key)
        await self.settle(within=1)

    # What is there

    async def all(self, kind: Kind, namespace: str | None = NAMESPACE) -> list[Object]:
        """All objects of a kind."""
        return await self.cluster.objects(kind, namespace=namespace)

    async def versions(self) -> dict[str, str]:
        """The resourceVersion of every Deployment, by the rtId of its adapter."""
        return {
            each["metadata"]["name"].split("-")[1]: each["metadata"]["resourceVersion"]
            for each in await self.all(Kind.DEPLOYMENT, None)
        }

    async def status(self, of: Object | None = None) -> dict[str, Any]:
        """The status of a CommunicationPool, with its conditions by type."""
        found = await self.cluster.get(Kind.COMMUNICATION_POOL, *key_of(of or resource()))
        assert found is not None
        status: dict[str, Any] = found["status"]
        return status | {each["type"]: each for each in status["conditions"]}

    async def events(self, reason: str) -> list[str]:
        """The messages of the operator's own Events with this reason."""
        return [
            event["message"]
            for event in await self.all(Kind.EVENT)
            if event["source"]["component"] == FIELD_MANAGER and event["reason"] == reason
        ]

    @property
    def writes(self) -> int:
        """Requests so far that could have changed something in the cluster."""
        return sum(
            self.cluster.requests[name] for name in ("apply", "apply_status", "delete", "set_finalizers", "record")
        )


def without(wish: WishedAdapter) -> WishedAdapter:
    """The adapter, wished to be gone."""
    return replace(wish, wanted=False, generation=wish.generation + 1)
