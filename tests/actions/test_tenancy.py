"""Tenants come and go, but not while something of theirs runs in a cluster."""

from __future__ import annotations

import pytest

from octomesh_graphql.actions.deploying import deploy_pool_adapters, undeploy_pool_adapters
from octomesh_graphql.actions.tenancy import create_tenant, delete_tenant, list_tenants
from octomesh_graphql.domain.adapter import StillDeployed
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import InvalidValue, NameTaken, NotFound, Refused
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.tenants import TENANTS, Registry
from tests.builders import ALICE, LATER, NOW, a_deployed_adapter, created_adapter, created_pool, stored


async def deployed_pool(store: TenantStore, name: str, *adapters: str) -> Pool:
    pool = await created_pool(store, name)
    for adapter in adapters:
        await created_adapter(store, adapter, pool=pool)
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    return pool


async def test_a_tenant_is_called_by_its_name_or_else_by_its_id(registry: Registry) -> None:
    assert (await create_tenant(registry, NOW, tenant_id="acme", name=" Öl & Co ")).display_name == "Öl & Co"
    assert (await create_tenant(registry, NOW, tenant_id="blank", name=" ")).display_name == "blank"
    assert [tenant.id for tenant in await list_tenants(registry)] == ["acme", "blank"]


async def test_an_id_is_given_once(registry: Registry) -> None:
    await create_tenant(registry, NOW, tenant_id="acme")
    with pytest.raises(Refused) as caught:
        await create_tenant(registry, NOW, tenant_id="acme")
    assert isinstance(caught.value.problems[0], NameTaken)


@pytest.mark.parametrize(("tenant_id", "name"), [("ACME", None), ("system", None), ("", None), ("acme", "a\x00b")])
async def test_ids_and_names_that_can_not_be_are_refused(registry: Registry, tenant_id: str, name: str | None) -> None:
    with pytest.raises(Refused) as caught:
        await create_tenant(registry, NOW, tenant_id=tenant_id, name=name)
    assert isinstance(caught.value.problems[0], InvalidValue)
    assert await list_tenants(registry) == []


async def test_a_tenant_with_nothing_deployed_can_be_deleted(registry: Registry, store: TenantStore) -> None:
    pool = await deployed_pool(store, "North", "OPC UA")
    await undeploy_pool_adapters(store, ALICE, LATER, rt_id=pool.rt_id)
    assert await delete_tenant(registry, "acme") == []
    assert await list_tenants(registry) == []


async def test_what_is_deployed_is_in_the_way_and_named_with_its_pool(registry: Registry, store: TenantStore) -> None:
    await deployed_pool(store, "North", "OPC UA", "Modbus")
    await deployed_pool(store, "South", *(f"MQTT {number:02}" for number in range(12)))
    await created_adapter(store, "At rest")
    with pytest.raises(Refused) as caught:
        await delete_tenant(registry, "acme")
    [problem] = caught.value.problems
    assert isinstance(problem, StillDeployed)
    assert len(problem.adapters) == 14
    assert "  pool 'North': 'Modbus', 'OPC UA'\n" in problem.message
    assert "'MQTT 09' and 2 more\n" in problem.message
    assert "At rest" not in problem.message
    assert [tenant.id for tenant in await list_tenants(registry)] == ["acme"]


async def test_also_a_tenant_with_more_adapters_than_a_page_is_looked_through(
    registry: Registry, store: TenantStore
) -> None:
    pool = await created_pool(store)
    await stored(store, *(a_deployed_adapter(name=f"MQTT {number}", pool=pool) for number in range(501)))
    with pytest.raises(Refused, match="and 491 more"):
        await delete_tenant(registry, "acme")


async def test_forced_it_goes_and_says_what_is_left_behind(registry: Registry, store: TenantStore) -> None:
    await deployed_pool(store, "North", "OPC UA")
    assert await delete_tenant(registry, "acme", force=True) == ["  pool 'North': 'OPC UA'"]
    assert await list_tenants(registry) == []


async def test_a_tenant_that_does_not_exist_can_not_be_deleted(registry: Registry) -> None:
    with pytest.raises(Refused) as caught:
        await delete_tenant(registry, "acme")
    assert isinstance(caught.value.problems[0], NotFound)


async def test_a_deletion_that_was_cut_short_can_be_repeated(registry: Registry, store: TenantStore) -> None:
    await registry.mongo.update(registry.system, TENANTS, {"_id": "acme"}, {"$set": {"deleting": True}})
    registry.forget("acme")
    assert await delete_tenant(registry, "acme") == []
    await create_tenant(registry, NOW, tenant_id="acme")
