"""What a wished adapter becomes: plain Kubernetes objects, equal for equal wishes.

Names are made of ids only; what people call things is in annotations of the top objects, and not on the pod, so that a
rename never restarts anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from octomesh_graphql.domain.resource import (
    ADAPTER_CK_ID,
    ADAPTER_RT_ID,
    COMPONENT,
    COMPONENT_ADAPTER,
    FIELD_MANAGER,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_OPERATOR,
    POOL_NAME,
    POOL_RT_ID,
    TENANT,
    WISH,
    WORKLOAD_NAME,
)
from octomesh_graphql.domain.wish import PoolWish, WishedAdapter
from octomesh_graphql.operator.cluster import Kind, Object

RESOURCES: Final[Mapping[str, Any]] = {
    "requests": {"cpu": "200m", "memory": "512Mi"},
    "limits": {"cpu": "500m", "memory": "1Gi"},
}
"""What an adapter gets where its CommunicationPool says nothing: OctoMesh's own numbers."""

CONTAINER: Final = "adapter"
PORT: Final = "adapter"
CONFIGURATION_FILE: Final = "configuration.json"
CONFIGURATION_FOLDER: Final = "/etc/octomesh"
CONFIGURATION_CHECKSUM: Final = f"{GROUP}/configuration-checksum"
"""Annotation of the pod: changes with the configuration, so that a new configuration is rolled out like a new image."""

PROGRESS_SECONDS: Final = 300
"""How long a rollout may stand still before it counts as failed: a large image over a thin line takes minutes."""

UNPROBED_READY_SECONDS: Final = 5
"""How long a process without a health path must run to count as available. Without it, one that crashes at start would
be available for a moment after each restart."""

_VOLUME: Final = "configuration"
_TENANT_HASH: Final = 10  # hex digits: tells a trillion tenants apart, and leaves a pod's name below 63 characters


@dataclass(frozen=True, kw_only=True)
class Broker:
    """The message broker of a cluster, as adapters reach it."""

    host: str
    port: int = 5672
    virtual_host: str = "/"
    secret: str
    """A Secret in the adapters' namespace with the keys `brokerusername` and `brokerpassword`."""


