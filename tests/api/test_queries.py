"""Reading through the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Mongo
from octomesh_graphql.store.tenants import Registry
from tests.api.conftest import Api
from tests.builders import NOW, created_adapter, created_pool

PAGE = """
query($first: Int, $members: Int) {
  pools(first: $first) {
    totalCount
    nodes {
      __typename rtId name deploymentState configurationState communicationState health { level headline }
      summary { adapters undeployed online }
      adapters(first: $members) { totalCount nodes { ...member pool { rtId } } pageInfo { hasNextPage } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
fragment member on Adapter { rtId name type deploymentState }
"""


async def test_a_pool_is_found_by_id_by_name_without_case_and_by_global_id(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "Werk Schärding")
    found = await api.ask(
        'query($id: OctoObjectId!) { a: pool(rtId: $id) { id name } b: pool(name: "WERK SCHÄRDING") { id rtId } }',
        id=pool.rt_id,
    )
    assert found["a"]["name"] == "Werk Schärding"
    assert found["b"] == {"id": found["a"]["id"], "rtId": pool.rt_id}
    node = await api.ask("query($id: ID!) { node(id: $id) { id ... on Pool { name } } }", id=found["a"]["id"])
    assert node["node"]["name"] == "Werk Schärding"


@pytest.mark.parametrize(
    "spell",
    [
        lambda id: id + "=",
        lambda id: id.rstrip("="),
        lambda id: f"{id[:5]} {id[5:]}",
        lambda id: f"{id[:5]}!*{id[5:]}",
        lambda id: id + id,
        lambda id: id[:-2] + chr(ord(id[-2]) + 1) + "=",
    ],
    ids=["more padding", "no padding", "a blank", "what is no base64", "twice", "bits that say nothing"],
)
async def test_an_entity_has_one_global_id(api: Api, store: TenantStore, spell: Callable[[str], str]) -> None:
    pool = await created_pool(store, "North")
    id = (await api.ask("query($id: OctoObjectId!) { pool(rtId: $id) { id } }", id=pool.rt_id))["pool"]["id"]
    found = await api.ask("query($id: ID!, $other: ID!) { node(id: $id) { id } other: node(id: $other) { id } }",
        id=id, other=spell(id),
    )  # fmt: skip
    assert found == {"node": {"id": id}, "other": None}


async def test_what_does_not_exist_is_null(api: Api) -> None:
    found = await api.ask(
        'query($id: OctoObjectId!) { pool(rtId: $id) { name } adapter(name: "no") { name } node(id: "?") { id } }',
        id="f" * 24,
    )
    assert found == {"pool": None, "adapter": None, "node": None}


async def test_a_lookup_needs_exactly_one_key(api: Api) -> None:
    for arguments in ("", '(name: "a", rtId: "000000000000000000000001")'):
        error = await api.fail("{ pool%s { name } }" % arguments)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["message"] == "Give either 'rtId' or 'name'."


async def test_an_empty_tenant_has_empty_pages(api: Api) -> None:
    found = await api.ask(PAGE)
    assert found["pools"]["nodes"] == []
    assert found["pools"]["totalCount"] == 0
    assert found["pools"]["pageInfo"] == {"hasNextPage": False, "endCursor": None}


async def test_a_page_of_50_pools_with_10_adapters_each_takes_two_round_trips(
    api: Api, store: TenantStore, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(50):
        pool = await created_pool(store, f"pool {index:02}")
        for member in range(12 if index < 3 else 2):
            await created_adapter(store, f"adapter {index:02} {member:02}", pool=pool)
    commands = _counted(registry.mongo, monkeypatch)
    found = await api.ask(PAGE.replace("pool { rtId }", ""), first=50, members=10)
    assert len(found["pools"]["nodes"]) == 50
    assert [len(pool["adapters"]["nodes"]) for pool in found["pools"]["nodes"][:4]] == [10, 10, 10, 2]
    assert [pool["adapters"]["totalCount"] for pool in found["pools"]["nodes"][:4]] == [12, 12, 12, 2]
    assert [pool["adapters"]["pageInfo"]["hasNextPage"] for pool in found["pools"]["nodes"][:4]] == [True] * 3 + [False]
    assert len(commands) == 2, commands
    commands.clear()
    await api.ask("{ pools(first: 50) { nodes { transitions(first: 1) { totalCount nodes { what } } } } }")
    assert len(commands) == 2, commands


def _counted(mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every command that is sent from now on; follow-up batches of a cursor would be commands of their own."""
    sent: list[str] = []
    client: Any = mongo._client
    listeners = getattr(client, "delegate", client)._event_listeners

    def started(command: Any, database: str, *rest: Any, **more: Any) -> None:
        name = next(iter(command))
        if name not in ("getMore", "hello", "ping") or command.get("collection") not in (None, "$cmd.aggregate"):
            sent.append(f"{database}.{name}")

    monkeypatch.setattr(type(listeners), "enabled_for_commands", property(lambda self: True), raising=False)
    monkeypatch.setattr(listeners, "publish_command_start", started)
    return sent


async def test_pages_follow_each_other_in_both_directions(api: Api, store: TenantStore) -> None:
    for name in ("b", "A", "Ö", "o", "ç"):
        await created_pool(store, name)
    names: list[str] = []
    after = None
    while True:
        page = (
            await api.ask(
                "query($a: String) { pools(first: 2, after: $a) { edges { cursor node { name } } "
                "pageInfo { hasNextPage endCursor } } }",
                a=after,
            )
        )["pools"]
        names += [edge["node"]["name"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert names == ["A", "b", "ç", "o", "Ö"]
    last = await api.ask("{ pools(last: 2) { items { name } pageInfo { hasPreviousPage hasNextPage } } }")
    assert [pool["name"] for pool in last["pools"]["items"]] == ["o", "Ö"]
    assert last["pools"]["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}


async def test_lists_are_filtered_searched_and_ordered(api: Api, store: TenantStore) -> None:
    north = await created_pool(store, "North", description="near the river")
    await created_pool(store, "South")
    await created_adapter(store, "pump", pool=north)
    await created_adapter(store, "valve")
    found = await api.ask(
        """query($p: OctoObjectId!) {
          a: adapters(filter: { poolRtId: $p }) { nodes { name } }
          b: adapters(filter: { unassigned: true }) { nodes { name } }
          c: adapters(filter: { nameContains: "VALV", deploymentState: UNDEPLOYED, type: [EDGE] }) { nodes { name } }
          d: pools(search: "RIVER") { nodes { name } }
          e: pools(orderBy: [{ field: NAME, direction: DESC }]) { nodes { name } }
          f: pools(filter: { deploymentState: [ERROR, PENDING] }) { nodes { name } }
          g: pools(filter: { rtIds: [] }) { nodes { name } }
        }""",
        p=north.rt_id,
    )
    names = {key: [row["name"] for row in value["nodes"]] for key, value in found.items()}
    assert names == {
        "a": ["pump"], "b": ["valve"], "c": ["valve"], "d": ["North"], "e": ["South", "North"], "f": [], "g": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ("first: -1", "first"),
        ("first: 501", "first"),
        ("last: 501", "last"),
        ("first: 1, last: 1", "last"),
        ('after: "forged"', "after"),
        ('before: "AAAA"', "before"),
    ],
)
async def test_a_page_that_cannot_be_had_names_the_argument(api: Api, arguments: str, argument: str) -> None:
    error = await api.fail("{ pools(%s) { nodes { name } } }" % arguments)
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_a_cursor_of_another_list_is_refused(api: Api, store: TenantStore) -> None:
    await created_pool(store)
    page = await api.ask("{ pools { pageInfo { endCursor } } }")
    cursor = page["pools"]["pageInfo"]["endCursor"]
    for other in (
        'adapters(after: "%s")',
        'pools(search: "x", after: "%s")',
        'pools(orderBy: [{ field: CHANGED }], after: "%s")',
        'pools(filter: { communicationState: ONLINE }, after: "%s")',
    ):
        error = await api.fail("{ %s { nodes { rtId } } }" % (other % cursor))
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_two_tenants_with_the_same_pool_do_not_see_each_other(
    api: Api, store: TenantStore, registry: Registry
) -> None:
    await registry.create("other", None, NOW)
    other = await registry.open("other")
    pool = await created_pool(store, "Same")
    await created_pool(other, "Same")
    there = Api(api.base, "other", api.http)
    assert (await there.ask("{ pools { totalCount nodes { rtId } } }"))["pools"]["totalCount"] == 1
    assert (await there.ask("query($i: OctoObjectId!) { pool(rtId: $i) { name } }", i=pool.rt_id))["pool"] is None


async def test_the_history_of_a_pool_holds_that_of_its_adapters_newest_first(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "North")
    adapter = await created_adapter(store, "pump", pool=pool)
    await api.ask(
        "mutation($i: OctoObjectId!) { deployAdapter(input: { rtId: $i }) { errors { message } } }", i=adapter.rt_id
    )
    found = await api.ask(
        '{ pool(name: "North") { transitions(first: 2) { totalCount nodes { entityName what from to who } } } }'
    )
    assert found["pool"]["transitions"]["totalCount"] == 4
    assert found["pool"]["transitions"]["nodes"] == [
        {"entityName": "pump", "what": "DEPLOYMENT", "from": "UNDEPLOYED", "to": "PENDING", "who": "anonymous"},
        {"entityName": "pump", "what": "WISH", "from": "UNDEPLOYED", "to": "DEPLOYED", "who": "anonymous"},
    ]


async def test_the_install_manifest_is_named_by_ids_only(api: Api, store: TenantStore) -> None:
    pool = await created_pool(store, "Communication Pool: ö")
    manifest = (await api.ask("{ pools { nodes { installManifest } } }"))["pools"]["nodes"][0]["installManifest"]
    assert f"name: acme-{pool.rt_id}" in manifest
    assert "ö" not in manifest


async def test_the_viewer_says_what_the_caller_may_do(api: Api) -> None:
    viewer = (await api.ask("{ viewer { name authenticated tenantId tenantName mayRead mayEdit } }"))["viewer"]
    assert viewer == {
        "name": "anonymous", "authenticated": False, "tenantId": "acme", "tenantName": "Acme Works",
        "mayRead": True, "mayEdit": True,
    }  # fmt: skip
