"""Creating, editing, moving and deleting, by many at once if need be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from octomesh_graphql.actions.arranging import (
    MEMBERS_AT_ONCE,
    DeletionMode,
    create_adapter,
    create_pool,
    delete_adapter,
    delete_pool,
    edit_adapter,
    edit_pool,
    move_adapter,
)
from octomesh_graphql.domain.adapter import Adapter, AdapterInAnotherPool, AdapterNotInPool, StillDeployed
from octomesh_graphql.domain.entity import VersionConflict
from octomesh_graphql.domain.pool import BeingDeleted, Pool
from octomesh_graphql.domain.problem import InvalidValue, NameTaken, NotFound, Problem, Refused
from octomesh_graphql.domain.states import AdapterType, DeploymentState
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.paging import PageRequest
from tests.builders import (
    ALICE,
    LATER,
    NOW,
    a_deployed_adapter,
    a_pool,
    a_served_pool,
    adapter_input,
    an_adapter,
    an_rt_id,
    created_adapter,
    created_pool,
    stored,
)
from tests.drivers import both_drivers

Attempt = Callable[[TenantStore], Awaitable[Any]]


async def refusal(attempt: Awaitable[Any]) -> Problem:
    """The one problem that stands in the way."""
    [problem] = await refusals(attempt)
    return problem


async def refusals(attempt: Awaitable[Any]) -> Sequence[Problem]:
    with pytest.raises(Refused) as refused:
        await attempt
    return refused.value.problems


async def reread(store: TenantStore, entity: Pool | Adapter) -> Any:
    """The entity as it is stored now."""
    return await (store.pool(entity.rt_id) if isinstance(entity, Pool) else store.adapter(entity.rt_id))


# Creating


@both_drivers
async def test_a_new_pool_is_as_it_was_given(store: TenantStore) -> None:
    pool = await create_pool(store, ALICE, NOW, name=" Öl & Gas ", description=" At the sea. ")
    assert (pool.name, pool.description, pool.rt_version) == ("Öl & Gas", "At the sea.", 1)
    assert await reread(store, pool) == pool
    [line] = (await store.transition_page(pool, PageRequest())).rows
    assert (line.what, line.who, line.at) == (Aspect.EXISTENCE, "alice", NOW)


@both_drivers
async def test_a_new_adapter_is_as_it_was_given(store: TenantStore) -> None:
    pool = await created_pool(store)
    given = adapter_input("OPC UA", type=AdapterType.MESH, configuration={"$where": [None, 1.5, "ö"]})
    adapter = await create_adapter(store, ALICE, NOW, given=given, pool_rt_id=pool.rt_id)
    assert (adapter.type, adapter.pool_rt_id) == (AdapterType.MESH, pool.rt_id)
    assert adapter.configuration == {"$where": [None, 1.5, "ö"]}
    assert await reread(store, adapter) == adapter
    assert (await reread(store, pool)).tally.adapters == 1


@pytest.mark.parametrize("kind", ["pool", "adapter"])
async def test_a_name_that_differs_in_case_only_is_taken(store: TenantStore, kind: str) -> None:
    create, edit = (created_pool, edit_pool) if kind == "pool" else (created_adapter, edit_adapter)
    first, other = await create(store, "Öl"), await create(store, "Ol")
    editing: Any = edit(store, ALICE, NOW, rt_id=other.rt_id, given={"name": " o\u0308L"})
    for attempt in (create(store, "ÖL"), editing):
        problem = await refusal(attempt)
        assert isinstance(problem, NameTaken)
        assert problem.message.startswith(f"The {kind} 'Öl' (rtId {first.rt_id}) has this name already")
    assert (await reread(store, other)) == other


async def test_a_pool_and_an_adapter_can_have_the_same_name(store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    assert (await created_adapter(store, "North", pool=pool)).name == pool.name


async def test_of_many_who_want_the_same_name_one_gets_it(store: TenantStore) -> None:
    attempts = (create_pool(store, ALICE, NOW, name=name) for name in ["north", "NORTH", "North"] * 5)
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, Pool) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 14


async def test_what_is_wrong_is_refused_before_anything_is_written(store: TenantStore) -> None:
    problems = await refusals(create_adapter(store, ALICE, NOW, given=adapter_input("", image_name="Not An Image")))
    assert [problem.path for problem in problems] == [("name",), ("imageName",)]
    problem = await refusal(create_pool(store, ALICE, NOW, name="a\ud800"))
    assert isinstance(problem, InvalidValue)
    assert (await store.pool_page(PageRequest(), counted=True)).total == 0
    assert (await store.adapter_page(PageRequest(), counted=True)).total == 0


# What is not there

MISSING = "0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("attempt", "kind", "path"),
    [
        (lambda store: edit_pool(store, ALICE, NOW, rt_id=MISSING, given={}), "pool", "rtId"),
        (
            lambda store: delete_pool(store, ALICE, NOW, rt_id=MISSING, mode=DeletionMode.FORCE),
            "pool",
            "rtId",
        ),
        (lambda store: edit_adapter(store, ALICE, NOW, rt_id=MISSING, given={}), "adapter", "rtId"),
        (lambda store: move_adapter(store, ALICE, NOW, rt_id=MISSING, pool_rt_id=None), "adapter", "rtId"),
        (lambda store: delete_adapter(store, ALICE, NOW, rt_id=MISSING), "adapter", "rtId"),
        (
            lambda store: create_adapter(store, ALICE, NOW, given=adapter_input(), pool_rt_id=MISSING),
            "pool",
            "poolRtId",
        ),
    ],
    ids=["edit pool", "delete pool", "edit adapter", "move adapter", "delete adapter", "create adapter in"],
)
async def test_what_is_not_there_is_named(store: TenantStore, attempt: Attempt, kind: str, path: str) -> None:
    problem = await refusal(attempt(store))
    assert isinstance(problem, NotFound)
    assert problem.message == f"There is no {kind} with the rtId '{MISSING}' in this tenant."
    assert problem.path == (path,)


@pytest.mark.parametrize("rt_id", ["", "x", "0" * 23, "A" * 24, "\ud800"])
async def test_what_is_no_id_is_refused_as_such(store: TenantStore, rt_id: str) -> None:
    pool, adapter = await created_pool(store), await created_adapter(store)
    for attempt in (
        edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=[rt_id]),
        edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, remove=[rt_id]),
        move_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, pool_rt_id=rt_id),
        create_adapter(store, ALICE, NOW, given=adapter_input("other"), pool_rt_id=rt_id),
    ):
        problem = await refusal(attempt)
        assert isinstance(problem, InvalidValue)
        assert "is not an rtId" in problem.message


# Versions


async def test_every_change_of_an_older_version_is_refused_with_the_current_one(store: TenantStore) -> None:
    pool, adapter = await created_pool(store, "North"), await created_adapter(store, "OPC UA")
    pool = await edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, expected_version=1, given={"name": "South"})
    adapter = await edit_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, expected_version=1, given={"name": "Modbus"})
    old: dict[str, Any] = {"expected_version": 1}
    attempts: list[tuple[Awaitable[Any], Pool | Adapter]] = [
        (edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={"name": "x"}, **old), pool),
        (delete_pool(store, ALICE, NOW, rt_id=pool.rt_id, mode=DeletionMode.FORCE, **old), pool),
        (edit_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, given={"name": "x"}, **old), adapter),
        (move_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, pool_rt_id=pool.rt_id, **old), adapter),
        (delete_adapter(store, ALICE, NOW, rt_id=adapter.rt_id, **old), adapter),
    ]
    for attempt, current in attempts:
        problem = await refusal(attempt)
        assert isinstance(problem, VersionConflict)
        assert problem.current == current
        assert f"The {current} has been edited since" in problem.message
        assert "expected version 1, it is at 2" in problem.message
        assert await reread(store, current) == current


async def test_of_many_edits_of_one_version_one_is_accepted(store: TenantStore) -> None:
    pool = await created_pool(store)
    attempts = (
        edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, expected_version=1, given={"description": f"{number}"})
        for number in range(50)
    )
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    [accepted] = [outcome for outcome in outcomes if isinstance(outcome, Pool)]
    assert await reread(store, pool) == accepted
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            [problem] = outcome.problems
            assert isinstance(problem, VersionConflict)
            assert problem.current == accepted


async def test_no_edit_is_lost_when_a_thousand_race(store: TenantStore) -> None:
    pool = await created_pool(store)
    attempts = (
        edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={"description": f"{number}"}) for number in range(1_000)
    )
    edited = await asyncio.gather(*attempts)
    assert sorted(version.rt_version for version in edited) == list(range(2, 1_002))
    last = max(edited, key=lambda version: version.rt_version)
    assert await reread(store, pool) == last


# Members


@both_drivers
async def test_members_come_and_go_in_one_edit(store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    leaving = await created_adapter(store, "leaving", pool=pool)
    coming = [await created_adapter(store, f"coming {number}") for number in range(3)]
    edited = await edit_pool(
        store,
        ALICE,
        LATER,
        rt_id=pool.rt_id,
        given={"name": "South"},
        add=[adapter.rt_id for adapter in coming],
        remove=[leaving.rt_id],
    )
    assert (edited.name, edited.rt_version, edited.tally.adapters) == ("South", 2, 3)
    assert await store.adapters_of(pool.rt_id) == [await reread(store, adapter) for adapter in coming]
    assert (await reread(store, leaving)).pool_rt_id is None
    assert [(await reread(store, adapter)).rt_version for adapter in (*coming, leaving)] == [2, 2, 2, 2]


async def test_one_member_that_cannot_come_or_go_stops_the_whole_edit(store: TenantStore) -> None:
    north, south = a_served_pool(name="North"), a_pool(name="South")
    elsewhere = an_adapter(name="elsewhere", pool=south)
    running = a_deployed_adapter(name="running", pool=north)
    resting = an_adapter(name="resting", pool=north)
    free = an_adapter(name="free")
    await stored(store, north, south, elsewhere, running, resting, free)

    problems = await refusals(
        edit_pool(
            store,
            ALICE,
            LATER,
            rt_id=north.rt_id,
            given={"name": "West"},
            add=[free.rt_id, elsewhere.rt_id, MISSING],
            remove=[resting.rt_id, running.rt_id],
        )
    )
    taken, missing, deployed = problems
    assert isinstance(taken, AdapterInAnotherPool)
    assert (taken.adapter.rt_id, taken.pool.rt_id) == (elsewhere.rt_id, south.rt_id)
    assert taken.message.startswith("The adapter 'elsewhere' is in the pool 'South'")
    assert isinstance(missing, NotFound)
    assert missing.path == ("addAdapters",)
    assert isinstance(deployed, StillDeployed)
    assert [adapter.rt_id for adapter in deployed.adapters] == [running.rt_id]
    assert deployed.message.startswith("The adapter 'running' is deployed and can't be removed from its pool.")
    for entity in (elsewhere, running, resting, free):
        assert await reread(store, entity) == entity
    assert (await reread(store, north)).name == "North"


async def test_only_a_member_can_be_removed(store: TenantStore) -> None:
    pool, adapter = await created_pool(store, "North"), await created_adapter(store, "OPC UA")
    problem = await refusal(edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, remove=[adapter.rt_id]))
    assert isinstance(problem, AdapterNotInPool)
    assert problem.message == "The adapter 'OPC UA' is not in the pool 'North'."


async def test_adding_a_member_again_is_boring(store: TenantStore) -> None:
    pool = await created_pool(store)
    adapter = await created_adapter(store, pool=pool)
    edited = await edit_pool(store, ALICE, LATER, rt_id=pool.rt_id, given={}, add=[adapter.rt_id, adapter.rt_id])
    assert edited.rt_version == 2
    assert await reread(store, adapter) == adapter


async def test_lists_of_members_are_bounded_and_not_contradictory(store: TenantStore) -> None:
    pool, adapter = await created_pool(store), await created_adapter(store)
    crowd = [an_rt_id() for _ in range(MEMBERS_AT_ONCE + 1)]
    problem = await refusal(edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=crowd))
    assert problem.message == "One edit can add and remove 500 adapters, not 501."
    both = [adapter.rt_id]
    problem = await refusal(edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=both, remove=both))
    assert problem.message == f"The adapter {adapter.rt_id} can't be both added and removed."


async def test_an_adapter_moves_between_pools_while_it_rests(store: TenantStore) -> None:
    north, south = a_served_pool(name="North"), a_pool(name="South")
    resting, running = an_adapter(name="resting", pool=north), a_deployed_adapter(name="running", pool=north)
    await stored(store, north, south, resting, running)
    moved = await move_adapter(store, ALICE, LATER, rt_id=resting.rt_id, pool_rt_id=south.rt_id)
    assert (moved.pool_rt_id, moved.rt_version) == (south.rt_id, 2)
    out = await move_adapter(store, ALICE, LATER, rt_id=resting.rt_id, pool_rt_id=None)
    assert (out.pool_rt_id, out.rt_version) == (None, 3)
    problem = await refusal(move_adapter(store, ALICE, LATER, rt_id=running.rt_id, pool_rt_id=south.rt_id))
    assert isinstance(problem, StillDeployed)
    assert "adapter 'running'" in problem.message


async def test_an_adapter_that_a_hundred_pools_want_ends_in_one(store: TenantStore) -> None:
    pools = [a_pool(name=f"Pool {number:03}") for number in range(100)]
    adapters = [an_adapter(name=f"Adapter {number}") for number in range(10)]
    await stored(store, *pools, *adapters)

    async def want(number: int, pool: Pool) -> tuple[Pool, Adapter, Problem | None]:
        adapter = adapters[number % 10]
        try:
            await edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=[adapter.rt_id])
        except Refused as refused:
            [problem] = refused.problems
            return pool, adapter, problem
        return pool, adapter, None

    outcomes = await asyncio.gather(*(want(number, pool) for number, pool in enumerate(pools)))
    winners = {adapter.rt_id: pool for pool, adapter, problem in outcomes if problem is None}
    assert len(winners) == len([problem for *_, problem in outcomes if problem is None]) == 10
    for pool, adapter, problem in outcomes:
        found = await reread(store, adapter)
        assert (found.pool_rt_id, found.rt_version) == (winners[adapter.rt_id].rt_id, 2)
        assert (await reread(store, pool)).rt_version == (2 if problem is None else 1)
        if problem is not None:
            assert isinstance(problem, AdapterInAnotherPool)
            assert problem.pool.rt_id == winners[adapter.rt_id].rt_id
            assert str(winners[adapter.rt_id]) in problem.message


async def test_writers_of_overlapping_members_take_all_or_nothing(store: TenantStore) -> None:
    pools = [a_pool(name=f"Pool {number:03}") for number in range(100)]
    adapters = [an_adapter(name=f"Adapter {number}") for number in range(10)]
    await stored(store, *pools, *adapters)
    rt_ids = [adapter.rt_id for adapter in adapters]
    attempts = (
        edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=[rt_ids[number % 10], rt_ids[number * 7 % 10]])
        for number, pool in enumerate(pools)
    )
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert all(isinstance(outcome, Pool | Refused) for outcome in outcomes)
    for number, (pool, outcome) in enumerate(zip(pools, outcomes, strict=True)):
        wanted = {rt_ids[number % 10], rt_ids[number * 7 % 10]}
        members = {adapter.rt_id for adapter in await store.adapters_of(pool.rt_id)}
        assert members == (wanted if isinstance(outcome, Pool) else set())
        assert (await reread(store, pool)).rt_version == (2 if isinstance(outcome, Pool) else 1)


# Editing adapters


async def test_an_edit_of_a_running_adapter_is_a_wish_that_waits_for_its_operator(store: TenantStore) -> None:
    pool = a_served_pool(name="North")
    adapter = a_deployed_adapter(pool=pool)
    await stored(store, pool, adapter)
    edited = await edit_adapter(store, ALICE, LATER, rt_id=adapter.rt_id, given={"image_version": "4"})
    assert (edited.generation, edited.deployment_state) == (2, DeploymentState.PENDING)
    assert edited.status_message == "Waiting for the operator 'plant-1' to act."
    assert await reread(store, adapter) == edited


# Deleting


async def test_an_adapter_is_deleted_only_while_it_rests(store: TenantStore) -> None:
    pool = a_served_pool()
    resting, running = an_adapter(name="resting", pool=pool), a_deployed_adapter(name="running", pool=pool)
    await stored(store, pool, resting, running)
    assert await delete_adapter(store, ALICE, NOW, rt_id=resting.rt_id) == resting
    assert await reread(store, resting) is None
    problem = await refusal(delete_adapter(store, ALICE, NOW, rt_id=running.rt_id))
    assert isinstance(problem, StillDeployed)
    assert problem.message == "The adapter 'running' is deployed and can't be deleted. Undeploy it first."


@pytest.mark.parametrize("mode", DeletionMode, ids=lambda mode: mode.name)
async def test_a_pool_at_rest_goes_at_once_and_its_adapters_stay(store: TenantStore, mode: DeletionMode) -> None:
    pool = a_served_pool()
    adapter = an_adapter(pool=pool)
    await stored(store, pool, adapter)
    deletion = await delete_pool(store, ALICE, NOW, rt_id=pool.rt_id, mode=mode)
    assert (deletion.deleted, deletion.left_behind) == (True, [])
    assert await reread(store, pool) is None
    assert (await reread(store, adapter)).pool_rt_id is None


async def test_a_pool_with_something_deployed_is_not_deleted_by_surprise(store: TenantStore) -> None:
    pool = a_served_pool(name="North")
    running = [a_deployed_adapter(name=f"Adapter {number}", pool=pool) for number in range(7)]
    resting = an_adapter(name="resting", pool=pool)
    await stored(store, pool, *running, resting)
    problem = await refusal(delete_pool(store, ALICE, NOW, rt_id=pool.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED))
    assert isinstance(problem, StillDeployed)
    assert problem.adapters == running
    assert problem.message.startswith("The pool 'North' has adapters that are deployed or on their way: 'Adapter 0', ")
    assert "'Adapter 4' and 2 more. Undeploy them first" in problem.message
    assert await store.adapters_of(pool.rt_id) == [*running, resting]


async def test_a_pool_that_is_undeployed_first_waits_for_that(store: TenantStore) -> None:
    pool = a_served_pool(name="North")
    running = a_deployed_adapter(name="running", pool=pool)
    await stored(store, pool, running, an_adapter(name="resting", pool=pool))
    deletion = await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.UNDEPLOY_FIRST)
    assert (deletion.deleted, deletion.pool.deleting) == (False, True)
    assert deletion.pool.deployment_state is DeploymentState.PENDING
    assert await reread(store, pool) == deletion.pool
    found = await reread(store, running)
    assert (found.wanted, found.deployment_state, found.pool_rt_id) == (False, DeploymentState.PENDING, pool.rt_id)

    for attempt in (
        edit_pool(store, ALICE, LATER, rt_id=pool.rt_id, given={"name": "South"}),
        create_adapter(store, ALICE, LATER, given=adapter_input("new"), pool_rt_id=pool.rt_id),
    ):
        problem = await refusal(attempt)
        assert isinstance(problem, BeingDeleted)
        assert problem.pool.rt_id == pool.rt_id

    forced = await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.FORCE)
    assert [adapter.rt_id for adapter in forced.left_behind] == [running.rt_id]


async def test_a_pool_that_was_never_served_needs_no_waiting(store: TenantStore) -> None:
    pool = a_pool(name="North")
    wished = an_adapter(name="wished", pool=pool).deploy(NOW, pool)
    await stored(store, pool, wished)
    deletion = await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.UNDEPLOY_FIRST)
    assert (deletion.deleted, deletion.left_behind) == (True, [])
    found = await reread(store, wished)
    assert found.at_rest
    assert found.pool_rt_id is None
    assert found.status_message == "Nothing of it was deployed, and no operator serves its pool."


async def test_a_forced_deletion_names_what_it_leaves_behind(store: TenantStore) -> None:
    pool = a_served_pool(name="North")
    running, resting = a_deployed_adapter(name="running", pool=pool), an_adapter(name="resting", pool=pool)
    await stored(store, pool, running, resting)
    deletion = await delete_pool(store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.FORCE)
    assert deletion.deleted
    assert deletion.left_behind == [running]
    orphan = await reread(store, running)
    assert orphan.at_rest
    assert "The pool 'North' was deleted" in orphan.status_message
    assert await reread(store, pool) is None


async def test_no_adapter_ends_in_a_pool_that_is_deleted_meanwhile(store: TenantStore) -> None:
    for number in range(20):
        pool, adapter = a_pool(name=f"Pool {number}"), an_adapter(name=f"Adapter {number}")
        await stored(store, pool, adapter)
        await asyncio.gather(
            delete_pool(store, ALICE, NOW, rt_id=pool.rt_id, mode=DeletionMode.ONLY_IF_UNDEPLOYED),
            edit_pool(store, ALICE, NOW, rt_id=pool.rt_id, given={}, add=[adapter.rt_id]),
            create_adapter(store, ALICE, NOW, given=adapter_input(f"New {number}"), pool_rt_id=pool.rt_id),
            return_exceptions=True,
        )
        assert await reread(store, pool) is None
        assert await store.adapters_of(pool.rt_id) == []
