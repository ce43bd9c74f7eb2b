"""What happens when a CommunicationPool is deleted: all that was made for it goes, then it may go itself.

The server is told before that. It can't hang: whatever keeps something from going or from being told, after a while
the resource goes anyway. What stays is told; what could not be told is tried again for as long as the process lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import ADAPTER_RT_ID, FINALIZER, KIND
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused
from octomesh_graphql.domain.wish import Finding, PoolWish
from octomesh_graphql.operator.charges import Charge
from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable, Kind, Object
from octomesh_graphql.operator.manifests import PlaceSettings, place_of
from octomesh_graphql.operator.planning import Observed, plan
from octomesh_graphql.operator.server import ServerUnavailable
from octomesh_graphql.operator.steps import Steps

log = structlog.get_logger()

_NOBODY_WAITS: Final = (AgentErrorCode.NOT_FOUND, AgentErrorCode.POOL_SERVED_BY_ANOTHER)
_NAMED = 3  # things that stay are named in a sentence up to here; the log has them all


@dataclass(frozen=True, kw_only=True)
class Undeploying:
    """Deleting, with at most so many `seconds` of patience."""

    steps: Steps
    place: PlaceSettings
    seconds: float
    clock: Callable[[], float]

    async def undeploy(self, resource: Object, charge: Charge, *, alone: bool) -> str | None:
        """Let everything of the resource go, and it too when nothing is left; returns what it waits for, if it does.

        `alone`: no other resource is about the same pool, so its pods are this one's.
        """
        overdue = self._overdue(charge)
        wish = await self._last_wish(charge) if alone and charge.served else None
        try:
            left, findings = await self._remove(resource, charge, wish, alone=alone)
        except (ClusterRefused, ClusterUnavailable) as error:
            if not overdue:
                raise
            left, findings = [f"whatever there is, because the cluster can't be asked: {error}"], _ends(wish)
        if left and not overdue:
            await self._tell(resource, charge, wish, findings)
            return _listed(left)
        if left:
            await self._give_up(resource, charge, left)
        if wish:
            await self._end(resource, charge, wish, [_last(finding, charge, left) for finding in findings])
        if alone and charge.served and not overdue:
            return "the server, which has to be told first and can't be now"
        await self._let_go(resource)
        return None

    async def farewell(self, charge: Charge) -> bool:
        """Tell a server that was away how it ended for a resource that is gone; False if it has not ended yet.

        Raises `AgentRefused` and `ServerUnavailable` when that is to be tried again.
        """
        left = [_described(object, {}) for object in _own(await self.steps.observe(charge), charge, alone=True)]
        if left and not self._overdue(charge):
            return False
        with _settling(charge):
            wish = await self.steps.ask(charge)
            ends = _ends(wish, Phase.FAILED if left else Phase.GONE)
            await self.steps.server.report(*charge.pool, [_last(finding, charge, left) for finding in ends])
            await self.steps.release(charge)
            charge.ended()
        return True

    def _overdue(self, charge: Charge) -> bool:
        now = self.clock()
        charge.deleting_since = now if charge.deleting_since is None else charge.deleting_since
        return now - charge.deleting_since >= self.seconds

    async def _last_wish(self, charge: Charge) -> PoolWish | None:
        """Who is to be told about; nobody if the server can't be asked, or does not care."""
        try:
            with _settling(charge):
                wish = await self.steps.ask(charge)
        except (ServerUnavailable, AgentRefused) as error:
            log.info("undeploying without the server", resource=str(charge.key), reason=str(error))
            return None
        if not charge.served:
            return None
        return replace(wish, adapters=[replace(adapter, wanted=False) for adapter in wish.adapters])

    async def _remove(
        self, resource: Object, charge: Charge, wish: PoolWish | None, *, alone: bool
    ) -> tuple[list[str], Sequence[Finding]]:
        """Begin to delete what is not being deleted yet. What is still there, and what is found of each adapter."""
        observed = await self.steps.observe(charge)
        nothing = PoolWish(tenant_id=charge.pool.tenant_id, pool_rt_id=charge.pool.rt_id, pool_name="")
        steps = plan(wish or nothing, place_of(resource, self.place), observed)
        refused: dict[str, str] = {}
        for object in steps.delete:
            await self.steps.delete(charge, object, refused)
        return [_described(object, refused) for object in _own(observed, charge, alone=alone)], steps.findings

    async def _tell(self, resource: Object, charge: Charge, wish: PoolWish | None, findings: Sequence[Finding]) -> None:
        if wish is None:
            return
        try:
            await self.steps.report(resource, charge, wish, findings)
        except (ServerUnavailable, AgentRefused) as error:
            log.warning("undeploying not reported", resource=str(charge.key), reason=str(error))

    async def _give_up(self, resource: Object, charge: Charge, left: Sequence[str]) -> None:
        log.warning("deleted without being undeployed", resource=str(charge.key), stays=left)
        message = f"After {self.seconds:.0f} s the {KIND} is let go, though this is still there: {_listed(left)}."
        await self.steps.cluster.record(resource, "Warning", "LeftBehind", message)

    async def _end(self, resource: Object, charge: Charge, wish: PoolWish, ends: Sequence[Finding]) -> None:
        """Tell the last word and release the pool, now if that is possible; else it still has to be done."""
        try:
            with _settling(charge):
                await self.steps.report(resource, charge, wish, ends)
                await self.steps.release(charge)
                charge.ended()
        except (ServerUnavailable, AgentRefused) as error:
            log.warning("the end of it is not told yet", resource=str(charge.key), reason=str(error))

    async def _let_go(self, resource: Object) -> None:
        finalizers = [each for each in resource["metadata"].get("finalizers") or () if each != FINALIZER]
        self.steps.must_lead()
        await self.steps.cluster.set_finalizers(resource, finalizers)


