"""Whatever dies, freezes or is taken away: what runs goes on running, what is wished happens, and no state lies."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from kubernetes_asyncio.client import CoreV1Api

from octomesh_graphql.domain.session import LEASE_SECONDS
from tests.cluster.eventually import eventually, gone
from tests.cluster.kubelet import crash_loop, ready, running_unready
from tests.cluster.plant import (
    COMMUNICATION,
    Place,
    Program,
    Server,
    Tenant,
    identities,
    relayed,
    told_states,
    versions,
    within,
)

OwnServer = Callable[..., AbstractAsyncContextManager[Server]]

BROKEN_SECONDS = 10.0
"""From the break of a connection until OFFLINE is told."""

BACK_SECONDS = 15.0
"""From the restart of a server until all states are right again."""

TAKE_OVER_SECONDS = 20.0
"""From the death of the replica that led until another one does: Kubernetes' own lease of 15 s, and a look."""


# The operator dies


async def test_an_operator_killed_in_the_middle_of_a_deploy_finishes_it_and_rolls_nothing_out_twice(
    server: Server, tenant: Tenant, place: Place
) -> None:
    early, late = [[f"{when}-{number}" for number in range(4)] for when in ("early", "late")]
    await place.node.ordain("late", running_unready)
    async with place.operator(server.url) as operator:
        pool = await tenant.served_pool(place, *early, *late)
        await tenant.do("deployPoolAdapters", rtId=pool)
        before = await eventually(place.deployments, bool)
        operator.kill()

        await place.node.ordain("late", ready)
        await operator.start("linked to the server")
        adapters = await tenant.adapters_turn(pool, "DEPLOYED")

    after = await place.deployments_settle()
    assert set(after) == {each["rtId"] for each in adapters.values()}
    assert {generation for _, generation in identities(after).values()} == {1}
    assert identities(before).items() <= identities(after).items()


async def test_a_killed_operator_is_offline_within_ten_seconds(server: Server, tenant: Tenant, place: Place) -> None:
    async with place.operator(server.url) as operator:
        pool = await tenant.served_pool(place)
        operator.kill()
        async with within(BROKEN_SECONDS):
            await tenant.pool_turns(pool, "OFFLINE")
    lost = (await tenant.history(pool, "COMMUNICATION"))[-1]
    assert lost["who"] == "octomesh-server"
    assert lost["reason"].endswith("lost its connection.")


async def test_a_frozen_operator_is_offline_after_its_lease_and_comes_back_in_a_new_session(
    own_server: OwnServer, place: Place
) -> None:
    lease_seconds = 6
    async with own_server(lease_seconds=lease_seconds) as server, place.operator(server.url) as operator:
        tenant = await server.tenant()
        pool = await tenant.deployed_pool(place, "opcua")
        before = await place.deployments_settle()
        operator_id = (await tenant.pool(pool))["operator"]["id"]
        first = await server.epoch(operator_id)

        operator.send(signal.SIGSTOP)
        async with within(lease_seconds + 5):
            await tenant.pool_turns(pool, "OFFLINE")
        operator.send(signal.SIGCONT)

        await tenant.pool_turns(pool, "ONLINE")
        assert await server.epoch(operator_id) > first
        history = await tenant.history(pool, "COMMUNICATION")
        assert [each["to"] for each in history] == ["ONLINE", "OFFLINE", "ONLINE"]
        assert history[1]["reason"].endswith("has not renewed its lease in time.")
        assert versions(await place.deployments()) == versions(before)
        await tenant.do("undeployPoolAdapters", rtId=pool)
        await tenant.adapters_turn(pool, "UNDEPLOYED")


async def test_an_operator_that_renews_is_never_offline(own_server: OwnServer, place: Place) -> None:
    lease_seconds = 3
    async with own_server(lease_seconds=lease_seconds) as server, place.operator(server.url):
        tenant = await server.tenant()
        pool = await tenant.served_pool(place)
        await asyncio.sleep(3 * lease_seconds)  # nothing happens, which is what this is about
        assert await tenant.communication(pool) == ["ONLINE"]
        assert (await tenant.pool(pool))["communicationState"] == "ONLINE"


