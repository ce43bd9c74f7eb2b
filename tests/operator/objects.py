"""Wishes for the operator, and objects as a cluster shows them, with what does not matter to a test filled in."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from octomesh_graphql.domain.resource import API_VERSION, FIELD_MANAGER, KIND
from octomesh_graphql.domain.states import AdapterType
from octomesh_graphql.domain.wish import PoolWish, WishedAdapter
from octomesh_graphql.operator.cluster import Kind, Object
from octomesh_graphql.operator.manifests import Place, PlaceSettings, place_of
from octomesh_graphql.operator.planning import Observed, Plan

TENANT_ID = "acme"
POOL_RT_ID = f"{0xA001:024x}"
ADAPTER_RT_ID = f"{0xB001:024x}"
IMAGE = "registry.example.com/plant/opcua:3.13.2"
POD = "octo-b001-7d9f-x2x4z"
CREATED = "2026-03-01T12:00:00Z"


def a_resource(*, name: str = f"{TENANT_ID}-{POOL_RT_ID}", uid: str = "uid-of-the-pool", **spec: Any) -> Object:
    """A CommunicationPool."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": "octo", "uid": uid, "generation": 1},
        "spec": {"tenantId": TENANT_ID, "poolRtId": POOL_RT_ID, **spec},
    }


def a_place(resource: Object | None = None, **settings: Any) -> Place:
    """The place that a CommunicationPool asks for."""
    return place_of(resource or a_resource(), PlaceSettings(server_url="https://octomesh.example.com", **settings))


def a_wished_adapter(**given: Any) -> WishedAdapter:
    """An adapter that is to run."""
    return WishedAdapter(
        **{
            "rt_id": ADAPTER_RT_ID,
            "name": "OPC UA",
            "type": AdapterType.EDGE,
            "wanted": True,
            "generation": 1,
            "image_name": "registry.example.com/plant/opcua",
            "image_version": "3.13.2",
            **given,
        }
    )


def a_wish(*adapters: WishedAdapter, **given: Any) -> PoolWish:
    """The wish about a pool with these adapters."""
    return PoolWish(
        **{"tenant_id": TENANT_ID, "pool_rt_id": POOL_RT_ID, "pool_name": "North", "adapters": adapters, **given}
    )


# A cluster that does what it is told


def after(plan: Plan, observed: Observed) -> Observed:
    """What is there when a plan has been carried out; no pod has come or gone yet."""
    objects = {_identity(each): each for each in _objects(observed)}
    for gone in plan.delete:
        del objects[_identity(gone)]
    for application in plan.apply:
        identity = _identity(application.object)
        objects[identity] = served(merged(objects.get(identity, {}), application.object))
    return seen(objects.values(), pods=observed.pods, events=observed.events)


def seen(objects: Iterable[Object], *, pods: Iterable[Object] = (), events: Iterable[Object] = ()) -> Observed:
    """These objects, listed."""
    listed = list(objects)
    return Observed(
        deployments=[each for each in listed if Kind.of(each) is Kind.DEPLOYMENT],
        secrets=[each for each in listed if Kind.of(each) is Kind.SECRET],
        services=[each for each in listed if Kind.of(each) is Kind.SERVICE],
        pods=list(pods),
        events=list(events),
    )


def merged(found: Any, applied: Any) -> Any:
    """As server-side apply leaves it: what is applied wins, what others added stays."""
    if isinstance(found, dict) and isinstance(applied, dict):
        return {**found, **{name: merged(found.get(name), value) for name, value in applied.items()}}
    key = _list_key(applied)
    if isinstance(found, list) and key:
        named = {each.get(key): each for each in found}
        return list({**named, **{each[key]: merged(named.get(each[key]), each) for each in applied}}.values())
    return copy.deepcopy(applied)


def served(object: Object) -> Object:
    """As the API server gives an object back: with an identity, defaults, and its own spelling of quantities."""
    object = copy.deepcopy(object)
    metadata = object["metadata"]
    metadata.setdefault("uid", f"uid-of-{object['kind']}-{metadata['name']}")
    metadata |= {"creationTimestamp": CREATED, "resourceVersion": "17"}
    metadata["managedFields"] = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    if object["kind"] == "Service":
        object["spec"] |= {"clusterIP": "10.96.0.17", "sessionAffinity": "None"}
    if object["kind"] == "Deployment":
        _serve_deployment(object)
    return object


