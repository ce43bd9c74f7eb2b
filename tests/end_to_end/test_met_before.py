"""What the original OctoMesh had to learn, one bug at a time, and that it does not happen here.

The numbers are those of the project's list. Each docstring tells the trouble as it was; each name, what is true here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from graphql import GraphQLInputObjectType, GraphQLSchema, build_schema, get_named_type
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection

from octomesh_graphql.actions.arranging import DeletionMode, delete_pool
from octomesh_graphql.actions.deploying import deploy_adapter, undeploy_adapter
from octomesh_graphql.actions.registering import claim_pool, register_operator, release_pool
from octomesh_graphql.actions.reporting import pool_wish, report_pool
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.actions.sweeping import sign_off, sweep
from octomesh_graphql.actions.tenancy import delete_tenant
from octomesh_graphql.api.printing import printed_schema
from octomesh_graphql.cli.operating import _plan
from octomesh_graphql.domain.adapter import Adapter, Phase, StillDeployed
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.problem import Refused
from octomesh_graphql.domain.resource import POOL_NAME
from octomesh_graphql.domain.session import AgentErrorCode, AgentRefused, Session
from octomesh_graphql.domain.states import AdapterType, CommunicationState, ConfigurationState, DeploymentState
from octomesh_graphql.domain.transition import Aspect
from octomesh_graphql.domain.wish import Finding
from octomesh_graphql.operator.charges import key_of
from octomesh_graphql.operator.cluster import ClusterUnavailable, Kind, Object
from octomesh_graphql.operator.simulated import SimulatedCluster
from octomesh_graphql.settings import WrongSettings, load_for_operator, load_for_server
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.paging import PageRequest
from octomesh_graphql.store.sessions import Claim, Loss, Sessions
from octomesh_graphql.store.tenants import Registry
from tests.actions.conftest import Agents
from tests.api.conftest import Api, serving
from tests.api.test_agents import CLAIM, LOOK_AGAIN, REGISTER_ADAPTER, VERSIONS, session_of
from tests.builders import (
    ALICE,
    LATER,
    NOW,
    a_deployed_adapter,
    a_pool,
    a_served_pool,
    an_adapter,
    created_adapter,
    created_pool,
    stored,
)
from tests.end_to_end.test_many import Counting
from tests.end_to_end.world import (
    FACTS,
    Balancer,
    Dying,
    Impatient,
    World,
    agents_of,
    certified,
    fall_silent,
    idle,
    later_swept,
    secure_server,
    until,
)
from tests.operator import builders as fake
from tests.operator.test_link import Linked, bad_server

UNREGISTERED, ONLINE, OFFLINE = CommunicationState
UNDEPLOYED, PENDING, DEPLOYED, ERROR = DeploymentState
OURS = (Kind.DEPLOYMENT, Kind.POD, Kind.SECRET, Kind.SERVICE)


@pytest.fixture
def agents(sessions: Sessions, store: TenantStore) -> Agents:
    """Operators that act on the tenant `acme` without a wire."""
    return Agents(sessions, store)


@pytest.fixture
async def world(sessions: Sessions, feed: Feed, store: TenantStore) -> AsyncIterator[World]:
    """The tenant `acme`, a running server, and a cluster called Plant."""
    async with serving(sessions, feed) as base, SimulatedCluster("Plant", speed=0) as cluster:
        yield World(store, base, cluster)


# 1 to 5: who is there


async def test_01_a_connection_that_breaks_late_says_nothing_about_the_one_after_it(
    agents: Agents, registry: Registry, feed: Feed
) -> None:
    """An agent had come back by a new connection when the server learned that its old one was broken, and marked the
    pool offline, which it stayed."""
    sessions, pool = Impatient(registry), await created_pool(agents.store)
    async with serving(sessions, feed) as base, agents_of(base) as api:
        session = await api.operator()
        await api.ask(CLAIM, s=session, pool=pool.rt_id)
        async with api.socket() as old, api.socket() as new:
            for socket in (old, new):
                await socket.subscribe(LOOK_AGAIN, s=session)
                await socket.next()
            for number, (socket, state) in enumerate(((old, ONLINE), (new, OFFLINE)), start=1):
                socket.ws.transport.abort()
                await until(partial(sessions.has_seen, number))
                await later_swept(sessions)
                assert (await agents.pool(pool)).communication_state is state


async def test_02_a_server_that_is_replaced_writes_nothing_about_the_agents_it_loses(
    registry: Registry, feed: Feed, world: World
) -> None:
    """During a rolling upgrade the server that was going wrote offline over what the new one had just written."""
    pool = await world.pool()
    member = await world.adapter(pool)
    old, new = Impatient(registry), Impatient(registry)
    async with AsyncExitStack() as going, Balancer().running() as balancer, serving(new, feed) as new_base:
        old_feed = await going.enter_async_context(Feed(registry, wait_ms=20).running())
        balancer.target = await going.enter_async_context(serving(old, old_feed))
        async with replace(world, base=balancer.address).operating() as operator:
            await world.comes(member, to=DEPLOYED)
            assert operator.term
            session = operator.term.link.session
            balancer.target = new_base
            await going.aclose()
            await later_swept(new)
            await world.edit(member, image_version="3.14.0")
            await world.comes(member, to=DEPLOYED)
            assert await world.images() == {"3.14.0"}
            assert operator.term.link.session == session
            assert old.broken == 0
            assert await world.history(pool) == ["ONLINE"]


async def test_03_of_several_that_want_a_pool_one_has_it_and_the_others_leave_without_a_trace(world: World) -> None:
    """Two replicas of an operator had claimed a pool. When one of them left, the pool went offline, though the other
    was there."""
    pool = await world.pool()
    async with SimulatedCluster("West", speed=0) as cluster, AsyncExitStack() as leading:
        west = replace(world, cluster=cluster)
        west.install(pool)
        leader = await leading.enter_async_context(world.operating())
        await world.communicates(pool, ONLINE)
        served = await world.now(pool)

        async def refused() -> bool:
            [found] = await west.left(Kind.COMMUNICATION_POOL)
            return "is served by the operator 'plant-" in str(found.get("status"))

        async with world.operating() as standby:
            async with world.operating() as third, west.operating():
                await until(refused)
                assert (standby.id, third.id, standby.term, third.term) == (leader.id, leader.id, None, None)
            assert replace(await world.now(pool), revision=served.revision) == served
            await leading.aclose()
            await world.communicates(pool, ONLINE)
            assert standby.connected
    assert await world.history(pool) == ["ONLINE", "OFFLINE"] * 2  # each once: when its leader said goodbye


class Interrupted(Sessions):
    """A server to which something happens between reading what an agent had claimed and letting go of it."""

    meanwhile: Callable[[], Awaitable[object]]

    async def claims(self, loss: Loss) -> list[Claim]:
        found = list(await super().claims(loss))
        await self.meanwhile()
        return found


async def test_04_who_comes_back_while_it_is_being_signed_off_is_there(agents: Agents, sessions: Sessions) -> None:
    """An operator came back while its leaving was still being worked on, and the end of that removed the fresh
    registration. Nobody reached it until it was restarted."""
    pool, interrupted = await created_pool(agents.store), Interrupted(sessions.registry)

    async def come_back() -> Session:
        session = await agents.operator()
        await agents.claim(session, pool)
        return session

    interrupted.meanwhile = come_back
    await sign_off(interrupted, await come_back(), LATER)
    assert (await agents.pool(pool)).communication_state is ONLINE
    await sign_off(sessions, Session(agent="plant-1", epoch=2), LATER)  # its claim is known, so it is missed
    assert (await agents.pool(pool)).communication_state is OFFLINE
    session = await come_back()
    for _ in range(10):
        assert (await agents.pool(pool)).communication_state is ONLINE
        await pool_wish(sessions, session, tenant_id="acme", pool_rt_id=pool.rt_id)  # it is reached
        leaving = release_pool(sessions, session, LATER, tenant_id="acme", pool_rt_id=pool.rt_id)
        session, _ = await asyncio.gather(come_back(), suppressed(leaving))
    await sign_off(sessions, session, LATER)
    assert (await agents.pool(pool)).communication_state is OFFLINE


async def suppressed(attempt: Awaitable[object]) -> None:
    """Something that may be refused."""
    with suppress(AgentRefused):
        await attempt


async def test_05_a_server_that_dies_over_a_disconnect_leaves_nothing_online_for_ever(
    registry: Registry, feed: Feed, world: World
) -> None:
    """The server died while it handled a disconnect, and the adapter stayed green for good."""
    dying, pool = Dying(registry), await created_pool(world.store)
    member = await created_adapter(world.store, pool=pool)
    async with serving(dying, feed) as base, agents_of(base) as api:
        operator, process = await api.operator(), (await api.ask(REGISTER_ADAPTER, id=member.rt_id))["registerAdapter"]
        await api.ask(CLAIM, s=operator, pool=pool.rt_id)
        for session, subscription in ((operator, LOOK_AGAIN), (process, VERSIONS)):
            async with api.socket() as socket:
                await socket.subscribe(subscription, s=session)
                await socket.next()
                socket.ws.transport.abort()
        await until(partial(dying.has_seen, 2))
    for session in (operator, process):
        await fall_silent(dying, session_of(session))
    other, third = Sessions(registry), Sessions(registry)
    await other.lapse()  # and then that one is killed too, before it looked after anything

    async def offline() -> bool:
        await sweep(third, LATER)
        return {(await world.now(each)).communication_state for each in (pool, member)} == {OFFLINE}

    await until(offline)


# 6 to 8: what is wished arrives


async def test_06_a_refused_claim_is_tried_again_in_the_same_session() -> None:
    """A registration was turned down once while the connection stayed up. It was never tried again, and everything for
    that pool was dropped until somebody restarted the operator."""
    for code in AgentErrorCode:
        async with (plant := fake.Plant()).cluster, plant.watched():
            plant.server.wishing(fake.pool(), fake.adapter())
            plant.server.refusal = AgentRefused(code, "Not now.")
            plant.cluster.put(fake.resource())
            await plant.settle(within=1)
            assert plant.server.claims == {}
            plant.server.refusal = None
            await plant.settle()
            assert plant.server.claims == {fake.pool(): Session(agent="plant-1", epoch=1)}, code
            assert plant.server.finding(fake.pool()).phase is Phase.AVAILABLE


async def test_07_a_wish_made_while_nobody_serves_the_pool_is_acted_on_by_who_comes(world: World) -> None:
    """What was sent while a pool had no owner was dropped: a removal got lost, and the process ran on for ever while
    it was shown as undeployed."""
    pool = await world.pool()
    first, second = await world.adapter(pool, "First"), await world.adapter(pool, "Second")
    await undeploy_adapter(world.store, ALICE, NOW, rt_id=second.rt_id)
    await world.edit(first, image_version="4.0.0")
    async with world.operating():
        await world.comes(first, to=DEPLOYED)
        assert await world.images() == {"4.0.0"}  # the last word counts, and nothing of what was taken back
    await world.communicates(pool, OFFLINE)
    await world.undeploy(pool)
    going = await world.now(first)
    assert (going.deployment_state, len(await world.pods())) == (PENDING, 1)
    assert "is not connected" in going.status_message
    async with world.operating():
        await world.comes(first, to=UNDEPLOYED)
        assert await world.left(*OURS) == []


async def test_08_a_wish_whose_message_is_lost_with_the_connection_is_acted_on_after_it(world: World) -> None:
    """The order to deploy went out on a connection that was dying, and the adapter was pending for ever."""
    pool = await world.pool()
    async with (
        Balancer(world.base).running() as balancer,
        replace(world, base=balancer.address).operating() as operator,
    ):
        await world.communicates(pool, ONLINE)
        await until(partial(idle, operator))
        balancer.mute = True
        member = await world.adapter(pool)
        await until(lambda: balancer.lost)
        assert (await world.now(member)).deployment_state is PENDING
        assert await world.pods() == set()
        balancer.mute = False
        balancer.cut()
        await world.comes(member, to=DEPLOYED)
        assert await world.history(pool) == ["ONLINE"]


# 9 to 14: only what was wished, and only where


async def test_09_an_adapter_keeps_its_version_until_somebody_wishes_another(world: World) -> None:
    """No version stood for the newest one. It was looked up whenever anything was reconciled, and productive adapters
    were upgraded without anybody having asked for it."""
    with pytest.raises(Refused, match="A version is missing"):
        await created_adapter(world.store, "Newest", image_version="")
    pool = await world.pool()
    member = await world.adapter(pool)
    async with world.operating():
        await world.comes(member, to=DEPLOYED)
    before, counting = await world.pods(), Counting()
    newer = await world.adapter(pool, "Newer", image_version="9.9.9")
    async with world.operating(counting) as operator:
        await world.comes(member, newer, to=DEPLOYED)
        await until(lambda: idle(operator))
        rounds = counting.rounds
        assert operator.term
        operator.term._look_at_all()
        await until(lambda: counting.rounds > rounds)
    assert await world.images() == {"3.13.2", "9.9.9"}
    assert before < await world.pods()
    kept = await world.now(member)
    assert (kept.image_version, kept.generation) == ("3.13.2", 1)


async def test_10_only_the_operator_of_a_pool_deploys_its_adapters_and_speaks_about_them(world: World) -> None:
    """Every operator heard of every order. The central one installed an adapter of the edge in its own cluster, and
    its success was written over the failure at the edge."""
    at_edge = await world.pool("Edge")
    async with SimulatedCluster("Centre", speed=0) as cluster:
        centre = replace(world, cluster=cluster)
        at_centre = await centre.pool("Centre")
        async with world.operating(), centre.operating() as central:
            for pool in (at_edge, at_centre):
                await world.communicates(pool, ONLINE)
            member = await world.adapter(at_edge, image_name="registry.example.com/broken/opcua")
            await world.comes(member, to=ERROR)
            assert await centre.left(*OURS) == []
            assert central.term
            success = Finding(rt_id=member.rt_id, generation=1, phase=Phase.AVAILABLE)
            with pytest.raises(AgentRefused, match="of the cluster 'Plant'") as refused:
                await central.term.link.report("acme", at_edge.rt_id, [success])
            assert refused.value.code is AgentErrorCode.POOL_SERVED_BY_ANOTHER
            await central.term.link.report("acme", at_centre.rt_id, [success])  # nor as if it were in its own pool
            assert (await world.now(member)).deployment_state is ERROR


async def test_11_filling_or_editing_again_what_is_there_does_not_touch_its_states(
    registry: Registry, sessions: Sessions
) -> None:
    """Applying the initial data once more set every deployed adapter of every tenant back to undeployed."""
    await seed_demo(registry, NOW)
    demo = await registry.open(DEMO)
    pool = next(each for each in await everything(demo) if isinstance(each, Pool) and each.tally.count(wanted=True))
    session = await register_operator(sessions, FACTS)
    await claim_pool(sessions, session, NOW, tenant_id=DEMO, pool_rt_id=pool.rt_id, namespace="octo")
    wish = await pool_wish(sessions, session, tenant_id=DEMO, pool_rt_id=pool.rt_id)
    findings = [Finding(rt_id=each.rt_id, generation=1, phase=Phase.AVAILABLE) for each in wish.adapters]
    await report_pool(sessions, session, NOW, tenant_id=DEMO, pool_rt_id=pool.rt_id, findings=findings)
    before = await everything(demo)
    runs = next(each for each in before if isinstance(each, Adapter) and each.deployment_state is DEPLOYED)
    assert await seed_demo(registry, LATER) is False
    await registry.mongo.delete(demo.tenant.database, "notes", {})  # as if the first filling had not been finished
    assert await seed_demo(registry, LATER) is True
    assert await everything(demo) == before
    given = {name: getattr(runs, name) for name in ("name", "image_name", "image_version", "configuration", "type")}
    again = await World(demo, "", SimulatedCluster()).edit(runs, **given)
    assert (again.deployment_state, again.generation) == (DEPLOYED, runs.generation)
    states = {"communicationState", "configurationState", "deploymentState", "statusMessage", "wanted", "generation"}
    assert not states & set(given_by_users(build_schema(printed_schema())))


async def everything(store: TenantStore) -> list[Any]:
    """All pools and adapters of a tenant."""
    pools, adapters = await store.pool_page(PageRequest(first=100)), await store.adapter_page(PageRequest(first=100))
    return [*pools.rows, *adapters.rows]


def given_by_users(schema: GraphQLSchema) -> Iterator[str]:
    """The names of all fields that a mutation takes."""
    assert schema.mutation_type
    for mutation in schema.mutation_type.fields.values():
        for argument in mutation.args.values():
            kind = get_named_type(argument.type)
            assert isinstance(kind, GraphQLInputObjectType)
            yield from kind.fields


async def test_12_what_is_undeployed_stays_undeployed_when_its_operator_goes(world: World) -> None:
    """A pool had been undeployed. When its operator gave it up afterwards, it was set back to pending, for good."""
    pool = await world.pool()
    member = await world.adapter(pool)
    async with world.operating():
        await world.comes(member, to=DEPLOYED)
        await world.undeploy(pool)
        await world.comes(member, to=UNDEPLOYED)
        world.uninstall(pool)
        await world.communicates(pool, UNREGISTERED)
        assert (await world.now(pool)).deployment_state is UNDEPLOYED
        await world.is_rid_of(Kind.COMMUNICATION_POOL)
        world.install(pool)
        await world.communicates(pool, ONLINE)
    left = await world.now(pool)
    assert (left.communication_state, left.deployment_state) == (OFFLINE, UNDEPLOYED)
    assert await world.history(member, Aspect.DEPLOYMENT) == ["PENDING", "DEPLOYED", "PENDING", "UNDEPLOYED"]


async def test_13_an_operator_serves_what_its_cluster_names_and_nothing_else(world: World) -> None:
    """An operator at the edge, once restarted, created a resource for every pool there was in the cloud."""
    here, cloud = await world.pool("Here"), await created_pool(world.store, "Cloud")
    member, other = await world.adapter(here, "Ours"), await world.adapter(cloud, "Theirs")
    for _ in range(2):
        async with world.operating() as operator:
            await world.communicates(here, ONLINE)
            await world.comes(member, to=DEPLOYED)
            await until(partial(idle, operator))
            assert operator.pools == 1
        [resource] = await world.left(Kind.COMMUNICATION_POOL)
        assert resource["spec"]["poolRtId"] == here.rt_id
        assert len(await world.left(Kind.DEPLOYMENT)) == 1
    assert (await world.now(cloud)).communication_state is UNREGISTERED
    assert (await world.now(other)).deployment_state is PENDING


async def test_14_a_resource_goes_though_its_tenant_is_gone_and_once_it_is_gone_it_is_left_alone(
    world: World, registry: Registry
) -> None:
    """The status of a resource that was gone was to be written, and a pool of a deleted tenant to be given up. Both
    failed, and were tried again for ever."""
    pool = await world.pool()
    member = await world.adapter(pool)
    async with world.operating() as operator:
        await world.comes(member, to=DEPLOYED)
        await delete_tenant(registry, "acme", force=True)
        world.uninstall(pool)
        term = operator.term
        assert term
        await until(lambda: term.queue.wait() is None and not term.reconciler.charges.known())
        assert await world.left(Kind.COMMUNICATION_POOL, *OURS) == []
    async with (plant := fake.Plant()).cluster, plant.watched():
        resource = plant.cluster.put(fake.resource())
        plant.server.wishing(fake.pool(), fake.adapter())
        plant.server.before_answer = lambda: plant.cluster.remove(Kind.COMMUNICATION_POOL, *key_of(resource))
        await plant.settle()
        assert plant.server.released == [fake.pool()]  # it was served, and gone in the middle of a round
        assert await plant.all(Kind.DEPLOYMENT) == await plant.all(Kind.COMMUNICATION_POOL) == []
        assert plant.queue.wait() is None


# 15 to 18: many places and many names


async def test_15_a_pool_may_be_called_whatever_people_call_it(world: World) -> None:
    """A pool named with a blank in it was refused by Kubernetes, because its name became that of the resource."""
    names = ["Communication Pool", "Werk Nürnberg: Halle #1 / „Süd“", "工場 🏭", "-_.", "n" * 100, '{"yaml": [1e3']
    pools = [await created_pool(world.store, name) for name in names]
    members = [await world.adapter(pool, pool.name, configuration={}, port=8080) for pool in pools]
    async with httpx.AsyncClient(base_url=f"http://{world.base}") as http, world.operating():
        query = (
            "query($ids: [OctoObjectId!]) { pools(first: 9, filter: { rtIds: $ids }) { nodes { installManifest } } }"
        )
        told = await Api(world.base, "acme", http).ask(query, ids=[pool.rt_id for pool in pools])
        for node in told["pools"]["nodes"]:
            manifest = yaml.safe_load(node["installManifest"])
            world.cluster.put({**manifest, "metadata": {**manifest["metadata"], "namespace": "octo"}})
        await world.comes(*members, to=DEPLOYED)
    objects = await world.left(Kind.COMMUNICATION_POOL, *OURS)
    assert len(objects) == 5 * len(names)
    for metadata in (each["metadata"] for each in objects):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", metadata["name"])
        for value in metadata.get("labels", {}).values():
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value)
    deployments = await world.left(Kind.DEPLOYMENT)
    assert {each["metadata"]["annotations"][POOL_NAME] for each in deployments} == set(names)


async def test_16_tenants_with_equal_names_and_equal_ids_never_meet(world: World, registry: Registry) -> None:
    """Pools were known by their names alone, so those of two tenants were taken for one; and a change of one tenant
    unregistered the pools of all."""
    await registry.create("globex", "Globex", NOW)
    other = replace(world, store=await registry.open("globex"))
    pool = a_pool()
    member = an_adapter(pool=pool)
    for each in (world, other):
        await stored(each.store, pool, member)
        await each.deploy(pool)
        each.install(pool)  # into the same namespace
    async with world.operating():
        for each in (world, other):
            await each.comes(member, to=DEPLOYED)
        pods = {pod["metadata"]["uid"]: str(pod["metadata"]["labels"]) for pod in await world.left(Kind.POD)}
        assert len(pods) == len(await world.left(Kind.DEPLOYMENT)) == 2
        await delete_pool(world.store, ALICE, LATER, rt_id=pool.rt_id, mode=DeletionMode.UNDEPLOY_FIRST)
        while await world.now(pool):
            await asyncio.sleep(0.01)
        await delete_tenant(registry, "acme")
        world.uninstall(pool)
        while len(await world.left(Kind.COMMUNICATION_POOL)) == 2:
            await asyncio.sleep(0.01)
        assert await world.pods() == {uid for uid, labels in pods.items() if "globex" in labels}
        assert (await other.now(member)).deployment_state is DEPLOYED
        assert await other.history(pool) == ["ONLINE"]


async def test_17_what_happened_while_the_operator_was_away_is_found_however_late_it_learns_of_its_pools(
    world: World,
) -> None:
    """After a restart an operator told everything at once, before it had listed its resources: nothing. What differed
    then stayed as it was."""
    pool = await world.pool()
    lost, unwanted = await world.adapter(pool, "Lost"), await world.adapter(pool, "Unwanted")
    async with world.operating():
        await world.comes(lost, unwanted, to=DEPLOYED)
    for deployment in await world.left(Kind.DEPLOYMENT):
        if lost.rt_id in deployment["metadata"]["name"]:
            world.cluster.remove(Kind.DEPLOYMENT, *key_of(deployment))
    await undeploy_adapter(world.store, ALICE, LATER, rt_id=unwanted.rt_id)
    world.cluster.fail_next("objects", ClusterUnavailable("starting"))
    async with world.operating() as operator:
        await until(lambda: operator.connected)
        assert operator.pools == 0  # linked, told to look at everything, and knowing of nothing yet
        await world.comes(unwanted, to=UNDEPLOYED)
        await until(world.pods)
        await world.comes(lost, to=DEPLOYED)
    [deployment] = await world.left(Kind.DEPLOYMENT)
    assert lost.rt_id in deployment["metadata"]["name"]


async def test_18_an_operator_is_connected_before_it_has_any_pool_whatever_kind_of_place_it_serves(
    world: World,
) -> None:
    """An operator connected only in the mode in which it managed pools by itself. At the edge, where people applied
    the resources, pools were never registered."""
    async with world.operating(watch_namespace="octo") as operator:
        await until(lambda: operator.connected and not operator.missing)
        assert operator.pools == 0
        pool = await world.pool()
        await world.communicates(pool, ONLINE)
        members = [await world.adapter(pool, type.name, type=type) for type in AdapterType]
        await world.comes(*members, to=DEPLOYED)


# 19 to 21: what is told is true


async def test_19_the_cause_of_a_failure_is_told_within_seconds_and_stays_until_it_is_cured(world: World) -> None:
    """After five minutes all that was told was that the time was over. What had been in the way had scrolled away."""
    causes = {"broken": "pull", "crashing": "exit code 1", "hungry": "memory", "unschedulable": "Insufficient memory"}
    pool = await world.pool()
    async with world.operating():
        await world.communicates(pool, ONLINE)
        given = {kind: {"image_name": f"registry.example.com/{kind}/opcua"} for kind in causes}
        members = {kind: await world.adapter(pool, kind, **image) for kind, image in given.items()}
        async with asyncio.timeout(5):
            await world.comes(*members.values(), to=ERROR)
        for kind, member in members.items():
            assert causes[kind] in (await world.now(member)).last_error
        broken = await world.now(members["broken"])
        again = await deploy_adapter(world.store, ALICE, LATER, rt_id=broken.rt_id)
        assert (again.deployment_state, again.last_error) == (PENDING, broken.last_error)
        assert again.status_message != broken.last_error
        await world.comes(broken, to=ERROR)
        assert (await world.now(broken)).last_error == broken.last_error
        await world.edit(broken, image_name="registry.example.com/plant/opcua")
        await world.comes(broken, to=DEPLOYED)
        assert (await world.now(broken)).last_error is None


async def test_20_a_patch_by_hand_is_named_and_stands_in_nobody_s_way(world: World) -> None:
    """Somebody had set an image by hand, and owned the field from then on: every later deployment ended in a conflict
    that nobody could read."""

    def patched(object: Object) -> None:
        [container] = object["spec"]["template"]["spec"]["containers"]
        container["image"] += "-hotfix"
        container["env"].append(debugging)

    async def told() -> bool:
        events = [each["message"] for each in await world.left(Kind.EVENT) if each["reason"] == "Mended"]
        return any("[adapter].image had been changed by 'kubectl-set'" in message for message in events)

    debugging = {"name": "DEBUG", "value": "1"}
    member = await world.adapter(await world.pool())
    async with world.operating():
        await world.comes(member, to=DEPLOYED)
        [deployment] = await world.left(Kind.DEPLOYMENT)
        world.cluster.edit(Kind.DEPLOYMENT, *key_of(deployment), patched, "kubectl-set")
        await until(told)
        await world.edit(member, image_version="4.0.0")
        await world.comes(member, to=DEPLOYED)
        assert (await world.container())["image"].endswith(":4.0.0")
    assert debugging in (await world.container())["env"]  # nobody here wishes anything about it, so it is theirs


TAKE = "mutation($s: SessionInput!) { takeConfiguration(session: $s) { version configuration } }"
ACKNOWLEDGE = "mutation($s: SessionInput!, $v: String!) { acknowledgeConfiguration(session: $s, version: $v) }"


async def test_21_a_process_that_started_anew_is_handed_its_configuration_and_not_called_configured_before(
    world: World,
) -> None:
    """After a few restarts adapters were online with nothing to work on, and were shown as if all were well."""
    pool = a_served_pool()
    member = a_deployed_adapter(pool=pool, configuration={"routes": ["a", "b"]})
    await stored(world.store, pool, member)
    async with agents_of(world.base) as api:
        for _ in range(3):
            session = (await api.ask(REGISTER_ADAPTER, id=member.rt_id))["registerAdapter"]
            started = await world.now(member)
            assert started.communication_state is ONLINE
            assert started.configuration_state is not ConfigurationState.CONFIGURED
            async with api.socket() as socket:
                await socket.subscribe(VERSIONS, s=session)
                version = await socket.next()  # without anybody having changed anything
                taken = (await api.ask(TAKE, s=session))["takeConfiguration"]
                assert taken == {"version": version, "configuration": {"routes": ["a", "b"]}}
                assert (await world.now(member)).configuration_state is ConfigurationState.PENDING
                await api.ask(ACKNOWLEDGE, s=session, v=version)
            assert (await world.now(member)).configuration_state is ConfigurationState.CONFIGURED


# 22 to 24: ends, addresses and secrets


async def test_22_a_tenant_with_anything_deployed_is_not_deleted_and_one_without_leaves_nothing(
    world: World, registry: Registry
) -> None:
    """A tenant was deleted while its pools were deployed. What ran for it ran on, and belonged to nobody."""
    pools = [await world.pool(name) for name in ("North", "South")]
    members = [await world.adapter(pool, f"OPC UA {pool.name}") for pool in pools]

    async def in_the_way() -> None:
        with pytest.raises(Refused) as refused:
            await delete_tenant(registry, "acme")
        [problem] = refused.value.problems
        assert isinstance(problem, StillDeployed)
        assert {each.rt_id for each in problem.adapters} == {each.rt_id for each in members}
        assert all(each.name in problem.message for each in (*pools, *members))

    await in_the_way()
    async with world.operating():
        await world.comes(*members, to=DEPLOYED)
        await in_the_way()
        for pool in pools:
            await world.undeploy(pool)
        await world.comes(*members, to=UNDEPLOYED)
        assert await delete_tenant(registry, "acme") == []
        for pool in pools:
            world.uninstall(pool)
        await world.is_rid_of(Kind.COMMUNICATION_POOL)
    assert await world.left(*OURS) == []


async def test_23_adapters_are_told_the_address_at_which_they_reach_the_server_and_not_the_operator_s(
    world: World,
) -> None:
    """Adapters were given the address of the server that only their operator could resolve. They never registered,
    and the operator looked healthy."""
    theirs = "https://octomesh.plant.example.com"
    plan = _plan(load_for_operator({"server_url": f"http://{world.base}", "adapter_server_url": theirs}))
    assert plan.server_url == f"http://{world.base}"
    member = await world.adapter(await world.pool())
    async with world.operating(place=plan.place):
        await world.comes(member, to=DEPLOYED)
    env = {each["name"]: each["value"] for each in (await world.container())["env"]}
    assert env["OCTO_ADAPTER__COMMUNICATIONCONTROLLERSERVICESURI"] == theirs
    assert world.base not in str(await world.left(*OURS))
    assert "has never connected" in (await world.now(member)).health.headline  # if it were wrong, that is what shows


async def test_24_tokens_go_only_where_they_belong_and_only_to_servers_that_prove_who_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents were not asked who they are, sent a placeholder as their token, and believed any certificate."""
    told: list[Any] = []

    async def answer(connection: ServerConnection, message: Mapping[str, Any]) -> None:
        told.append(message.get("payload"))
        await connection.close(4403, "Forbidden")

    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with capture_logs() as logs:
        for file, expected in ((None, None), (token, "Bearer s3cret")):
            told.clear()
            async with bad_server(answer) as (url, requests), Linked(url, token_file=file).running():
                await until(lambda: told)
            assert requests[0].headers.get("Authorization") == expected
            assert (told[0] or {}).get("Authorization") == expected
        told.clear()
        async with secure_server(*await certified(tmp_path), answer) as url:
            async with Linked(url, token_file=token).running() as link:
                await until(lambda: "certificate verify failed" in link.trouble)
            assert told == []
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
            async with Linked(url, token_file=token).running():
                await until(lambda: told)
            assert told[0] == {"Authorization": "Bearer s3cret"}
    assert "s3cret" not in str(logs)
    assert any("certificate verify failed" in str(each) for each in logs)
    with pytest.raises(WrongSettings, match="nobody is asked who they are"):
        load_for_server({"host": "0.0.0.0"}, insecure=False)
