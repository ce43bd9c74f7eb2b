"""Expected refusals as the graph shows them: data in the payload of a mutation."""

from __future__ import annotations

import strawberry

from octomesh_graphql.api.types import Adapter, CommunicationEntity, Pool, described, shows
from octomesh_graphql.domain import adapter, entity, pool, problem
from octomesh_graphql.domain.problem import ErrorCode


@strawberry.interface(description="Why something was refused: what is wrong, with which entity, what would help.")
class UserError:
    code: ErrorCode = described("What kind of problem it is, for programs.")
    message: str = described("What is wrong and what would help, for people.")
    path: list[str] | None = described("The input field that caused it, if one did.")


@strawberry.type(description="A value of the input can't be accepted.")
@shows(problem.InvalidValue)
class InvalidValue(UserError):
    pass


@strawberry.type(description="What the input refers to does not exist in this tenant.")
@shows(problem.NotFound)
class NotFound(UserError):
    pass


@strawberry.type(description="The name belongs to another entity of the same kind.")
@shows(problem.NameTaken)
class NameTaken(UserError):
    pass


@strawberry.type(description="Somebody else edited the entity since it was read. Nothing was changed.")
@shows(entity.VersionConflict)
class VersionConflict(UserError):
    current: CommunicationEntity = described("The entity as it is now.")


@strawberry.type(description="An adapter can be in one pool only, and is in another.")
@shows(adapter.AdapterInAnotherPool)
class AdapterInAnotherPool(UserError):
    adapter: Adapter = described("The adapter.")
    pool: Pool = described("The pool it is in.")


@strawberry.type(description="The adapter is in no pool, or not in the one it was to be taken from.")
@shows(adapter.AdapterNotInPool)
class AdapterNotInPool(UserError):
    adapter: Adapter = described("The adapter.")


@strawberry.type(description="Something is deployed, or on its way, that must be undeployed first.")
@shows(adapter.StillDeployed)
class StillDeployed(UserError):
    adapters: list[Adapter] = described("What is in the way.")


@strawberry.type(
    description="The pool waits for its adapters to be undeployed and then goes; it takes no more changes."
)
@shows(pool.BeingDeleted)
class BeingDeleted(UserError):
    pool: Pool = described("The pool.")


CONCRETE = (
    InvalidValue,
    NotFound,
    NameTaken,
    VersionConflict,
    AdapterInAnotherPool,
    AdapterNotInPool,
    StillDeployed,
    BeingDeleted,
)