def _serve_deployment(deployment: Object) -> None:
    metadata, pod = deployment["metadata"], deployment["spec"]["template"]["spec"]
    metadata["generation"] = metadata.get("generation", 0) + 1
    metadata["annotations"]["deployment.kubernetes.io/revision"] = "1"
    deployment.setdefault("status", {})
    pod |= {"restartPolicy": "Always", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30}
    for container in pod["containers"]:
        container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
        for variable in container["env"]:
            if variable.get("value") == "":
                del variable["value"]
        for amounts in container["resources"].values():
            amounts |= {name: _CANONICAL.get(str(amount), str(amount)) for name, amount in amounts.items()}
    for volume in pod.get("volumes", ()):
        volume["secret"]["defaultMode"] = 420


_CANONICAL = {"1024Mi": "1Gi", "0.5": "500m", "1000m": "1", "0.50": "500m", "1e3": "1k"}


def _objects(observed: Observed) -> list[Object]:
    return [*observed.deployments, *observed.secrets, *observed.services]


def _identity(object: Object) -> tuple[str, str]:
    return object["kind"], object["metadata"]["name"]


def _list_key(applied: Any) -> str | None:
    if not isinstance(applied, list) or not applied or not isinstance(applied[0], dict):
        return None
    return "uid" if "uid" in applied[0] else "name"


# How a Deployment and its pods are doing


def rolling(deployment: Object, **status: Any) -> Object:
    """A Deployment whose new pod is there, but not available."""
    generation = deployment["metadata"].get("generation", 1)
    progress = {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1}
    return {**deployment, "status": progress | status}


def available(deployment: Object) -> Object:
    """A Deployment that is rolled out."""
    return rolling(deployment, availableReplicas=1, readyReplicas=1, unavailableReplicas=0)


def a_deployment(**status: Any) -> Object:
    """A Deployment that is being rolled out."""
    metadata = {"name": "octo-b001", "namespace": "octo", "generation": 1, "labels": {}}
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
    return rolling({**bare, "spec": {"replicas": 1, "progressDeadlineSeconds": 300}}, **status)


def a_pod(
    *containers: dict[str, Any],
    name: str = POD,
    template: str = "7d9f",
    created: str = CREATED,
    ready: bool = False,
    labels: dict[str, str] | None = None,
    **status: Any,
) -> Object:
    """A pod on a node."""
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    limits = {"limits": {"cpu": "500m", "memory": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "octo",
            "uid": f"uid-of-{name}",
            "creationTimestamp": created,
            "labels": {"pod-template-hash": template, **(labels or {})},
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "adapter", "image": IMAGE, "resources": limits}]},
        "status": {"phase": "Pending", "conditions": conditions, "containerStatuses": list(containers), **status},
    }


def a_ready_pod(**given: Any) -> Object:
    """A pod that is as it should be."""
    return a_pod(a_container({"running": {"startedAt": CREATED}}, ready=True), ready=True, phase="Running", **given)


def a_container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a pod's status says about its container."""
    return {"name": "adapter", "image": IMAGE, "ready": False, "restartCount": 0, "state": state, **more}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A container that waits."""
    return a_container({"waiting": {"reason": reason, "message": message}}, **more)


def terminated(exit_code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    """The end of a process, as a state."""
    return {"terminated": {"exitCode": exit_code, "reason": reason, **more}}


def a_warning(reason: str, message: str, *, about: str = POD, last: str = CREATED) -> Object:
    """An Event about a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about}.{reason}", "namespace": "octo"},
        "involvedObject": {"kind": "Pod", "name": about, "uid": f"uid-of-{about}"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": last,
    }


def leaving(object: Object, *finalizers: str) -> Object:
    """An object that is being deleted."""
    gone = {"deletionTimestamp": CREATED, "finalizers": list(finalizers)}
    return {**object, "metadata": {**object["metadata"], **gone}}
