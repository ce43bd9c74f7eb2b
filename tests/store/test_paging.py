"""Pages of lists that change while they are read, tried with random lists in a real MongoDB."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octomesh_graphql.store.mongo import Document, Mongo, ObjectId, pack
from octomesh_graphql.store.paging import MAX_ROWS, InvalidPage, Keyset, Page, PageRequest, Sort
from octomesh_graphql.store.sealing import Seal
from octomesh_graphql.store.tenants import Registry
from tests.drivers import both_drivers

SEAL = Seal(b"secret", "test")
KEYS = ("a", "b", "c")
_runs = itertools.count()

values = {"a": st.none() | st.integers(0, 2), "b": st.none() | st.sampled_from(["", "x", "y"]), "c": st.booleans()}
rows = st.fixed_dictionaries({}, optional=values)
orders = st.lists(
    st.builds(Sort, st.sampled_from([*KEYS, "_id"]), st.booleans()),
    min_size=1,
    max_size=4,
    unique_by=lambda sort: sort.key,
)
disturbances = st.lists(st.tuples(st.sampled_from(["insert", "delete"]), rows, st.integers(0)), max_size=12)


@dataclass
class List:
    """A list of rows in MongoDB, told apart from others by `run`."""

    mongo: Mongo
    database: str
    run: int
    keyset: Keyset

    async def insert(self, documents: Sequence[Document]) -> list[Any]:
        prepared = [{"_id": ObjectId(), **document, "run": self.run} for document in documents]
        if prepared:
            await self.mongo.insert(self.database, "rows", prepared)
        return [document["_id"] for document in prepared]

    async def delete(self, row_id: Any) -> None:
        await self.mongo.delete(self.database, "rows", {"_id": row_id})

    async def page(self, request: PageRequest) -> Page[Any]:
        pipeline = [{"$match": {"run": self.run}}, *self.keyset.window(request)]
        documents = await self.mongo.aggregate(self.database, "rows", pipeline)
        return self.keyset.page(request, documents, [document["_id"] for document in documents], None)

    async def in_order(self) -> list[Any]:
        """The ids of all rows as Python sorts them."""
        documents = await self.mongo.aggregate(self.database, "rows", [{"$match": {"run": self.run}}])
        for sort in reversed(self.keyset.sorts):
            documents.sort(key=lambda row: _comparable(row.get(sort.key)), reverse=sort.descending)
        return [document["_id"] for document in documents]


def _comparable(value: Any) -> tuple[bool, Any]:
    return (False, 0) if value is None else (True, value)


def a_list(registry: Registry, order: Sequence[Sort]) -> List:
    return List(registry.mongo, registry.system, next(_runs), Keyset.of(order, SEAL))


def thorough(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@both_drivers
@thorough(40)
@given(
    documents=st.lists(rows, max_size=14),
    order=orders,
    size=st.integers(1, 5),
    backward=st.booleans(),
)
async def test_pages_put_together_are_the_list(
    registry: Registry, documents: list[Document], order: list[Sort], size: int, backward: bool
) -> None:
    rows = a_list(registry, order)
    await rows.insert(documents)
    expected = await rows.in_order()

    read: list[Any] = []
    request = PageRequest(last=size) if backward else PageRequest(first=size)
    while True:
        page = await rows.page(request)
        read = [*page.rows, *read] if backward else [*read, *page.rows]
        if not (page.has_previous if backward else page.has_next):
            break
        assert len(page.rows) == size
        request = (
            PageRequest(last=size, before=page.cursors[0])
            if backward
            else PageRequest(first=size, after=page.cursors[-1])
        )
    assert read == expected


@thorough(40)
@given(documents=st.lists(rows, max_size=14), order=orders, size=st.integers(1, 4), changes=disturbances)
async def test_rows_that_come_and_go_between_pages_hide_no_other_and_double_none(
    registry: Registry,
    documents: list[Document],
    order: list[Sort],
    size: int,
    changes: list[tuple[str, Document, int]],
) -> None:
    rows = a_list(registry, order)
    there_all_along = set(await rows.insert(documents))

    read: list[Any] = []
    page = await rows.page(PageRequest(first=size))
    read += page.rows
    while page.has_next:
        for what, document, number in [changes.pop() for _ in changes[:2]]:
            present = await rows.in_order()
            if what == "insert" or not present:
                await rows.insert([document])
            else:
                await rows.delete(present[number % len(present)])
                there_all_along.discard(present[number % len(present)])
        page = await rows.page(PageRequest(first=size, after=page.cursors[-1]))
        read += page.rows
    assert len(read) == len(set(read))
    assert there_all_along <= set(read)
    expected = await rows.in_order()
    assert [row for row in read if row in there_all_along] == [row for row in expected if row in there_all_along]


@thorough(30)
@given(documents=st.lists(rows, min_size=1, max_size=10), order=orders, data=st.data())
async def test_between_two_cursors_lies_what_lies_between_their_rows(
    registry: Registry, documents: list[Document], order: list[Sort], data: st.DataObject
) -> None:
    rows = a_list(registry, order)
    await rows.insert(documents)
    whole = await rows.page(PageRequest(first=MAX_ROWS))
    start, end = (data.draw(st.integers(0, len(whole.rows) - 1)) for _ in range(2))
    after, before = whole.cursors[start], whole.cursors[end]
    between = list(whole.rows[start + 1 : end])
    assert (await rows.page(PageRequest(first=MAX_ROWS, after=after, before=before))).rows == between
    assert (await rows.page(PageRequest(last=MAX_ROWS, after=after, before=before))).rows == between


async def test_a_page_says_whether_there_is_more(registry: Registry) -> None:
    rows = a_list(registry, [Sort("a")])
    await rows.insert([{"a": number} for number in range(3)])
    whole = await rows.page(PageRequest())
    assert (whole.has_previous, whole.has_next) == (False, False)
    start = await rows.page(PageRequest(first=2))
    assert (start.has_previous, start.has_next) == (False, True)
    rest = await rows.page(PageRequest(first=2, after=start.cursors[-1]))
    assert (rest.has_previous, rest.has_next) == (True, False)
    end = await rows.page(PageRequest(last=2))
    assert (end.has_previous, end.has_next) == (True, False)
    nothing = await rows.page(PageRequest(first=0))
    assert (nothing.rows, nothing.has_next) == ([], True)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ü\ud800",
        "A" * 10_000,
        Keyset.of([Sort("a")], SEAL.of("other")).cursor({"_id": 1, "a": 1}),
        SEAL.close(b"no BSON"),
        SEAL.close(pack({"x": 1})),
    ],
    ids=["empty", "short", "not ASCII", "long", "of another list", "not BSON", "something else"],
)
@pytest.mark.parametrize("argument", ["after", "before"])
def test_a_cursor_of_another_list_is_refused(cursor: str, argument: str) -> None:
    keyset = Keyset.of([Sort("a")], SEAL)
    with pytest.raises(InvalidPage, match=f"The cursor in '{argument}' is not one of this list") as refused:
        keyset.window(PageRequest(after=cursor) if argument == "after" else PageRequest(before=cursor))
    assert refused.value.argument == argument


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"first": -1}, "first"),
        ({"first": MAX_ROWS + 1}, "first"),
        ({"last": 501}, "last"),
        ({"first": 1, "last": 1}, "last"),
    ],
)
def test_a_page_has_a_bounded_size(given: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidPage) as refused:
        PageRequest(**given)
    assert refused.value.argument == argument


def test_without_a_size_a_page_has_fifty_rows() -> None:
    assert PageRequest().rows == 50
    assert PageRequest(before="x").rows == 50


def test_an_order_ends_with_the_id_and_names_each_key_once() -> None:
    keyset = Keyset.of([Sort("a", True), Sort("b"), Sort("a")], SEAL)
    assert keyset.sorts == (Sort("a", True), Sort("b"), Sort("_id"))
    assert Keyset.of([Sort("_id", True)], SEAL).sorts == (Sort("_id", True),)
