"""The demo lives: its operator is the real one, in a cluster that is simulated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2 as httpx
import pytest

from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.seeding import seed_demo
from octomesh_graphql.cli.demonstrating import namespace_of, plants
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Api, serving
from tests.builders import a_pool

STATES = """{
  pools { nodes { rtId name communicationState deploymentState configurationState operator { id cluster namespace } } }
  adapters { nodes { rtId name deploymentState communicationState configurationState statusMessage lastError } }
}"""


@asynccontextmanager
async def living(sessions: Sessions, feed: Feed, base: str) -> AsyncIterator[None]:
    """What runs beside the server of the demo, but for pauses."""
    running = asyncio.create_task(plants(sessions, feed, f"http://{base}", speed=0))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
async def demo(registry: Registry, sessions: Sessions, feed: Feed) -> AsyncIterator[Api]:
    """The demo as it runs."""
    await seed_demo(registry, now())
    async with (
        serving(sessions, feed) as base,
        httpx.AsyncClient(base_url=f"http://{base}") as http,
        living(sessions, feed, base),
    ):
        yield Api(base, "demo", http)


async def settled(demo: Api, holds: Callable[[dict[str, Any], dict[str, Any]], bool]) -> tuple[Any, Any]:
    """Pools and adapters by name, once something holds about them."""
    async with asyncio.timeout(20):
        while True:
            answer = await demo.ask(STATES)
            pools, adapters = ({row["name"]: row for row in answer[of]["nodes"]} for of in ("pools", "adapters"))
            if holds(pools, adapters):
                return pools, adapters
            await asyncio.sleep(0.05)


def deployed(adapters: dict[str, Any]) -> int:
    """How many run as wished, connected and configured."""
    states = ("deploymentState", "communicationState", "configurationState")
    return sum([row[state] for state in states] == ["DEPLOYED", "ONLINE", "CONFIGURED"] for row in adapters.values())


async def test_pools_come_online_adapters_run_and_one_tells_why_it_does_not(demo: Api) -> None:
    camera = "Kamera Oberflächenprüfung"
    pools, adapters = await settled(
        demo, lambda _, adapters: deployed(adapters) == 6 and adapters[camera]["deploymentState"] == "ERROR"
    )
    states = [row["communicationState"] for row in pools.values()]
    assert sorted(states) == ["ONLINE"] * 4 + ["UNREGISTERED"]
    assert pools["Umspannwerk Köln-Süd"]["operator"] is None
    operator = {"id": "demo-simulated", "cluster": "simulated", "namespace": "werk-scharding-halle-2"}
    assert pools["Werk Schärding – Halle 2"]["operator"] == operator
    assert "can't be pulled" in adapters[camera]["statusMessage"]


async def test_a_pool_that_a_visitor_adds_is_served_and_goes_again(demo: Api) -> None:
    created = await demo.ask('mutation { createPool(input: { name: "Mein Werk" }) { pool { rtId } } }')
    rt_id = created["createPool"]["pool"]["rtId"]
    await settled(demo, lambda pools, _: pools["Mein Werk"]["communicationState"] == "ONLINE")
    await demo.ask(
        "mutation($input: CreateAdapterInput!) { createAdapter(input: $input) { errors { code } } }",
        input={"name": "Mein Adapter", "type": "EDGE", "imageName": "mine", "imageVersion": "1", "poolRtId": rt_id},
    )
    await demo.ask(f'mutation {{ deployPoolAdapters(input: {{ rtId: "{rt_id}" }}) {{ errors {{ code }} }} }}')
    await settled(demo, lambda pools, _: pools["Mein Werk"]["configurationState"] == "CONFIGURED")
    await demo.ask(
        f'mutation {{ deletePool(input: {{ rtId: "{rt_id}", mode: UNDEPLOY_FIRST }}) {{ errors {{ code }} }} }}'
    )
    _, adapters = await settled(demo, lambda pools, _: "Mein Werk" not in pools)
    assert adapters["Mein Adapter"]["deploymentState"] == "UNDEPLOYED"


async def test_a_new_configuration_is_taken_by_the_adapter(demo: Api) -> None:
    name = "S7 Pressenstraße"
    _, adapters = await settled(demo, lambda _, adapters: adapters[name]["configurationState"] == "CONFIGURED")
    answer = await demo.ask(
        "mutation($i: OctoObjectId!, $c: JSON) { editAdapter(input: { rtId: $i, configuration: $c })"
        " { adapter { configurationState deploymentState } } }",
        i=adapters[name]["rtId"],
        c={"host": "10.20.2.12"},
    )
    assert answer["editAdapter"]["adapter"] == {"configurationState": "PENDING", "deploymentState": "PENDING"}
    await settled(
        demo,
        lambda _, adapters: (
            (adapters[name]["configurationState"], adapters[name]["deploymentState"]) == ("CONFIGURED", "DEPLOYED")
        ),
    )


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("Werk Nürnberg", "werk-nurnberg"),
        ("Werk Schärding – Halle 1", "werk-scharding-halle-1"),
        ("工厂", "pool-00000000000000000000a001"),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_namespace_is_one_that_people_recognise(name: str, namespace: str) -> None:
    assert namespace_of(a_pool(name=name, rt_id="00000000000000000000a001")) == namespace
