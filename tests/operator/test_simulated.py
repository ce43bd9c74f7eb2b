"""The cluster in memory: what every cluster does, and what only this one can."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from octomesh_graphql.operator.cluster import Cluster, ClusterRefused, ClusterUnavailable, Kind, Object, Step
from octomesh_graphql.operator.simulated import Request, SimulatedCluster
from tests.operator import contract
from tests.operator.contract import (
    ClusterContract,
    a_deployment,
    a_pool,
    a_secret,
    condition,
    is_ready,
    is_rolled_out,
    told,
    until,
    until_gone,
    waiting_reason,
    watching,
)


@dataclass
class SimulatedBench:
    """A simulated cluster in which everything happens at once."""

    cluster: SimulatedCluster
    namespace: str = "octo"
    elsewhere: str = "plant"

    async def put(self, object: Object, manager: str) -> None:
        self.cluster.put(object, manager)

    async def patch(self, object: Object, change: Object, manager: str) -> None:
        metadata = object["metadata"]
        self.cluster.edit(
            Kind.of(object), metadata["namespace"], metadata["name"], lambda edited: merge(edited, change), manager
        )

    async def remove(self, object: Object) -> None:
        self.cluster.remove(Kind.of(object), object["metadata"]["namespace"], object["metadata"]["name"])

    async def disturb(self) -> None:
        self.cluster.drop_watches()

    def rival(self) -> Cluster:
        return self.cluster


def merge(object: Object, change: Object) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            merge(object.setdefault(key, {}), value)
        else:
            object[key] = value


@pytest.fixture
async def bench() -> AsyncIterator[SimulatedBench]:
    async with SimulatedCluster(speed=0) as cluster:
        yield SimulatedBench(cluster)


class TestSimulatedCluster(ClusterContract):
    """What is expected of every cluster."""


# What becomes of pods


@pytest.mark.parametrize(
    ("image", "exit_code", "reason"),
    [("registry.example.com/crashing/adapter:1", 1, "Error"), ("hungry/adapter", 137, "OOMKilled")],
)
async def test_an_adapter_that_keeps_ending_says_how(
    bench: SimulatedBench, image: str, exit_code: int, reason: str
) -> None:
    await bench.cluster.apply(a_deployment(bench, image=image))

    pod = await until(bench, Kind.POD, lambda pod: waiting_reason(pod) == "CrashLoopBackOff")

    (state,) = pod["status"]["containerStatuses"]
    ended = state["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (exit_code, reason)
    assert state["restartCount"] > 0


async def test_an_adapter_that_finds_no_node_says_why(bench: SimulatedBench) -> None:
    await bench.cluster.apply(a_deployment(bench, image="registry.example.com/unschedulable/adapter:1"))

    pod = await until(bench, Kind.POD, lambda pod: condition(pod, "PodScheduled"))

    assert condition(pod, "PodScheduled")["reason"] == "Unschedulable"
    assert "nodeName" not in pod["spec"]
    event = await until(bench, Kind.EVENT, lambda event: event["reason"] == "FailedScheduling")
    assert event["involvedObject"]["uid"] == pod["metadata"]["uid"]


async def test_a_part_of_a_name_decides_nothing(bench: SimulatedBench) -> None:
    await bench.cluster.apply(a_deployment(bench, image="registry.example.com/unbroken/crashing-adapter:broken"))

    await until(bench, Kind.DEPLOYMENT, is_rolled_out)


async def test_a_deployment_scales_up_and_down(bench: SimulatedBench) -> None:
    deployment = await bench.cluster.apply(a_deployment(bench, replicas=3))
    await until(bench, Kind.DEPLOYMENT, is_rolled_out)
    assert len(await bench.cluster.objects(Kind.POD)) == 3

    await bench.patch(deployment, {"spec": {"replicas": 1}}, "kubectl-scale")

    scaled = await until(bench, Kind.DEPLOYMENT, is_rolled_out)
    assert scaled["status"]["replicas"] == 1
    marked = [each for each in await bench.cluster.objects(Kind.POD) if "deletionTimestamp" in each["metadata"]]
    for pod in marked:
        await until_gone(bench, pod)
    assert len(await bench.cluster.objects(Kind.POD)) == 1


async def test_a_deployment_that_recreates_ends_the_old_pod_first(bench: SimulatedBench) -> None:
    def recreated(image: str) -> Object:
        deployment = a_deployment(bench, image=image)
        return deployment | {"spec": deployment["spec"] | {"strategy": {"type": "Recreate"}}}

    await bench.cluster.apply(recreated("adapter:1"))
    await until(bench, Kind.DEPLOYMENT, is_rolled_out)
    most = 0
    async with watching(bench, Kind.POD) as sightings:
        await bench.cluster.apply(recreated("adapter:2"))
        async for sighting in sightings:
            most = max(most, len(await bench.cluster.objects(Kind.POD)))
            pod = sighting.object
            if pod and is_ready(pod) and pod["spec"]["containers"][0]["image"] == "adapter:2":
                break

    assert most == 1


async def test_what_is_played_takes_the_time_it_is_given(bench: SimulatedBench) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with SimulatedCluster(speed=2.0, sleep=sleep) as cluster:
        slow = SimulatedBench(cluster)
        await cluster.apply(a_deployment(slow))
        await until(slow, Kind.DEPLOYMENT, is_rolled_out)

    assert sum(pauses) == pytest.approx(2 * (0.2 + 1.5 + 1.0))


async def test_times_are_those_of_the_clock_it_is_given() -> None:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    async with SimulatedCluster(speed=0, clock=lambda: now) as cluster:
        bench = SimulatedBench(cluster)
        pool = await cluster.apply(a_pool(bench))
        await cluster.record(pool, "Normal", "Seen", "once")
        now += timedelta(hours=1)
        await cluster.record(pool, "Normal", "Seen", "once")

    (event,) = await cluster.objects(Kind.EVENT)
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z")


# What goes wrong when it is told to


async def test_the_next_requests_fail_as_often_as_they_are_told_to(bench: SimulatedBench) -> None:
    bench.cluster.fail_next("apply", ClusterUnavailable("too many requests", retry_after=1.0), times=2)

    for _ in range(2):
        with pytest.raises(ClusterUnavailable, match="too many requests"):
            await bench.cluster.apply(a_secret(bench))
    assert await bench.cluster.objects(Kind.SECRET) == []

    await bench.cluster.apply(a_secret(bench))
    assert bench.cluster.requests["apply"] == 3


async def test_a_fault_can_choose_whom_it_meets(bench: SimulatedBench) -> None:
    refusal = ClusterRefused(403, "Forbidden", "exceeded quota")
    bench.cluster.fail_next(lambda request: request.name == "two", refusal)

    await bench.cluster.apply(a_secret(bench, "one"))
    with pytest.raises(ClusterRefused, match="exceeded quota"):
        await bench.cluster.apply(a_secret(bench, "two"))


async def test_a_request_can_be_carried_out_and_its_answer_lost(bench: SimulatedBench) -> None:
    bench.cluster.fail_next("apply", ClusterUnavailable("no answer in time"), after=True)

    with pytest.raises(ClusterUnavailable):
        await bench.cluster.apply(a_secret(bench))

    assert await bench.cluster.get(Kind.SECRET, bench.namespace, "one") is not None


async def test_a_seed_makes_the_same_faults_again() -> None:
    async def failures(seed: int) -> list[bool]:
        async with SimulatedCluster(speed=0) as cluster:
            dice = random.Random(seed)
            cluster.fail_next(lambda _: dice.random() < 0.3, ClusterUnavailable("at random"), times=1_000)
            return [await fails(cluster) for _ in range(50)]

    async def fails(cluster: SimulatedCluster) -> bool:
        try:
            await cluster.get(Kind.POD, "octo", "none")
        except ClusterUnavailable:
            return True
        return False

    first = await failures(7)
    assert 0 < sum(first) < 50
    assert await failures(7) == first
    assert await failures(8) != first


async def test_recording_is_never_an_error(bench: SimulatedBench) -> None:
    pool = await bench.cluster.apply(a_pool(bench))
    bench.cluster.fail_next("record", ClusterRefused(403, "Forbidden", "events is forbidden"))

    await bench.cluster.record(pool, "Normal", "Deployed", "all is well")

    assert await bench.cluster.objects(Kind.EVENT) == []


async def test_a_compacted_history_only_makes_the_next_watch_list_twice(bench: SimulatedBench) -> None:
    await bench.cluster.apply(a_secret(bench, "first"))
    bench.cluster.compact()

    async with watching(bench, Kind.SECRET) as sightings:
        assert [await told(sightings) for _ in range(3)] == ["SEEN first", "LISTED", "SEEN first"]
        await bench.cluster.apply(a_secret(bench, "second"))
        assert await told(sightings) == "SEEN second"


async def test_a_watch_goes_on_listing_until_the_cluster_answers(bench: SimulatedBench) -> None:
    await bench.cluster.apply(a_secret(bench, "first"))
    bench.cluster.fail_next("objects", ClusterUnavailable("down"), times=5)

    async with watching(bench, Kind.SECRET) as sightings:
        assert [await told(sightings), await told(sightings)] == ["SEEN first", "LISTED"]
    assert bench.cluster.requests["objects"] == 6


async def test_who_reads_slowly_gets_the_latest_of_each_object(bench: SimulatedBench) -> None:
    async with watching(bench, Kind.SECRET) as sightings:
        assert await told(sightings) == "LISTED"
        for value in ("MQ==", "Mg==", "Mw=="):
            await bench.cluster.apply(a_secret(bench) | {"data": {"key": value}})
        await bench.cluster.apply(a_secret(bench, "two"))

        first = await anext(sightings)
        assert first.object is not None
        assert first.object["data"] == {"key": "Mw=="}
        assert await told(sightings) == "SEEN two"


async def test_a_closed_watch_is_forgotten(bench: SimulatedBench) -> None:
    async with aclosing(bench.cluster.watch(Kind.SECRET)) as sightings:
        assert (await anext(sightings)).step is Step.LISTED
        assert len(bench.cluster._inboxes) == 1

    assert not bench.cluster._inboxes


async def test_who_is_deposed_is_told(bench: SimulatedBench) -> None:
    async with bench.cluster.leading() as leadership, asyncio.timeout(contract.PATIENCE_SECONDS):
        lost = asyncio.create_task(leadership.lost())
        bench.cluster.depose()
        await lost


async def test_two_names_are_two_installations() -> None:
    assert await SimulatedCluster("one").identity() != await SimulatedCluster("two").identity()


async def test_what_is_handed_out_can_be_changed_without_harm(bench: SimulatedBench) -> None:
    applied = await bench.cluster.apply(a_secret(bench))
    applied["data"]["key"] = "broken"
    applied["metadata"]["labels"]["spoilt"] = "yes"

    found = await bench.cluster.get(Kind.SECRET, bench.namespace, "one")
    assert found is not None
    assert found["data"] == {"key": "dmFsdWU="}
    assert "spoilt" not in found["metadata"].get("labels", {})


async def test_an_owner_in_another_namespace_is_none(bench: SimulatedBench) -> None:
    pool = await bench.cluster.apply(a_pool(bench))
    secret = a_secret(bench)
    owner = {key: pool[key] for key in ("apiVersion", "kind")} | {"name": "pool", "uid": pool["metadata"]["uid"]}
    secret["metadata"] |= {"namespace": bench.elsewhere, "ownerReferences": [owner]}

    await bench.cluster.apply(secret)

    assert await bench.cluster.objects(Kind.SECRET) == []


async def test_a_thousand_adapters_come_up(bench: SimulatedBench) -> None:
    for number in range(1_000):
        deployment = a_deployment(bench)
        name = f"adapter-{number}"
        deployment["metadata"] |= {"name": name, "labels": {"pool": f"pool-{number % 50}"}}
        deployment["spec"]["selector"] = {"matchLabels": {"app": name}}
        deployment["spec"]["template"]["metadata"] = {"labels": {"app": name}}
        await bench.cluster.apply(deployment)

    available: set[str] = set()
    async with watching(bench, Kind.DEPLOYMENT) as sightings:
        while len(available) < 1_000:
            deployment = (await anext(sightings)).object or {}
            if deployment and is_rolled_out(deployment):
                available.add(deployment["metadata"]["name"])

    assert len(await bench.cluster.objects(Kind.DEPLOYMENT, labels={"pool": "pool-7"})) == 20


def test_a_request_is_told_by_what_it_is_about() -> None:
    request = Request(operation="get", kind=Kind.POD, namespace="octo", name="one")

    assert request == Request(operation="get", kind=Kind.POD, namespace="octo", name="one")
