"""Plays scheduler and kubelet for the pods of one namespace: a pod becomes Ready, or what the test ordains.

    async with kubelet(api_client, namespace) as node:
        await node.ordain("broken", image_pull_back_off)  # pods with such an image, now and from now on

It says in a pod's status what a real kubelet would say; no container ever runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException, CoreV1Api
from kubernetes_asyncio.watch import Watch

Pod = dict[str, Any]
Container = dict[str, Any]
Fate = Callable[[Pod], dict[str, Any]]
"""What the status of such a pod says."""

_NODE: Final = "a-played-node"
_RETRY_SECONDS: Final = 0.1


def ready(pod: Pod) -> dict[str, Any]:
    """All its containers run and are ready."""
    states = [_container(each, ready=True, state={"running": {"startedAt": _now()}}) for each in _containers(pod)]
    return _status("Running", states, ready=True)


def running_unready(pod: Pod) -> dict[str, Any]:
    """All its containers run, and their readiness probes fail."""
    states = [_container(each, ready=False, state={"running": {"startedAt": _now()}}) for each in _containers(pod)]
    return _status("Running", states, ready=False)


def image_pull_back_off(pod: Pod) -> dict[str, Any]:
    """Its image can't be had."""
    states = [
        _waiting(each, "ImagePullBackOff", f'Back-off pulling image "{each["image"]}"') for each in _containers(pod)
    ]
    return _status("Pending", states, ready=False)


def crash_loop(exit_code: int, *, reason: str = "Error", restarts: int = 3) -> Fate:
    """Its containers end with this code each time they are started."""

    def fate(pod: Pod) -> dict[str, Any]:
        ended = {"exitCode": exit_code, "reason": reason, "startedAt": _now(), "finishedAt": _now()}
        message = f"back-off 40s restarting failed container of {pod['metadata']['name']}"
        states = [
            _waiting(each, "CrashLoopBackOff", message, lastState={"terminated": ended}, restartCount=restarts)
            for each in _containers(pod)
        ]
        return _status("Running", states, ready=False)

    return fate


out_of_memory: Final = crash_loop(137, reason="OOMKilled")
"""Its containers take more memory than their limit, each time they are started."""


def unschedulable(message: str) -> Fate:
    """No node takes it, for this reason."""

    def fate(_: Pod) -> dict[str, Any]:
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return {"phase": "Pending", "conditions": [scheduled | {"lastTransitionTime": _now()}]}

    return fate


class Kubelet:
    """Who decides what becomes of the pods of a namespace."""

    def __init__(self, api_client: ApiClient, namespace: str) -> None:
        self._core = CoreV1Api(api_client)
        self._api_client = api_client
        self._namespace = namespace
        self._fates: list[tuple[str, Fate]] = [("", ready)]
        self._told: dict[str, Fate] = {}  # by uid; telling it again would change times only
        self._one_at_a_time = asyncio.Lock()  # or an older fate could be written last

    async def ordain(self, image_part: str, fate: Fate) -> None:
        """From now on, this becomes of pods with such an image; the latest word counts. Told to all of them already."""
        self._fates.insert(0, (image_part, fate))
        await self._look()

    async def play(self) -> None:
        """Look after the pods until cancelled, also through restarts of the API server."""
        while True:
            with suppress(ApiException, aiohttp.ClientError):
                await self._watch(await self._look())
            await asyncio.sleep(_RETRY_SECONDS)

    async def _look(self) -> str:
        """Look after the pods that are there; the version from which a watch goes on."""
        pods = await self._core.list_namespaced_pod(self._namespace)
        for pod in self._api_client.sanitize_for_serialization(pods.items):
            await self._look_after(pod)
        return str(pods.metadata.resource_version)

    async def _watch(self, version: str) -> None:
        async with Watch() as watch:
            pods = watch.stream(self._core.list_namespaced_pod, self._namespace, resource_version=version)
            async for event in pods:
                if event["type"] in ("ADDED", "MODIFIED"):
                    await self._look_after(event["raw_object"])

    async def _look_after(self, pod: Pod) -> None:
        async with self._one_at_a_time:
            try:
                await (self._end(pod) if pod["metadata"].get("deletionTimestamp") else self._tell(pod))
            except ApiException as error:
                if error.status not in (404, 409):  # gone, or replaced by one of the same name
                    raise

    async def _tell(self, pod: Pod) -> None:
        """Write into its status what becomes of it, and bind it to the node if it ever gets there."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        images = " ".join(each["image"] for each in _containers(pod))
        fate = next(fate for image_part, fate in self._fates if image_part in images)
        if self._told.get(uid) is fate:
            return
        status = fate(pod)
        if "containerStatuses" in status:
            await self._bind(name)
        body = {"metadata": {"uid": uid}, "status": status}
        await self._core.patch_namespaced_pod_status(name, self._namespace, body)
        self._told[uid] = fate

    async def _bind(self, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": _NODE}
        body: Any = {"metadata": {"name": name}, "target": target}
        try:
            # The answer is a Status and not the Binding that the client expects, so it is not read.
            answer: Any = await self._core.create_namespaced_pod_binding(
                name, self._namespace, body, _preload_content=False
            )
            answer.release()
        except ApiException as error:
            if error.status != 409:  # it is bound already
                raise

    async def _end(self, pod: Pod) -> None:
        """Its containers have ended, so nothing keeps it. A pod on a node waits for this word of the kubelet."""
        self._told.pop(pod["metadata"]["uid"], None)
        body: Any = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        await self._core.delete_namespaced_pod(pod["metadata"]["name"], self._namespace, body=body)


@asynccontextmanager
async def kubelet(api_client: ApiClient, namespace: str) -> AsyncIterator[Kubelet]:
    """A kubelet for the pods of the namespace until the block ends. They become Ready unless it is told otherwise."""
    node = Kubelet(api_client, namespace)
    playing = asyncio.create_task(node.play())
    try:
        yield node
    finally:
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing


def _containers(pod: Pod) -> list[Container]:
    containers: list[Container] = pod["spec"]["containers"]
    return containers


def _container(container: Container, *, ready: bool, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the status says about one container."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": "running" in state,
        "restartCount": 0,
        "state": state,
    } | more


def _waiting(container: Container, reason: str, message: str, **more: Any) -> dict[str, Any]:
    return _container(container, ready=False, state={"waiting": {"reason": reason, "message": message}}, **more)


def _status(phase: str, containers: list[dict[str, Any]], *, ready: bool) -> dict[str, Any]:
    """The status of a pod on a node."""
    reached = dict.fromkeys(("PodScheduled", "Initialized"), True) | dict.fromkeys(("ContainersReady", "Ready"), ready)
    return {
        "phase": phase,
        "startTime": _now(),
        "containerStatuses": containers,
        "conditions": [_condition(type, holds) for type, holds in reached.items()],
    }


def _condition(type: str, holds: bool) -> dict[str, Any]:
    why = {} if holds else {"reason": "ContainersNotReady"}
    # null removes what an earlier fate said
    return {"type": type, "status": str(holds), "reason": None, "message": None, "lastTransitionTime": _now()} | why


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
