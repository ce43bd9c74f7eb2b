"""What the operator may expect of a cluster: the same tests for the simulated one and for a real one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

import pytest

from octomesh_graphql.domain.resource import API_VERSION, FIELD_MANAGER, FINALIZER, KIND
from octomesh_graphql.operator.cluster import WARNINGS, Cluster, ClusterRefused, Kind, Object, Sighting, Step

IMAGE = "registry.example.com/plant/adapter:1"
BROKEN_IMAGE = "registry.example.com/broken/adapter:1"
PATIENCE_SECONDS = 30.0


class Bench(Protocol):
    """A cluster to be tried, and what people and accidents do to it."""

    @property
    def cluster(self) -> Cluster: ...

    @property
    def namespace(self) -> str:
        """An empty one."""
        ...

    @property
    def elsewhere(self) -> str:
        """Another one."""
        ...

    async def put(self, object: Object, manager: str) -> None:
        """Somebody applies an object."""
        ...

    async def patch(self, object: Object, change: Object, manager: str) -> None:
        """Somebody merges a change into an object."""
        ...

    async def remove(self, object: Object) -> None:
        """Somebody deletes an object."""
        ...

    async def disturb(self) -> None:
        """Break every watch, and come back."""
        ...

    def rival(self) -> Cluster:
        """The same cluster as another replica of the operator sees it."""
        ...


class ClusterContract:
    """Each test uses the fixture `bench`."""

    # Applying

    async def test_what_is_applied_is_there_with_all_that_a_cluster_adds(self, bench: Bench) -> None:
        applied = await bench.cluster.apply(a_secret(bench))

        metadata = applied["metadata"]
        assert metadata["uid"]
        assert metadata["resourceVersion"]
        assert metadata["creationTimestamp"].endswith("Z")
        assert applied["data"] == {"key": "dmFsdWU="}
        assert await bench.cluster.get(Kind.SECRET, bench.namespace, "one") == applied

    async def test_what_is_unchanged_keeps_its_version(self, bench: Bench) -> None:
        first = await bench.cluster.apply(a_pool(bench))

        again = await bench.cluster.apply(a_pool(bench))

        assert again == first

    async def test_a_changed_spec_is_a_new_generation_and_a_changed_label_is_not(self, bench: Bench) -> None:
        first = await bench.cluster.apply(a_pool(bench))

        labelled = await bench.cluster.apply(a_pool(bench, labels={"colour": "red"}))
        changed = await bench.cluster.apply(a_pool(bench, imagePullSecrets=[{"name": "pull"}]))

        generations = [each["metadata"]["generation"] for each in (first, labelled, changed)]
        assert generations == [1, 1, 2]
        assert len({each["metadata"]["resourceVersion"] for each in (first, labelled, changed)}) == 3

    async def test_applying_takes_over_what_others_own(self, bench: Bench) -> None:
        await bench.put(a_deployment(bench, replicas=3), "kubectl")

        found = await bench.cluster.apply(a_deployment(bench, replicas=1))

        assert found["spec"]["replicas"] == 1
        assert "f:replicas" in owned_by(found, FIELD_MANAGER)["f:spec"]
        assert "f:replicas" not in owned_by(found, "kubectl")["f:spec"]

    async def test_who_changed_a_field_is_named_as_its_owner(self, bench: Bench) -> None:
        deployment = await bench.cluster.apply(a_deployment(bench))

        await bench.patch(deployment, {"spec": {"replicas": 2}}, "somebody")

        found = await bench.cluster.get(Kind.DEPLOYMENT, bench.namespace, "adapter")
        assert found is not None
        assert owned_by(found, "somebody")["f:spec"] == {"f:replicas": {}}
        containers = owned_by(found, FIELD_MANAGER)["f:spec"]["f:template"]["f:spec"]["f:containers"]
        assert "f:image" in containers['k:{"name":"adapter"}']
        assert "f:replicas" not in owned_by(found, FIELD_MANAGER)["f:spec"]

    async def test_what_is_no_longer_applied_goes_and_what_others_added_stays(self, bench: Bench) -> None:
        pool = await bench.cluster.apply(a_pool(bench, annotations={"first": "1", "second": "1"}))
        await bench.patch(pool, {"metadata": {"annotations": {"theirs": "1"}}}, "somebody")

        found = await bench.cluster.apply(a_pool(bench, annotations={"second": "1"}))

        assert found["metadata"]["annotations"] == {"second": "1", "theirs": "1"}

    async def test_an_item_of_a_list_that_is_no_longer_applied_goes_alone(self, bench: Bench) -> None:
        one, two = {"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}
        await bench.cluster.apply(a_deployment(bench, env=[one, two]))

        found = await bench.cluster.apply(a_deployment(bench, env=[two]))

        assert found["spec"]["template"]["spec"]["containers"][0]["env"] == [two]

    async def test_a_pool_id_that_can_be_none_is_refused_with_the_field(self, bench: Bench) -> None:
        with pytest.raises(ClusterRefused, match=r"spec\.poolRtId.*should match") as refused:
            await bench.cluster.apply(a_pool(bench, poolRtId="not-hex"))

        assert (refused.value.status, refused.value.reason) == (422, "Invalid")
        assert await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool") is None

    @pytest.mark.parametrize("tenant_id", ["Acme", "-acme", "a" * 39, ""])
    async def test_a_tenant_id_that_can_be_none_is_refused(self, bench: Bench, tenant_id: str) -> None:
        with pytest.raises(ClusterRefused, match=r"spec\.tenantId") as refused:
            await bench.cluster.apply(a_pool(bench, tenantId=tenant_id))

        assert refused.value.status == 422

    # Reading

    async def test_objects_are_listed_by_all_their_labels(self, bench: Bench) -> None:
        await bench.cluster.apply(a_secret(bench, "red", colour="red", size="big"))
        await bench.cluster.apply(a_secret(bench, "blue", colour="blue", size="big"))

        async def listed(**labels: str) -> list[str]:
            found = await bench.cluster.objects(Kind.SECRET, namespace=bench.namespace, labels=labels)
            assert all((each["apiVersion"], each["kind"]) == ("v1", "Secret") for each in found)
            return [each["metadata"]["name"] for each in found]

        assert await listed(size="big") == ["blue", "red"]
        assert await listed(size="big", colour="red") == ["red"]
        assert await listed(size="small") == []

    async def test_objects_are_listed_over_all_namespaces(self, bench: Bench) -> None:
        run = secrets.token_hex(4)  # other tests have left objects too
        here = await bench.cluster.apply(a_secret(bench, run=run))
        there = a_secret(bench, run=run)
        there["metadata"]["namespace"] = bench.elsewhere
        there = await bench.cluster.apply(there)

        everywhere = await bench.cluster.objects(Kind.SECRET, labels={"run": run})
        only_here = await bench.cluster.objects(Kind.SECRET, namespace=bench.namespace, labels={"run": run})

        assert uids(everywhere) == uids([here, there])
        assert uids(only_here) == uids([here])

    async def test_events_are_listed_and_watched_by_their_type(self, bench: Bench) -> None:
        about = await bench.cluster.apply(a_secret(bench))
        await bench.cluster.record(about, "Normal", "Deployed", "It runs.")
        await bench.cluster.record(about, "Warning", "Failed", "It does not.")

        told = await bench.cluster.objects(Kind.EVENT, namespace=bench.namespace, fields=WARNINGS)
        async with aclosing(bench.cluster.watch(Kind.EVENT, namespace=bench.namespace, fields=WARNINGS)) as watch:
            seen = (await anext(watch)).object

        assert [each["reason"] for each in told] == ["Failed"]
        assert seen
        assert seen["reason"] == "Failed"

    async def test_what_is_not_there_is_none(self, bench: Bench) -> None:
        assert await bench.cluster.get(Kind.DEPLOYMENT, bench.namespace, "nothing") is None

    # Deleting

    async def test_only_the_very_object_is_deleted(self, bench: Bench) -> None:
        secret = await bench.cluster.apply(a_secret(bench))
        earlier = secret | {"metadata": secret["metadata"] | {"uid": "00000000-0000-4000-8000-000000000000"}}

        await bench.cluster.delete(earlier)
        assert await bench.cluster.get(Kind.SECRET, bench.namespace, "one") is not None

        await bench.cluster.delete(secret)
        assert await bench.cluster.get(Kind.SECRET, bench.namespace, "one") is None
        await bench.cluster.delete(secret)  # it is gone already, and that is fine

    async def test_with_a_deployment_its_pods_go(self, bench: Bench) -> None:
        deployment = await bench.cluster.apply(a_deployment(bench))
        pod = await until(bench, Kind.POD, is_ready)

        await bench.cluster.delete(deployment)

        assert await bench.cluster.get(Kind.DEPLOYMENT, bench.namespace, "adapter") is None
        await until_gone(bench, pod)
        assert await bench.cluster.objects(Kind.POD, namespace=bench.namespace) == []

    async def test_with_the_owner_goes_what_it_owns(self, bench: Bench) -> None:
        pool = await bench.cluster.apply(a_pool(bench))
        secret = a_secret(bench)
        owner = {"apiVersion": API_VERSION, "kind": KIND, "name": "pool", "uid": pool["metadata"]["uid"]}
        secret["metadata"]["ownerReferences"] = [owner]
        secret = await bench.cluster.apply(secret)

        await bench.cluster.delete(pool)

        await until_gone(bench, secret)

    async def test_a_finalizer_keeps_what_is_deleted_until_it_is_taken_away(self, bench: Bench) -> None:
        pool = await bench.cluster.apply(a_pool(bench))
        await bench.cluster.set_finalizers(pool, [FINALIZER])

        await bench.remove(pool)
        marked = await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool")
        assert marked is not None
        assert marked["metadata"]["deletionTimestamp"]
        assert marked["metadata"]["finalizers"] == [FINALIZER]

        await bench.cluster.set_finalizers(marked, [])
        assert await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool") is None
        await bench.cluster.set_finalizers(marked, [])  # it is gone already, and that is fine

    async def test_finalizers_are_not_set_on_what_was_changed_since_it_was_read(self, bench: Bench) -> None:
        read = await bench.cluster.apply(a_pool(bench))
        await bench.patch(read, {"metadata": {"labels": {"colour": "red"}}}, "somebody")

        with pytest.raises(ClusterRefused, match="modified") as refused:
            await bench.cluster.set_finalizers(read, [FINALIZER])

        assert (refused.value.status, refused.value.reason) == (409, "Conflict")

    # Telling

    async def test_a_status_is_written_apart_from_the_spec(self, bench: Bench) -> None:
        pool = await bench.cluster.apply(a_pool(bench))

        await bench.cluster.apply_status(a_status(bench))

        found = await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool")
        assert found is not None
        assert found["status"] == a_status(bench)["status"]
        assert found["spec"] == pool["spec"]
        assert found["metadata"]["generation"] == 1

    async def test_the_same_status_changes_nothing_and_the_same_spec_keeps_it(self, bench: Bench) -> None:
        await bench.put(a_pool(bench), "kubectl")
        await bench.cluster.apply_status(a_status(bench))
        told = await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool")

        await bench.cluster.apply_status(a_status(bench))
        await bench.put(a_pool(bench), "kubectl")

        assert told is not None
        assert await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool") == told

    async def test_the_status_of_what_is_gone_is_of_no_interest(self, bench: Bench) -> None:
        await bench.cluster.apply_status(a_status(bench))

        assert await bench.cluster.get(Kind.COMMUNICATION_POOL, bench.namespace, "pool") is None

    async def test_what_is_recorded_twice_is_one_event_that_counts(self, bench: Bench) -> None:
        pool = await bench.cluster.apply(a_pool(bench))

        await bench.cluster.record(pool, "Warning", "Mended", "replicas had been changed")
        await bench.cluster.record(pool, "Warning", "Mended", "replicas had been changed")
        await bench.cluster.record(pool, "Normal", "Deployed", "all is well")

        events = await bench.cluster.objects(Kind.EVENT, namespace=bench.namespace)
        told = {each["reason"]: each for each in events if each["involvedObject"]["uid"] == pool["metadata"]["uid"]}
        assert {reason: each["count"] for reason, each in told.items()} == {"Mended": 2, "Deployed": 1}
        mended = told["Mended"]
        assert (mended["type"], mended["message"]) == ("Warning", "replicas had been changed")
        assert mended["firstTimestamp"] <= mended["lastTimestamp"]

    # Watching

    async def test_a_watch_tells_what_is_there_and_then_what_changes(self, bench: Bench) -> None:
        first = await bench.cluster.apply(a_secret(bench, "first", kept="yes"))
        await bench.cluster.apply(a_secret(bench, "other"))
        async with watching(bench, Kind.SECRET, kept="yes") as sightings:
            assert [await told(sightings), await told(sightings)] == ["SEEN first", "LISTED"]

            second = await bench.cluster.apply(a_secret(bench, "second", kept="yes"))
            assert await told(sightings) == "SEEN second"
            await bench.patch(first, {"data": {"key": "YW5vdGhlcg=="}}, "somebody")
            assert await told(sightings) == "SEEN first"
            await bench.remove(second)
            assert await told(sightings) == "GONE second"
            await bench.patch(first, {"metadata": {"labels": {"kept": "no"}}}, "somebody")
            assert await told(sightings) == "GONE first"

    async def test_a_broken_watch_lists_anew_and_tells_what_went_meanwhile(self, bench: Bench) -> None:
        first = await bench.cluster.apply(a_secret(bench, "first", kept="yes"))
        await bench.cluster.apply(a_secret(bench, "second", kept="yes"))
        async with watching(bench, Kind.SECRET, kept="yes") as sightings:
            assert [await told(sightings) for _ in range(3)] == ["SEEN first", "SEEN second", "LISTED"]

            await bench.disturb()
            await bench.remove(first)
            third = await bench.cluster.apply(a_secret(bench, "third", kept="yes"))

            steps: dict[str, Step] = {}
            while steps.get("first") is not Step.GONE or steps.get("third") is not Step.SEEN:
                sighting = await anext(sightings)
                assert sighting.step is not Step.LISTED  # only once
                assert sighting.object is not None
                steps[sighting.object["metadata"]["name"]] = sighting.step
            await bench.remove(third)
            while await told(sightings) != "GONE third":
                pass  # whatever is told twice

    # Leading

    async def test_only_one_leads_and_the_next_follows_when_it_ends(self, bench: Bench) -> None:
        order: list[str] = []
        begun = asyncio.Event()

        async def lead() -> None:
            async with bench.rival().leading() as leadership:
                order.append("second leads")
                begun.set()
                await leadership.lost()

        async with asyncio.timeout(PATIENCE_SECONDS):
            async with bench.cluster.leading() as first:
                waiting = asyncio.create_task(lead())
                lost = asyncio.create_task(first.lost())
                done, _ = await asyncio.wait({lost, waiting}, timeout=bench_moment(bench))
                assert not done
                order.append("first ends")
            await begun.wait()
            await lost
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

        assert order == ["first ends", "second leads"]

    async def test_an_installation_is_known_by_the_same_eight_characters(self, bench: Bench) -> None:
        identity = await bench.cluster.identity()

        assert len(identity) == 8
        assert int(identity, 16) >= 0
        assert await bench.rival().identity() == identity

    # Running

    async def test_a_deployment_becomes_available(self, bench: Bench) -> None:
        await bench.cluster.apply(a_deployment(bench))

        deployment = await until(bench, Kind.DEPLOYMENT, is_rolled_out)

        status = deployment["status"]
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
        assert status["replicas"] == status["updatedReplicas"] == status["availableReplicas"] == 1
        assert condition(deployment, "Available")["reason"] == "MinimumReplicasAvailable"
        (pod,) = await bench.cluster.objects(Kind.POD, namespace=bench.namespace, labels={"app": "adapter"})
        assert pod["metadata"]["name"].startswith("adapter-")
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"

    async def test_an_image_that_can_not_be_had_is_told_by_the_pod(self, bench: Bench) -> None:
        await bench.cluster.apply(a_deployment(bench, image=BROKEN_IMAGE))

        pod = await until(bench, Kind.POD, lambda pod: waiting_reason(pod) == "ImagePullBackOff")

        (state,) = pod["status"]["containerStatuses"]
        assert BROKEN_IMAGE in state["state"]["waiting"]["message"]
        assert not is_ready(pod)

    async def test_a_new_image_replaces_the_pod_once_the_new_one_is_ready(self, bench: Bench) -> None:
        await bench.cluster.apply(a_deployment(bench))
        old = await until(bench, Kind.POD, is_ready)

        await bench.cluster.apply(a_deployment(bench, image=BROKEN_IMAGE))
        await until(bench, Kind.POD, lambda pod: waiting_reason(pod) == "ImagePullBackOff")
        stays = await bench.cluster.get(Kind.POD, bench.namespace, old["metadata"]["name"])
        assert stays is not None
        assert is_ready(stays)

        await bench.cluster.apply(a_deployment(bench, image=IMAGE.replace(":1", ":2")))
        await until_gone(bench, old)
        rolled_out = await until(bench, Kind.DEPLOYMENT, is_rolled_out)
        assert rolled_out["metadata"]["generation"] == 3

    async def test_a_pod_that_somebody_deletes_comes_again(self, bench: Bench) -> None:
        await bench.cluster.apply(a_deployment(bench))
        pod = await until(bench, Kind.POD, is_ready)

        await bench.remove(pod)

        await until_gone(bench, pod)
        new = await until(bench, Kind.POD, is_ready)
        assert new["metadata"]["uid"] != pod["metadata"]["uid"]


# Objects


def a_secret(bench: Bench, name: str = "one", **labels: str) -> Object:
    metadata = {"name": name, "namespace": bench.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": "dmFsdWU="}}


def a_pool(
    bench: Bench, *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    metadata: Object = {"name": "pool", "namespace": bench.namespace}
    metadata |= ({"labels": labels} if labels else {}) | ({"annotations": annotations} if annotations else {})
    spec = {"tenantId": "acme", "poolRtId": "0123456789abcdef01234567"} | spec
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def a_status(bench: Bench) -> Object:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "Deploying",
        "message": "3 of 4 adapters run.",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
        "observedGeneration": 1,
    }
    status = {
        "communicationStatus": "Registered",
        "observedGeneration": 1,
        "operator": "plant-1",
        "poolName": "Halle Süd",
        "adapters": "3/4",
        "conditions": [ready],
    }
    metadata = {"name": "pool", "namespace": bench.namespace}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": status}


def a_deployment(
    bench: Bench, *, image: str = IMAGE, replicas: int = 1, env: list[dict[str, str]] | None = None
) -> Object:
    labels = {"app": "adapter"}
    container = {"name": "adapter", "image": image} | ({"env": env} if env else {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "adapter", "namespace": bench.namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


# What objects say


def owned_by(object: Object, manager: str) -> Object:
    """The fields that a manager owns, but for the status."""
    return next(
        each["fieldsV1"]
        for each in object["metadata"]["managedFields"]
        if each["manager"] == manager and "f:status" not in each["fieldsV1"]
    )


def uids(objects: list[Object]) -> set[str]:
    return {each["metadata"]["uid"] for each in objects}


def condition(object: Object, type: str) -> Object:
    conditions = object.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == type), {})


def is_ready(pod: Object) -> bool:
    return condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def is_rolled_out(deployment: Object) -> bool:
    """Whether its controllers have nothing more to do or to say."""
    status = deployment.get("status", {})
    return (
        status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("replicas") == status.get("updatedReplicas") == status.get("availableReplicas")
        and condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )


def waiting_reason(pod: Object) -> str | None:
    states = pod.get("status", {}).get("containerStatuses") or [{}]
    reason: str | None = states[0].get("state", {}).get("waiting", {}).get("reason")
    return reason


# Waiting


@asynccontextmanager
async def watching(bench: Bench, kind: Kind, **labels: str) -> AsyncIterator[AsyncGenerator[Sighting, None]]:
    """A watch of the namespace, for as long as anybody would wait."""
    async with (
        asyncio.timeout(2 * PATIENCE_SECONDS),
        aclosing(bench.cluster.watch(kind, namespace=bench.namespace, labels=labels)) as sightings,
    ):
        yield sightings


async def told(sightings: AsyncGenerator[Sighting, None]) -> str:
    """The next thing a watch tells, in words."""
    sighting = await anext(sightings)
    return f"{sighting.step.value} {sighting.object['metadata']['name']}" if sighting.object else sighting.step.value


async def until(bench: Bench, kind: Kind, holds: Callable[[Object], Any]) -> Object:
    """Wait for an object of which this holds."""
    seen: Object | None = None
    try:
        async with watching(bench, kind) as sightings:
            async for sighting in sightings:
                seen = sighting.object or seen
                if sighting.object and sighting.step is Step.SEEN and holds(sighting.object):
                    return sighting.object
    except TimeoutError:
        pass
    raise AssertionError(f"this did not come; last seen:\n{seen}")


async def until_gone(bench: Bench, object: Object) -> None:
    """Wait until exactly this object is there no more."""
    uid = object["metadata"]["uid"]
    kind, name = Kind.of(object), object["metadata"]["name"]
    async with watching(bench, kind) as sightings:
        async for sighting in sightings:
            present = sighting.object["metadata"]["uid"] if sighting.object else None
            if sighting.step is Step.GONE and present == uid:
                return
            if sighting.step is Step.LISTED:
                found = await bench.cluster.get(kind, bench.namespace, name)
                if found is None or found["metadata"]["uid"] != uid:
                    return


def bench_moment(bench: Bench) -> float:
    """Seconds in which another one would have begun to lead, if it could: a simulated one does at once."""
    return 0.0 if bench.cluster.name == "simulated" else 1.0
