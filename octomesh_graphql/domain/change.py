"""Changes: what a subscriber receives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from octomesh_graphql.domain.entity import CommunicationEntity
from octomesh_graphql.domain.states import CommunicationState, DescribedEnum


class ChangeKind(DescribedEnum):
    """Why a subscriber is told."""

    SNAPSHOT = "SNAPSHOT", "The present state, told when a subscription starts."
    LIVE = "LIVE", "The present state has been told in full; what follows are changes."
    CREATED = "CREATED", "The entity is new."
    UPDATED = "UPDATED", "Something about the entity changed."
    DELETED = "DELETED", "The entity is gone; what is told is its last state."
    RESYNC = "RESYNC", "Changes may have been missed: forget what you know, a full snapshot follows."


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something a subscriber of entities is told. `rt_id` and `entity` are None for LIVE and RESYNC."""

    cursor: str
    kind: ChangeKind
    rt_id: str | None = None
    entity: CommunicationEntity | None = None


@dataclass(frozen=True, kw_only=True)
class CommunicationStateChange(Change):
    """Something a subscriber of communication states is told. Never two transitions in one."""

    previous: CommunicationState | None = None
    current: CommunicationState | None = None
    timestamp: datetime | None = None
    reason: str | None = None
