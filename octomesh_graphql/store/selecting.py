"""Which pools, adapters and transitions a list holds, and in which order: filters and orders as MongoDB conditions.

Values of users only ever stand where a value is expected, never as a key or an operator.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Final

from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
    DescribedEnum,
    HealthLevel,
)
from octomesh_graphql.domain.text import DESCRIPTION_CHARACTERS, clean, storable
from octomesh_graphql.store.mongo import Document, ObjectId


class PoolOrderField(DescribedEnum):
    """What pools can be ordered by."""

    NAME = "nameKey", "The name, without regard to case; letters with marks next to those without."
    CREATED = "rtCreationDateTime", "When it was created."
    CHANGED = "rtChangedDateTime", "When anything about it changed last."
    COMMUNICATION_STATE = "communicationState", "The communication state: unregistered, online, offline."
    COMMUNICATION_STATE_TIMESTAMP = (
        "communicationStateTimestamp",
        "When the communication state last changed.",
    )
    CONFIGURATION_STATE = "configurationState", "The configuration state, errors last."
    DEPLOYMENT_STATE = "deploymentState", "The deployment state, errors last."
    HEALTH = "health", "How much attention it needs: what is as wished first, what is critical last."


class AdapterOrderField(DescribedEnum):
    """What adapters can be ordered by."""

    NAME = "nameKey", "The name, without regard to case; letters with marks next to those without."
    TYPE = "type", "The type: edge, mesh."
    CREATED = "rtCreationDateTime", "When it was created."
    CHANGED = "rtChangedDateTime", "When anything about it changed last."
    COMMUNICATION_STATE = "communicationState", "The communication state: unregistered, online, offline."
    COMMUNICATION_STATE_TIMESTAMP = (
        "communicationStateTimestamp",
        "When the communication state last changed.",
    )
    CONFIGURATION_STATE = "configurationState", "The configuration state, errors last."
    DEPLOYMENT_STATE = "deploymentState", "The deployment state, errors last."


@dataclass(frozen=True, kw_only=True)
class EntityFilter:
    """What pools and adapters are both filtered by: all of these conditions are met; None is no condition."""

    rt_ids: Collection[str] | None = None
    communication_state: Collection[CommunicationState] | None = None
    configuration_state: Collection[ConfigurationState] | None = None
    deployment_state: Collection[DeploymentState] | None = None
    name_contains: str | None = None


@dataclass(frozen=True, kw_only=True)
class PoolFilter(EntityFilter):
    """Pools that meet all of these conditions; None is no condition."""

    health: Collection[HealthLevel] | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterFilter(EntityFilter):
    """Adapters that meet all of these conditions; None is no condition."""

    type: Collection[AdapterType] | None = None
    pool_rt_id: str | None = None
    unassigned: bool | None = None


DERIVED: Final = frozenset({"configurationState", "deploymentState", "health"})
"""Of a pool these are not stored but follow from its adapters."""

NOTHING: Final[Document] = {"$expr": False}
"""The condition that no row meets."""

_STATES: Final = {
    "communication_state": "communicationState",
    "configuration_state": "configurationState",
    "deployment_state": "deploymentState",
    "health": "health",
    "type": "type",
}


def conditions(chosen: EntityFilter | None, search: str | None) -> Document:
    """The conditions of a filter and a search as one MongoDB query, by field."""
    parts: list[Document] = []
    if chosen:
        if chosen.rt_ids is not None:
            parts.append({"_id": {"$in": [ObjectId(rt_id) for rt_id in chosen.rt_ids]}})
        for name in (field.name for field in fields(chosen) if field.name in _STATES):
            wanted = getattr(chosen, name)
            if wanted is not None:
                parts.append({_STATES[name]: {"$in": [state.value for state in wanted]}})
        if chosen.name_contains:
            parts.append({"name": containing(chosen.name_contains)})
        if isinstance(chosen, AdapterFilter):
            parts += _membership(chosen)
    if search and clean(search):
        parts.append({"$or": [{"name": containing(search)}, {"description": containing(search)}]})
    return {"$and": parts} if parts else {}


def containing(text: str) -> Document:
    """The condition that a stored text contains this one, without regard to case."""
    sought = clean(text)
    if len(sought) > DESCRIPTION_CHARACTERS or not storable(sought):
        return {"$in": []}  # nothing stored is that long, or holds such a thing
    return {"$regex": re.escape(sought).replace("\x00", "\\x00"), "$options": "i"}


def split_derived(query: Document) -> tuple[Document, Document]:
    """A query on pools in two: what can be asked of the stored pool, and what follows from its adapters."""
    parts: list[Any] = query.get("$and", [])
    stored = [part for part in parts if not DERIVED & part.keys()]
    derived = [part for part in parts if DERIVED & part.keys()]
    return ({"$and": stored} if stored else {}), ({"$and": derived} if derived else {})


def _membership(chosen: AdapterFilter) -> list[Document]:
    parts: list[Document] = []
    if chosen.pool_rt_id is not None:
        parts.append({"poolRtId": ObjectId(chosen.pool_rt_id)})
    if chosen.unassigned is not None:
        parts.append({"poolRtId": None if chosen.unassigned else {"$ne": None}})
    return parts
