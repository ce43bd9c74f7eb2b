"""Between domain dataclasses and MongoDB documents, generic over the dataclass.

The rules: a field is stored under its camelCase name; None is not stored at all; an enum is its number; a field named
`rt_id` is the document's `_id`, one ending in `_rt_id` refers to another entity, and both are ObjectIds; a field of
type Any is JSON, kept as text so that nothing in it can be taken for a query; a field with the metadata
`{"stored": False}` stays out. Fields of a newer version that this one does not know are left alone.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Generic, TypeVar

from octomesh_graphql.store.mongo import Document, ObjectId

T = TypeVar("T")
Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class _Field:
    name: str
    key: str
    encode: Convert
    decode: Convert
    absent: Mapping[str, None]
    """What it is when it is not stored: None if it must be given and may be None, otherwise its own default."""


class Codec(Generic[T]):
    """Turns one dataclass into documents and back. `constants` are written into each document."""

    def __init__(self, of: type[T], constants: Mapping[str, Any] | None = None) -> None:
        self._of = of
        self._fields = tuple(_fields(of))
        self._constants = dict(constants or {})

    def encode(self, value: T) -> Document:
        """The document of a value."""
        document = dict(self._constants)
        for field in self._fields:
            stored = getattr(value, field.name)
            if stored is not None:
                document[field.key] = field.encode(stored)
        return document

    def decode(self, document: Mapping[str, Any], **more: Any) -> T:
        """The value of a document; `more` are fields that are not stored."""
        known: dict[str, Any] = {}
        for field in self._fields:
            stored = document.get(field.key)
            known |= field.absent if stored is None else {field.name: field.decode(stored)}
        return self._of(**known, **more)

    def update(self, before: T, after: T) -> Document:
        """The MongoDB update that makes the document of `before` that of `after`, naming only what differs."""
        old, new = self.encode(before), self.encode(after)
        changed = {key: value for key, value in new.items() if key not in old or old[key] != value}
        gone = {key: "" for key in old if key not in new}
        return {operator: part for operator, part in (("$set", changed), ("$unset", gone)) if part}

    def key(self, name: str) -> str:
        """Where the field `name` is stored."""
        return next(field.key for field in self._fields if field.name == name)


def camel(name: str) -> str:
    """`rt_creation_date_time` as `rtCreationDateTime`."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


def _fields(of: type[Any]) -> list[_Field]:
    hints = typing.get_type_hints(of)
    return [
        _Field(
            field.name,
            "_id" if field.name == "rt_id" else camel(field.name),
            *_conversions(field.name, hints),
            {field.name: None} if _must_be_given(field) and _may_be_none(hints[field.name]) else {},
        )
        for field in dataclasses.fields(of)
        if field.metadata.get("stored", True)
    ]


def _conversions(name: str, hints: Mapping[str, Any]) -> tuple[Convert, Convert]:
    kind = _without_none(hints[name])
    if name == "rt_id" or name.endswith("_rt_id"):
        return ObjectId, str
    if kind is Any:
        return _to_json, json.loads
    if isinstance(kind, type) and issubclass(kind, Enum):
        return (lambda member: member.value), kind
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _nested(kind).encode, _nested(kind).decode
    return _same, _same


@cache
def _nested(of: type[Any]) -> Codec[Any]:
    return Codec(of)


def _must_be_given(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _may_be_none(hint: Any) -> bool:
    return hint is Any or types.NoneType in typing.get_args(hint)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _same(value: Any) -> Any:
    return value
