"""The whole story, with everything real that can be: MongoDB, the server, the operator, and a Kubernetes API server."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from kubernetes_asyncio.client import CoreV1Api

from tests.api.conftest import Socket
from tests.builders import a_pool, an_adapter, stored
from tests.cluster.eventually import eventually
from tests.cluster.kubelet import (
    Fate,
    crash_loop,
    image_pull_back_off,
    out_of_memory,
    ready,
    running_unready,
    unschedulable,
)
from tests.cluster.plant import COMMUNICATION, Place, Server, Tenant, identities, told_states, versions, within

ADAPTERS = "subscription { adapterChanges { kind rtId adapter { name deploymentState } } }"
TOLD_SECONDS = 5.0
"""From the cluster's knowing why an adapter does not run until users know."""


# From nothing to DEPLOYED, and back


async def test_a_pool_is_installed_deployed_updated_and_undeployed(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url), tenant.api.socket() as changes, tenant.api.socket() as states:
        await changes.subscribe(ADAPTERS)
        await states.subscribe(COMMUNICATION)
        pool = await tenant.create_pool("Halle Süd")
        opcua, modbus = [await tenant.create_adapter(pool, name) for name in ("opcua", "modbus")]

        await place.install(tenant, pool)
        assert await told_states(states, 1) == [("Halle Süd", "UNREGISTERED", "ONLINE")]
        assert (await tenant.pool(pool))["operator"]["namespace"] == place.namespace

        await tenant.do("deployPoolAdapters", rtId=pool)
        steps = await told_steps(changes, "DEPLOYED", "opcua", "modbus")
        assert steps == {name: ["UNDEPLOYED", "PENDING", "DEPLOYED"] for name in ("opcua", "modbus")}
        assert await columns(place, "True") == ["Halle", "Süd", "Registered", "2/2", "True"]
        before = await place.deployments_settle()
        assert set(before) == {opcua, modbus}

        await tenant.do("editAdapter", rtId=opcua, imageVersion="2.0.0")
        assert await told_steps(changes, "DEPLOYED", "opcua") == {"opcua": ["PENDING", "DEPLOYED"]}
        after = await place.deployments_settle()
        assert images(after[opcua]) == ["registry.example.com/plant/opcua:2.0.0"]
        assert identities(after)[opcua] == (
            before[opcua]["metadata"]["uid"],
            before[opcua]["metadata"]["generation"] + 1,
        )
        assert versions(after)[modbus] == versions(before)[modbus]

        await tenant.do("undeployPoolAdapters", rtId=pool)
        steps = await told_steps(changes, "UNDEPLOYED", "opcua", "modbus")
        assert steps == {name: ["PENDING", "UNDEPLOYED"] for name in ("opcua", "modbus")}
        assert await place.left(tenant) == []
        assert await columns(place, "True") == ["Halle", "Süd", "Registered", "0/0", "True"]


async def told_steps(socket: Socket, last: str, *names: str) -> dict[str, list[str]]:
    """The deployment states that these adapters go through, until all of them have come to `last`."""
    steps: dict[str, list[str]] = {name: [] for name in names}
    while any(each[-1:] != [last] for each in steps.values()):
        adapter = (await socket.next())["adapter"] or {"name": None}
        known = steps.get(adapter["name"])
        if known is not None and known[-1:] != [adapter["deploymentState"]]:
            known.append(adapter["deploymentState"])
    return steps


async def columns(place: Place, ready: str) -> list[str]:
    """The only row of what `kubectl get communicationpools` prints, from the pool's name to READY."""

    async def row() -> list[str]:
        heading, line = (await place.kubectl("get", "communicationpools")).splitlines()
        assert heading.split() == ["NAME", "TENANT", "POOL", "STATUS", "ADAPTERS", "READY", "AGE"]
        return line.split()[2:-1]

    return await eventually(row, lambda cells: cells[-1:] == [ready])


def images(deployment: dict[str, Any]) -> list[str]:
    return [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]


# Deleting a pool


async def test_a_pool_that_is_deployed_is_deleted_only_if_the_user_says_what_becomes_of_it(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url):
        pool = await tenant.deployed_pool(place, "opcua", "modbus")

        refused = await tenant.attempt("deletePool", rtId=pool)
        (error,) = refused["errors"]
        assert error["code"] == "STILL_DEPLOYED"
        assert "'modbus', 'opcua'" in error["message"] or "'opcua', 'modbus'" in error["message"]
        assert {each["name"] for each in error["adapters"]} == {"opcua", "modbus"}

        waiting = await tenant.do("deletePool", "deleted pool { deleting }", rtId=pool, mode="UNDEPLOY_FIRST")
        assert (waiting["deleted"], waiting["pool"]) == (False, {"deleting": True})
        await eventually(lambda: tenant.pool(pool), lambda found: not found)
        assert await place.left(tenant) == []
        assert "There is no pool" in (await place.resource_says(tenant, pool, "NotFound"))["message"]

        await place.kubectl("delete", "communicationpools", "--all")
        assert await place.resource(tenant, pool) is None


