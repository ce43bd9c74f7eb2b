"""A leader that was frozen in the middle of a write, while another took over and did what was wished since.

What is promised: once it is not sure of its lead it begins no write any more. A write that was on its way already can't
be called back. It may arrive at any time, and is undone by whoever leads then, or by the cluster itself where the
CommunicationPool is gone.
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.faults import Trap
from tests.cluster.meddling import Proxy, proxied
from tests.cluster.plant import Object, Place, Program, Server, Tenant, versions, within
from tests.cluster.witness import Witness, image_of, witnessed

TAKE_OVER_SECONDS: Final = 25.0
"""From the freezing of the one until the other serves the pool: the lease of 15 s, a look, and claiming."""

UNDONE_SECONDS: Final = 30.0
"""From the arrival of a late write until it is undone."""

COLLECTED_SECONDS: Final = 60.0
"""The same where it is the garbage collector of Kubernetes that does it."""


@dataclass(frozen=True, kw_only=True)
class Overtaken:
    """One replica is frozen in the middle of writing the Deployment of `changing`, and the other leads."""

    place: Place
    tenant: Tenant
    pool: str
    changing: str
    steady: str
    old: Program
    to_cluster: Proxy
    to_server: Proxy
    trap: Trap
    witness: Witness

    async def wakes(self) -> None:
        """The old leader goes on, finds that it does not lead any more, and what it had begun to write arrives."""
        woken = time.monotonic()
        self.old.send(signal.SIGCONT)
        await self.old.says("no longer leading; what runs is left as it is")
        self.trap.let_go()
        await self.trap.arrived.wait()
        begun = [*self.to_cluster.heard, *self.to_server.heard]
        assert [said.what for said in begun if said.writes and said.at > woken] == []

    async def deployments(self) -> Mapping[str, Object]:
        """What there is."""
        return await self.place.deployments(self.tenant)

    def runs(self, version: str, found: Mapping[str, Object]) -> bool:
        """Whether the one that changes has this image."""
        return self.changing in found and image_of(found[self.changing]).endswith(f":{version}")


@pytest.fixture
async def overtaken(server: Server, tenant: Tenant, place: Place) -> AsyncIterator[Overtaken]:
    """The wish was the image 2.0.0, and that is what is held."""
    async with (
        proxied(place) as (to_cluster, behind),
        Proxy(server.url).running() as to_server,
        two_replicas(behind, to_server.url, place, server.url) as (old, new),
        witnessed(place) as witness,
    ):
        pool = await tenant.deployed_pool(place, "steady", "changing")
        rt_ids = {name: each["rtId"] for name, each in (await tenant.adapters(pool)).items()}
        await to_cluster.quiet(pool, *rt_ids.values())
        trap = to_cluster.meddling = Trap([rt_ids["changing"]], 1, when="before")
        await tenant.do("editAdapter", rtId=rt_ids["changing"], imageVersion="2.0.0")
        await trap.caught.wait()

        old.send(signal.SIGSTOP)
        async with within(TAKE_OVER_SECONDS):
            await new.says("pool claimed")
        them: dict[str, Any] = {"old": old, "to_cluster": to_cluster, "to_server": to_server, "trap": trap}
        yield Overtaken(place=place, tenant=tenant, pool=pool, witness=witness, **rt_ids, **them)


@asynccontextmanager
async def two_replicas(
    first: Place, first_url: str, second: Place, second_url: str
) -> AsyncIterator[tuple[Program, Program]]:
    """The first one leads. They go different ways to the same server, of which adapters are told one."""
    same = ("--adapter-server-url", second_url)
    async with first.operator(first_url, *same) as leader, second.operator(second_url, *same, linked=False) as standby:
        await standby.says("standing by")
        yield leader, standby


async def test_a_late_write_of_an_old_leader_does_not_last_against_a_newer_image(overtaken: Overtaken) -> None:
    tenant, changing = overtaken.tenant, overtaken.changing
    await tenant.do("editAdapter", rtId=changing, imageVersion="3.0.0")
    await eventually(overtaken.deployments, lambda found: overtaken.runs("3.0.0", found))
    await tenant.adapters_turn(overtaken.pool, "DEPLOYED")
    before = versions(await overtaken.place.deployments_settle())

    await overtaken.wakes()

    async with within(UNDONE_SECONDS):
        await eventually(overtaken.deployments, lambda found: overtaken.runs("3.0.0", found))
        await overtaken.place.deployments_settle()
        await tenant.adapters_turn(overtaken.pool, "DEPLOYED")
    assert overtaken.runs("3.0.0", await overtaken.deployments())
    assert [len(overtaken.witness.lives[each]) for each in (changing, overtaken.steady)] == [1, 1]
    assert versions(await overtaken.deployments())[overtaken.steady] == before[overtaken.steady]
    assert await tenant.communication(overtaken.pool) == ["ONLINE"]


async def test_a_late_write_of_an_old_leader_does_not_last_against_an_undeploy(overtaken: Overtaken) -> None:
    tenant = overtaken.tenant
    await tenant.do("undeployPoolAdapters", rtId=overtaken.pool)
    await tenant.adapters_turn(overtaken.pool, "UNDEPLOYED")

    await overtaken.wakes()

    await eventually(lambda: overtaken.place.left(tenant), lambda left: not left, within=UNDONE_SECONDS)
    await tenant.adapters_turn(overtaken.pool, "UNDEPLOYED")
    assert await tenant.communication(overtaken.pool) == ["ONLINE"]


async def test_what_a_late_write_of_an_old_leader_makes_for_a_resource_that_is_gone_goes_too(
    overtaken: Overtaken,
) -> None:
    tenant = overtaken.tenant
    await overtaken.place.kubectl("delete", "communicationpools", "--all", "--timeout=40s")
    await tenant.pool_turns(overtaken.pool, "UNREGISTERED")

    await overtaken.wakes()

    await eventually(lambda: overtaken.place.left(tenant), lambda left: not left, within=COLLECTED_SECONDS)
    assert (await tenant.pool(overtaken.pool))["communicationState"] == "UNREGISTERED"


async def test_a_leader_that_was_frozen_while_it_renewed_its_lead_takes_nothing_back_from_the_new_one(
    server: Server, tenant: Tenant, place: Place
) -> None:
    async with (
        proxied(place) as (to_cluster, behind),
        Proxy(server.url).running() as to_server,
        two_replicas(behind, to_server.url, place, server.url) as (old, new),
    ):
        pool = await tenant.deployed_pool(place, "opcua")
        operator_id = (await tenant.pool(pool))["operator"]["id"]
        trap = to_cluster.meddling = Trap(["/leases/"], 1, when="before")
        await trap.caught.wait()
        old.send(signal.SIGSTOP)
        async with within(TAKE_OVER_SECONDS):
            await new.says("pool claimed")
        before, epoch = versions(await place.deployments_settle()), await server.epoch(operator_id)

        woken = time.monotonic()
        old.send(signal.SIGCONT)
        await old.says("no longer leading; what runs is left as it is")
        trap.let_go()

        begun = [*to_cluster.heard, *to_server.heard]
        assert [said.what for said in begun if said.writes and said.at > woken] == []
        assert await server.epoch(operator_id) == epoch
        assert versions(await place.deployments()) == before
        assert await tenant.communication(pool) == ["ONLINE"]
