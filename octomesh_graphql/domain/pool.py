"""The Pool: a place with a group of adapters, served by one operator at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from octomesh_graphql.domain.entity import CommunicationEntity, spec_changes, text_problems
from octomesh_graphql.domain.health import Health, pool_health
from octomesh_graphql.domain.problem import ErrorCode, InvalidValue, Problem, Refused
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import CommunicationState, ConfigurationState, DeploymentState
from octomesh_graphql.domain.tally import Tally

POOL_ADAPTERS: Final = 1_000
"""Most adapters of a pool: a wish for all of them is one transaction, which takes about a second then."""


@dataclass(frozen=True, kw_only=True)
class ServingOperator:
    """The operator that claimed a pool, as it introduced itself."""

    id: str
    cluster: str
    namespace: str
    version: str
    since: datetime
    """Since when it serves the pool without a break."""


@dataclass(frozen=True, kw_only=True)
class Pool(CommunicationEntity):
    """A collection of adapters that are deployed and managed together, usually in a namespace of its own."""

    ck_type_id: ClassVar[str] = "System.Communication/Pool"
    kind: ClassVar[str] = "pool"

    operator: ServingOperator | None = None
    deleting: bool = False
    """A user wishes it gone; it goes as soon as none of its adapters is deployed."""

    tally: Tally = field(default=Tally(), metadata={"stored": False})
    """Its adapters, counted; never stored, always computed from the adapters themselves."""

    @classmethod
    def new(cls, *, rt_id: str, now: datetime, name: str, description: str | None = None, **rest: Any) -> Self:
        """A pool nobody has registered yet. Raises `Refused` with all that is wrong with the input."""
        fields = spec_changes({"name": name, "description": description})
        pool = cls(rt_id=rt_id, rt_creation_date_time=now, rt_changed_date_time=now, **fields, **rest)
        Refused.if_any(text_problems(pool))
        return pool

    def edit(self, now: datetime, given: dict[str, Any]) -> Self:
        """With what the user gave: any of `name`, `description`. Raises `Refused` with all that is wrong."""
        pool = self.changeable().edited(now, **spec_changes(given))
        Refused.if_any(text_problems(pool))
        return pool

    def changeable(self, path: tuple[str, ...] | None = None) -> Self:
        """Itself; raises `Refused` when it is on its way out."""
        if self.deleting:
            raise Refused(
                BeingDeleted(
                    message=f"The {self} is being deleted: it goes when its adapters are undeployed. "
                    "Wait for that, or choose another pool.",
                    path=path,
                    pool=self,
                )
            )
        return self

    def room_for(self, more: int, path: tuple[str, ...]) -> Self:
        """Itself; raises `Refused` when it can't take so many adapters more."""
        if self.tally.adapters + more > POOL_ADAPTERS:
            raise Refused(
                InvalidValue(
                    message=f"The {self} has {self.tally.adapters} adapters, and a pool can have {POOL_ADAPTERS:,}. "
                    "Spread them over more pools.",
                    path=path,
                )
            )
        return self

    def to_be_deleted(self, now: datetime) -> Self:
        """On its way out."""
        return self.touched(
            now, deleting=True, status_message="Being deleted: waits until its adapters are undeployed."
        )

    # What operators say

    def claimed(self, now: datetime, by: ServingOperator, session: Session) -> Self:
        """Served by this operator from now on. Raises `AgentRefused` while another one is there."""
        there = self.operator if self.communication_state is CommunicationState.ONLINE else None
        if there and there.id != by.id:
            raise self._served_by(there)
        since = there.since if there else now
        reason = f"The operator '{by.id}' of the cluster '{by.cluster}' serves it."
        claimed = self.registered(now, session=session, reason=reason)
        operator = replace(by, since=since)
        return claimed if claimed.operator == operator else claimed.touched(now, operator=operator)

    def spoken_for(self, session: Session) -> Self:
        """Itself; raises `AgentRefused` when this session does not serve it."""
        online = self.communication_state is CommunicationState.ONLINE
        if online and self.session == session.key:
            return self
        if online and self.operator and self.operator.id != session.agent:
            raise self._served_by(self.operator)
        raise AgentRefused(AgentErrorCode.POOL_NOT_CLAIMED, f"The {self} is not claimed in this session. Claim it.")

    def released_by(self, now: datetime, session: Session, reason: str) -> Self:
        """Served by nobody, if it was this session that served it."""
        if not session.covers(self.session):
            return self
        return self.released(now, session=session, reason=reason).touched(now, operator=None, session=None)

    def _served_by(self, other: ServingOperator) -> AgentRefused:
        return AgentRefused(
            AgentErrorCode.POOL_SERVED_BY_ANOTHER,
            f"The {self} is served by the operator '{other.id}' of the cluster '{other.cluster}', namespace "
            f"'{other.namespace}', since {other.since:%Y-%m-%d %H:%M} UTC. It can be taken over once that one is gone.",
        )

    # What it looks like

    @property
    def deployment_state(self) -> DeploymentState:
        """That of its adapters together."""
        return self.tally.deployment_state

    @property
    def configuration_state(self) -> ConfigurationState:
        """That of its adapters together."""
        return self.tally.configuration_state

    @property
    def health(self) -> Health:
        """How much attention it needs, and why."""
        return pool_health(self.communication_state, self.tally)

    @property
    def message(self) -> str | None:
        """What is going on: what was said last, or what its adapters wait for."""
        pending = self.tally.count(deployment=DeploymentState.PENDING)
        return self.status_message or (self.waiting_for if pending else None)

    @property
    def waiting_for(self) -> str:
        """What a new wish for one of its adapters waits for, in a sentence."""
        if self.operator is None:
            return (
                f"Waiting: no operator serves the {self}. Apply the pool's installManifest in a cluster that has an "
                "OctoMesh Communication Operator."
            )
        if self.communication_state is CommunicationState.ONLINE:
            return f"Waiting for the operator '{self.operator.id}' to act."
        return f"Waiting: the operator '{self.operator.id}' of the {self} is not connected."


@dataclass(frozen=True, kw_only=True)
class BeingDeleted(Problem):
    """The pool waits for its adapters to be undeployed and then goes."""

    code: ErrorCode = ErrorCode.BEING_DELETED
    pool: Pool
