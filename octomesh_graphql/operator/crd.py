"""The definition of the CommunicationPool resource, from which clusters learn the kind, and what breaks it.

It is one for all clusters from 1.20 on. Therefore it does not say that tenant and pool can't be changed: before 1.23,
kubectl refuses a definition with `x-kubernetes-validations` as invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from octomesh_graphql.domain.resource import GROUP, KIND, PLURAL, VERSION
from octomesh_graphql.domain.tenant import TENANT_ID
from octomesh_graphql.operator.cluster import Object

POOL_RT_ID: Final = "^[a-f0-9]{24}$"

_QUANTITY: Final = "^[0-9]+([.][0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"


def crd() -> Object:
    """The CustomResourceDefinition, as `kubectl apply` takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            # With the definition, all resources would go, and with them what runs.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["octopool"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _SCHEMA},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _COLUMNS,
                }
            ],
        },
    }


def as_yaml(object: Object) -> str:
    """An object as people read and apply it."""
    text: str = yaml.safe_dump(object, sort_keys=False, allow_unicode=True, width=120)
    return text


def violations(resource: Object) -> Iterator[str]:
    """What an API server would refuse in a CommunicationPool, each as it would say it."""
    for part in ("spec", "status"):
        if part == "spec" or part in resource:
            yield from _violations(resource.get(part), _SCHEMA["properties"][part], part)


# The schema


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description} | more


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "format": "int64", "description": description}


def _structure(description: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "description": description} | more | {"properties": properties}


def _list_by(key: str, description: str, item: dict[str, Any]) -> dict[str, Any]:
    """A list of which each item has its own name, so that several owners can each have items in it."""
    by_key = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return {"type": "array", "description": description} | by_key | {"items": item}


def _quantities(description: str) -> dict[str, Any]:
    quantity = {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": _QUANTITY,
        "description": "A quantity as Kubernetes writes them: 200m, 512Mi.",
    }
    return {"type": "object", "description": description, "additionalProperties": quantity}


_SPEC: Final = _structure(
    "Which pool this place serves, and how its adapters run here.",
    {
        "tenantId": _text("The tenant to whom the pool belongs.", pattern=f"^{TENANT_ID.pattern}$", maxLength=38),
        "poolRtId": _text("The rtId of the pool: 24 lower-case hexadecimal digits.", pattern=POOL_RT_ID, maxLength=24),
        "imagePullSecrets": _list_by(
            "name",
            "Secrets in this namespace with which the images of adapters are pulled.",
            _structure(
                "A Secret.", {"name": _text("The name of the Secret.", minLength=1, maxLength=253)}, required=["name"]
            ),
        ),
        "resources": _structure(
            "What each adapter of the pool asks for, and may take at most.",
            {
                "requests": _quantities("What a node must have free: cpu, memory."),
                "limits": _quantities("What an adapter may take at most: cpu, memory."),
            },
        ),
    },
    required=["tenantId", "poolRtId"],
)

_CONDITION: Final = _structure(
    "One thing that holds, or does not.",
    {
        "type": _text("What it is about: Registered, Ready.", minLength=1, maxLength=316),
        "status": _text("Whether it holds.", enum=["True", "False", "Unknown"]),
        "reason": _text("Why, in one word for programs."),
        "message": _text("Why, in a sentence for people."),
        "lastTransitionTime": _text("Since when.", format="date-time"),
        "observedGeneration": _number("The generation of this resource that it is about."),
    },
    required=["type", "status", "reason", "message", "lastTransitionTime"],
)

_STATUS: Final = _structure(
    "What the operator makes of it. Only the operator writes it.",
    {
        "communicationStatus": _text("In a few words: In Progress, Registered, or Failed with the reason."),
        "observedGeneration": _number("The generation of this resource that the operator acted on."),
        "operator": _text("The id of the operator that serves the pool."),
        "tenantId": _text("The tenant whose pool is served; spec.tenantId can't be changed after that."),
        "poolRtId": _text("The rtId of the pool that is served; spec.poolRtId can't be changed after that."),
        "poolName": _text("What the pool is called, as people named it."),
        "adapters": _text("How many adapters run, of how many that are wanted: 3/4."),
        "conditions": _list_by("type", "What holds: Registered with the server; Ready, all wanted run.", _CONDITION),
    },
)

_SCHEMA: Final[dict[str, Any]] = _structure(
    "A place that serves one pool of a tenant: where it is, the operator deploys the pool's adapters.",
    {
        "apiVersion": _text("The version of this form of the resource."),
        "kind": _text("The kind of the resource."),
        "metadata": {"type": "object"},
        "spec": _SPEC,
        "status": _STATUS,
    },
    required=["spec"],
)


def _column(name: str, path: str, description: str, *, wide: bool = False, type: str = "string") -> dict[str, Any]:
    column = {"name": name, "type": type, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


_COLUMNS: Final = [
    _column("Tenant", ".spec.tenantId", "The tenant to whom the pool belongs."),
    _column("Pool", ".status.poolName", "What the pool is called."),
    _column("Status", ".status.communicationStatus", "How the operator and the server get on."),
    _column("Adapters", ".status.adapters", "Running, of wanted."),
    _column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether all wanted adapters run."),
    _column("Operator", ".status.operator", "The operator that serves the pool.", wide=True),
    _column("PoolRtId", ".spec.poolRtId", "The rtId of the pool.", wide=True),
    _column("Age", ".metadata.creationTimestamp", "Since when it is there.", type="date"),
]


# Checking, for the simulated cluster

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}


def _violations(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if value is None:
        yield f"{path}: Required value"
        return
    expected = schema.get("type")
    if expected and (not isinstance(value, _TYPES[expected]) or isinstance(value, bool)):
        yield f'{path}: Invalid value: "{type(value).__name__}": {path} in body must be of type {expected}'
        return
    match value:
        case dict():
            yield from _violations_within(value, schema, path)
        case list():
            for index, item in enumerate(value):
                yield from _violations(item, schema["items"], f"{path}[{index}]")
        case str():
            yield from _violations_of_text(value, schema, path)


def _violations_within(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: Required value"
    for name, child in value.items():
        if within := known.get(name) or schema.get("additionalProperties"):
            yield from _violations(child, within, f"{path}.{name}")


def _violations_of_text(value: str, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    pattern, allowed = schema.get("pattern"), schema.get("enum")
    if pattern and not re.search(pattern.replace("$", r"\Z"), value):  # $ would let a line break pass
        yield f"{path}: Invalid value: \"{value}\": {path} in body should match '{pattern}'"
    if allowed and value not in allowed:
        yield f'{path}: Unsupported value: "{value}": supported values: ' + ", ".join(f'"{each}"' for each in allowed)
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f'{path}: Invalid value: "{value}": {path} in body has a length that is not allowed'
