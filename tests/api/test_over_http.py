"""GraphQL over HTTP: what can be asked, in which form, and in which form it is answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from octomesh_graphql.api import documents
from octomesh_graphql.api.over_http import GRAPHQL_RESPONSE, JSON, Rejected, understood
from octomesh_graphql.limits import DEFAULT
from tests.api.conftest import Api, limited

POST = {"content-type": JSON}
TYPENAME = json.dumps({"query": "{ __typename }"})
CREATE = "mutation($input: CreateAdapterInput!) { createAdapter(input: $input) { errors { message } } }"


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    return [nested(levels - 1)] if levels else []


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("application/json; charset=utf-8", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (GRAPHQL_RESPONSE.upper(), GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"{JSON};q=0, */*", GRAPHQL_RESPONSE),
        (f"{JSON};q=0.1, */*;q=0.5", GRAPHQL_RESPONSE),
        ("text/html, */*;q=0.8", JSON),
        (f"{GRAPHQL_RESPONSE};q=high, {JSON}", JSON),
    ],
)
def test_an_answer_has_the_form_its_client_likes_best(accept: str, media_type: str) -> None:
    assert understood(accept) == media_type


async def test_several_lines_about_the_form_count_as_one(api: Api) -> None:
    lines = [("accept", "text/plain"), ("accept", GRAPHQL_RESPONSE), ("content-type", JSON)]
    answer = await api.http.post(api.path, content=TYPENAME, headers=lines)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{GRAPHQL_RESPONSE}; charset=utf-8")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", f"{JSON};q=0", "*/*;q=0", "nonsense", "*/*;q=7"])
def test_who_understands_none_of_our_forms_is_told_them(accept: str) -> None:
    with pytest.raises(Rejected, match="application/graphql-response") as rejected:
        understood(accept)
    assert rejected.value.status == 406


@pytest.mark.parametrize(
    ("document", "variables", "status", "code"),
    [
        ("{ __typename }", {}, 200, None),
        ("{", {}, 400, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, 400, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($x: Int) { __typename }", {}, 400, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($x: Int!) { pools(first: $x) { totalCount } }", {}, 400, "BAD_USER_INPUT"),
        ("query ($x: Int!) { pools(first: $x) { totalCount } }", {"x": "many"}, 400, "BAD_USER_INPUT"),
        ("{ pools(first: -1) { totalCount } }", {}, 200, "BAD_USER_INPUT"),
    ],
)
async def test_what_was_not_run_has_no_data_and_where_it_is_understood_a_status(
    api: Api, document: str, variables: dict[str, Any], status: int, code: str | None
) -> None:
    for accept in (JSON, GRAPHQL_RESPONSE):
        body = json.dumps({"query": document, "variables": variables})
        answer = await api.http.post(api.path, content=body, headers=POST | {"accept": accept})
        assert answer.status_code == (status if accept == GRAPHQL_RESPONSE else 200)
        assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert ("data" in told) == (status == 200)
        assert [error["extensions"]["code"] for error in told.get("errors", [])] == ([code] if code else [])


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content-type": "text/plain"}, TYPENAME, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({}, TYPENAME, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/x-www-form-urlencoded"}, "query={__typename}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "multipart/form-data; boundary=x"}, TYPENAME, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": f"{JSON}; charset=utf-16"}, TYPENAME, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": f'{JSON}; charset="UTF-8"'}, TYPENAME, 200, None),
        (POST | {"content-encoding": "gzip"}, TYPENAME, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (POST | {"content-encoding": "identity"}, TYPENAME, 200, None),
        (POST, f"[{TYPENAME}]", 400, "BAD_REQUEST"),
        (POST, '{"query": ""}', 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "variables": []}', 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "operationName": 7}', 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "operationName": "Q"}', 200, "BAD_REQUEST"),
        (POST | {"accept": GRAPHQL_RESPONSE}, '{"query": "{ __typename }", "operationName": "Q"}', 400, "BAD_REQUEST"),
        (POST | {"accept": f"{JSON}{',' * 1_000}"}, TYPENAME, 400, "BAD_REQUEST"),
        ({"content-type": f"{JSON}{';' * 60_000}"}, TYPENAME, 200, None),
        (POST, json.dumps({"query": "{ __typename }", "variables": {"x": nested(196)}}), 200, None),
        (POST, json.dumps({"query": "{ __typename }", "variables": {"x": nested(198)}}), 400, "BAD_REQUEST"),
        (POST, json.dumps({"query": "{ __typename }", "variables": {"x": nested(800)}}), 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "operationName": ""}', 200, None),
        (POST, '{"query": "{ __typename }", "extensions": "x"}', 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "extensions": {"x": 1}, "more": 1}', 200, None),
        (POST, '{"query": "{ __typename }", "variables": {"x": "\\ud83d"}}', 400, "BAD_REQUEST"),
        (POST, '{"query": "{ __typename }", "variables": {"x": "\\ud83d\\ude00"}}', 200, None),
    ],
)
async def test_a_request_is_read_strictly(
    api: Api, headers: dict[str, str], body: str, status: int, code: str | None
) -> None:
    answer = await api.http.post(api.path, content=body.encode(), headers=headers)
    assert answer.status_code == status
    assert [error["extensions"]["code"] for error in answer.json().get("errors", [])] == ([code] if code else [])


@pytest.mark.parametrize(
    ("document", "name", "why"),
    [
        ("fragment F on Query { __typename }", None, "The document has no operation."),
        ("query A { __typename }", "B", "The document has no operation named 'B'."),
        ("query A { __typename } query B { __typename }", None, "The document has 2 operations; say by"),
    ],
)
async def test_it_has_to_be_clear_which_operation_is_meant(api: Api, document: str, name: str | None, why: str) -> None:
    answer = (await api.post(document, operationName=name)).json()
    assert answer["errors"][0]["message"].startswith(why)
    async with api.socket() as client:
        payload = {"query": document, "operationName": name}
        await client.send({"id": "1", "type": "subscribe", "payload": payload})
        told = await client.receive()
        assert told["type"] == "error"
        assert told["payload"][0]["message"].startswith(why)


async def test_nothing_is_nested_so_deeply_that_python_can_not_walk_it(api: Api) -> None:
    for depth in (*range(190, 202), *range(940, 1_000, 7), 100_000):
        given = {"name": "deep", "type": "EDGE", "imageName": "a", "imageVersion": "1", "requestId": "r"}
        body = json.dumps({"query": CREATE, "variables": {"input": {**given, "configuration": "?"}}})
        body = body.replace('"?"', "[" * depth + "]" * depth)
        answer = await api.http.post(api.path, content=body, headers=POST)
        (error,) = answer.json().get("errors") or answer.json()["data"]["createAdapter"]["errors"]
        assert "levels deep" in error["message"]


async def test_half_a_character_is_named(api: Api) -> None:
    answer = await api.post('{ pools(search: "x\ud83d") { totalCount } }')
    assert answer.json()["errors"][0]["message"] == "The body holds half a character (U+D83D). Send whole ones."


@pytest.mark.parametrize("variables", ["[", "7", "[]", "\ufffd"])
async def test_variables_in_a_query_string_are_read_as_strictly(api: Api, variables: str) -> None:
    answer = await api.http.get(api.path, params={"query": "{ __typename }", "variables": variables})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


async def test_a_query_string_beyond_the_bound_is_refused(api: Api) -> None:
    answer = await api.http.get(api.path, params={"query": "{ __typename }" + " " * DEFAULT.query_string_bytes})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (414, "URI_TOO_LONG")


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.base.split(":"))
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\n"
    head += f"Content-Length: {DEFAULT.body_bytes + 1}\r\n\r\n"
    writer.write(head.encode())
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


@limited(body_seconds=0.05)
async def test_a_body_that_does_not_come_is_not_waited_for(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.base.split(":"))
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 20\r\n\r\n" + '{"query"'
    writer.write(head.encode())
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_no_trace(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    _, writer = await asyncio.open_connection(*api.base.split(":"))
    head = f"POST {api.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: 20\r\n\r\n" + '{"query"'
    writer.write(head.encode())
    await writer.drain()
    writer.transport.abort()
    for _ in range(3):
        await api.ask("{ __typename }")
    assert "Traceback" not in "".join(capsys.readouterr())


@limited(operation_seconds=0)
async def test_an_operation_that_takes_too_long_is_given_up(api: Api) -> None:
    answer = await api.post("{ pools { totalCount } }")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (504, "TIMEOUT")


@pytest.mark.parametrize("accept", [None, "*/*"])
async def test_who_does_not_ask_for_a_page_gets_none(api: Api, accept: str | None) -> None:
    answer = await api.http.get(api.path, headers={"accept": accept} if accept else {})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith(JSON)


async def test_who_is_not_served_because_of_others_is_told_when_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "TURN_SECONDS", 0.0)
    body = json.dumps({"query": "{ adapters(first: 500) { nodes { name } } }"})
    answer = await api.http.post(api.path, content=body, headers=POST | {"accept": GRAPHQL_RESPONSE})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"
