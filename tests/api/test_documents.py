"""Each limit of a document: what keeps to it passes, one more is refused in words that name it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from graphql import GraphQLError

from octomesh_graphql.api import documents as reading
from octomesh_graphql.api.admitting import OPEN
from octomesh_graphql.api.documents import CHARACTERS_KEPT, DOCUMENTS_KEPT, Documents, Queue, parsed
from octomesh_graphql.api.errors import BUSY
from octomesh_graphql.api.extents import extent_of, refusal, written_in
from octomesh_graphql.api.schema import build_schema
from octomesh_graphql.api.visiting import TenantVisit
from octomesh_graphql.limits import DEFAULT
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.feed import Feed
from octomesh_graphql.store.sessions import Sessions

SCHEMA = build_schema()._schema
LARGE = "adapters(first: 500) { nodes { rtId rtId rtId rtId rtId rtId rtId rtId rtId rtId } }"


def told(document: str, amounts: Mapping[str, int] | None = None, *, named: str | None = None, n: object = None) -> str:
    """Why it is refused, with limits of these amounts and this `$n`; or nothing."""
    limits = DEFAULT.model_copy(update=amounts)
    try:
        node = parsed(document, limits)
        error = refusal(written_in(node), extent_of(SCHEMA, node, {"n": n}, named), limits)
    except GraphQLError as refused:
        error = refused
    return f"{(error.extensions or {})['code']}: {error.message}" if error else ""


@pytest.mark.parametrize(
    ("limit", "amount", "kept", "refused", "words"),
    [
        ("operations", 2, "query A {x} query B {x}", "query A {x} query B {x} query C {x}", "3 operations"),
        (
            "fragments",
            1,
            "{x} fragment F on Query {x}",
            "{x} fragment F on Query {x} fragment G on Query {x}",
            "2 frag",
        ),
        ("variables", 1, "query ($a: Int) {x}", "query ($a: Int $b: Int) {x}", "2 variables"),
        ("directives", 1, "{x @skip}", "{x @skip @skip}", "2 directives"),
        ("aliases", 1, "{a: x}", "{a: x b: x}", "2 aliases"),
        ("fields", 2, "{x x}", "{x x x}", "3 fields"),
        ("introspection_aliases", 0, "{a: x __schema {x}}", "{__schema {a: x}}", "1 aliases in questions about"),
        ("introspection_aliases", 0, "{x} fragment F on __Type {x}", "{x} fragment F on __Type {a: x}", "1 aliases in"),
        ("pairs", 1, "{x x y {x}}", "{x x y {x} ... {y {x}}}", "3 pairs"),
        (
            "pairs",
            1,
            "{x} fragment F on A {x} fragment G on A {x}",
            "{x} fragment F on A {x x} fragment G on A {x}",
            "3",
        ),
        ("depth", 2, "{viewer {name}}", "{viewer {name {x}}}", "3 levels deep"),
        ("depth", 1, "{... {... {... {x}}}}", "{... {... {... {... {x}}}}}", "selections 5 levels deep"),
        ("cost", 5, "{pools(first: 2) {nodes {rtId}}}", "{pools(first: 2) {nodes {rtId name}}}", "7 values"),
        ("cost", 5, "{pools(first: 2, last: null) {nodes {rtId}}}", "{pools(first: 2, last: 3) {nodes {rtId}}}", "7"),
        (
            "event_cost",
            500,
            "subscription {poolChanges {pool {adapters(first: 200) {nodes {name}}}}}",
            "subscription {poolChanges {pool {adapters(first: 300) {nodes {name}}}}}",
            "603 values",
        ),
        ("tokens", 3, "{x}", "{x x}", "3 tokens"),
        ("comments", 1, "#\n{x}", "#\n#\n{x}", "1 comments"),
        ("source_characters", 3, "{x}", "{x }", "3"),
    ],
)
def test_a_limit_is_kept_to_the_letter(limit: str, amount: int, kept: str, refused: str, words: str) -> None:
    assert told(kept, {limit: amount}) == ""
    assert words in told(refused, {limit: amount})


def test_what_fragments_hold_counts_once_however_many_operations_use_it() -> None:
    document = "query A {...F} query B {...F} query C {...F} fragment F on Query {x x}"
    assert told(document, {"fields": 2}, named="A") == ""
    assert "holds 2 fields" in told(document, {"fields": 1}, named="A")


def test_only_the_operation_that_is_run_counts_for_what_it_could_answer() -> None:
    document = (
        "query Small {viewer {name}} query Large {pools(first: 500) {nodes {adapters(first: 500) {nodes {name}}}}}"
    )
    assert told(document, named="Small") == ""
    assert "values" in told(document, named="Large")


@pytest.mark.parametrize("n", [500, "500", [500], 10**9])
def test_a_variable_counts_as_what_it_is_and_nonsense_as_the_most(n: object) -> None:
    document = "query ($n: Int) {pools(first: $n) {nodes {rtId}}}"
    assert "1,001 values" in told(document, {"cost": 1_000}, n=n)
    assert told(document, {"cost": 1_000}, n=10) == ""


@pytest.mark.parametrize(
    "document",
    [
        "{" + "x {" * 900 + "x" + "}" * 900 + "}",
        "{x(a: " + "[" * 900 + "]" * 900 + ")}",
        "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") {x}",
        "{" + "... {" * 600 + "x" + "}" * 600 + "}",
    ],
    ids=["fields", "lists", "types", "inline fragments"],
)
def test_nesting_without_end_is_refused_however_much_may_be_written(document: str) -> None:
    assert told(document, {"tokens": 1_000_000}).startswith(("QUERY_TOO_COMPLEX", "GRAPHQL_PARSE_FAILED"))


@pytest.mark.parametrize("n", [None, 3, "many"])
@pytest.mark.parametrize("left_open", ["null", "$none"])
def test_a_page_is_as_large_as_its_larger_end_whatever_is_left_open(n: object, left_open: str) -> None:
    document = f"query ($n: Int, $none: Int) {{pools(first: 500, last: {left_open}) {{nodes {{rtId}}}} viewer {{x}}}}"
    assert "1,003 values" in told(document, {"cost": 500}, n=n)


async def test_documents_that_are_alike_but_for_their_text_are_told_apart(
    store: TenantStore, sessions: Sessions, feed: Feed
) -> None:
    schema, visit = build_schema(), TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)
    for levels in (60, 170):
        document = "{" + "...{" * levels + "__typename" + "}" * levels + "}"
        for number in range(5):
            results = await schema.execute(f"{document}#{number}", context_value=await visit.context())
            codes = {(error.extensions or {})["code"] for error in results.errors or ()}
            assert codes == ({"QUERY_TOO_COMPLEX"} if levels > 64 else set())


async def test_documents_are_read_one_after_the_other_and_equal_ones_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def note(name: str) -> None:
        work = getattr(reading, name)

        def noted(*given: Any, **more: Any) -> Any:
            done.append(name)
            return work(*given, **more)

        monkeypatch.setattr(reading, name, noted)

    note("parse")
    note("validate_document")
    documents = Documents(SCHEMA, DEFAULT)
    sources = [f"{{ viewer {{ name }} }} # {number}" for number in (1, 1, 2, 2)]
    one, same, other, other_same = await asyncio.gather(*(documents.read(source) for source in sources))
    assert (one, other) == (same, other_same)
    assert one is same
    validating = asyncio.gather(*(documents.validated(each, ()) for each in (one, same, other)))
    for most in (2, 3, 3):
        await asyncio.sleep(0)
        assert len(done) <= most
    assert await validating == [[], [], []]
    assert await documents.validated(one, ()) == []
    assert sorted(done) == ["parse", "parse", "validate_document", "validate_document"]


async def test_who_sends_many_documents_keeps_nobody_else_waiting() -> None:
    documents, order = Documents(SCHEMA, DEFAULT), []

    async def send(sender: str, number: int) -> None:
        await documents.read(f"{{ x{sender}{number} }}", sender)
        order.append(sender)

    crowd = [asyncio.create_task(send("a", number)) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.gather(*crowd, send("b", 0))
    assert order.index("b") <= 2


async def test_only_so_many_documents_are_kept_and_no_long_ones() -> None:
    documents = Documents(SCHEMA, DEFAULT)
    first = await documents.read("{ viewer { name } }")
    for number in range(DOCUMENTS_KEPT - 1):
        await documents.read(f"{{ x{number} }}")
    assert await documents.read("{ viewer { name } }") is first
    for number in range(DOCUMENTS_KEPT):
        await documents.read(f"{{ y{number} }}")
    assert await documents.read("{ viewer { name } }") is not first
    long = "{ x } #" + "x" * CHARACTERS_KEPT
    assert await documents.read(long) is not await documents.read(long)


async def test_long_events_are_told_one_after_the_other(store: TenantStore, sessions: Sessions, feed: Feed) -> None:
    schema, visit = build_schema(), TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)

    async def first_of(selection: str) -> Any:
        watch = f"subscription {{ poolChanges {{ kind pool {{ {selection} }} }} }}"
        async with aclosing(await schema.stream(watch, context_value=visit)) as changes:
            first: Any = await anext(changes)
            return first.data

    async with schema.telling.turn():
        waiting = asyncio.create_task(first_of("adapters(first: 500) { nodes { rtId } }"))
        async with asyncio.timeout(10):
            assert await first_of("rtId name")
        assert not waiting.done()
    assert await waiting == {"poolChanges": {"kind": "LIVE", "pool": None}}


def test_a_fragment_that_contains_itself_is_walked_once() -> None:
    assert told("{...F} fragment F on Query {viewer {name} ...F}") == ""


async def test_long_work_waits_for_its_turn_and_nothing_else_waits_for_it(
    store: TenantStore, sessions: Sessions, feed: Feed
) -> None:
    schema, visit = build_schema(), TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)

    async def run(document: str) -> Any:
        result = await schema.execute(document, context_value=await visit.context())
        assert not result.errors
        return result.data

    async with schema.long_work.turn("somebody"):
        waiting = [asyncio.create_task(run(f"{{ {LARGE} }}")) for _ in "ab"]
        assert await run("{ viewer { name } }")
        watch = "subscription { poolChanges { kind pool { adapters { nodes { rtId } } } } }"
        async with asyncio.timeout(10), aclosing(await schema.stream(watch, context_value=visit)) as changes:
            live: Any = await anext(changes)
            assert not live.errors
        assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [{"adapters": {"nodes": []}}] * 2


async def test_who_wants_many_turns_waits_for_them_alone() -> None:
    queue, working, most = Queue(at_once=3, of_each=2), Counter[str](), Counter[str]()
    order = []

    async def work(sender: str) -> None:
        async with queue.turn(sender):
            working.update([sender, "all"])
            most[sender] = max(most[sender], working[sender])
            most["all"] = max(most["all"], working["all"])
            await asyncio.sleep(0.001)
            working.subtract([sender, "all"])
            order.append(sender)

    await asyncio.gather(*(work(sender) for sender in [*["greedy"] * 100, "modest", *["other"] * 3]))
    assert most == {"greedy": 2, "modest": 1, "other": 2, "all": 3}
    assert order.index("modest") < 5
    assert max(place for place, sender in enumerate(order) if sender == "other") < 15


async def test_what_takes_a_while_is_done_a_few_at_a_time(store: TenantStore, sessions: Sessions, feed: Feed) -> None:
    schema, visit = build_schema(), TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)
    context = await visit.context()
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(schema.work.turn(context.caller.id))
        page = "{ pools(first: 100) { nodes { rtId name description rtVersion deploymentState } } }"
        waiting = asyncio.create_task(schema.execute(page, context_value=context))
        for _ in range(30):
            assert (await schema.execute("{ pools { totalCount } }", context_value=context)).data
        assert not waiting.done()
    assert (await waiting).data


async def test_who_waits_too_long_for_a_turn_is_told_that_too_much_is_asked(
    store: TenantStore, sessions: Sessions, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TURN_SECONDS", 0.3)
    schema, visit = build_schema(), TenantVisit(OPEN, sessions, feed, "r", tenant_id=store.tenant.id)
    await visit.enter(None)
    context = await visit.context()

    async def told() -> list[tuple[str, str]]:
        result = await schema.execute(f"{{ {LARGE} }}", context_value=context)
        async with aclosing(await schema.stream(f"{{ {LARGE} }}", context_value=visit)) as results:
            streamed: Any = await anext(results)
        errors = [*(result.errors or ()), *(streamed.errors or ())]
        return [(error.extensions["code"], error.message) for error in errors]

    async with schema.long_work.turn("somebody"):
        assert await told() == [("UNAVAILABLE", BUSY)] * 2
    assert await told() == []
