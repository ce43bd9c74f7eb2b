"""The definition that clusters are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from octomesh_graphql.domain.resource import API_VERSION, KIND
from octomesh_graphql.operator.crd import as_yaml, crd, violations


def the_schema() -> dict[str, Any]:
    (version,) = crd()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
        yield from fields(field.get("items", {}), f"{path}.{name}[]")


def a_pool(**spec: Any) -> dict[str, Any]:
    given = {"tenantId": "acme", "poolRtId": "0123456789abcdef01234567"} | spec
    metadata = {"name": "pool", "namespace": "octo"}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": given}


def test_the_names_are_those_of_octomesh() -> None:
    definition = crd()

    assert definition["metadata"]["name"] == "communicationpools.octo-mesh.meshmakers.io"
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["names"]["shortNames"] == ["octopool"]
    assert [each["name"] for each in definition["spec"]["versions"]] == ["v1alpha1"]


def test_every_field_has_a_description() -> None:
    described = dict(fields(the_schema()))

    assert len(described) > 20
    assert [path for path, field in described.items() if "description" not in field] == [".metadata"]


def test_nothing_is_said_that_older_clusters_do_not_understand() -> None:
    assert "x-kubernetes-validations" not in as_yaml(crd())


def test_what_is_printed_says_the_same() -> None:
    assert yaml.safe_load(as_yaml(crd())) == crd()


def test_what_is_printed_has_no_references_that_people_would_stumble_over() -> None:
    text = as_yaml(crd())

    assert "&id" not in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"imagePullSecrets": [{"name": "pull"}]},
        {"resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"cpu": "500m"}}},
    ],
)
def test_a_good_resource_breaks_nothing(spec: dict[str, Any]) -> None:
    assert list(violations(a_pool(**spec))) == []


@pytest.mark.parametrize(
    ("spec", "violation"),
    [
        ({"poolRtId": "0123456789ABCDEF01234567"}, "spec.poolRtId in body should match"),
        ({"poolRtId": "0123456789abcdef0123456\n"}, "spec.poolRtId in body should match"),
        ({"poolRtId": 7}, "spec.poolRtId in body must be of type string"),
        ({"poolRtId": None}, "spec.poolRtId: Required value"),
        ({"tenantId": "acme-"}, "spec.tenantId in body should match"),
        ({"imagePullSecrets": [{}]}, "spec.imagePullSecrets[0].name: Required value"),
        ({"imagePullSecrets": "pull"}, "spec.imagePullSecrets in body must be of type array"),
        ({"resources": {"limits": {"cpu": "much"}}}, "spec.resources.limits.cpu in body should match"),
    ],
)
def test_what_is_wrong_is_named(spec: dict[str, Any], violation: str) -> None:
    (found,) = violations(a_pool(**spec))

    assert violation in found


def test_a_resource_without_a_spec_is_none() -> None:
    resource = a_pool()
    del resource["spec"]

    assert list(violations(resource)) == ["spec: Required value"]
