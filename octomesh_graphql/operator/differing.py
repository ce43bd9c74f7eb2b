"""How an object differs from what is wished, and by whose hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from octomesh_graphql.domain.resource import FIELD_MANAGER, WISH
from octomesh_graphql.domain.text import shown
from octomesh_graphql.operator.cluster import Object

Identity = tuple[str, str]
"""Kind and name, within a namespace."""


@dataclass(frozen=True)
class Overruled:
    """What the cluster made of an object at once when it was applied, for instance by an admission webhook. That is its
    will: applying again would bring the same."""

    wish: str | None
    """What was applied, by its mark."""
    fields: Mapping[str, Any]
    """As people write them, and what they were made."""

    def wants(self, difference: Difference) -> bool:
        """Whether the cluster wanted this difference."""
        field = written(difference.path)
        return field in self.fields and self.fields[field] == difference.found


def overruled(wished: Object, applied: Object) -> Overruled | None:
    """What of a wish is not in what applying it returned."""
    fields = {written(each.path): each.found for each in differences(wished, applied)}
    return Overruled(wish=wish_of(wished), fields=fields) if fields else None


def identity(object: Object) -> Identity:
    """What tells it from the other objects of its namespace."""
    return object["kind"], object["metadata"]["name"]


def wish_of(object: Object) -> str | None:
    """The mark of the wish it came from."""
    wish: str | None = (object["metadata"].get("annotations") or {}).get(WISH)
    return wish


@dataclass(frozen=True)
class Difference:
    """A field that is not as wished."""

    path: tuple[Step, ...]
    missing: bool
    found: Any = None


@dataclass(frozen=True)
class Step:
    """One step into an object: a field, or with `item` the element of a list that is known by a name or a uid."""

    name: str
    item: Mapping[str, Any] | None = None


def differences(wished: Any, found: Any, path: tuple[Step, ...] = ()) -> Iterator[Difference]:
    """Fields that are wished and are not so. What nobody wishes anything about is free: defaults, fields of others."""
    if found is None and wished not in ("", [], {}):  # the API server leaves empty values out
        yield Difference(path, missing=True)
    elif isinstance(wished, dict) and isinstance(found, dict):
        for name, value in wished.items():
            yield from differences(value, found.get(name), (*path, Step(name)))
    elif isinstance(found, list) and (key := _list_key(wished)):
        for value in wished:
            item = next((each for each in found if each.get(key) == value[key]), None)
            yield from differences(value, item, (*path, Step(value[key], item or value)))
    elif found is not None and not _same(wished, found, path):
        yield Difference(path, missing=False, found=found)


def _list_key(wished: Any) -> str | None:
    """What tells the elements of a list apart, if it is not to be compared as a whole."""
    if not isinstance(wished, list) or not wished:
        return None
    return next(
        (key for key in ("uid", "name") if all(isinstance(each, dict) and key in each for each in wished)), None
    )


def _same(wished: Any, found: Any, path: Sequence[Step]) -> bool:
    if wished == found:
        return True
    if not any(step.name == "resources" for step in path):
        return False
    one, other = _quantity(wished), _quantity(found)  # the API server writes 1024Mi as 1Gi, and 0.5 as 500m
    return one is not None and one == other


_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,2}))?")


def _quantity(given: Any) -> Decimal | None:
    """The number that a Kubernetes quantity stands for."""
    parts = _QUANTITY.fullmatch(str(given))
    if parts is None:
        return None
    number, binary, decimal, exponent = parts.groups()
    if binary:
        return Decimal(number) * Decimal(1024) ** ("KMGTPE".index(binary[0]) + 1)
    power = 3 * ("num kMGTPE".index(decimal) - 3) if decimal else int(exponent or 0)
    return Decimal(number) * Decimal(10) ** power


def told(difference: Difference, found: Object) -> str:
    """What happened to the field, by whose hand if that is known."""
    manager = _manager(found, difference.path)
    by = f" by '{shown(manager, 80)}'" if manager else ""
    return f"{written(difference.path)} had been {'removed' if difference.missing else 'changed'}{by}"


def written(path: Iterable[Step]) -> str:
    """The path as people write it: `spec.template.spec.containers[adapter].image`."""
    text = "".join(
        f"[{step.name}]" if step.item is not None or not step.name.isidentifier() else f".{step.name}" for step in path
    )
    return text.removeprefix(".")


def _manager(object: Object, path: Sequence[Step]) -> str | None:
    """Who, other than the operator, says that the field is theirs; the latest one. Who removed a field is not kept."""
    entries = [
        entry
        for entry in object["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and _owns(entry.get("fieldsV1") or {}, path)
    ]
    latest = max(entries, key=lambda entry: entry.get("time") or "", default=None)
    return latest and latest.get("manager")


def _owns(fields: Mapping[str, Any], path: Sequence[Step]) -> bool:
    for step in path:
        owned = next((below for key, below in fields.items() if _leads(key, step)), None)
        if not owned:
            return owned is not None  # nothing further down: it is owned as a whole
        fields = owned
    return True


def _leads(key: str, step: Step) -> bool:
    """Whether a key of `fieldsV1` is this step: `f:replicas`, or `k:{"name":"adapter"}` for an element of a list."""
    if step.item is None:
        return key == f"f:{step.name}"
    return key.startswith("k:") and json.loads(key[2:]).items() <= step.item.items()