async def test_another_replica_takes_over_from_one_that_is_killed_and_rolls_nothing_out(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url) as leader, place.operator(server.url, linked=False) as standby:
        await standby.says("standing by")
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        before = await place.deployments_settle()
        assert "leading" not in [line["event"] for line in standby.logged]

        leader.kill()
        async with within(TAKE_OVER_SECONDS):
            await standby.says("linked to the server")
        await tenant.pool_turns(pool, "ONLINE")
        assert versions(await place.deployments_settle()) == versions(before)

        await tenant.do("undeployPoolAdapters", rtId=pool)
        await tenant.adapters_turn(pool, "UNDEPLOYED")


async def test_a_leader_that_was_frozen_until_another_took_over_does_nothing_any_more(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with place.operator(server.url) as leader, place.operator(server.url, linked=False) as standby:
        await standby.says("standing by")
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        before = await place.deployments_settle()
        operator_id = (await tenant.pool(pool))["operator"]["id"]

        leader.send(signal.SIGSTOP)
        async with within(TAKE_OVER_SECONDS):
            await standby.says("pool claimed")
        epoch = await server.epoch(operator_id)
        leader.send(signal.SIGCONT)
        await leader.says("no longer leading; what runs is left as it is")

        await tenant.create_adapter(pool, "mqtt")
        await tenant.do("deployPoolAdapters", rtId=pool)
        await tenant.adapters_turn(pool, "DEPLOYED")
        after = await place.deployments_settle()
        assert versions(before).items() <= versions(after).items()
        assert {generation for _, generation in identities(after).values()} == {1}
        assert await server.epoch(operator_id) == epoch
        assert await tenant.communication(pool) == ["ONLINE"]


# The server dies


async def test_a_killed_server_leaves_what_runs_alone_and_is_right_again_soon_after_its_restart(
    own_server: OwnServer, place: Place
) -> None:
    async with own_server() as server, place.operator(server.url) as operator:
        tenant = await server.tenant()
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        before = await place.deployments_settle()

        server.program.kill()
        await operator.says("link to the server is down")
        assert versions(await place.deployments()) == versions(before)
        await place.node.ordain("opcua", crash_loop(3))
        server.program.spawn()

        async with within(BACK_SECONDS):
            await server.program.says("listening")
            adapters = await eventually(
                lambda: tenant.adapters(pool), lambda found: found["opcua"]["deploymentState"] == "ERROR"
            )
            await tenant.pool_turns(pool, "ONLINE")
        assert adapters["modbus"]["deploymentState"] == "DEPLOYED"
        assert await tenant.communication(pool) == ["ONLINE"]
        assert identities(await place.deployments()) == identities(before)


async def test_a_wish_made_right_after_the_restart_of_a_server_is_acted_on(own_server: OwnServer, place: Place) -> None:
    async with own_server() as server, place.operator(server.url) as operator:
        tenant = await server.tenant()
        pool = await tenant.served_pool(place, "opcua")
        server.program.kill()
        await operator.says("link to the server is down")

        await server.start()
        await tenant.do("deployPoolAdapters", rtId=pool)

        async with within(BACK_SECONDS):
            await tenant.adapters_turn(pool, "DEPLOYED")


async def test_two_servers_tell_each_transition_once_and_an_operator_moves_between_them_unnoticed(
    own_server: OwnServer, place: Place
) -> None:
    async with own_server() as one, own_server(prefix=one.registry.prefix) as other, relayed(one, other) as url:
        tenant = await one.tenant()
        elsewhere = await other.known(tenant.id)
        async with place.operator(url) as operator, elsewhere.api.socket() as states:
            await states.subscribe(COMMUNICATION)
            pool = await tenant.deployed_pool(place, "opcua")
            operator.kill()
            await tenant.pool_turns(pool, "OFFLINE")
            await operator.start("linked to the server")
            await tenant.pool_turns(pool, "ONLINE")

            assert await one.program.stop() == 0
            await links(operator, 2)
            await elsewhere.do("undeployPoolAdapters", rtId=pool)
            await elsewhere.adapters_turn(pool, "UNDEPLOYED")

            assert await elsewhere.communication(pool) == ["ONLINE", "OFFLINE", "ONLINE"]
            assert [current for _, _, current in await told_states(states, 3)] == ["ONLINE", "OFFLINE", "ONLINE"]
            (adapter,) = (await elsewhere.adapters(pool)).values()
            deployment = [each["to"] for each in await elsewhere.history(adapter["rtId"], "DEPLOYMENT")]
            assert deployment == ["PENDING", "DEPLOYED", "PENDING", "UNDEPLOYED"]


async def links(operator: Program, times: int) -> None:
    """Wait until it has been linked so often to a server since it was started."""

    async def linked() -> int:
        return [line["event"] for line in operator.logged].count("linked to the server")

    await eventually(linked, lambda count: count == times)


# The cluster dies, or is taken away


async def test_a_deploy_during_which_the_api_server_restarts_is_finished(
    server: Server, tenant: Tenant, place: Place
) -> None:
    names = [f"adapter-{number}" for number in range(8)]
    async with place.operator(server.url):
        pool = await tenant.served_pool(place, *names)
        await tenant.do("deployPoolAdapters", rtId=pool)
        before = await eventually(place.deployments, bool)
        await place.control_plane.restart_api_server()

        await tenant.adapters_turn(pool, "DEPLOYED", within=60)
        after = await place.deployments_settle()
    assert len(after) == 8
    assert {generation for _, generation in identities(after).values()} == {1}
    assert identities(before).items() <= identities(after).items()
    assert await tenant.communication(pool) == ["ONLINE"]


async def test_a_resource_deleted_while_the_server_is_down_goes_and_its_pool_is_not_online_afterwards(
    own_server: OwnServer, place: Place
) -> None:
    async with own_server() as server, place.operator(server.url, "--undeploy-seconds", "12") as operator:
        tenant = await server.tenant()
        pool = await tenant.deployed_pool(place, "opcua", "modbus")
        server.program.kill()
        await operator.says("link to the server is down")

        await place.kubectl("delete", "communicationpools", "--all", "--timeout=40s")
        assert await place.resource(tenant, pool) is None
        assert await place.left(tenant) == []

        await server.start()
        await tenant.pool_turns(pool, "UNREGISTERED", within=BACK_SECONDS)
        await operator.says("pool released")
        assert (await tenant.communication(pool))[-1] == "UNREGISTERED"


async def test_a_namespace_with_deployed_adapters_goes_within_a_minute(
    server: Server, tenant: Tenant, place: Place, another_place: Place
) -> None:
    core: Any = CoreV1Api(place.api_client)
    async with place.operator(server.url, lease=another_place.namespace) as operator:
        pool = await tenant.deployed_pool(place, "opcua", "modbus")

        await place.kubectl("delete", "namespace", place.namespace, "--wait=false")

        await gone(lambda: core.read_namespace(place.namespace), within=60)
        assert (await tenant.pool_turns(pool, "UNREGISTERED"))["operator"] is None
        assert [line for line in operator.logged if line["level"] == "error"] == []


# Two operators


async def test_a_pool_is_served_by_one_operator_and_by_the_other_when_that_is_dead(
    server: Server, tenant: Tenant, place: Place, another_place: Place
) -> None:
    async with place.operator(server.url) as first, another_place.operator(server.url):
        pool = await tenant.deployed_pool(place, "opcua")
        first_id = (await tenant.pool(pool))["operator"]["id"]
        await another_place.install(tenant, pool)

        told = await another_place.resource_says(tenant, pool, "ServedByAnotherOperator")
        assert f"is served by the operator '{first_id}'" in told["message"]
        assert f"namespace '{place.namespace}'" in told["message"]
        assert await another_place.deployments() == {}

        first.kill()
        await another_place.resource_says(tenant, pool, "Registered", within=LEASE_SECONDS)
        served = await tenant.pool_turns(pool, "ONLINE")
        assert served["operator"]["namespace"] == another_place.namespace
        await eventually(another_place.deployments, lambda found: len(found) == 1)
        await tenant.adapters_turn(pool, "DEPLOYED")
