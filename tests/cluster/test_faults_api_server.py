"""However the API server answers, or does not: what is wished comes about soon, once, and touches nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from kubernetes_asyncio.client import AppsV1Api
from kubernetes_asyncio.config import new_client_from_config

from octomesh_graphql.operator.health import Metrics
from octomesh_graphql.operator.kubernetes import Kubernetes, Patience
from octomesh_graphql.operator.manifests import PlaceSettings
from octomesh_graphql.operator.operating import Operator, OperatorPlan
from tests.cluster.eventually import eventually
from tests.cluster.faults import (
    LOST,
    Bookmarks,
    Each,
    Expired,
    HalfLines,
    Outage,
    Refusal,
    Silence,
    SilentWatches,
    Stammer,
    Unwatchable,
)
from tests.cluster.meddling import Meddling, Proxy, proxied
from tests.cluster.plant import Place, Server, Tenant, versions, within
from tests.cluster.witness import Witness, image_of, witnessed

CONVERGED_SECONDS: Final = 30.0
"""From the end of a fault until everything is as wished."""

FAULT_SECONDS: Final = 5.0
"""How long one lasts: a few tries of everything."""

WRITES: Final = 8
"""Of the deploy of one adapter: status, finalizer, Secret, Deployment, Service, status, Event, status. Now and then one
of them falls together with another."""

IMPATIENT: Final = Patience(watch_seconds=(2, 3), silence_seconds=1.0)
"""So that a watch that is stuck is noticed after four seconds, and not after five minutes."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An operator behind a proxy, and a pool it has deployed: `steady` never changes, `changing` does."""

    place: Place
    tenant: Tenant
    cluster: Proxy
    witness: Witness
    pool: str
    steady: str
    changing: str

    async def wish(self, version: str) -> str:
        """Another image for the one, and another adapter, whose rtId is returned."""
        await self.tenant.do("editAdapter", rtId=self.changing, imageVersion=version)
        late = await self.tenant.create_adapter(self.pool, f"late-{version}")
        await self.tenant.do("deployPoolAdapters", rtId=self.pool)
        return late

    async def comes_about(self, version: str) -> None:
        """The wish, soon."""

        async def images() -> dict[str, str]:
            found = await self.place.deployments(self.tenant)
            return {rt_id: image_of(each) for rt_id, each in found.items()}

        async with within(CONVERGED_SECONDS):
            await eventually(images, lambda found: found[self.changing].endswith(f":{version}"))
            await self.tenant.adapters_turn(self.pool, "DEPLOYED")

    async def mends(self) -> None:
        """What somebody changes in the cluster is put right, soon: watches tell of it, and nothing else does."""
        apps: Any = AppsV1Api(self.place.api_client)
        found = (await self.place.deployments(self.tenant))[self.changing]
        name = found["metadata"]["name"]
        await apps.patch_namespaced_deployment(name, self.place.namespace, {"spec": {"replicas": 2}})

        async def replicas() -> int:
            return int((await self.place.deployments(self.tenant))[self.changing]["spec"]["replicas"])

        await eventually(replicas, lambda count: count == 1, within=CONVERGED_SECONDS)


async def scene(tenant: Tenant, place: Place, cluster: Proxy, witness: Witness) -> Scene:
    """Everything is well."""
    pool = await tenant.deployed_pool(place, "steady", "changing")
    await place.deployments_settle()
    rt_ids = {name: each["rtId"] for name, each in (await tenant.adapters(pool)).items()}
    return Scene(place=place, tenant=tenant, cluster=cluster, witness=witness, pool=pool, **rt_ids)


