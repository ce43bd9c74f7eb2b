"""Pools, adapters and what happens to them, with what does not matter to a test filled in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from octomesh_graphql.actions.arranging import create_adapter, create_pool
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.caller import Caller
from octomesh_graphql.domain.entity import named
from octomesh_graphql.domain.pool import Pool, ServingOperator
from octomesh_graphql.domain.session import Session
from octomesh_graphql.domain.states import (
    AdapterType,
    CommunicationState,
    ConfigurationState,
    DeploymentState,
)
from octomesh_graphql.domain.tally import Group, Tally, tally_of
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.unit import write

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""When tests happen."""

LATER = NOW + timedelta(minutes=5)

ALICE = Caller(name="alice", authenticated=True)
"""A user who may do everything."""

_numbers = itertools.count(1)


def an_rt_id(number: int | None = None) -> str:
    """An id; the same for the same number."""
    return f"{next(_numbers) + 0xA000 if number is None else number:024x}"


def an_operator(**given: Any) -> ServingOperator:
    """The operator of a plant's cluster."""
    return ServingOperator(
        **{
            "id": "plant-1",
            "cluster": "plant",
            "namespace": "octo",
            "version": "1.0.0",
            "since": NOW,
            **given,
        }
    )


def a_session(agent: str = "plant-1", epoch: int = 1) -> Session:
    """A session of an agent."""
    return Session(agent=agent, epoch=epoch)


def a_pool(*, name: str = "North", **given: Any) -> Pool:
    """A pool nobody serves."""
    return Pool(
        **{"rt_id": an_rt_id(), "rt_creation_date_time": NOW, "rt_changed_date_time": NOW, **named(name), **given}
    )


def a_served_pool(*, name: str = "North", **given: Any) -> Pool:
    """A pool whose operator is online."""
    online = {
        "communication_state": CommunicationState.ONLINE,
        "communication_state_timestamp": NOW,
        "operator": an_operator(),
        "session": "plant-1#1",
    }
    return a_pool(name=name, **{**online, **given})


def an_adapter(*, name: str = "OPC UA", pool: Pool | None = None, **given: Any) -> Adapter:
    """An adapter at rest, in `pool` or in none."""
    return Adapter(
        **{
            "rt_id": an_rt_id(),
            "rt_creation_date_time": NOW,
            "rt_changed_date_time": NOW,
            "type": AdapterType.EDGE,
            "image_name": "registry.example.com/plant/opcua",
            "image_version": "3.13.2",
            "pool_rt_id": pool.rt_id if pool else None,
            **named(name),
            **given,
        }
    )


def a_deployed_adapter(*, name: str = "OPC UA", pool: Pool, **given: Any) -> Adapter:
    """An adapter that runs as wished."""
    running = {"wanted": True, "generation": 1, "observed_generation": 1, "deployment_state": DeploymentState.DEPLOYED}
    return an_adapter(name=name, pool=pool, **{**running, **given})


def a_group(
    *,
    deployment: DeploymentState = DeploymentState.UNDEPLOYED,
    configuration: ConfigurationState = ConfigurationState.UNCONFIGURED,
    communication: CommunicationState = CommunicationState.UNREGISTERED,
    wanted: bool = False,
    adapters: int = 1,
) -> Group:
    """Adapters with equal states, at rest unless told otherwise."""
    return Group(
        deployment=deployment,
        configuration=configuration,
        communication=communication,
        wanted=wanted,
        adapters=adapters,
    )


def a_tally(*adapters: Adapter) -> Tally:
    """These adapters, counted in Python: what MongoDB has to come to as well."""
    groups: dict[Group, int] = {}
    for adapter in adapters:
        groups[adapter.group] = groups.get(adapter.group, 0) + 1
    return tally_of(
        a_group(
            deployment=group.deployment,
            configuration=group.configuration,
            communication=group.communication,
            wanted=group.wanted,
            adapters=count,
        )
        for group, count in groups.items()
    )


def adapter_input(name: str = "OPC UA", **given: Any) -> dict[str, Any]:
    """What a user gives to create an adapter."""
    return {
        "name": name,
        "type": AdapterType.EDGE,
        "image_name": "registry.example.com/plant/opcua",
        "image_version": "3.13.2",
        **given,
    }


async def created_pool(store: TenantStore, name: str = "North", **given: Any) -> Pool:
    """A pool that alice created."""
    return await create_pool(store, ALICE, NOW, name=name, **given)


async def created_adapter(
    store: TenantStore, name: str = "OPC UA", *, pool: Pool | None = None, **given: Any
) -> Adapter:
    """An adapter that alice created, in `pool` or in none."""
    pool_rt_id = pool.rt_id if pool else None
    return await create_adapter(store, ALICE, NOW, given=adapter_input(name, **given), pool_rt_id=pool_rt_id)


async def stored(store: TenantStore, *entities: Pool | Adapter) -> None:
    """Put these into the database as they are."""

    async def act(unit: Any) -> None:
        for entity in entities:
            unit.save(entity)

    await write(store, act, caller=ALICE, now=NOW)
