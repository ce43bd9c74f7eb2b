"""Pages of a sorted list that stay stable while rows come and go: keyset pagination.

A cursor holds the sort values of its row, sealed together with the list it belongs to, so that it can't be forged
and is refused by every other list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

from octomesh_graphql.store.mongo import Document, pack, unpack
from octomesh_graphql.store.sealing import Forged, Seal

T = TypeVar("T")
Query = Mapping[str, Any]

DEFAULT_ROWS: Final = 50
"""Rows of a page when nobody says how many."""

MAX_ROWS: Final = 500
"""Most rows of a page; about a megabyte of pools."""


class InvalidPage(Exception):
    """The page asked for can't be had; the message is for the person who asked."""

    def __init__(self, message: str, argument: str) -> None:
        super().__init__(message)
        self.argument = argument


@dataclass(frozen=True)
class Sort:
    """One key of an order: a stored field, and the direction."""

    key: str
    descending: bool = False

    def reversed(self) -> Sort:
        """The other direction."""
        return Sort(self.key, not self.descending)


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """Which rows of a list: the `first` after a cursor, or the `last` before one."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise InvalidPage("Give either 'first' or 'last', not both.", "last")
        for argument, rows in (("first", self.first), ("last", self.last)):
            if rows is not None and not 0 <= rows <= MAX_ROWS:
                raise InvalidPage(
                    f"'{argument}' is {rows}; it can be 0 to {MAX_ROWS}. Read longer lists page by page.",
                    argument,
                )

    @property
    def backward(self) -> bool:
        """Whether the page is counted from the end."""
        return self.last is not None

    @property
    def rows(self) -> int:
        """How many rows at the most."""
        asked = self.last if self.backward else self.first
        return DEFAULT_ROWS if asked is None else asked


@dataclass(frozen=True)
class Edge(Generic[T]):
    """A row and its cursor."""

    cursor: str
    node: T


@dataclass(frozen=True, kw_only=True)
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list, in its order, each with its cursor."""

    rows: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool
    total: int | None
    """Rows of the whole list; None when nobody asked."""

    # The same in the words of Relay Cursor Connections

    @property
    def nodes(self) -> Sequence[T]:
        """The rows."""
        return self.rows

    @property
    def items(self) -> Sequence[T]:
        """The rows, under OctoMesh's own word for them."""
        return self.rows

    @property
    def total_count(self) -> int | None:
        """Rows of the whole list; None when nobody asked."""
        return self.total

    @property
    def edges(self) -> Sequence[Edge[T]]:
        """The rows with their cursors."""
        return [Edge(cursor, row) for cursor, row in zip(self.cursors, self.rows, strict=True)]

    @property
    def page_info(self) -> PageInfo:
        """Where this page stands."""
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=self.cursors[0] if self.cursors else None,
            end_cursor=self.cursors[-1] if self.cursors else None,
        )


@dataclass(frozen=True)
class Keyset:
    """One list: its order, and the seal that binds cursors to it."""

    sorts: tuple[Sort, ...]
    seal: Seal

    @classmethod
    def of(cls, sorts: Sequence[Sort], seal: Seal) -> Self:
        """In this order, rows that are equal by it in the order of their ids."""
        given = [*sorts, Sort("_id", sorts[-1].descending if sorts else False)]
        first_of_each = {sort.key: sort for sort in reversed(given)}
        return cls(tuple(sort for sort in given if first_of_each[sort.key] is sort), seal)

    def window(self, request: PageRequest) -> list[Document]:
        """The pipeline stages that leave the rows of the page, and one more if there are more.

        Raises `InvalidPage` for a cursor that is not of this list.
        """
        sorts = [sort.reversed() for sort in self.sorts] if request.backward else list(self.sorts)
        return [
            *self.bounds(request),
            {"$sort": {sort.key: -1 if sort.descending else 1 for sort in sorts}},
            {"$limit": request.rows + 1},
        ]

    def bounds(self, request: PageRequest) -> list[Document]:
        """The stages that keep what lies between the cursors."""
        stages: list[Document] = []
        if request.after is not None:
            stages.append({"$match": beyond(self.sorts, self._opened(request.after, "after"))})
        if request.before is not None:
            mirrored = [sort.reversed() for sort in self.sorts]
            stages.append({"$match": beyond(mirrored, self._opened(request.before, "before"))})
        return stages

    def cursor(self, document: Query) -> str:
        """The cursor of a row."""
        return self.seal.close(pack({"v": [document.get(sort.key) for sort in self.sorts]}))

    def page(
        self, request: PageRequest, documents: Sequence[Document], rows: Sequence[T], total: int | None
    ) -> Page[T]:
        """The page that `window` fetched: `documents` and the `rows` made of them."""
        more = len(documents) > request.rows
        kept = list(zip(documents, rows, strict=True))[: request.rows]
        if request.backward:
            kept.reverse()
        return Page(
            rows=[row for _, row in kept],
            cursors=[self.cursor(document) for document, _ in kept],
            has_next=request.before is not None if request.backward else more,
            has_previous=more if request.backward else request.after is not None,
            total=total,
        )

    def _opened(self, cursor: str, argument: str) -> list[Any]:
        try:
            values: list[Any] = unpack(self.seal.open(cursor))["v"]
        except (Forged, ValueError, KeyError) as error:
            raise InvalidPage(
                f"The cursor in '{argument}' is not one of this list: use cursors only with the arguments "
                "they were given for.",
                argument,
            ) from error
        return values


def beyond(sorts: Sequence[Sort], values: Sequence[Any]) -> Query:
    """The condition that a row comes behind the one with these sort values. A missing value sorts before all."""
    alternatives = []
    for index, sort in enumerate(sorts):
        strictly = _strictly(sort, values[index])
        if strictly is not None:
            equal = [{before.key: value} for before, value in zip(sorts[:index], values[:index], strict=True)]
            alternatives.append({"$and": [*equal, strictly]})
    return {"$or": alternatives} if alternatives else {"$expr": False}


def _strictly(sort: Sort, value: Any) -> Query | None:
    if not sort.descending:
        return {sort.key: {"$ne": None} if value is None else {"$gt": value}}
    if value is None:
        return None
    return {"$or": [{sort.key: {"$lt": value}}, {sort.key: None}]}
