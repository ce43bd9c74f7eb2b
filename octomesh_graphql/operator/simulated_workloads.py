"""Plays the controllers and the kubelet of the simulated cluster: Deployments become pods, and pods run, or do not.

What becomes of a pod can be told by its image: `registry.example.com/broken/adapter` never can be pulled,
`…/crashing/…` ends at once, `…/hungry/…` takes more memory than it may, `…/unschedulable/…` finds no node. All others
get Ready.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from octomesh_graphql.operator.cluster import Kind, Object, Step
from octomesh_graphql.operator.events import time_text
from octomesh_graphql.operator.simulated_objects import Key, Objects, key_of

_NODE: Final = "a-simulated-node"
_KUBELET, _SCHEDULER, _CONTROLLERS = "kubelet", "default-scheduler", "kube-controller-manager"
_HASH: Final = "pod-template-hash"

_SCHEDULING, _PULLING, _STARTING, _ENDING = 0.2, 1.5, 1.0, 0.7
"""Seconds that a step takes: long enough to be seen, short enough not to bore."""
_BACK_OFF: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between the starts of a container that crashes. After the last, it rests."""
_CRASHES: Final = {"crashing": (1, "Error"), "hungry": (137, "OOMKilled")}


class Workloads:
    """What runs in the cluster."""

    def __init__(
        self, objects: Objects, pause: Callable[[float], Awaitable[None]], now: Callable[[], datetime]
    ) -> None:
        """`pause` waits for a number of seconds, in whatever time it is played."""
        self._objects = objects
        self._pause = pause
        self._now = now
        self._due: dict[Key, None] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._names = random.Random(0)
        objects.listen(Kind.DEPLOYMENT, self._deployment_changed)
        objects.listen(Kind.POD, self._pod_changed)

    async def stop(self) -> None:
        """End what is under way."""
        lives = list(self._lives.values())
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    # Deployments

    def _deployment_changed(self, step: Step, deployment: Object) -> None:
        if step is Step.GONE:
            for pod in self._pods_of(deployment):
                self._objects.delete(Kind.POD, key_of(pod))
        else:
            self._look_soon(key_of(deployment))

    def _look_soon(self, key: Key) -> None:
        """Look after a Deployment in the next turn of the loop, however often it changed until then."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._look)
        self._due[key] = None

    def _look(self) -> None:
        due, self._due = self._due, {}
        for key in due:
            if deployment := self._objects.find(Kind.DEPLOYMENT, *key):
                self._roll(deployment)

    def _roll(self, deployment: Object) -> None:
        """One step towards the wished pods: a new one is made first, an old one goes when it is not needed any more."""
        spec = deployment["spec"]
        wanted, template = spec.get("replicas", 1), _digest(spec["template"])
        pods = self._pods_of(deployment)
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        new = [pod for pod in alive if _is_of(template, pod)]
        old = [pod for pod in alive if not _is_of(template, pod)]
        at_once = spec.get("strategy", {}).get("type") == "Recreate"
        if at_once:
            spare = old
            missing = 0 if len(pods) > len(new) else wanted - len(new)
        else:
            spare = _spare(new, old, wanted)
            missing = min(wanted - len(new), wanted + 1 - len(alive) + len(spare))
        for pod in spare + _first_unready(new)[: max(0, len(new) - wanted)]:
            self._objects.delete(Kind.POD, key_of(pod))
        for _ in range(missing):
            self._objects.update(self._new_pod(deployment, template), _CONTROLLERS)
        self._tell(deployment, template)

    def _tell(self, deployment: Object, template: str) -> None:
        pods = [pod for pod in self._pods_of(deployment) if "deletionTimestamp" not in pod["metadata"]]
        status = _deployment_status(deployment, pods, template, time_text(self._now()))
        self._objects.set_status(Kind.DEPLOYMENT, key_of(deployment), status, (_CONTROLLERS, "Update"))

    def _pods_of(self, deployment: Object) -> list[Object]:
        labels = deployment["spec"]["selector"]["matchLabels"]
        return self._objects.select(Kind.POD, deployment["metadata"]["namespace"], labels)

    def _new_pod(self, deployment: Object, template: str) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]["template"]
        of = f"{metadata['name']}-{template}"
        given = spec.get("metadata", {})
        # The ReplicaSet itself is not played: nobody looks at it.
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": of, "uid": f"{metadata['uid']}-{template}"}
        return {
            "apiVersion": Kind.POD.api_version,
            "kind": Kind.POD.kind,
            "metadata": given
            | {
                "name": f"{of}-{''.join(self._names.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}",
                "namespace": metadata["namespace"],
                "labels": given.get("labels", {}) | {_HASH: template},
                "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
            },
            "spec": spec["spec"],
        }

    # Pods

    def _pod_changed(self, step: Step, pod: Object) -> None:
        uid, (namespace, name) = pod["metadata"]["uid"], key_of(pod)
        self._look_soon((namespace, name.rsplit("-", 2)[0]))
        if step is Step.GONE:
            self._end_life(uid)
        elif "deletionTimestamp" in pod["metadata"]:
            self._begin(f"end of {uid}", self._ending(key_of(pod), uid))
        elif "status" not in pod:
            self._begin(uid, self._living(pod))

    def _begin(self, name: str, life: Coroutine[Any, Any, None]) -> None:
        if name in self._lives:
            life.close()
            return
        self._lives[name] = task = asyncio.get_running_loop().create_task(life)
        task.add_done_callback(lambda _: self._lives.pop(name, None))

    def _end_life(self, uid: str) -> None:
        if life := self._lives.pop(uid, None):
            life.cancel()

    async def _ending(self, key: Key, uid: str) -> None:
        self._end_life(uid)
        await self._pause(_ENDING)
        self._objects.remove(Kind.POD, key, uid)

    async def _living(self, pod: Object) -> None:
        """From its creation until nothing more changes by itself."""
        images = {part for each in _containers(pod) for part in each["image"].split("/")}
        self._say(pod, {"phase": "Pending"})
        await self._pause(_SCHEDULING)
        if "unschedulable" in images:
            self._unscheduled(pod)
            return
        self._bind(pod)
        self._say(pod, _pod_status("Pending", [_waiting(each, "ContainerCreating") for each in _containers(pod)]))
        await self._pause(_PULLING)
        if "broken" in images:
            await self._not_pulled(pod)
        elif fate := images & _CRASHES.keys():
            await self._crash(pod, *_CRASHES[min(fate)])
        else:
            self._run(pod, ready=False)
            await self._pause(_STARTING)
            self._run(pod, ready=True)

    def _unscheduled(self, pod: Object) -> None:
        message = "0/1 nodes are available: 1 Insufficient memory."
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._say(pod, {"phase": "Pending", "conditions": [scheduled]})
        self._objects.note(pod, "Warning", "FailedScheduling", message, _SCHEDULER)

    def _bind(self, pod: Object) -> None:
        if present := self._objects.find(Kind.POD, *key_of(pod)):
            self._objects.update(present | {"spec": present["spec"] | {"nodeName": _NODE}}, _SCHEDULER)

    def _run(self, pod: Object, *, ready: bool) -> None:
        running = {"running": {"startedAt": time_text(self._now())}}
        states = [_container(each, state=running, ready=ready) for each in _containers(pod)]
        self._say(pod, _pod_status("Running", states, ready=ready))

    async def _not_pulled(self, pod: Object) -> None:
        def waiting(reason: str, message: Callable[[str], str]) -> dict[str, Any]:
            return _pod_status("Pending", [_waiting(each, reason, message(each["image"])) for each in _containers(pod)])

        first = _containers(pod)[0]["image"]
        self._say(pod, waiting("ErrImagePull", _pull_error))
        self._objects.note(pod, "Warning", "Failed", f'Failed to pull image "{first}": {_pull_error(first)}', _KUBELET)
        self._objects.note(pod, "Warning", "Failed", "Error: ErrImagePull", _KUBELET)
        await self._pause(_BACK_OFF[0])
        self._say(pod, waiting("ImagePullBackOff", lambda image: f'Back-off pulling image "{image}"'))
        self._objects.note(pod, "Warning", "Failed", "Error: ImagePullBackOff", _KUBELET)

    async def _crash(self, pod: Object, exit_code: int, reason: str) -> None:
        for restarts, pause in enumerate(_BACK_OFF):
            self._crashed(pod, exit_code, reason, restarts)
            await self._pause(pause)
            if restarts + 1 < len(_BACK_OFF):
                self._run(pod, ready=False)
                await self._pause(_STARTING)

    def _crashed(self, pod: Object, exit_code: int, reason: str, restarts: int) -> None:
        now = time_text(self._now())
        ended = {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": now, "finishedAt": now}}
        namespace, name = key_of(pod)
        of_pod = f"pod={name}_{namespace}({pod['metadata']['uid']})"

        def state(container: Object) -> dict[str, Any]:
            if not restarts:
                return _container(container, state=ended)
            message = f"back-off {10 * 2**restarts}s restarting failed container={container['name']} {of_pod}"
            return _waiting(container, "CrashLoopBackOff", message) | {"lastState": ended, "restartCount": restarts}

        self._say(pod, _pod_status("Running", [state(each) for each in _containers(pod)]))
        if restarts:
            container = _containers(pod)[0]["name"]
            message = f"Back-off restarting failed container {container} in {of_pod}"
            self._objects.note(pod, "Warning", "BackOff", message, _KUBELET)

    def _say(self, pod: Object, status: dict[str, Any]) -> None:
        now = time_text(self._now())
        conditions = [each | {"lastTransitionTime": now} for each in status.get("conditions", ())]
        status = status | ({"conditions": conditions} if conditions else {})
        self._objects.set_status(Kind.POD, key_of(pod), status, (_KUBELET, "Update"))


# Deployments


def _digest(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _is_of(template: str, pod: Object) -> bool:
    labels: Object = pod["metadata"]["labels"]
    return labels.get(_HASH) == template


def _spare(new: Sequence[Object], old: Sequence[Object], wanted: int) -> list[Object]:
    """Old pods that may go, as the real controller counts: those that are not ready first."""
    ready = [pod for pod in old if _is_ready(pod)]
    unready = [pod for pod in old if not _is_ready(pod)]
    ready_new = sum(map(_is_ready, new))
    return unready[: max(0, len(old) + ready_new - wanted)] + ready[: max(0, len(ready) + ready_new - wanted)]


def _first_unready(pods: Sequence[Object]) -> list[Object]:
    return sorted(pods, key=_is_ready)


def _is_ready(pod: Object) -> bool:
    return {"type": "Ready", "status": "True"}.items() <= _condition_of(pod, "Ready").items()


def _condition_of(object: Object, type: str) -> Mapping[str, Any]:
    conditions = object.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == type), {})


def _deployment_status(deployment: Object, pods: Sequence[Object], template: str, now: str) -> dict[str, Any]:
    wanted = deployment["spec"].get("replicas", 1)
    ready = sum(map(_is_ready, pods))
    updated = [pod for pod in pods if _is_of(template, pod)]
    done = len(pods) == len(updated) == wanted == ready
    counts = {
        "replicas": len(pods),
        "updatedReplicas": len(updated),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, wanted - ready),
    }
    conditions = _deployment_conditions(available=ready >= wanted, done=done)
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **{name: count for name, count in counts.items() if count},  # as the API server does, zeros are left out
        "conditions": [_since(each, _condition_of(deployment, each["type"]), now) for each in conditions],
    }


def _deployment_conditions(*, available: bool, done: bool) -> Iterator[dict[str, str]]:
    has, number = ("has", "Available") if available else ("does not have", "Unavailable")
    yield {
        "type": "Available",
        "status": str(available),
        "reason": f"MinimumReplicas{number}",
        "message": f"Deployment {has} minimum availability.",
    }
    yield {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
        "message": "ReplicaSet has successfully progressed." if done else "ReplicaSet is progressing.",
    }


def _since(condition: dict[str, str], before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """With the times it had, if it did not change."""
    if condition.items() <= before.items():
        return dict(before)
    turned = now if before.get("status") != condition["status"] else before["lastTransitionTime"]
    return condition | {"lastUpdateTime": now, "lastTransitionTime": turned}


# Pods


def _containers(pod: Object) -> list[Object]:
    containers: list[Object] = pod["spec"]["containers"]
    return containers


def _container(container: Object, *, state: dict[str, Any], ready: bool = False) -> dict[str, Any]:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": "running" in state,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _waiting(container: Object, reason: str, message: str | None = None) -> dict[str, Any]:
    return _container(container, state={"waiting": {"reason": reason} | ({"message": message} if message else {})})


def _pod_status(phase: str, containers: list[dict[str, Any]], *, ready: bool = False) -> dict[str, Any]:
    """The status of a pod on a node."""
    reached = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    why = {"reason": "ContainersNotReady"}
    return {
        "phase": phase,
        "conditions": [
            {"type": type, "status": str(holds)} | ({} if holds else why) for type, holds in reached.items()
        ],
        "containerStatuses": containers,
    }


def _pull_error(image: str) -> str:
    reference = image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{reference}": failed to resolve reference '
        f'"{reference}": {reference}: not found'
    )