async def test_what_a_forced_deletion_leaves_behind_is_named_stays_and_goes_with_the_resource(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url):
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        before = await place.deployments_settle()

        forced = await tenant.do("deletePool", "deleted leftBehind { name }", rtId=pool, mode="FORCE")
        assert forced["deleted"]
        assert {each["name"] for each in forced["leftBehind"]} == {"opcua", "modbus"}

        condition = await place.resource_says(tenant, pool, "NotFound")
        assert "What runs is left running; deleting this CommunicationPool removes it." in condition["message"]
        assert versions(await place.deployments()) == versions(before)

        await place.kubectl("delete", "communicationpools", "--all")
        await eventually(lambda: place.left(tenant), lambda left: left == [])


# What can go wrong with an adapter


def nothing_yet(_: Any) -> dict[str, Any]:
    """What becomes of a pod that nobody has looked at."""
    return {"phase": "Pending"}


@pytest.mark.parametrize(
    ("fate", "cause", "hint"),
    [
        pytest.param(image_pull_back_off, "can't be pulled", "Check its name, version and pull secret.", id="image"),
        pytest.param(crash_loop(3), "ends with exit code 3", "See why: kubectl logs", id="crash"),
        pytest.param(out_of_memory, "more memory than its limit of 1Gi", "Raise the memory limit", id="memory"),
        pytest.param(unschedulable("0/3 nodes: 3 Insufficient cpu."), "3 Insufficient cpu", "Make room", id="no-node"),
    ],
)
async def test_why_an_adapter_does_not_run_is_told_within_five_seconds_and_until_it_runs(
    server: Server, tenant: Tenant, place: Place, fate: Fate, cause: str, hint: str
) -> None:
    await place.node.ordain("opcua", nothing_yet)
    async with place.operator(server.url):
        pool = await tenant.served_pool(place, "opcua")
        (adapter,) = [each["rtId"] for each in (await tenant.adapters(pool)).values()]
        await tenant.do("deployPoolAdapters", rtId=pool)
        await status(tenant, adapter, "Waiting for a node to take its pod.")

        await place.node.ordain("opcua", fate)
        async with within(TOLD_SECONDS):
            broken = await tenant.adapter_turns(adapter, "ERROR")
        assert cause in broken["statusMessage"]
        assert hint in broken["statusMessage"]
        assert broken["lastError"] == broken["statusMessage"]

        await place.node.ordain("opcua", running_unready)
        recovering = await tenant.adapter_turns(adapter, "PENDING")
        assert recovering["lastError"] == broken["lastError"]
        assert recovering["statusMessage"] != broken["statusMessage"]

        await place.node.ordain("opcua", ready)
        assert (await tenant.adapter_turns(adapter, "DEPLOYED"))["lastError"] is None


async def status(tenant: Tenant, adapter: str, message: str) -> None:
    """Wait until this is told of an adapter."""
    await eventually(lambda: tenant.adapter(adapter), lambda found: found["statusMessage"] == message)


async def test_an_exceeded_quota_is_told_within_five_seconds_and_until_there_is_room(
    server: Server, tenant: Tenant, place: Place
) -> None:
    await no_room_for_pods(place)
    async with place.operator(server.url):
        pool = await tenant.served_pool(place, "opcua")
        (adapter,) = [each["rtId"] for each in (await tenant.adapters(pool)).values()]
        await tenant.do("deployPoolAdapters", rtId=pool)

        async with within(TOLD_SECONDS):
            refused = await tenant.adapter_turns(adapter, "ERROR")
        assert "exceeded quota: small" in refused["statusMessage"]
        assert "Raise the quota of the namespace" in refused["statusMessage"]

        await place.kubectl("delete", "resourcequota", "small")
        assert (await tenant.adapter_turns(adapter, "DEPLOYED"))["lastError"] is None


async def no_room_for_pods(place: Place) -> None:
    """A quota that lets no pod in. What is used is told by a controller that is not running here, so we say it."""
    core: Any = CoreV1Api(place.api_client)
    nothing = {"pods": "0"}
    quota = {"metadata": {"name": "small"}, "spec": {"hard": nothing}}
    await core.create_namespaced_resource_quota(place.namespace, quota)
    status = {"status": {"hard": nothing, "used": nothing}}
    await core.patch_namespaced_resource_quota_status("small", place.namespace, status)


# What somebody does by hand


