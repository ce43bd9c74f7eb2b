"""Ask, observe, apply, report: the steps of which reconciling and undeploying are made. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import ADAPTER_RT_ID
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.wish import Finding, PoolWish
from octomesh_graphql.operator.causes import refusal, rolled_out
from octomesh_graphql.operator.charges import Charge
from octomesh_graphql.operator.cluster import WARNINGS, Cluster, ClusterRefused, ClusterUnavailable, Kind, Object
from octomesh_graphql.operator.differing import identity
from octomesh_graphql.operator.manifests import labels_of
from octomesh_graphql.operator.planning import Application, Observed, Plan
from octomesh_graphql.operator.server import LinkDown, Server, ServerUnavailable

log = structlog.get_logger()

CONFLICT: Final = 409
"""Somebody else changed it meanwhile; looking and trying again is the answer."""

_EVENTS = {
    Phase.AVAILABLE: ("Normal", "Deployed", "{name} runs as wished."),
    Phase.GONE: ("Normal", "Undeployed", "{name} is gone."),
    Phase.FAILED: ("Warning", "Failed", "{name}: {message}"),
}


class LeaseLost(ServerUnavailable):
    """The session may have ended: another operator may be in charge, so nothing more is applied."""


class LeadLost(ServerUnavailable):
    """Another replica may lead by now, so nothing more is written."""


@dataclass(frozen=True)
class Steps:
    """What is done in a cluster, and said to the server, about one charge at a time."""

    cluster: Cluster
    server: Server
    held: Callable[[], bool]
    """Whether this replica leads at this moment."""
    clock: Callable[[], float]

    async def ask(self, charge: Charge) -> PoolWish:
        """The wish about its pool, which is claimed first if it is not in this session."""
        session = self._session()
        if charge.session != session:
            await self._claim(charge, session)
        return await self.server.wish(*charge.pool)

    async def observe(self, charge: Charge) -> Observed:
        """All there is of its pool in its namespace."""
        namespace, labels = charge.key.namespace, labels_of(*charge.pool)
        deployments, pods, secrets, services = await asyncio.gather(
            *(
                self.cluster.objects(kind, namespace=namespace, labels=labels)
                for kind in (Kind.DEPLOYMENT, Kind.POD, Kind.SECRET, Kind.SERVICE)
            )
        )
        # They are many, and only tell why something does not run.
        events = [] if all(map(rolled_out, deployments)) else await self._warnings(namespace)
        return Observed(deployments=deployments, pods=pods, secrets=secrets, services=services, events=events)

    async def _warnings(self, namespace: str) -> list[Object]:
        return await self.cluster.objects(Kind.EVENT, namespace=namespace, fields=WARNINGS)

    async def apply(self, resource: Object, charge: Charge, plan: Plan) -> list[Finding]:
        """Bring it about; returns the findings, with what the cluster refused.

        Raises `LeaseLost` or `LeadLost` before the first object that may not be applied any more.
        """
        refused: dict[str, str] = {}
        contested: dict[str, str] = {}
        for application in plan.apply:
            if application.adapter_rt_id in refused:
                continue
            self._must_hold(charge)
            if not charge.contests.rests(application, self.clock()):
                await self._apply(resource, charge, application, refused)
            if told := charge.contests.told(application, self.clock()):
                contested[application.adapter_rt_id] = told
        for object in plan.delete:
            self._must_hold(charge)
            await self.delete(charge, object, refused)
        failures = contested | refused
        return [_corrected(finding, failures.get(finding.rt_id)) for finding in plan.findings]

    async def _apply(self, resource: Object, charge: Charge, application: Application, refused: dict[str, str]) -> None:
        object = application.object
        try:
            answer = await self.cluster.apply(object)
        except ClusterRefused as error:
            refused[application.adapter_rt_id] = _why_refused(object, error)
            return
        log.info("applied", why=application.why, **_facts(charge, object))
        news = charge.contests.applied(application, answer, self.clock())
        will, what = charge.contests.overruled.get(identity(object)), f"{object['kind']} {object['metadata']['name']}"
        if news:
            said = f"{what}: the cluster sets this differently than wished: {', '.join(sorted(news.fields))}."
            await self.cluster.record(resource, "Warning", "Overruled", said)
        if application.mended and not (will and application.field in will.fields):
            said = f"{what}: {application.why.removeprefix('Mended: ')}"
            await self.cluster.record(resource, "Warning", "Mended", said)

    async def delete(self, charge: Charge, object: Object, refused: dict[str, str]) -> None:
        """Have an object go; a refusal is noted under its adapter."""
        self.must_lead()
        try:
            await self.cluster.delete(object)
        except ClusterRefused as error:
            refused[object["metadata"]["labels"][ADAPTER_RT_ID]] = _why_refused(object, error)
            return
        log.info("deleted", **_facts(charge, object))

    async def report(self, resource: Object, charge: Charge, wish: PoolWish, findings: Sequence[Finding]) -> None:
        """Tell what the server does not know yet, and leave an Event for each turn of things."""
        news = charge.news(findings)
        if news:
            await self.server.report(*charge.pool, news)
        names = {adapter.rt_id: adapter.name for adapter in wish.adapters}
        for finding in news:
            await self._record(resource, charge.found.get(finding.rt_id), finding, names[finding.rt_id])
        charge.told(findings)

    async def _record(self, resource: Object, before: Finding | None, finding: Finding, name: str) -> None:
        """An Event if it came to an end that it was not at before. One never seen before was there already."""
        turned = before.phase is not finding.phase if before else finding.phase is Phase.FAILED
        if turned and finding.phase in _EVENTS:
            type, reason, text = _EVENTS[finding.phase]
            said = text.format(name=f"The adapter '{name}'", message=finding.message)
            await self.cluster.record(resource, "Warning" if type == "Warning" else "Normal", reason, said)
            log.info("adapter turned", adapter=finding.rt_id, phase=finding.phase.value, message=finding.message)

    async def release(self, charge: Charge) -> None:
        """Tell that its pool is no longer served; if the session is another by now, in that one."""
        session = self._session()
        if charge.session != session:
            await self._claim(charge, session)
        await self.server.release(*charge.pool)
        charge.unclaimed()
        log.info("pool released", tenant=charge.pool.tenant_id, pool=charge.pool.rt_id, resource=str(charge.key))

    async def _claim(self, charge: Charge, session: Session) -> None:
        await self.server.claim(*charge.pool, charge.key.namespace)
        charge.claimed(session)
        log.info("pool claimed", tenant=charge.pool.tenant_id, pool=charge.pool.rt_id, resource=str(charge.key))

    def _session(self) -> Session:
        if self.server.session is None:
            raise LinkDown(self.server.trouble or "There is no session with the server.")
        return self.server.session

    def must_lead(self) -> None:
        """Raises `LeadLost`. Asked before each write, because a process can be frozen at any moment."""
        if not self.held():
            raise LeadLost("The lead is not held any more.")

    def _must_hold(self, charge: Charge) -> None:
        self.must_lead()
        if not self.server.leased or charge.session != self.server.session:
            raise LeaseLost("The lease is not held any more.")


def _why_refused(object: Object, error: ClusterRefused) -> str:
    """In plain words. Raises `ClusterUnavailable` for what is over when it is tried again."""
    if error.status == CONFLICT:
        raise ClusterUnavailable(str(error)) from error
    why = refusal(Kind.of(object), object["metadata"]["name"], error)
    log.warning("the cluster refuses", kind=object["kind"], name=object["metadata"]["name"], reason=str(error))
    return why


def _corrected(finding: Finding, refused: str | None) -> Finding:
    return replace(finding, phase=Phase.FAILED, message=refused) if refused else finding


def _facts(charge: Charge, object: Object) -> dict[str, str]:
    return {
        "kind": object["kind"],
        "name": object["metadata"]["name"],
        "namespace": object["metadata"]["namespace"],
        "tenant": charge.pool.tenant_id,
        "pool": charge.pool.rt_id,
    }
