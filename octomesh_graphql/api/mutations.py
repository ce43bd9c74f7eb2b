"""What can be done. Each mutation calls one action; what the action refuses is data in the payload."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry
from strawberry import Info, argument

from octomesh_graphql.actions import arranging, deploying
from octomesh_graphql.actions.clock import now
from octomesh_graphql.api.context import Context
from octomesh_graphql.api.inputs import (
    CreateAdapterInput,
    CreatePoolInput,
    DeleteAdapterInput,
    DeletePoolInput,
    DeployAdapterInput,
    DeployPoolAdaptersInput,
    EditAdapterInput,
    EditPoolInput,
    MoveAdapterInput,
    RepeatableInput,
    UndeployAdapterInput,
    UndeployPoolAdaptersInput,
    given,
)
from octomesh_graphql.api.problems import UserError
from octomesh_graphql.api.scalars import OctoObjectId
from octomesh_graphql.api.types import Adapter, Pool, described
from octomesh_graphql.domain.adapter import RUNTIME_FIELDS
from octomesh_graphql.domain.adapter import Adapter as DomainAdapter
from octomesh_graphql.domain.caller import Caller, Request
from octomesh_graphql.domain.pool import Pool as DomainPool
from octomesh_graphql.domain.problem import InvalidValue, Problem, Refused
from octomesh_graphql.domain.text import shown
from octomesh_graphql.store.entities import TenantStore

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")

ERRORS = "What stood in the way; empty when it was done. Nothing was changed if there is any."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a mutation: its payload picks from this what it declares."""

    pool: DomainPool | None = None
    adapter: DomainAdapter | None = None
    adapters: Sequence[DomainAdapter] = ()
    left_behind: Sequence[DomainAdapter] = ()
    deleted: bool = False
    deleted_rt_id: str | None = None
    errors: Sequence[Problem] = ()


@strawberry.type(description="What came of a mutation.")
class Payload:
    errors: list[UserError] = described(ERRORS)


@strawberry.type(description="The new pool, or what stood in the way.")
class CreatePoolPayload(Payload):
    pool: Pool | None = described("The new pool.")


@strawberry.type(description="The edited pool, or what stood in the way.")
class EditPoolPayload(Payload):
    pool: Pool | None = described("The pool after the edit.")


@strawberry.type(description="What became of the pool, or what stood in the way.")
class DeletePoolPayload(Payload):
    deleted: bool = described(
        "Whether it is gone. If not, and without errors, it goes when its adapters are undeployed."
    )
    deleted_rt_id: OctoObjectId | None = described("The pool that is gone.")
    pool: Pool | None = described("The pool that waits for its adapters; null when it is gone.")
    left_behind: list[Adapter] = described(
        "Adapters that may still run in a cluster, which nobody here knows any more."
    )


@strawberry.type(description="What the wish changed, or what stood in the way.")
class DeployPoolAdaptersPayload(Payload):
    pool: Pool | None = described("The pool.")
    adapters: list[Adapter] = described("The adapters for which this wish was news.")


@strawberry.type(description="What the wish changed, or what stood in the way.")
class UndeployPoolAdaptersPayload(Payload):
    pool: Pool | None = described("The pool.")
    adapters: list[Adapter] = described("The adapters for which this wish was news.")


@strawberry.type(description="The new adapter, or what stood in the way.")
class CreateAdapterPayload(Payload):
    adapter: Adapter | None = described("The new adapter.")


@strawberry.type(description="The edited adapter, or what stood in the way.")
class EditAdapterPayload(Payload):
    adapter: Adapter | None = described("The adapter after the edit.")


@strawberry.type(description="Which adapter is gone, or what stood in the way.")
class DeleteAdapterPayload(Payload):
    deleted_rt_id: OctoObjectId | None = described("The adapter that is gone.")


@strawberry.type(description="The adapter with the wish, or what stood in the way.")
class DeployAdapterPayload(Payload):
    adapter: Adapter | None = described("The adapter with the wish.")


@strawberry.type(description="The adapter with the wish, or what stood in the way.")
class UndeployAdapterPayload(Payload):
    adapter: Adapter | None = described("The adapter with the wish.")


@strawberry.type(description="The moved adapter, or what stood in the way.")
class MoveAdapterPayload(Payload):
    adapter: Adapter | None = described("The adapter where it is now.")


def mutation(description: str, payload: type[Payload]) -> Callable[[Callable[..., Awaitable[Outcome]]], Any]:
    """A mutation whose refusals are told in its payload."""

    def declare(resolver: Callable[..., Awaitable[Outcome]]) -> Any:
        @functools.wraps(resolver)
        async def answering(*args: Any, **kwargs: Any) -> Outcome:
            try:
                return await resolver(*args, **kwargs)
            except Refused as refused:
                return Outcome(errors=refused.problems)

        return strawberry.mutation(description=description, graphql_type=payload, resolver=answering)

    return declare