@dataclass(frozen=True, kw_only=True)
class PlaceSettings:
    """What holds for all places of an operator, where a CommunicationPool says nothing else."""

    server_url: str
    image_pull_secrets: tuple[str, ...] = ()
    broker: Broker | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the adapters of a pool run, and on whose behalf."""

    namespace: str
    owner: Object
    """The CommunicationPool: what is made for it goes with it."""
    server_url: str
    """The API server as adapters reach it, which need not be how the operator does."""
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    broker: Broker | None = None


def place_of(resource: Object, settings: PlaceSettings) -> Place:
    """The place a CommunicationPool asks for.

    What its spec says is taken as a whole: half of its `resources` with half of the defaults could request more than
    the limit.
    """
    spec = resource["spec"]
    secrets = spec.get("imagePullSecrets")
    return Place(
        namespace=resource["metadata"]["namespace"],
        owner=resource,
        server_url=settings.server_url,
        image_pull_secrets=settings.image_pull_secrets if secrets is None else tuple(each["name"] for each in secrets),
        resources=RESOURCES if spec.get("resources") is None else spec["resources"],
        broker=settings.broker,
    )


def labels_of(tenant_id: str, pool_rt_id: str) -> dict[str, str]:
    """What tells the objects of a pool from all others."""
    return {TENANT: tenant_id, POOL_RT_ID: pool_rt_id, MANAGED_BY: MANAGED_BY_OPERATOR}


def object_name(tenant_id: str, rt_id: str) -> str:
    """The name of all objects of an adapter: 40 characters that are the same for no adapter of another tenant."""
    return f"octo-{rt_id}-{hashlib.sha256(tenant_id.encode()).hexdigest()[:_TENANT_HASH]}"


def image_of(adapter: WishedAdapter) -> str:
    """The image as a container names it."""
    separator = "@" if adapter.image_version.startswith("sha256:") else ":"
    return f"{adapter.image_name}{separator}{adapter.image_version}"


def manifests(wish: PoolWish, adapter: WishedAdapter, place: Place) -> list[Object]:
    """The objects of one adapter, in the order in which they need each other. Each says in the annotation `WISH` which
    wish it came from."""
    rendering = _Rendering(wish, adapter, place)
    objects = [rendering.secret()] if adapter.configuration is not None else []
    objects.append(rendering.deployment())
    if adapter.port is not None:
        objects.append(rendering.service())
    return [_marked(object) for object in objects]


def _marked(object: Object) -> Object:
    """With a hash of all of it, in two parts: of what runs, and of what it is called."""
    metadata = object["metadata"]
    runs = {part: value for part, value in object.items() if part != "metadata"}
    mark = {WISH: f"{_hash(json.dumps(runs, sort_keys=True))}-{_hash(json.dumps(metadata, sort_keys=True))}"}
    return {**object, "metadata": {**metadata, "annotations": metadata["annotations"] | mark}}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Rendering:
    """One adapter on its way to its objects."""

    wish: PoolWish
    adapter: WishedAdapter
    place: Place

    def secret(self) -> Object:
        # Not `stringData`: nobody ever gets that back, so it could not be compared with what is there.
        data = {CONFIGURATION_FILE: base64.b64encode(self.configuration.encode()).decode()}
        return self.object(Kind.SECRET, type="Opaque", data=data)

    def service(self) -> Object:
        # By the port's name, so that traffic finds the old and the new pod while a changed port is rolled out.
        port = {"name": PORT, "port": self.adapter.port, "targetPort": PORT, "protocol": "TCP"}
        return self.object(Kind.SERVICE, spec={"type": "ClusterIP", "selector": self.selector, "ports": [port]})

    def deployment(self) -> Object:
        spec = {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": PROGRESS_SECONDS,
            # The old pod goes when the new one is ready: a bad image never takes away what runs.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": self.selector},
            "template": {"metadata": self.pod_metadata, "spec": self.pod_spec},
        }
        if self.adapter.health_path is None or self.adapter.port is None:
            spec["minReadySeconds"] = UNPROBED_READY_SECONDS
        return self.object(Kind.DEPLOYMENT, spec=spec)

    def object(self, kind: Kind, **content: Any) -> Object:
        metadata = {
            "name": self.name,
            "namespace": self.place.namespace,
            "labels": self.labels,
            "annotations": {POOL_NAME: self.wish.pool_name, WORKLOAD_NAME: self.adapter.name},
            "ownerReferences": [self.owner_reference],
        }
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **content}

    @property
    def name(self) -> str:
        return object_name(self.wish.tenant_id, self.adapter.rt_id)

    @property
    def configuration(self) -> str:
        """The configuration as text, the same for equal ones: a client that sorts keys otherwise restarts nothing."""
        return json.dumps(self.adapter.configuration, ensure_ascii=False, sort_keys=True)

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.wish.tenant_id, self.wish.pool_rt_id) | {
            ADAPTER_RT_ID: self.adapter.rt_id,
            ADAPTER_CK_ID: self.adapter.ck_type_id.replace("/", "-"),
            COMPONENT: COMPONENT_ADAPTER,
            "app.kubernetes.io/managed-by": FIELD_MANAGER,
            "app.kubernetes.io/name": "octomesh-adapter",
        }

    @property
    def selector(self) -> dict[str, str]:
        """Kubernetes never lets it change, so it holds no more than it takes to be right."""
        return {TENANT: self.wish.tenant_id, ADAPTER_RT_ID: self.adapter.rt_id}

    @property
    def owner_reference(self) -> dict[str, Any]:
        owner = self.place.owner
        return {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }

    @property
    def pod_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"labels": self.labels}
        if self.adapter.configuration is not None:
            metadata["annotations"] = {CONFIGURATION_CHECKSUM: _hash(self.configuration)}
        return metadata

    @property
    def pod_spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,  # an adapter has no business with the Kubernetes API
            "enableServiceLinks": False,  # variables for every Service of the namespace would only be in the way
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [self.container],
        }
        if self.place.image_pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in self.place.image_pull_secrets]
        if self.adapter.configuration is not None:
            spec["volumes"] = [{"name": _VOLUME, "secret": {"secretName": self.name}}]
        return spec

    @property
    def container(self) -> dict[str, Any]:
        container: dict[str, Any] = {
            "name": CONTAINER,
            "image": image_of(self.adapter),
            "env": self.env,
            "resources": dict(self.place.resources),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        if self.adapter.configuration is not None:
            container["volumeMounts"] = [{"name": _VOLUME, "mountPath": CONFIGURATION_FOLDER, "readOnly": True}]
        if self.adapter.port is not None:
            container["ports"] = [{"name": PORT, "containerPort": self.adapter.port, "protocol": "TCP"}]
            container |= self.probes
        return container

    @property
    def probes(self) -> dict[str, Any]:
        if self.adapter.health_path is None:
            return {}
        asked = {"httpGet": {"path": self.adapter.health_path, "port": PORT}, "timeoutSeconds": 3}
        return {
            # Often, so that DEPLOYED is told within seconds; three misses, so that one slow answer is no news.
            "readinessProbe": {**asked, "periodSeconds": 5, "failureThreshold": 3},
            # Seldom, and only after two minutes of silence: a restart cures a process that hangs, but nothing that it
            # waits for, and one that is slow to start must get the time to.
            "livenessProbe": {**asked, "periodSeconds": 20, "failureThreshold": 6},
        }

    @property
    def env(self) -> list[dict[str, Any]]:
        values = {
            "TENANTID": self.wish.tenant_id,
            "ADAPTERRTID": self.adapter.rt_id,
            "ADAPTERCKTYPEID": self.adapter.ck_type_id,
            "COMMUNICATIONCONTROLLERSERVICESURI": self.place.server_url,
            "IGNORECERTIFICATEVALIDATION": "false",
        }
        if self.adapter.configuration is not None:
            values["CONFIGURATIONFILE"] = f"{CONFIGURATION_FOLDER}/{CONFIGURATION_FILE}"
        return [_variable(name, value=value) for name, value in values.items()] + _broker_env(self.place.broker)


def _broker_env(broker: Broker | None) -> list[dict[str, Any]]:
    if broker is None:
        return []
    return [
        _variable("BROKERHOST", value=broker.host),
        _variable("BROKERVIRTUALHOST", value=broker.virtual_host),
        _variable("BROKERPORT", value=str(broker.port)),
        _variable("BROKERUSERNAME", valueFrom=_key_of(broker.secret, "brokerusername")),
        _variable("BROKERPASSWORD", valueFrom=_key_of(broker.secret, "brokerpassword")),
    ]


def _variable(name: str, **content: Any) -> dict[str, Any]:
    return {"name": f"OCTO_ADAPTER__{name}", **content}


def _key_of(secret: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key}}
