"""Problems: why something a user asked for was refused.

A problem is data for the person who asked. Its message says what is wrong, with which entity, and what would help.
Problems that carry an entity are beside that entity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from octomesh_graphql.domain.states import DescribedEnum


class ErrorCode(DescribedEnum):
    """What kind of problem it is, for programs; the message is for people."""

    INVALID_VALUE = "INVALID_VALUE", "A value is not acceptable: too long, empty, of the wrong form."
    NOT_FOUND = "NOT_FOUND", "There is no such entity in this tenant."
    NAME_TAKEN = "NAME_TAKEN", "Another entity of the same kind has this name already."
    VERSION_CONFLICT = "VERSION_CONFLICT", "Somebody else edited the entity since it was read."
    ADAPTER_IN_ANOTHER_POOL = (
        "ADAPTER_IN_ANOTHER_POOL",
        "An adapter can be in one pool only, and is in another.",
    )
    ADAPTER_NOT_IN_POOL = "ADAPTER_NOT_IN_POOL", "The adapter is not in the pool it was expected in."
    STILL_DEPLOYED = (
        "STILL_DEPLOYED",
        "Something is deployed, or being deployed, that must be undeployed first.",
    )
    BEING_DELETED = "BEING_DELETED", "The pool is on its way out and takes no more changes."


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One reason for a refusal. `path` leads to the input field that caused it, for instance `("name",)`."""

    code: ErrorCode
    message: str
    path: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class InvalidValue(Problem):
    """A value of the input can't be accepted."""

    code: ErrorCode = ErrorCode.INVALID_VALUE


@dataclass(frozen=True, kw_only=True)
class NotFound(Problem):
    """What the input refers to does not exist in this tenant."""

    code: ErrorCode = ErrorCode.NOT_FOUND


@dataclass(frozen=True, kw_only=True)
class NameTaken(Problem):
    """The name belongs to another entity of the same kind."""

    code: ErrorCode = ErrorCode.NAME_TAKEN


class Refused(Exception):
    """Raised with the problems that stand in the way; nothing has been changed."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems

    @classmethod
    def if_any(cls, problems: Iterable[Problem]) -> None:
        """Raise if there is at least one problem."""
        found = tuple(problems)
        if found:
            raise cls(*found)