@pytest.mark.parametrize("status", [409, 429, 500, 503, LOST])
async def test_a_write_that_fails_is_tried_again_whichever_it_is_and_nothing_is_made_twice(
    server: Server, tenant: Tenant, place: Place, status: int
) -> None:
    async with proxied(place) as (proxy, behind), behind.operator(server.url), witnessed(place) as witness:
        made = await scene(tenant, place, proxy, witness)
        before = versions(await place.deployments())
        pools = {number: await tenant.create_pool(f"pool-{number}") for number in range(1, WRITES + 1)}
        adapters = {
            number: await tenant.create_adapter(pools[number], f"adapter-{number}", configuration={"a": number})
            for number in pools
        }
        refusals = [Refusal([pools[number], adapters[number]], number, status) for number in pools]
        proxy.meddling = Each(refusals)

        for pool in pools.values():
            await tenant.do("deployPoolAdapters", rtId=pool)
            await place.install(tenant, pool)
        async with within(CONVERGED_SECONDS):
            for pool in pools.values():
                await tenant.adapters_turn(pool, "DEPLOYED")
        await place.deployments_settle()

        said = [refusal.said.what for refusal in refusals if refusal.said]
        assert len(said) >= WRITES - 1, said
        witness.made_once([*adapters.values(), made.steady, made.changing])
        after = versions(await place.deployments())
        assert before.items() <= after.items()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda: Outage(429), id="429"),
        pytest.param(lambda: Outage(500), id="500"),
        pytest.param(lambda: Outage(503), id="503"),
        pytest.param(Silence, id="silence"),
        pytest.param(SilentWatches, id="silent-watches"),
        pytest.param(HalfLines, id="half-lines"),
        pytest.param(Expired, id="410-in-a-watch"),
        pytest.param(Unwatchable, id="410-for-a-watch"),
        pytest.param(Bookmarks, id="bookmarks"),
        pytest.param(Stammer, id="stammer"),
    ],
)
async def test_what_is_wished_while_the_api_server_misbehaves_comes_about_soon_after(
    server: Server, tenant: Tenant, place: Place, fault: Callable[[], Meddling]
) -> None:
    async with proxied(place) as (proxy, behind), behind.operator(server.url), witnessed(place) as witness:
        made = await scene(tenant, place, proxy, witness)
        before = versions(await place.deployments())

        proxy.meddling = meddling = fault()
        late = await made.wish("2.0.0")
        await asyncio.sleep(FAULT_SECONDS)
        proxy.meddling = Meddling()
        if isinstance(meddling, Silence):
            meddling.over.set()

        await made.comes_about("2.0.0")
        await made.mends()
        witness.made_once([made.steady, late])
        assert len(witness.lives[made.changing]) == 1
        assert before[made.steady] == versions(await place.deployments())[made.steady]
        assert await tenant.communication(made.pool) == ["ONLINE"]


async def test_what_is_wished_while_the_api_server_restarts_comes_about_soon_after(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with proxied(place) as (proxy, behind), behind.operator(server.url), witnessed(place) as witness:
        made = await scene(tenant, place, proxy, witness)
        before = versions(await place.deployments())

        await place.control_plane.stop_api_server()
        late = await made.wish("2.0.0")
        await asyncio.sleep(FAULT_SECONDS)
        await place.control_plane.start_api_server()

        await made.comes_about("2.0.0")
        await made.mends()
        witness.made_once([made.steady, late])
        assert before[made.steady] == versions(await place.deployments())[made.steady]


async def test_a_watch_that_is_silent_for_ever_is_given_up_for_another(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with proxied(place) as (proxy, behind), impatient(behind, server.url), witnessed(place) as witness:
        made = await scene(tenant, place, proxy, witness)
        await proxy.quiet(made.pool, made.steady, made.changing)

        proxy.meddling = SilentWatches()  # what is open never tells anything again, as when a router forgot it
        said_before = len(proxy.heard)
        await made.mends()
        assert any(said.what.startswith("WATCH") for said in proxy.heard[said_before:])


@asynccontextmanager
async def impatient(place: Place, server_url: str) -> AsyncIterator[None]:
    """An operator in this process that does not trust a watch for long."""
    async with await new_client_from_config(str(place.kubeconfig)) as api:
        cluster = Kubernetes(api, name="test", namespace=place.namespace, lease="octomesh-operator", patience=IMPATIENT)
        plan = OperatorPlan(
            server_url=server_url, place=PlaceSettings(server_url=server_url), watch_namespace=place.namespace
        )
        task = asyncio.create_task(Operator(cluster, plan, Metrics()).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