@strawberry.type(description="What can be done in this tenant.")
class Mutation:
    @mutation("Create a pool. It has no adapters, and nobody serves it yet.", CreatePoolPayload)
    async def create_pool(
        self, info: Info[Context], input: Annotated[CreatePoolInput, argument(description="The new pool.")]
    ) -> Outcome:
        pool = await arranging.create_pool(*asked(info, input), name=input.name, description=input.description)
        return Outcome(pool=pool)

    @mutation("Edit a pool, and add and remove adapters.", EditPoolPayload)
    async def edit_pool(
        self, info: Info[Context], input: Annotated[EditPoolInput, argument(description="The edit.")]
    ) -> Outcome:
        pool = await arranging.edit_pool(
            *asked(info, input),
            rt_id=input.rt_id,
            expected_version=input.expected_version,
            given=given(input, "name", "description"),
            add=input.add_adapters or (),
            remove=input.remove_adapters or (),
        )
        return Outcome(pool=pool)

    @mutation("Delete a pool. Its adapters stay, in no pool.", DeletePoolPayload)
    async def delete_pool(
        self, info: Info[Context], input: Annotated[DeletePoolInput, argument(description="The pool, and how.")]
    ) -> Outcome:
        deletion = await arranging.delete_pool(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version, mode=input.mode
        )
        return Outcome(
            deleted=deletion.deleted,
            deleted_rt_id=deletion.pool.rt_id if deletion.deleted else None,
            pool=None if deletion.deleted else deletion.pool,
            left_behind=deletion.left_behind,
        )

    @mutation(
        "Wish all adapters of a pool deployed. An operator acts on the wish; follow `deploymentState`.",
        DeployPoolAdaptersPayload,
    )
    async def deploy_pool_adapters(
        self, info: Info[Context], input: Annotated[DeployPoolAdaptersInput, argument(description="The pool.")]
    ) -> Outcome:
        wish = await deploying.deploy_pool_adapters(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version
        )
        return Outcome(pool=wish.pool, adapters=wish.adapters)

    @mutation(
        "Wish all adapters of a pool undeployed. An operator acts on the wish; follow `deploymentState`.",
        UndeployPoolAdaptersPayload,
    )
    async def undeploy_pool_adapters(
        self, info: Info[Context], input: Annotated[UndeployPoolAdaptersInput, argument(description="The pool.")]
    ) -> Outcome:
        wish = await deploying.undeploy_pool_adapters(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version
        )
        return Outcome(pool=wish.pool, adapters=wish.adapters)

    @mutation("Create an adapter, in a pool or in none. It is not deployed.", CreateAdapterPayload)
    async def create_adapter(
        self, info: Info[Context], input: Annotated[CreateAdapterInput, argument(description="The new adapter.")]
    ) -> Outcome:
        fields = {field.name: getattr(input, field.name) for field in dataclasses.fields(input)}
        pool_rt_id = fields.pop("pool_rt_id")
        fields.pop("request_id")
        return Outcome(adapter=await arranging.create_adapter(*asked(info, input), given=fields, pool_rt_id=pool_rt_id))

    @mutation("Edit an adapter. If it is deployed, a change of what runs is rolled out.", EditAdapterPayload)
    async def edit_adapter(
        self, info: Info[Context], input: Annotated[EditAdapterInput, argument(description="The edit.")]
    ) -> Outcome:
        fields = (*RUNTIME_FIELDS, "name", "description", "configuration")
        adapter = await arranging.edit_adapter(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version, given=given(input, *fields)
        )
        return Outcome(adapter=adapter)

    @mutation("Delete an adapter that is not deployed.", DeleteAdapterPayload)
    async def delete_adapter(
        self, info: Info[Context], input: Annotated[DeleteAdapterInput, argument(description="The adapter.")]
    ) -> Outcome:
        adapter = await arranging.delete_adapter(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version
        )
        return Outcome(deleted_rt_id=adapter.rt_id)

    @mutation("Wish an adapter deployed. An operator acts on the wish; follow `deploymentState`.", DeployAdapterPayload)
    async def deploy_adapter(
        self, info: Info[Context], input: Annotated[DeployAdapterInput, argument(description="The adapter.")]
    ) -> Outcome:
        adapter = await deploying.deploy_adapter(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version
        )
        return Outcome(adapter=adapter)

    @mutation(
        "Wish an adapter undeployed. An operator acts on the wish; follow `deploymentState`.", UndeployAdapterPayload
    )
    async def undeploy_adapter(
        self, info: Info[Context], input: Annotated[UndeployAdapterInput, argument(description="The adapter.")]
    ) -> Outcome:
        adapter = await deploying.undeploy_adapter(
            *asked(info, input), rt_id=input.rt_id, expected_version=input.expected_version
        )
        return Outcome(adapter=adapter)

    @mutation("Put an adapter that is not deployed into another pool, or into none.", MoveAdapterPayload)
    async def move_adapter(
        self,
        info: Info[Context],
        input: Annotated[MoveAdapterInput, argument(description="The adapter, and where to.")],
    ) -> Outcome:
        adapter = await arranging.move_adapter(
            *asked(info, input),
            rt_id=input.rt_id,
            pool_rt_id=input.pool_rt_id,
            expected_version=input.expected_version,
        )
        return Outcome(adapter=adapter)


def asked(info: Info[Context], input: RepeatableInput) -> tuple[TenantStore, Caller, datetime]:
    """In which tenant, by whom and when an action was asked for. Raises `Refused` for an unusable `requestId`."""
    caller = info.context.caller
    if input.request_id is not None:
        caller = replace(caller, request=_request(input.request_id, caller, f"{info.field_name} {input!r}"))
    return info.context.store, caller, now()


def _request(id: str, caller: Caller, what: str) -> Request:
    if not _REQUEST_ID.fullmatch(id):
        message = f"'{shown(id)}' can't be a requestId: use up to 128 letters, digits and '._:-', a UUID for instance."
        raise Refused(InvalidValue(message=message, path=("requestId",)))
    return Request(id=id, caller_id=caller.id, digest=hashlib.sha256(what.encode(errors="replace")).hexdigest())
