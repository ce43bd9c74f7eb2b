"""Changing things through the graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import build_schema, get_named_type, is_non_null_type
from strawberry import Schema
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition, StrawberryOptional

from octomesh_graphql.api.printing import printed_schema
from octomesh_graphql.api.schema import build_agents_schema
from octomesh_graphql.api.schema import build_schema as build_tenant_schema
from octomesh_graphql.domain.states import DeploymentState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import ObjectId
from tests.api.conftest import Api
from tests.builders import created_adapter, created_pool

ERRORS = """errors {
  __typename code message path
  ... on VersionConflict { current { rtId rtVersion name } }
  ... on AdapterInAnotherPool { adapter { rtId } pool { rtId name } }
  ... on AdapterNotInPool { adapter { rtId } }
  ... on StillDeployed { adapters { rtId name } }
  ... on BeingDeleted { pool { rtId } }
}"""
POOL = (
    "pool { rtId rtVersion name description deploymentState deleting summary { adapters } adapters { nodes { name } } }"
)
ADAPTER = "adapter { rtId name type imageVersion configuration deploymentState pool { name } }"
BODIES = {
    "createPool": POOL,
    "editPool": POOL,
    "deletePool": f"deleted deletedRtId {POOL} leftBehind {{ name }}",
    "deployPoolAdapters": f"{POOL} adapters {{ name deploymentState }}",
    "undeployPoolAdapters": f"{POOL} adapters {{ name deploymentState }}",
    "deleteAdapter": "deletedRtId",
}


async def do(api: Api, mutation: str, **given: Any) -> Any:
    """The payload of a mutation."""
    kind = mutation[0].upper() + mutation[1:] + "Input"
    body = BODIES.get(mutation, ADAPTER)
    document = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {body} {ERRORS} }} }}"
    return (await api.ask(document, input=given))[mutation]


def the_error(payload: Any) -> Any:
    """The only error of a payload."""
    (error,) = payload["errors"]
    return error


async def test_a_pool_is_created_edited_and_deleted(api: Api) -> None:
    created = await do(api, "createPool", name="  Werk Schärding 🏭 ", description="Halle 2")
    assert created["errors"] == []
    pool = created["pool"]
    assert (pool["name"], pool["rtVersion"]) == ("Werk Schärding 🏭", 1)
    edited = await do(api, "editPool", rtId=pool["rtId"], expectedVersion=1, name="Werk 2", description=None)
    assert (edited["pool"]["name"], edited["pool"]["description"], edited["pool"]["rtVersion"]) == ("Werk 2", None, 2)
    deleted = await do(api, "deletePool", rtId=pool["rtId"])
    assert (deleted["deleted"], deleted["deletedRtId"], deleted["pool"]) == (True, pool["rtId"], None)
    assert (await api.ask("{ pools { totalCount } }"))["pools"]["totalCount"] == 0


async def test_an_absent_field_is_left_alone(api: Api) -> None:
    pool = (await do(api, "createPool", name="North", description="near the river"))["pool"]
    edited = (await do(api, "editPool", rtId=pool["rtId"], name="South"))["pool"]
    assert edited["description"] == "near the river"


async def test_a_stale_edit_gets_the_current_entity(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    await do(api, "editPool", rtId=pool.rt_id, name="South")
    error = the_error(await do(api, "editPool", rtId=pool.rt_id, expectedVersion=1, name="West"))
    assert (error["__typename"], error["code"]) == ("VersionConflict", "VERSION_CONFLICT")
    assert error["current"] == {"rtId": pool.rt_id, "rtVersion": 2, "name": "South"}


async def test_an_adapter_in_another_pool_is_named_with_that_pool(api: Api, store: TenantStore) -> None:
    north, south = await created_pool(store, "North"), await created_pool(store, "South")
    pump = await created_adapter(store, "pump", pool=north)
    valve = await created_adapter(store, "valve")
    payload = await do(api, "editPool", rtId=south.rt_id, name="West", addAdapters=[pump.rt_id, valve.rt_id])
    error = the_error(payload)
    assert error["__typename"] == "AdapterInAnotherPool"
    assert error["pool"] == {"rtId": north.rt_id, "name": "North"}
    assert error["adapter"]["rtId"] == pump.rt_id
    assert payload["pool"] is None
    unchanged = await api.ask('{ pool(name: "South") { rtVersion adapters { totalCount } } }')
    assert unchanged["pool"] == {"rtVersion": 1, "adapters": {"totalCount": 0}}


async def test_adapters_are_added_and_removed_with_the_pool(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    pump, valve = await created_adapter(store, "pump", pool=pool), await created_adapter(store, "valve")
    payload = await do(api, "editPool", rtId=pool.rt_id, addAdapters=[valve.rt_id], removeAdapters=[pump.rt_id])
    assert payload["errors"] == []
    assert [adapter["name"] for adapter in payload["pool"]["adapters"]["nodes"]] == ["valve"]
    assert payload["pool"]["summary"]["adapters"] == 1


async def test_a_deploy_wish_stays_pending_and_says_that_no_operator_serves_the_pool(
    api: Api, store: TenantStore
) -> None:
    pool = await created_pool(store, "North")
    await created_adapter(store, "pump", pool=pool)
    payload = await do(api, "deployPoolAdapters", rtId=pool.rt_id)
    assert payload["adapters"] == [{"name": "pump", "deploymentState": "PENDING"}]
    assert payload["pool"]["deploymentState"] == "PENDING"
    message = (await api.ask('{ adapter(name: "pump") { statusMessage } }'))["adapter"]["statusMessage"]
    assert message.startswith("Waiting: no operator serves the pool 'North'.")
    again = await do(api, "deployPoolAdapters", rtId=pool.rt_id)
    assert (again["adapters"], again["errors"]) == ([], [])


async def test_a_pool_with_something_deployed_is_deleted_only_as_the_caller_says(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    pump = await created_adapter(store, "pump", pool=pool)
    await do(api, "deployAdapter", rtId=pump.rt_id)
    error = the_error(await do(api, "deletePool", rtId=pool.rt_id))
    assert (error["__typename"], error["adapters"]) == ("StillDeployed", [{"rtId": pump.rt_id, "name": "pump"}])
    # nobody has ever served the pool, so nothing can run: undeploying is done at once
    done = await do(api, "deletePool", rtId=pool.rt_id, mode="UNDEPLOY_FIRST")
    assert (done["deleted"], done["errors"], done["leftBehind"]) == (True, [], [])
    left = await api.ask('{ adapter(name: "pump") { deploymentState pool { name } } }')
    assert left["adapter"] == {"deploymentState": "UNDEPLOYED", "pool": None}


async def test_an_adapter_lives_through_all_its_mutations(api: Api, store: TenantStore) -> None:
    north, south = await created_pool(store, "North"), await created_pool(store, "South")
    created = await do(
        api, "createAdapter", name="pump", type="EDGE", imageName="registry.example.com/x", imageVersion="1.0",
        configuration={"$where": "1", "a.b": [None, 1.5, 2**70]}, poolRtId=north.rt_id,
    )  # fmt: skip
    adapter = created["adapter"]
    assert adapter["configuration"] == {"$where": "1", "a.b": [None, 1.5, 2**70]}
    rt_id = adapter["rtId"]
    moved = await do(api, "moveAdapter", rtId=rt_id, poolRtId=south.rt_id)
    assert moved["adapter"]["pool"] == {"name": "South"}
    edited = await do(api, "editAdapter", rtId=rt_id, imageVersion="2.0", type="MESH", configuration=None)
    assert (edited["adapter"]["imageVersion"], edited["adapter"]["type"]) == ("2.0", "MESH")
    assert edited["adapter"]["configuration"] is None
    assert (await do(api, "deployAdapter", rtId=rt_id))["adapter"]["deploymentState"] == "PENDING"
    for mutation in ("moveAdapter", "deleteAdapter"):
        assert the_error(await do(api, mutation, rtId=rt_id))["__typename"] == "StillDeployed"
    assert (await do(api, "undeployAdapter", rtId=rt_id))["adapter"]["deploymentState"] == "UNDEPLOYED"
    assert (await do(api, "moveAdapter", rtId=rt_id))["adapter"]["pool"] is None
    assert the_error(await do(api, "deployAdapter", rtId=rt_id))["__typename"] == "AdapterNotInPool"
    assert (await do(api, "deleteAdapter", rtId=rt_id))["deletedRtId"] == rt_id


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("Ä", None), ("🏭", None), ("מפעל צפון", None), ("$where", None), ('{"$gt": ""}', None), ("x" * 100, None),
        ("x" * 101, "101 characters"), ("", "is missing"), ("   ", "is missing"),
        ("a\x00b", "U+0000"), ("a\nb", "U+000A"),
    ],
)  # fmt: skip
async def test_a_name_is_stored_as_text_or_refused_with_the_reason(api: Api, name: str, refused: str | None) -> None:
    payload = await do(api, "createPool", name=name)
    if refused is None:
        assert payload["errors"] == []
        assert payload["pool"]["name"] == name
        found = await api.ask("query($n: String!) { pool(name: $n) { name } }", n=name)
        assert found["pool"]["name"] == name
    else:
        error = the_error(payload)
        assert (error["__typename"], error["path"]) == ("InvalidValue", ["name"])
        assert refused in error["message"]


async def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    payload = await do(
        api, "createAdapter", name="", type="EDGE", imageName="Not An Image", imageVersion="a b",
        description="x" * 2_001,
    )  # fmt: skip
    assert [error["path"] for error in payload["errors"]] == [
        ["name"],
        ["description"],
        ["imageName"],
        ["imageVersion"],
    ]


async def test_a_name_is_taken_whatever_its_case(api: Api, store: TenantStore) -> None:
    await created_pool(store, "Werk Schärding")
    error = the_error(await do(api, "createPool", name="WERK SCHÄRDING"))
    assert (error["__typename"], error["path"]) == ("NameTaken", ["name"])
    assert "pool 'Werk Schärding'" in error["message"]


async def test_an_unknown_entity_is_named(api: Api) -> None:
    for mutation in ("editPool", "deletePool", "deployPoolAdapters", "editAdapter", "deployAdapter", "moveAdapter"):
        error = the_error(await do(api, mutation, rtId="f" * 24))
        assert (error["__typename"], error["path"]) == ("NotFound", ["rtId"]), mutation
        assert "f" * 24 in error["message"]


async def test_null_for_what_cannot_be_cleared_is_refused_and_nothing_is_changed(api: Api, store: TenantStore) -> None:
    pump = await created_adapter(store, "pump")
    payload = await do(api, "editAdapter", rtId=pump.rt_id, imageName=None, name=None, type=None, description="new")
    assert payload["adapter"] is None
    assert {error["__typename"] for error in payload["errors"]} == {"InvalidValue"}
    assert [(error["path"], error["message"]) for error in payload["errors"]] == [
        (["name"], "'name' can't be null. Leave it out to keep it as it is."),
        (["type"], "'type' can't be null. Leave it out to keep it as it is."),
        (["imageName"], "'imageName' can't be null. Leave it out to keep it as it is."),
    ]
    assert await store.adapter(pump.rt_id) == pump


def nullable_fields() -> Iterator[tuple[str, str, str]]:
    """Each field of an input that may be null as far as the schema tells: its mutation, its name, and its type."""
    mutations = build_schema(printed_schema()).mutation_type
    assert mutations
    for name, mutation in mutations.fields.items():
        for each, field in get_named_type(mutation.args["input"].type).fields.items():
            if not is_non_null_type(field.type):
                yield name, each, str(field.type)


async def test_null_is_taken_or_refused_in_words_for_people(api: Api, store: TenantStore) -> None:
    refused = set()
    for (mutation, field, kind), null in itertools.product(nullable_fields(), ("null", "$null")):
        pool = await created_pool(store, str(ObjectId()))
        adapter = await created_adapter(store, str(ObjectId()), pool=None if mutation == "deleteAdapter" else pool)
        required = {
            "createPool": f'name: "{ObjectId()}"',
            "createAdapter": f'name: "{ObjectId()}", type: EDGE, imageName: "a", imageVersion: "1"',
        }.get(mutation, f'rtId: "{(pool if "Pool" in mutation else adapter).rt_id}"')
        variables = f"($null: {kind})" if null == "$null" else ""
        document = f"mutation{variables} {{ {mutation}(input: {{ {required}, {field}: {null} }}) {{ {ERRORS} }} }}"
        payload = (await api.ask(document, null=None))[mutation]
        if payload["errors"]:
            error = the_error(payload)
            assert (error["__typename"], error["path"]) == ("InvalidValue", [field])
            assert "can't be null" in error["message"]
            refused.add((mutation, field, null))
    kept = {("editPool", "name")} | {("editAdapter", name) for name in ("name", "type", "imageName", "imageVersion")}
    assert refused == {(*place, null) for place in kept for null in ("null", "$null")}


@pytest.mark.parametrize("schema", [build_tenant_schema(), build_agents_schema()], ids=["tenants", "agents"])
def test_no_null_is_left_to_the_library_to_refuse(schema: Schema) -> None:
    """It would do so in words about Python."""
    kinds = [known.definition for known in schema.schema_converter.type_map.values()]
    fields = [field for kind in kinds if isinstance(kind, StrawberryObjectDefinition) for field in kind.fields]
    arguments: list[Any] = [argument for field in fields for argument in field.arguments]
    left = [
        given.python_name
        for given in (*fields, *arguments)
        if isinstance(given.type, StrawberryMaybe) and not isinstance(given.type.of_type, StrawberryOptional)
    ]
    assert left == []


async def test_users_can_write_no_state(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store)
    error = await api.fail(
        "mutation($i: EditPoolInput!) { editPool(input: $i) { errors { message } } }",
        i={"rtId": pool.rt_id, "communicationState": "ONLINE"},
    )
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    unchanged = await store.pool(pool.rt_id)
    assert unchanged
    assert unchanged.deployment_state is DeploymentState.UNDEPLOYED


async def test_every_mutation_takes_a_request_id() -> None:
    mutations = build_schema(printed_schema()).mutation_type
    assert mutations
    for field in mutations.fields.values():
        assert "requestId" in get_named_type(field.args["input"].type).fields


async def test_the_same_request_id_gives_the_same_answer_and_one_effect(api: Api) -> None:
    given = '{ name: "North", requestId: "7c9e6679-7425" }'
    create = f"mutation {{ createPool(input: {given}) {{ pool {{ rtId }} errors {{ message }} }} }}"
    first, again = await api.ask(create), await api.ask(create)
    assert first == again
    assert (await api.ask("{ pools { totalCount } }"))["pools"]["totalCount"] == 1
    other = await api.ask(create.replace("North", "South"))
    [error] = other["createPool"]["errors"]
    assert "was used for another request" in error["message"]


@pytest.mark.parametrize("request_id", ["", "a b", "ü", "x" * 129, "{}"])
async def test_a_request_id_that_can_not_be_one_is_refused(api: Api, request_id: str) -> None:
    error = the_error(await do(api, "createPool", name="North", requestId=request_id))
    assert (error["__typename"], error["path"]) == ("InvalidValue", ["requestId"])


CONFIGURED = """mutation%s {
  createAdapter(input: { name: "pump", type: EDGE, imageName: "a", imageVersion: "1", configuration: %s }) {
    adapter { configuration } errors { message path }
  }
}"""


async def test_a_variable_without_a_value_is_absent_from_a_configuration_and_null_in_its_lists(api: Api) -> None:
    written = "{ a: $a, b: [$b, 1], c: { d: $d, e: $e, f: $f } }"
    document = CONFIGURED % ("($a: Int, $b: Int, $d: JSON, $e: String, $f: Int = 7)", written)
    created = (await api.ask(document, e=None))["createAdapter"]
    assert created["errors"] == []
    assert created["adapter"]["configuration"] == {"b": [None, 1], "c": {"e": None, "f": 7}}


async def test_a_variable_is_kept_in_a_configuration_as_it_was_given(api: Api) -> None:
    given = {"a b": [2**70, 1.5, None, True, "x"]}
    created = (await api.ask(CONFIGURED % ("($v: JSON)", "{ a: [$v] }"), v=given))["createAdapter"]
    assert created["adapter"]["configuration"] == {"a": [given]}


@pytest.mark.parametrize("literal", ["EDGE", "{ a: EDGE }", "[[EDGE]]"])
async def test_an_enum_value_in_a_configuration_is_refused_as_such(api: Api, literal: str) -> None:
    error = await api.fail(CONFIGURED % ("", literal))
    assert error["message"] == "JSON has no enum values. If EDGE is meant as text, quote it."
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("AdapterType", "EDGE"), ("DateTime", "2026-11-23T08:15:00.000Z"), ("PoolFilter", {"health": ["OK"]})],
)
async def test_a_variable_that_is_no_json_is_refused_as_such(api: Api, kind: str, value: Any) -> None:
    error = the_error((await api.ask(CONFIGURED % (f"($v: {kind})", "{ a: $v }"), v=value))["createAdapter"])
    assert error["path"] == ["configuration"]
    assert "an enum value or a time" in error["message"]
