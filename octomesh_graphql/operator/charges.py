"""Which CommunicationPool puts this operator in charge of which pool, and what the server was told about it.

Nothing here is the truth about a cluster; that is looked up each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.entity import RT_ID
from octomesh_graphql.domain.resource import FINALIZER
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.tenant import TENANT_ID
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding
from octomesh_graphql.operator.cluster import Object
from octomesh_graphql.operator.contests import Contests


class Key(NamedTuple):
    """The name of a CommunicationPool in its cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PoolId(NamedTuple):
    """A pool, known to everybody."""

    tenant_id: str
    rt_id: str


class BadSpec(Exception):
    """A CommunicationPool can't be served; the message tells why and what would help."""


@dataclass(eq=False, kw_only=True)
class Charge:
    """One CommunicationPool."""

    key: Key
    pool: PoolId
    uid: str
    gone: bool = False
    """The resource does not exist any more; the server may still have to be told."""
    deleting_since: float | None = None
    """When it was first seen being deleted, or gone, by a clock of this process."""
    session: Session | None = None
    """The session in which the pool was last claimed, unless it was released since."""
    served: bool = False
    """It was served, by this process or an earlier one, and the server does not know yet how that ended."""
    acknowledged: dict[str, Finding] = field(default_factory=dict)
    """What the server was told in this session, by adapter."""
    found: dict[str, Finding] = field(default_factory=dict)
    """What was last told in any session of this process: a change of it is an event."""

    contests: Contests = field(default_factory=Contests)
    """Where the cluster wants something else than is wished."""

    @property
    def available(self) -> frozenset[str]:
        """Adapters that ran when they were last looked at."""
        return frozenset(rt_id for rt_id, finding in self.found.items() if finding.phase is Phase.AVAILABLE)

    def seen(self, *, deleting: bool) -> None:
        """The resource is there, whatever was thought before."""
        self.gone = False
        if not deleting:
            self.deleting_since = None

    def claimed(self, session: Session) -> None:
        """The pool is ours in this session, which knows nothing yet."""
        self.session = session
        self.served = True
        self.acknowledged = {}

    def unclaimed(self) -> None:
        """The pool is not ours, or not any more."""
        self.session = None

    def ended(self) -> None:
        """The server knows that it is over, or does not care: nothing is left to be told."""
        self.session = None
        self.served = False

    def news(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those the server does not know."""
        return [finding for finding in findings if self.acknowledged.get(finding.rt_id) != finding]

    def told(self, findings: Iterable[Finding]) -> None:
        """The server knows these, and forgets the others."""
        self.acknowledged = {finding.rt_id: finding for finding in findings}
        self.found = dict(self.acknowledged)


class Charges:
    """All CommunicationPools that were seen. The first one for a pool holds it until it is gone."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Charge] = {}
        self._holders: dict[PoolId, Charge] = {}

    def enter(self, resource: Object) -> Charge:
        """The charge of a resource, which holds its pool if no other does. Raises `BadSpec`.

        A pool that was served once stays that of the resource, whatever its spec says now: what runs is of that pool.
        """
        key, uid, deleting = (
            key_of(resource),
            resource["metadata"]["uid"],
            resource["metadata"].get("deletionTimestamp"),
        )
        charge = self._by_key.get(key)
        if charge and charge.uid == uid and not charge.served and charge.pool != _served_or_asked(resource):
            self.leave(charge)  # it was never served: a slip of the pen that was put right
            charge = None
        if charge is None or charge.uid != uid:
            pool = _served_or_asked(resource)
            kept = FINALIZER in (resource["metadata"].get("finalizers") or ())
            charge = self._by_key[key] = Charge(key=key, pool=pool, uid=uid, served=kept)
        charge.seen(deleting=bool(deleting))
        holder = self._holders.setdefault(charge.pool, charge)
        if holder.gone or holder.key == key:  # the second: deleted and created again under the same name
            self._holders[charge.pool] = charge
        if not deleting and charge.pool != pool_of(resource):
            raise BadSpec(
                f"The spec named the pool {charge.pool.rt_id} of the tenant '{charge.pool.tenant_id}' before. It can't "
                "be changed; change it back, or delete this CommunicationPool and create another."
            )
        return charge

    def holder(self, pool: PoolId) -> Charge | None:
        """Who has a pool."""
        return self._holders.get(pool)

    def get(self, key: Key) -> Charge | None:
        """The charge of a resource that was seen."""
        return self._by_key.get(key)

    def heir(self, charge: Charge) -> Charge | None:
        """Who waited for the pool of this charge, longest first."""
        others = (
            other
            for other in self._by_key.values()
            if other.pool == charge.pool and not other.gone and other is not charge
        )
        return next(others, None)

    def leave(self, charge: Charge) -> None:
        """Nothing is left to do for it."""
        if self._by_key.get(charge.key) is charge:
            del self._by_key[charge.key]
        if self._holders.get(charge.pool) is charge:
            del self._holders[charge.pool]

    def known(self, namespace: str | None = None) -> list[Key]:
        """All of them, or those of a namespace."""
        return [key for key in self._by_key if namespace in (None, key.namespace)]

    def __len__(self) -> int:
        return len(self._holders)


def key_of(resource: Object) -> Key:
    """The name of a resource."""
    return Key(resource["metadata"]["namespace"], resource["metadata"]["name"])


def _served_or_asked(resource: Object) -> PoolId:
    """The pool that was served for it, as its status remembers, else that of its spec. Raises `BadSpec`."""
    status = resource.get("status") or {}
    if status.get("tenantId") and status.get("poolRtId"):
        return PoolId(status["tenantId"], status["poolRtId"])
    return pool_of(resource)


def pool_of(resource: Object) -> PoolId:
    """The pool a CommunicationPool is about. Raises `BadSpec`, also for what an old CRD may have let through."""
    spec = resource.get("spec") or {}
    tenant_id, rt_id = str(spec.get("tenantId", "")), str(spec.get("poolRtId", ""))
    if not TENANT_ID.fullmatch(tenant_id):
        raise BadSpec(f"spec.tenantId is '{shown(tenant_id)}', which can't be the id of a tenant.")
    if not RT_ID.fullmatch(rt_id):
        raise BadSpec(f"spec.poolRtId is '{shown(rt_id)}'; it must be the rtId of a pool, 24 lower-case hex digits.")
    return PoolId(tenant_id, rt_id)
