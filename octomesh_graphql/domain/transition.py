"""Transitions: the history of an entity, one line for each state that became another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.states import ConfigurationState, DescribedEnum


class Aspect(DescribedEnum):
    """What of an entity a transition is about."""

    EXISTENCE = 0, "It was created or deleted."
    MEMBERSHIP = 1, "An adapter joined, left or changed its pool; from and to are rtIds of pools."
    WISH = 2, "A user wished it deployed or undeployed."
    COMMUNICATION = 3, "Its communication state changed."
    CONFIGURATION = 4, "Its configuration state changed."
    DEPLOYMENT = 5, "Its deployment state changed."


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One state of one entity becoming another. Kept for 90 days."""

    id: str = field(default="", metadata={"stored": False})
    """Given by the store."""
    entity_rt_id: str
    entity_name: str
    """Its name at that time."""
    pool_rt_id: str | None
    """The pool it concerns: itself, or the pool the adapter is in."""
    what: Aspect
    from_: str | None
    to: str | None
    who: str
    reason: str | None
    at: datetime


def transitions(
    before: CommunicationEntity | None, after: CommunicationEntity | None, *, who: str, at: datetime
) -> Iterator[Transition]:
    """What happened between two versions of an entity; None means that it did not exist."""
    known = after or before
    assert known is not None
    old, new = _aspects(before), _aspects(after)
    for what in Aspect:
        if old.get(what) != new.get(what) and (what is Aspect.EXISTENCE or (before and after)):
            yield Transition(
                entity_rt_id=known.rt_id,
                entity_name=known.name,
                pool_rt_id=_pool_rt_id(known) or (_pool_rt_id(before) if before else None),
                what=what,
                from_=old.get(what),
                to=new.get(what),
                who=who,
                reason=_reason(known, what),
                at=at,
            )


def _aspects(entity: CommunicationEntity | None) -> dict[Aspect, Any]:
    if entity is None:
        return {}
    aspects: dict[Aspect, Any] = {Aspect.EXISTENCE: "EXISTS", Aspect.COMMUNICATION: entity.communication_state.name}
    if isinstance(entity, Adapter):
        aspects |= {
            Aspect.MEMBERSHIP: entity.pool_rt_id,
            Aspect.WISH: "DEPLOYED" if entity.wanted else "UNDEPLOYED",
            Aspect.CONFIGURATION: entity.configuration_state.name,
            Aspect.DEPLOYMENT: entity.deployment_state.name,
        }
    return aspects


def _pool_rt_id(entity: CommunicationEntity) -> str | None:
    return entity.pool_rt_id if isinstance(entity, Adapter) else entity.rt_id


def _reason(entity: CommunicationEntity, what: Aspect) -> str | None:
    match entity, what:
        case _, Aspect.COMMUNICATION:
            return entity.communication_reason
        case Adapter(), Aspect.DEPLOYMENT:
            return entity.status_message
        case Adapter(configuration_state=ConfigurationState.ERROR), Aspect.CONFIGURATION:
            return entity.status_message
        case _:
            return None