async def test_a_deployment_that_was_deleted_or_changed_by_hand_is_mended_and_all_of_it_told(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url) as operator:
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        adapters = {name: each["rtId"] for name, each in (await tenant.adapters(pool)).items()}
        before = await place.deployments_settle()
        names = {name: before[rt_id]["metadata"]["name"] for name, rt_id in adapters.items()}

        await place.kubectl("delete", "deployment", names["opcua"])
        deleted = "the Deployment had been deleted"
        await mended(tenant, adapters["opcua"], deleted)
        await place.kubectl("set", "image", f"deployment/{names['modbus']}", "adapter=example.com/other:9")
        changed = "spec.template.spec.containers[adapter].image had been changed by 'kubectl-set'"
        await mended(tenant, adapters["modbus"], changed)

        after = await place.deployments_settle()
        assert after[adapters["opcua"]]["metadata"]["uid"] != before[adapters["opcua"]]["metadata"]["uid"]
        assert after[adapters["modbus"]]["metadata"]["uid"] == before[adapters["modbus"]]["metadata"]["uid"]
        assert images(after[adapters["modbus"]]) == ["registry.example.com/plant/modbus:1.0.0"]
        assert {each["message"] for each in await place.events("Mended")} == {
            f"Deployment {names['opcua']}: {deleted}.",
            f"Deployment {names['modbus']}: {changed}.",
        }
        assert {each["involvedObject"]["kind"] for each in await place.events("Mended")} == {"CommunicationPool"}
        assert [line for line in operator.logged if line["level"] == "error"] == []


async def mended(tenant: Tenant, adapter: str, why: str) -> None:
    """Wait until an adapter runs again, and its history says what had happened."""

    def tells(history: list[dict[str, Any]]) -> bool:
        steps = [(each["from"], each["to"]) for each in history[-2:]]
        return steps == [("DEPLOYED", "PENDING"), ("PENDING", "DEPLOYED")]

    history = await eventually(lambda: tenant.history(adapter, "DEPLOYMENT"), tells)
    assert history[-2]["reason"] == f"Mended: {why}."
    assert history[-2]["who"].startswith("operator test-")


# Several tenants in one namespace


async def test_tenants_with_the_same_ids_and_names_do_not_meet_in_one_namespace(server: Server, place: Place) -> None:
    alike = f"plant-{secrets.token_hex(12)}"
    east, west = [await server.tenant(f"{alike}-{end}") for end in ("eastern", "western")]
    pool = a_pool(name="Halle")
    adapters = [an_adapter(name=name, pool=pool, port=8080, health_path="/healthz") for name in ("OPC UA", "Modbus")]
    async with place.operator(server.url):
        for tenant in (east, west):
            assert (len(alike), len(tenant.id)) == (30, 38)
            await stored(tenant.store, pool, *adapters)
            await place.install(tenant, pool.rt_id)
            await tenant.pool_turns(pool.rt_id, "ONLINE")
            await tenant.do("deployPoolAdapters", rtId=pool.rt_id)
        for tenant in (east, west):
            await tenant.adapters_turn(pool.rt_id, "DEPLOYED")
            assert set(await place.deployments(tenant)) == {adapter.rt_id for adapter in adapters}
        await place.deployments_settle()
        before = await place.deployments(west)

        await east.do("undeployPoolAdapters", rtId=pool.rt_id)
        await east.adapters_turn(pool.rt_id, "UNDEPLOYED")

        assert await place.left(east) == []
        assert versions(await place.deployments(west)) == versions(before)
        assert {each["deploymentState"] for each in (await west.adapters(pool.rt_id)).values()} == {"DEPLOYED"}


async def test_a_tenant_that_is_deleted_by_force_is_missed_by_its_resource_and_by_nobody_else(
    server: Server, tenant: Tenant, place: Place
) -> None:
    another = await server.tenant()
    async with place.operator(server.url) as operator:
        pool = await tenant.deployed_pool(place, "opcua")
        other_pool = await another.deployed_pool(place, "opcua")
        before = await place.deployments_settle()

        answer = await asyncio.to_thread(server.run, "tenants", "delete", tenant.id, "--yes", "--force")
        assert answer.exit_code == 0, answer.errors
        assert "'Halle'" in answer.errors

        condition = await place.resource_says(tenant, pool, "NotFound")
        assert f"There is no tenant '{tenant.id}'" in condition["message"]
        assert versions(await place.deployments()) == versions(before)
        await another.do("undeployPoolAdapters", rtId=other_pool)
        await another.adapters_turn(other_pool, "UNDEPLOYED")
        assert [line for line in operator.logged if line["level"] == "error"] == []

        await place.kubectl("delete", "communicationpools", "--all")
        assert await place.left(tenant) == []