@contextmanager
def _settling(charge: Charge) -> Iterator[None]:
    """Refused because nobody waits for a word from us, all has been said; else it has to be claimed and said anew."""
    try:
        yield
    except AgentRefused as refusal:
        if refusal.code not in _NOBODY_WAITS:
            charge.unclaimed()
            raise
        charge.ended()


def _own(observed: Observed, charge: Charge, *, alone: bool) -> Iterator[Object]:
    """What was made for the resource, and the pods that came of it."""
    for object in (*observed.deployments, *observed.services, *observed.secrets):
        owners = object["metadata"].get("ownerReferences") or ()
        if any(owner["uid"] == charge.uid for owner in owners) or (alone and not owners):
            yield object
    if alone:
        yield from observed.pods


def _described(object: Object, refused: Mapping[str, str]) -> str:
    what = "pod" if Kind.of(object) is Kind.POD else object["kind"]
    why = refused.get(object["metadata"]["labels"].get(ADAPTER_RT_ID, ""))
    return f"the {what} '{object['metadata']['name']}'" + (f" ({why.rstrip('.')})" if why else "")


def _listed(left: Sequence[str]) -> str:
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return ", ".join(left[:_NAMED]) + more


def _ends(wish: PoolWish | None, phase: Phase = Phase.FAILED) -> list[Finding]:
    """This end for all adapters."""
    adapters = wish.adapters if wish else ()
    return [Finding(rt_id=each.rt_id, generation=each.generation, phase=phase) for each in adapters]


def _last(finding: Finding, charge: Charge, left: Sequence[str]) -> Finding:
    """What is told at the end: that it is gone and why, or that something was left behind."""
    if finding.phase is Phase.GONE:
        return replace(finding, message=f"The {KIND} {charge.key} was deleted.")
    what = f"this was left behind: {_listed(left)}." if left else f"not all of it is gone. {finding.message}"
    message = f"The {KIND} {charge.key} was deleted, but {what}"
    return replace(finding, phase=Phase.FAILED, message=message)
