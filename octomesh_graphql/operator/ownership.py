"""Who owns which field of an object, as server-side apply keeps it: for the simulated cluster.

An object is taken apart into its leaves. A leaf is known by its path in the notation of `managedFields`: `f:` and the
name of a field; `k:` and the keys of an item of a list whose items have names; `v:` and a value of a set.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self

from octomesh_graphql.operator.cluster import Object

Path = tuple[str, ...]
Leaves = Mapping[Path, Any]
Owner = tuple[str, str]
"""A field manager, and how it writes: Apply or Update."""

_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "f:containers": ("name",),
    "f:initContainers": ("name",),
    "f:env": ("name",),
    "f:volumes": ("name",),
    "f:imagePullSecrets": ("name",),
    "f:volumeMounts": ("mountPath",),
    "f:ownerReferences": ("uid",),
}
"""Lists that are merged item by item, and the keys of their items. All others are one leaf."""
_CONTAINER_PORTS: Final = ("containerPort", "protocol")
_SERVICE_PORTS: Final = ("port", "protocol")
_SETS: Final = frozenset({"f:finalizers"})
_NOT_OWNED: Final = frozenset(
    {("f:apiVersion",), ("f:kind",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
        )
    }
)
"""What names an object, and what the cluster itself writes. `managedFields` and `status` are cut off before."""


@dataclass(frozen=True)
class Owned:
    """The leaves of an object and who owns them."""

    leaves: Leaves = field(default_factory=dict)
    owners: Mapping[Owner, frozenset[Path]] = field(default_factory=dict)

    @cached_property
    def object(self) -> Object:
        """The object of these leaves. Not to be changed."""
        return put_together(self.leaves)

    @cached_property
    def fields(self) -> Mapping[Owner, Object]:
        """What each owner owns, as `managedFields` lists it. Not to be changed."""
        return {owner: fields_v1(paths) for owner, paths in self.owners.items()}

    def applied(self, wished: Leaves, manager: str) -> Self:
        """By force: what others own differently is taken over; what the manager no longer wishes and nobody else owns
        is gone."""
        owner = (manager, "Apply")
        others = {each: paths for each, paths in self.owners.items() if each != owner}
        foreign = frozenset[Path]().union(*others.values())
        dropped = self.owners.get(owner, frozenset()) - wished.keys() - foreign
        kept = {path: value for path, value in self.leaves.items() if path not in dropped}
        changed = {path for path, value in wished.items() if path not in kept or kept[path] != value}
        owners = _without(others, changed) | {owner: frozenset(wished)}
        return replace(self, leaves=kept | dict(wished), owners=_of_some(owners))

    def updated(self, leaves: Leaves, manager: str) -> Self:
        """Written as a whole: the manager owns what it changed, whatever it did not change stays whose it was."""
        owner = (manager, "Update")
        changed = {path for path, value in leaves.items() if path not in self.leaves or self.leaves[path] != value}
        gone = self.leaves.keys() - leaves.keys()
        owners = _without(self.owners, changed | gone)
        mine = owners.get(owner, frozenset()) | changed
        return replace(self, leaves=dict(leaves), owners=_of_some(owners | {owner: frozenset(mine)}))


def taken_apart(object: Object) -> dict[Path, Any]:
    """The leaves that can have an owner."""
    spread = {key: value for key, value in object.items() if key != "status"}
    spread["metadata"] = {key: value for key, value in object["metadata"].items() if key != "managedFields"}
    return {path: value for path, value in _leaves(spread, ()) if path not in _NOT_OWNED}


def put_together(leaves: Leaves) -> Object:
    """The object of these leaves."""
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        branch = tree
        for part in path[:-1]:
            if not isinstance(branch.get(part), dict):
                branch[part] = {}
            branch = branch[part]
        if value or not isinstance(branch.get(path[-1]), dict):  # something within counts more than emptiness
            branch[path[-1]] = value
    whole: Object = _whole(tree)
    return whole


def fields_v1(paths: Iterable[Path]) -> Object:
    """As `managedFields` lists them."""
    tree: Object = {}
    for path in sorted(paths):
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {".": {}} if part.startswith("k:") else {})
    return tree


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    match value:
        case dict() if value:
            for name, child in value.items():
                yield from _leaves(child, (*path, f"f:{name}"))
        case list() if value and path[-1] in _SETS:
            for item in value:
                yield (*path, f"v:{json.dumps(item)}"), True
        case list() if value and (keys := _keys(path[-1], value[0])):
            for item in value:
                key = {each: item.get(each, "TCP" if each == "protocol" else "") for each in keys}
                yield from _leaves(item, (*path, f"k:{json.dumps(key, separators=(',', ':'))}"))
        case _:
            yield path, value


def _keys(name: str, item: Any) -> tuple[str, ...] | None:
    if name == "f:ports":
        return _CONTAINER_PORTS if "containerPort" in item else _SERVICE_PORTS
    return _LISTS.get(name)


def _whole(branch: Any) -> Any:
    if not isinstance(branch, dict) or not branch:
        return branch
    if next(iter(branch)).startswith("v:"):
        return [json.loads(item[2:]) for item in branch]
    if next(iter(branch)).startswith("k:"):
        return [json.loads(key[2:]) | _whole(item) for key, item in branch.items()]
    return {name[2:]: _whole(child) for name, child in branch.items()}


def _without(owners: Mapping[Owner, frozenset[Path]], paths: Collection[Path]) -> dict[Owner, frozenset[Path]]:
    return {owner: owned.difference(paths) for owner, owned in owners.items()}


def _of_some(owners: Mapping[Owner, frozenset[Path]]) -> dict[Owner, frozenset[Path]]:
    """Without those who own nothing any more."""
    return {owner: paths for owner, paths in owners.items() if paths}
