"""Who asks again, because an answer was lost, gets it again, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import (
    DeletionMode,
    PoolDeletion,
    create_adapter,
    create_pool,
    delete_adapter,
    delete_pool,
    edit_adapter,
    edit_pool,
    move_adapter,
)
from octomesh_graphql.actions.deploying import (
    deploy_adapter,
    deploy_pool_adapters,
    undeploy_adapter,
    undeploy_pool_adapters,
)
from octomesh_graphql.domain.caller import Caller, Request
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.paging import PageRequest
from tests.builders import ALICE, LATER, NOW, adapter_input, created_adapter, created_pool
from tests.drivers import both_drivers

Ask = Callable[[Caller], Awaitable[Any]]


def asking(id: str, digest: str = "what", *, caller_id: str = "") -> Caller:
    """Alice, with a request under an id."""
    return replace(ALICE, request=Request(id=id, caller_id=caller_id, digest=digest))


async def asks(store: TenantStore) -> dict[str, Ask]:
    """One way to ask for each action."""
    pool, other = await created_pool(store, "North"), await created_pool(store, "South")
    a, b = [await created_adapter(store, name, pool=pool) for name in ("A", "B")]
    spare, doomed = [await created_adapter(store, name) for name in ("Spare", "Doomed")]
    gone = await created_pool(store, "Gone")
    forced = await created_pool(store, "Forced")
    running = await created_adapter(store, "Running", pool=forced)
    await deploy_adapter(store, ALICE, NOW, rt_id=running.rt_id)
    return {
        "create pool": lambda c: create_pool(store, c, NOW, name="New"),
        "create adapter": lambda c: create_adapter(
            store, c, NOW, given=adapter_input(name="New"), pool_rt_id=other.rt_id
        ),
        "edit pool": lambda c: edit_pool(
            store, c, LATER, rt_id=other.rt_id, expected_version=1, given={"name": "East"}, add=[spare.rt_id]
        ),
        "edit adapter": lambda c: edit_adapter(
            store, c, LATER, rt_id=a.rt_id, expected_version=1, given={"configuration": {"a": ["ü", None]}}
        ),
        "move adapter": lambda c: move_adapter(store, c, LATER, rt_id=b.rt_id, pool_rt_id=other.rt_id),
        "delete adapter": lambda c: delete_adapter(store, c, LATER, rt_id=doomed.rt_id),
        "deploy adapter": lambda c: deploy_adapter(store, c, LATER, rt_id=a.rt_id, expected_version=2),
        "deploy pool": lambda c: deploy_pool_adapters(store, c, LATER, rt_id=other.rt_id),
        "undeploy pool": lambda c: undeploy_pool_adapters(store, c, LATER, rt_id=other.rt_id),
        "undeploy adapter": lambda c: undeploy_adapter(store, c, LATER, rt_id=a.rt_id),
        "delete pool": lambda c: delete_pool(store, c, LATER, rt_id=gone.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED),
        "force pool": lambda c: delete_pool(store, c, LATER, rt_id=forced.rt_id, mode=DeletionMode.FORCE),
        "doom pool": lambda c: delete_pool(store, c, LATER, rt_id=other.rt_id, mode=DeletionMode.UNDEPLOY_FIRST),
    }


async def traces(store: TenantStore) -> tuple[list[Any], int, list[Any]]:
    """Everything that is there, and how often anything happened."""
    pools, adapters = (await store.pool_page(PageRequest(first=50))).rows, await adapters_in(store)
    return list(pools), sum(each.revision for each in (*pools, *adapters)), adapters


def told(answer: Any) -> Any:
    """What users see of it: of a pool that is gone only its id."""
    if isinstance(answer, PoolDeletion) and answer.deleted:
        return answer.pool.rt_id, answer.left_behind
    return answer


async def adapters_in(store: TenantStore) -> list[Any]:
    """All adapters."""
    return list((await store.adapter_page(PageRequest(first=50))).rows)


@both_drivers
async def test_every_action_that_is_asked_for_twice_is_done_once_and_answered_alike(store: TenantStore) -> None:
    for name, ask in (await asks(store)).items():
        caller = asking(name)
        first = await ask(caller)
        after = await traces(store)
        again = await ask(caller)
        assert told(again) == told(first), name
        assert await traces(store) == after, name


async def test_many_who_ask_at_once_under_one_id_get_one_answer(store: TenantStore) -> None:
    answers = await asyncio.gather(*(create_pool(store, asking("x"), NOW, name="North") for _ in range(12)))
    assert len({answer.rt_id for answer in answers}) == 1
    pool = answers[0]

    async def rename() -> str:
        edited = await edit_pool(store, asking("y"), NOW, rt_id=pool.rt_id, expected_version=1, given={"name": "South"})
        return f"{edited.name} {edited.rt_version}"

    assert set(await asyncio.gather(*(rename() for _ in range(12)))) == {"South 2"}


async def test_another_request_under_the_same_id_is_refused(store: TenantStore) -> None:
    await create_pool(store, asking("x"), NOW, name="North")
    with pytest.raises(Refused, match="The requestId 'x' was used for another request"):
        await create_pool(store, asking("x", "something else"), NOW, name="South")
    assert await store.pool_named("South") is None


async def test_ids_of_different_callers_have_nothing_to_do_with_each_other(store: TenantStore) -> None:
    first = await create_pool(store, asking("x", caller_id="alice"), NOW, name="North")
    other = await create_pool(store, asking("x", "else", caller_id="bob"), NOW, name="South")
    assert first.rt_id != other.rt_id


async def test_what_was_refused_may_be_asked_for_again(store: TenantStore) -> None:
    taken = await created_pool(store, "North")
    with pytest.raises(Refused, match="has this name already"):
        await create_pool(store, asking("x"), NOW, name="North")
    await delete_pool(store, ALICE, LATER, rt_id=taken.rt_id, mode=DeletionMode.FORCE)
    assert (await create_pool(store, asking("x"), NOW, name="North")).name == "North"


async def test_an_answer_is_there_though_its_entity_is_gone_by_now(store: TenantStore) -> None:
    pool = await create_pool(store, asking("x"), NOW, name="North")
    await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.FORCE)
    assert await create_pool(store, asking("x"), NOW, name="North") == pool


async def test_what_was_not_done_has_no_answer(store: TenantStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(TenantStore, "answering", lambda *_: _failing)
        with pytest.raises(RuntimeError):
            await create_pool(store, asking("x"), NOW, name="North")
    assert await store.pool_named("North") is None
    assert (await create_pool(store, asking("x"), NOW, name="North")).name == "North"


async def _failing(_: Any) -> None:
    raise RuntimeError("killed")
