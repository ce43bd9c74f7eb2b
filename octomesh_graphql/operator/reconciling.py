"""Reconciling: making what runs in a namespace match what is wished about a pool, and telling how far that is.

Whatever caused it, one round looks everything up anew: ask – observe – plan – apply – report. Twice is boring.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import FINALIZER
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused
from octomesh_graphql.domain.wish import Finding, PoolWish
from octomesh_graphql.operator.charges import BadSpec, Charge, Charges, Key, key_of
from octomesh_graphql.operator.cluster import Cluster, ClusterRefused, Kind, Object
from octomesh_graphql.operator.manifests import PlaceSettings, place_of
from octomesh_graphql.operator.planning import plan
from octomesh_graphql.operator.server import Server, ServerUnavailable
from octomesh_graphql.operator.standing import (
    Standing,
    beginning,
    being_removed,
    doubled,
    not_found,
    refused,
    says_the_same,
    served_by_another,
    serving,
    standing,
    unreachable,
)
from octomesh_graphql.operator.steps import CONFLICT, Steps
from octomesh_graphql.operator.undeploying import Undeploying

log = structlog.get_logger()

RESYNC_SECONDS: Final = 300.0
"""How long nobody looks where nothing seems to happen: what a watch may have missed is found then."""

PROGRESSING_SECONDS: Final = 3.0
"""Between two looks at something under way: a cause in an Event is told within 5 s, though nothing else changes."""

FAILED_SECONDS: Final = 15.0
"""Between two tries of what the cluster refuses, for instance for lack of quota."""

UNREACHABLE_SECONDS: Final = 60.0
"""Between two looks while the server is away; when it is back, everything is looked at anyway."""

SERVED_BY_ANOTHER_SECONDS: Final = 15.0
"""Between two tries to claim a pool that another operator has: half a lease, so that a dead one is soon replaced."""

NOT_FOUND_SECONDS: Final = 60.0
"""Between two questions for a pool that does not exist; it may be created later."""

REMOVING_SECONDS: Final = 2.0
"""Between two looks at something that is going."""

UNDEPLOY_SECONDS: Final = 60.0
"""How long a CommunicationPool that is deleted waits for what was made for it, which is twice a pod's grace period, and
for a server that is away."""

_TRIED_AGAIN = (AgentErrorCode.STALE_SESSION, AgentErrorCode.POOL_NOT_CLAIMED)


class Reconciler:
    """What is done about each CommunicationPool, as long as the lead is `held`; always, where nobody else could lead.

    It keeps what was told to whom, and nothing of the cluster.
    """

    def __init__(
        self,
        cluster: Cluster,
        server: Server,
        place: PlaceSettings,
        *,
        operator_id: str,
        look_at: Callable[[Key], None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        held: Callable[[], bool] = lambda: True,
        undeploy_seconds: float = UNDEPLOY_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._server = server
        self._place = place
        self._operator_id = operator_id
        self._look_at = look_at
        self._now = now
        self._steps = Steps(cluster, server, held, clock)
        self._undeploying = Undeploying(steps=self._steps, place=place, seconds=undeploy_seconds, clock=clock)
        self.charges = Charges()

    def begin(self, resources: Sequence[Object]) -> None:
        """Know all there are before the first one is served: of two for one pool the older one comes first, always."""
        for resource in sorted(resources, key=_age):
            with suppress(BadSpec):  # told when it is looked at
                self.charges.enter(resource)
            self._look_at(key_of(resource))

    async def reconcile(self, key: Key) -> float | None:
        """One round; returns after how many seconds to look again, None if there is nothing left to look at.

        Raises `ClusterUnavailable`, `ClusterRefused`, `ServerUnavailable` or `AgentRefused` when it is to be tried
        again soon.
        """
        resource = await self._cluster.get(Kind.COMMUNICATION_POOL, *key)
        if resource is None:
            return await self._gone(key)
        try:
            charge = self.charges.enter(resource)
        except BadSpec as error:
            return await self._unusable(resource, str(error))
        if resource["metadata"].get("deletionTimestamp"):
            return await self._undeploy(resource, charge)
        if not resource.get("status"):
            return await self._told(resource, beginning(), 0)
        holder = self.charges.holder(charge.pool)
        if holder and holder is not charge:
            return await self._told(resource, doubled(_named(holder.key)), RESYNC_SECONDS)
        return await self._serve(resource, charge)

    # A pool that is served

    async def _serve(self, resource: Object, charge: Charge) -> float:
        """A round, and what stands in its way told in the status."""
        try:
            pause, stands = await self._round(resource, charge)
        except AgentRefused as refusal:
            charge.unclaimed()
            if refusal.code in _TRIED_AGAIN:
                raise
            return await self._told(resource, *_answer(refusal))
        except ServerUnavailable as error:
            if not self._server.away:  # it is being linked again right now
                raise
            return await self._told(resource, unreachable(str(error)), UNREACHABLE_SECONDS)
        return await self._told(resource, stands, pause)

    async def _round(self, resource: Object, charge: Charge) -> tuple[float, Standing]:
        """Ask, observe, plan, apply, report. What the cluster refuses altogether is the failure of all adapters."""
        wish = await self._steps.ask(charge)
        try:
            findings = await self._make(resource, charge, wish)
        except ClusterRefused as error:
            if error.status == CONFLICT:
                raise
            why = f"The cluster refuses: {error}"
            await self._steps.report(resource, charge, wish, _unsettled(wish, charge, why))
            return FAILED_SECONDS, refused(why)
        await self._steps.report(resource, charge, wish, findings)
        return _pause(findings), serving(wish, findings)

    async def _make(self, resource: Object, charge: Charge, wish: PoolWish) -> Sequence[Finding]:
        """Observe, plan, apply."""
        await self._keep(resource)
        observed = await self._steps.observe(charge)
        place = place_of(resource, self._place)
        steps = plan(wish, place, observed, charge.available, charge.contests.overruled)
        return await self._steps.apply(resource, charge, steps)

    async def _keep(self, resource: Object) -> None:
        """Our finalizer on it, so that it can't go before what is made for it."""
        finalizers = resource["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            self._steps.must_lead()
            await self._cluster.set_finalizers(resource, [*finalizers, FINALIZER])

    async def _told(self, resource: Object, stands: Standing, again: float) -> float:
        """The status says how it stands; it is written only if it does not say so yet."""
        charge = self.charges.get(key_of(resource))
        served = charge.pool if charge and charge.served else None
        status = standing(resource, stands, operator=self._operator_id, now=self._now(), served=served)
        if status["status"] != resource.get("status"):
            self._steps.must_lead()
            await self._cluster.apply_status(status)
            if not says_the_same(resource, status):
                says, ready = stands.registered.message, stands.ready.status
                log.info("status", resource=str(key_of(resource)), says=says, ready=ready)
        return again * random.uniform(0.9, 1.1)

    # A resource that goes, or is none

    async def _undeploy(self, resource: Object, charge: Charge) -> float:
        if FINALIZER not in (resource["metadata"].get("finalizers") or ()):
            return RESYNC_SECONDS  # somebody else keeps it
        alone = self.charges.holder(charge.pool) is charge
        waits_for = await self._undeploying.undeploy(resource, charge, alone=alone)
        if waits_for is None:
            return REMOVING_SECONDS
        return await self._told(resource, being_removed(waits_for), REMOVING_SECONDS)

    async def _gone(self, key: Key) -> float | None:
        """Forget it. Its pool is the next one's, or is released; that is tried until it is told."""
        charge = self.charges.get(key)
        if charge is None:
            return None
        charge.gone = True
        heir = self.charges.heir(charge)
        untold = charge.served and self.charges.holder(charge.pool) is charge
        if untold and heir is None and not await self._undeploying.farewell(charge):
            return REMOVING_SECONDS
        self.charges.leave(charge)
        if heir:
            self._look_at(heir.key)
        return None

    async def _unusable(self, resource: Object, why: str) -> float:
        """Nothing is done about it but telling so; a pool that was served until now is released. It may go at any time,
        with what was made for it."""
        finalizers = resource["metadata"].get("finalizers") or []
        if resource["metadata"].get("deletionTimestamp") and FINALIZER in finalizers:
            self._steps.must_lead()
            await self._cluster.set_finalizers(resource, [each for each in finalizers if each != FINALIZER])
            return REMOVING_SECONDS
        again = await self._told(resource, refused(why), RESYNC_SECONDS)
        charge = self.charges.get(key_of(resource))
        if charge and charge.session and self.charges.holder(charge.pool) is charge:
            try:
                await self._steps.release(charge)
            except AgentRefused as refusal:
                log.info("not released", resource=str(charge.key), reason=str(refusal))
            charge.unclaimed()
        return again


def _answer(refusal: AgentRefused) -> tuple[Standing, float]:
    """How it stands after a refusal, and when to try again."""
    match refusal.code:
        case AgentErrorCode.POOL_SERVED_BY_ANOTHER:
            return served_by_another(str(refusal)), SERVED_BY_ANOTHER_SECONDS
        case AgentErrorCode.NOT_FOUND:
            return not_found(str(refusal)), NOT_FOUND_SECONDS
        case _:
            return refused(str(refusal)), NOT_FOUND_SECONDS


def _unsettled(wish: PoolWish, charge: Charge, why: str) -> list[Finding]:
    """A failure for each adapter, but for those of which the end of the same wish was seen: it may still be so."""
    ends = {each for each in charge.found.values() if each.phase in (Phase.AVAILABLE, Phase.GONE)}
    settled = {(each.rt_id, each.generation): each for each in ends}
    return [
        settled.get((each.rt_id, each.generation))
        or Finding(rt_id=each.rt_id, generation=each.generation, phase=Phase.FAILED, message=why)
        for each in wish.adapters
    ]


def _pause(findings: Sequence[Finding]) -> float:
    """Until the next look."""
    phases = {finding.phase for finding in findings}
    if Phase.PROGRESSING in phases:
        return PROGRESSING_SECONDS
    return FAILED_SECONDS if Phase.FAILED in phases else RESYNC_SECONDS


def _age(resource: Object) -> tuple[str, Key]:
    return resource["metadata"].get("creationTimestamp") or "", key_of(resource)


def _named(key: Key) -> Object:
    return {"metadata": {"namespace": key.namespace, "name": key.name}}
