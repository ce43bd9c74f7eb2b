"""What every runtime entity has, and what a Pool and an Adapter share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Self

from octomesh_graphql.domain.problem import ErrorCode, InvalidValue, Problem, Refused
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.states import CommunicationState
from octomesh_graphql.domain.text import clean, clean_name, description_problems, name_key, name_problems, shown

RT_ID = re.compile(r"[0-9a-f]{24}")
"""The form of an `rtId`: 24 lower-case hex digits, unique only inside its tenant."""


@dataclass(frozen=True, kw_only=True)
class RuntimeEntity:
    """An entity of a tenant, with the fields OctoMesh gives to all of them."""

    ck_type_id: ClassVar[str]

    rt_id: str
    rt_well_known_name: str | None = None
    rt_version: int = 1
    """Counts the accepted edits of the spec, the creation being the first. Status does not count."""
    rt_creation_date_time: datetime
    rt_changed_date_time: datetime
    revision: int = 1
    """Counts every write, status too; what the store compares so that no write is lost. Not for users."""

    def touched(self, now: datetime, **changes: Any) -> Self:
        """With these fields changed. Not an edit of a user: `rt_version` stays."""
        return replace(self, rt_changed_date_time=now, **changes)

    def edited(self, now: datetime, **changes: Any) -> Self:
        """With these fields changed by an accepted edit of a user."""
        return self.touched(now, rt_version=self.rt_version + 1, **changes)


@dataclass(frozen=True, kw_only=True)
class CommunicationEntity(RuntimeEntity):
    """What a Pool and an Adapter share: a name, a communication state and a sentence about the present."""

    kind: ClassVar[str]
    """The word for it in messages: `pool` or `adapter`."""

    name: str
    name_key: str
    """The form of the name that is unique in its tenant; see `text.name_key`."""
    description: str | None = None

    communication_state: CommunicationState = CommunicationState.UNREGISTERED
    communication_state_timestamp: datetime | None = None
    """When the communication state last changed; None while it never has."""
    communication_reason: str | None = None
    """Why it last changed, in a sentence."""
    session: str | None = None
    """The session in which its agent speaks, or spoke last; see `Session.key`. Not for users."""
    status_message: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"

    def expecting(self, version: int | None, path: tuple[str, ...] = ("expectedVersion",)) -> Self:
        """Itself, if it still has the version the user has read (None: whichever).

        Raises `Refused` with a `VersionConflict` otherwise.
        """
        if version is None or version == self.rt_version:
            return self
        raise Refused(
            VersionConflict(
                message=f"The {self} has been edited since you read it: you expected version {version}, it is at "
                f"{self.rt_version}. Look at the current values and edit again.",
                path=path,
                current=self,
            )
        )

    def registered(self, now: datetime, *, session: Session, reason: str) -> Self:
        """An agent is there: ONLINE. From now on only this session speaks for it."""
        online = self._communicating(CommunicationState.ONLINE, now, reason)
        return online if online.session == session.key else online.touched(now, session=session.key)

    def lost(self, now: datetime, *, session: Session, reason: str) -> Self:
        """The agent vanished with this session: ONLINE becomes OFFLINE, unless a later one speaks for it by now."""
        if not session.covers(self.session) or self.communication_state is not CommunicationState.ONLINE:
            return self
        return self._communicating(CommunicationState.OFFLINE, now, reason)

    def released(self, now: datetime, *, session: Session, reason: str) -> Self:
        """The agent signed off for good with this session: UNREGISTERED, unless a later one speaks for it by now."""
        if not session.covers(self.session):
            return self
        return self._communicating(CommunicationState.UNREGISTERED, now, reason)

    def _communicating(self, state: CommunicationState, now: datetime, reason: str) -> Self:
        if state is self.communication_state:
            return self
        return self.touched(
            now,
            communication_state=state,
            communication_state_timestamp=now,
            communication_reason=reason,
        )


@dataclass(frozen=True, kw_only=True)
class VersionConflict(Problem):
    """The edit was based on an older version than the `current` one."""

    code: ErrorCode = ErrorCode.VERSION_CONFLICT
    current: CommunicationEntity


def named(name: str) -> dict[str, str]:
    """The fields that a name becomes."""
    return {"name": clean_name(name), "name_key": name_key(name)}


def spec_changes(given: dict[str, Any]) -> dict[str, Any]:
    """What a user gave, as fields: names cleaned and keyed, empty descriptions cleared."""
    changes = dict(given)
    if "name" in changes:
        changes |= named(changes["name"])
    if "description" in changes:
        changes["description"] = clean(changes["description"] or "") or None
    return changes


def text_problems(entity: CommunicationEntity) -> Iterator[Problem]:
    """What is wrong with the name and description, if anything."""
    yield from name_problems(entity.name)
    yield from description_problems(entity.description)


def rt_id_problems(rt_id: str, field: str) -> Iterator[Problem]:
    """What is wrong with an identifier, if anything."""
    if not RT_ID.fullmatch(rt_id):
        yield InvalidValue(message=f"'{shown(rt_id, 40)}' is not an rtId: it has 24 hex digits.", path=(field,))
