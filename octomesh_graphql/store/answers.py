"""Answers that were given, by the id of their request: who asks again, because an answer was lost, gets it again.

An answer is stored in the transaction of what it is about, so that one is never there without the other.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Request
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import InvalidValue, Refused
from octomesh_graphql.domain.text import shown
from octomesh_graphql.store.entities import ADAPTERS, POOLS, Step, TenantStore
from octomesh_graphql.store.mongo import Duplicate


async def given(store: TenantStore, request: Request, act: Callable[..., Awaitable[Any]]) -> Any:
    """What `act` gave to this request before; None if it never did.

    Raises `Refused` when that was another request under the same id.
    """
    found = await store.answer(_key(request))
    if found is None:
        return None
    if found["digest"] != request.digest:
        message = f"The requestId '{shown(request.id)}' was used for another request. Take a new one for this."
        raise Refused(InvalidValue(message=message, path=("requestId",)))
    return await _read(store, found["answer"], typing.get_type_hints(act)["return"])


def giving(store: TenantStore, request: Request, answer: Any, now: datetime) -> Step:
    """The first step of a transaction, which stores the answer. It raises `Duplicate` when one is there."""
    document = {"_id": _key(request), "digest": request.digest, "at": now, "answer": _written(answer)}
    return store.answering(document)


def already_given(error: Exception) -> bool:
    """Whether an action failed because its request has an answer, though that may not be readable yet."""
    return isinstance(error, Duplicate) and error.fields == {"_id"}


def _key(request: Request) -> str:
    return f"{request.caller_id}/{request.id}"


# An answer is an entity, or a dataclass of entities and plain values. Lists of adapters, which may be long, are kept
# as ids, and are as they are when they are asked for.


def _written(value: Any) -> Any:
    match value:
        case Pool():
            return POOLS.encode(value)
        case Adapter():
            return ADAPTERS.encode(value)
        case list() | tuple():
            return [adapter.rt_id for adapter in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _written(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


async def _read(store: TenantStore, written: Any, kind: Any) -> Any:
    if kind is Pool:
        return await store.with_present_tally(POOLS.decode(written))
    if kind is Adapter:
        return ADAPTERS.decode(written)
    if kind == Sequence[Adapter]:
        found = await store.adapters(written)
        return [found[rt_id] for rt_id in written if rt_id in found]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {name: await _read(store, part, hints[name]) for name, part in written.items()}
        return typing.cast(Any, kind)(**parts)
    return written
