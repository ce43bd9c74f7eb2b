"""What surrounds the graph: routes, methods, bodies, ids, health."""

from __future__ import annotations

import json

import httpx2 as httpx
import pytest
import websockets

from octomesh_graphql.domain.tenant import RESERVED
from octomesh_graphql.limits import DEFAULT
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from tests.api.conftest import Api
from tests.builders import created_pool

JSON = {"content-type": "application/json"}


async def test_a_query_may_come_by_get_a_mutation_may_not(api: Api) -> None:
    asked = await api.http.get(api.path, params={"query": "{ pools { totalCount } }"})
    assert asked.json() == {"data": {"pools": {"totalCount": 0}}}
    refused = await api.http.get(
        api.path, params={"query": 'mutation { createPool(input: { name: "x" }) { pool { name } } }'}
    )
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert refused.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert (await api.ask("{ pools { totalCount } }"))["pools"]["totalCount"] == 0


async def test_a_subscription_needs_a_websocket_and_says_so(api: Api) -> None:
    for accept, status in (("application/json", 400), ("text/event-stream", 406), ("multipart/mixed, */*;q=0.1", 400)):
        document = json.dumps({"query": "subscription { poolChanges { kind } }"})
        answer = await api.http.post(api.path, content=document, headers=JSON | {"accept": accept})
        assert answer.status_code == status
        assert ("WebSocket" if status == 400 else "Accept") in answer.json()["errors"][0]["message"]


async def test_other_methods_are_told_which_are_served(api: Api) -> None:
    answer = await api.http.put(api.path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_a_browser_gets_a_page_that_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.http.get(api.path, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "//unpkg" not in page.text


@pytest.mark.parametrize("tenant", ["nobody", "ACME", "a" * 40, "-acme", "acme%00", *sorted(RESERVED)])
async def test_an_unknown_tenant_is_not_found_whatever_it_is_called(api: Api, tenant: str) -> None:
    answer = await api.http.post(f"/tenants/{tenant}/graphql", json={"query": "{ viewer { name } }"})
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["extensions"]["code"] == "TENANT_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    ["/tenants/%61cme/graphql", "/tenants/acme%2fgraphql", "/tenants/acme/graphq%6c", "/agents/graphql/", "/%68ealthz"],
)
async def test_nothing_is_reached_by_two_names(api: Api, path: str) -> None:
    answer = await api.http.post(path, json={"query": "{ __typename }"}, headers={"host": "elsewhere.example"})
    assert answer.status_code == 404
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://{api.base}{path}")
    assert refused.value.response.status_code in (403, 404)


async def test_the_panel_of_a_tenant_is_found_without_its_slash_and_on_no_other_host(api: Api) -> None:
    led = await api.http.get("/tenants/acme", headers={"host": "elsewhere.example"})
    assert (led.status_code, led.headers["location"]) == (307, "/tenants/acme/")


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'"x"', b"\xff", b'{"query": 1}', b'{"query": NaN}', b"[" * 5_000, b"9" * 5_000]
)
async def test_what_is_not_a_graphql_request_is_a_bad_request(api: Api, body: bytes) -> None:
    answer = await api.http.post(api.path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_body_beyond_the_bound_is_refused(api: Api) -> None:
    answer = await api.http.post(api.path, content=b" " * (DEFAULT.body_bytes + 1), headers=JSON)
    assert answer.status_code == 413
    assert "1,048,576 bytes" in answer.json()["errors"][0]["message"]


async def test_every_answer_has_a_request_id_the_callers_own_if_it_gave_one(api: Api) -> None:
    given = await api.http.get("/healthz", headers={"x-request-id": "trace-42"})
    assert given.headers["x-request-id"] == "trace-42"
    for odd in ("", "a b", "x" * 65):
        made = await api.http.get("/healthz", headers={"x-request-id": odd})
        assert len(made.headers["x-request-id"]) == 32


async def test_the_server_says_that_it_lives_and_is_ready(api: Api, feed: Feed) -> None:
    assert (await api.http.get("/healthz")).json()["status"] == "ok"
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "missing": []})
    feed._alive.clear()
    not_ready = await api.http.get("/readyz")
    assert (not_ready.status_code, not_ready.json()["missing"]) == (503, ["the change stream is not open"])
    feed._alive.set()


async def test_the_metrics_count_requests_and_subscriptions(api: Api) -> None:
    await api.ask("{ viewer { name } }")
    async with api.socket() as socket:
        await socket.subscribe("subscription { poolChanges { kind } }")
        await socket.until("LIVE")
        text = (await api.http.get("/metrics")).text
    assert 'octomesh_requests_total{kind="http",status="200"} 1.0' in text
    assert "octomesh_subscriptions_active 1.0" in text
    assert "octomesh_change_stream_up 1.0" in text


async def test_the_schema_can_be_read(http: httpx.AsyncClient) -> None:
    assert "type Pool implements" in (await http.get("/schema.graphql")).text


async def test_a_fault_of_ours_is_masked_and_can_be_found_in_the_log(
    api: Api, store: TenantStore, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = await created_pool(store, "North")
    database = store.tenant.database
    await store._mongo.update(database, "pools", {"nameKey": pool.name_key}, {"$set": {"communicationState": 99}})
    answer = await api.post("{ pools { nodes { name } } }", {})
    error = answer.json()["errors"][0]
    assert error["message"] == "Something went wrong on the server."
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    logged = capsys.readouterr().out
    assert answer.headers["x-request-id"] in logged
    assert "99 is not a valid CommunicationState" in logged


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("query A { viewer { name } } query B { viewer { name } }", "BAD_REQUEST"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ pools { nodes } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int!) { pools(first: $n) { totalCount } }", "BAD_USER_INPUT"),
        ("{ viewer { name } " * 2_000, "GRAPHQL_PARSE_FAILED"),
        ("{ pools(first: 500) { nodes { adapters(first: 500) { nodes { name } } } } }", "QUERY_TOO_COMPLEX"),
        ("{" + " ".join(f"a{i}: viewer {{ name }}" for i in range(60)) + "}", "QUERY_TOO_COMPLEX"),
        ("{ pools { nodes " + "{ adapters { nodes { pool " * 8 + "{ name }" + "} } }" * 8 + "} }", "QUERY_TOO_COMPLEX"),
    ],
)
async def test_what_can_not_be_run_says_why_in_a_code(api: Api, document: str, code: str) -> None:
    answer = (await api.post(document)).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {code}


REFUSED_POOL = 'mutation { deletePool(input: { rtId: "%s" }) { errors { ... on StillDeployed { %s } } } }' % (
    "0" * 24,
    "%s",
)


async def test_of_several_operations_the_named_one_runs(api: Api) -> None:
    document = "query A { viewer { name } } query B { viewer { tenantId } }"
    answer = (await api.post(document, operationName="B")).json()
    assert answer == {"data": {"viewer": {"tenantId": "acme"}}}


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("query($n: Int) { pools(first: $n) { nodes { adapters(first: $n) { nodes { name } } } } }", {"n": 500.0}),
        ("query($n: Int = 500) { pools(first: $n) { nodes { adapters(first: $n) { nodes { name } } } } }", {}),
        (REFUSED_POOL % "adapters { pool { adapters(first: 500) { nodes { name } } } }", {}),
        ("{ adapters(first: 500) { nodes { a: configuration b: configuration c: configuration } } }", {}),
    ],
)
async def test_no_way_of_asking_gets_around_the_limits(api: Api, document: str, variables: dict[str, float]) -> None:
    error = await api.fail(document, **variables)
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"


@pytest.mark.parametrize(
    "document",
    [
        "query($n: Int = %s) { pools(first: $n) { totalCount } }",
        "{ pools(first: %s) { totalCount } }",
        'mutation { editAdapter(input: { rtId: "000000000000000000000000", configuration: %s }) { errors { code } } }',
    ],
)
async def test_a_number_of_thousands_of_digits_is_no_fault_of_ours(api: Api, document: str) -> None:
    answer = (await api.post(document % ("9" * 5_000))).json()
    assert "INTERNAL" not in json.dumps(answer)
    assert all("code" in error["extensions"] for error in answer.get("errors", []))


async def test_a_forged_cursor_spoils_nobody_elses_page(api: Api, store: TenantStore) -> None:
    await created_pool(store, "North")
    answer = (
        await api.post('{ pools { nodes { a: adapters { totalCount } b: adapters(after: "x") { totalCount } } } }')
    ).json()
    assert [error["path"][-1] for error in answer["errors"]] == ["b"]


async def test_what_a_page_needs_is_within_the_limits(api: Api, store: TenantStore) -> None:
    from graphql import get_introspection_query

    from octomesh_graphql.api.schema import build_schema

    scalars = [
        name for name, field in build_schema()._schema.type_map["Pool"].fields.items()  # type: ignore[attr-defined]
        if not field.args and not hasattr(getattr(field.type, "of_type", field.type), "fields")
    ]  # fmt: skip
    await api.ask(
        "{ pools(first: 500) { totalCount nodes { %s health { level headline reasons } } } }" % " ".join(scalars)
    )
    await api.ask(
        "query($n: Int!, $m: Int = 20) { pools(first: $n) { nodes { %s adapters(first: $m) { totalCount nodes "
        "{ rtId name type communicationState configurationState deploymentState imageName imageVersion } } } } }"
        % " ".join(scalars), n=50,
    )  # fmt: skip
    await api.ask(get_introspection_query())


async def test_doubling_fragments_cost_no_time(api: Api) -> None:
    fragments = " ".join(f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(40))
    document = "{ ...F0 } " + fragments + " fragment F40 on Query { viewer { name } }"
    answer = await api.post(document)
    assert answer.status_code == 200
    assert json.loads(answer.content)
