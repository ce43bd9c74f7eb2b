"""Planning: what has to be done about the adapters of a pool, and what to report of them.

A pure function of what is wished and what was observed. What is as wished is not in the plan at all, so that nothing is
ever touched twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import ADAPTER_RT_ID, FIELD_MANAGER, GROUP, KIND, WISH
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding, PoolWish, WishedAdapter
from octomesh_graphql.operator.causes import cause, rolled_out, waits_for
from octomesh_graphql.operator.cluster import Kind, Object
from octomesh_graphql.operator.manifests import Place, image_of, manifests

_BEING_CREATED: Final = "Being created."
_RELABELLED: Final = "Being relabelled."
_OF_KUBERNETES: Final = frozenset({"foregroundDeletion", "orphan"})  # finalizers that go by themselves


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What there is of a pool in its namespace: all that carries its labels."""

    deployments: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    secrets: Sequence[Object] = ()
    services: Sequence[Object] = ()
    events: Sequence[Object] = ()
    """Warnings of the namespace, whatever they are about."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """An object to apply, and why."""

    object: Object
    adapter_rt_id: str
    why: str
    mended: bool
    """Whether this undoes what somebody else did in the cluster; else the wish is news."""

    @property
    def restarts(self) -> bool:
        """Whether it may touch what runs; a new name for people does not."""
        return self.why != _RELABELLED


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do in the cluster, in this order, and what to report."""

    apply: Sequence[Application] = ()
    delete: Sequence[Object] = ()
    findings: Sequence[Finding] = ()
    """One for each adapter of the wish."""


def plan(wish: PoolWish, place: Place, observed: Observed, known: Collection[str] = frozenset()) -> Plan:
    """What it takes to get from what was observed to what is wished, and how far that is.

    `known` are the rtIds of adapters reported AVAILABLE before, and not unwanted since: only with them can a Deployment
    that somebody deleted be told from one that never was.
    """
    adapters = {adapter.rt_id: adapter for adapter in wish.adapters}
    shares = _shares(observed)
    plans = [
        _adapter_plan(wish, place, adapters.get(rt_id), shares.get(rt_id, _Share()), rt_id in known)
        for rt_id in sorted({*adapters, *shares})
    ]
    return Plan(
        apply=tuple(application for each in plans for application in each.apply),
        delete=tuple(object for each in plans for object in each.delete),
        findings=tuple(finding for each in plans for finding in each.findings),
    )


@dataclass(frozen=True, kw_only=True)
class _Share:
    """What was observed of one adapter."""

    objects: Sequence[Object] = ()
    """Deployments first: what goes shall go in this order."""
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()

    def like(self, wished: Object) -> Object | None:
        """The one that a manifest is about."""
        return next((each for each in self.objects if _identity(each) == _identity(wished)), None)

    def foreign(self, place: Place) -> tuple[Object, dict[str, Any]] | None:
        """One that another CommunicationPool owns, and its reference to that."""
        own = place.owner["metadata"]["uid"]
        owned = ((each, _owner(each)) for each in self.objects)
        return next(((each, owner) for each, owner in owned if owner and owner["uid"] != own), None)


def _shares(observed: Observed) -> dict[str, _Share]:
    objects = _by_adapter([*observed.deployments, *observed.services, *observed.secrets])
    pods = _by_adapter(observed.pods)
    return {
        rt_id: _Share(
            objects=sorted(objects.get(rt_id, ()), key=_order),
            pods=sorted(pods.get(rt_id, ()), key=_order),
            events=observed.events,
        )
        for rt_id in {*objects, *pods}
    }


def _by_adapter(objects: Iterable[Object]) -> dict[str, list[Object]]:
    sorted_out: dict[str, list[Object]] = {}
    for object in objects:
        if rt_id := object["metadata"].get("labels", {}).get(ADAPTER_RT_ID):
            sorted_out.setdefault(rt_id, []).append(object)
    return sorted_out


def _order(object: Object) -> tuple[int, str]:
    kinds = (Kind.DEPLOYMENT, Kind.SERVICE, Kind.SECRET, Kind.POD)
    return kinds.index(Kind.of(object)), object["metadata"]["name"]


# One adapter


def _adapter_plan(wish: PoolWish, place: Place, adapter: WishedAdapter | None, share: _Share, known: bool) -> Plan:
    if foreign := share.foreign(place):
        return Plan(findings=_findings(adapter, *_foreign_finding(place, *foreign)))
    if adapter is None:
        return Plan(delete=_staying(share.objects))
    if not adapter.wanted:
        return _removal(adapter, share)
    wished = manifests(wish, adapter, place)
    applications = tuple(_applications(adapter, wished, share, known))
    names = [_identity(each) for each in wished]
    return Plan(
        apply=applications,
        delete=_staying(each for each in share.objects if _identity(each) not in names),
        findings=_findings(adapter, *_wanted_finding(wished, [each for each in applications if each.restarts], share)),
    )


def _removal(adapter: WishedAdapter, share: _Share) -> Plan:
    remaining = [*share.objects, *share.pods]
    if not remaining:
        return Plan(findings=_findings(adapter, Phase.GONE, None))
    message = f"Being removed: waits for {_listed(_remainder(each) for each in remaining)}."
    return Plan(delete=_staying(share.objects), findings=_findings(adapter, Phase.PROGRESSING, message))


def _wanted_finding(
    wished: Sequence[Object], applications: Sequence[Application], share: _Share
) -> tuple[Phase, str | None]:
    if applications:
        return Phase.PROGRESSING, _main(applications).why
    if leaving := [each for object in wished if (each := share.like(object)) and _leaving(each)]:
        return Phase.PROGRESSING, f"Waiting for {_remainder(leaving[0])} to be gone; then it is created anew."
    deployment = next(each for each in share.objects if Kind.of(each) is Kind.DEPLOYMENT)
    if rolled_out(deployment):
        return Phase.AVAILABLE, None
    if found := cause(deployment, share.pods, share.events):
        return Phase.FAILED if found.final else Phase.PROGRESSING, found.message
    return Phase.PROGRESSING, waits_for(deployment, share.pods)


def _foreign_finding(place: Place, object: Object, owner: Mapping[str, Any]) -> tuple[Phase, str]:
    what = f"The {object['kind']} '{object['metadata']['name']}'"
    if owner["name"] == place.owner["metadata"]["name"]:
        return Phase.PROGRESSING, (
            f"{what} is of an earlier {KIND} of the same name; waiting for the cluster to remove it."
        )
    return Phase.FAILED, (
        f"{what} belongs to another {KIND}, '{shown(owner['name'], 80)}', and is left alone. Delete one of the two."
    )


def _main(applications: Sequence[Application]) -> Application:
    """The one that says most: the Deployment is the adapter, the rest is around it."""
    return next((each for each in applications if Kind.of(each.object) is Kind.DEPLOYMENT), applications[0])


def _applications(
    adapter: WishedAdapter, wished: Sequence[Object], share: _Share, known: bool
) -> Iterator[Application]:
    deployment = next(each for each in wished if Kind.of(each) is Kind.DEPLOYMENT)
    seen = share.like(deployment)
    settled = known and (seen is None or _wish_of(seen) == _wish_of(deployment))
    for object in wished:
        if why := _why(adapter, object, share.like(object), settled):
            mended = why.startswith("Mended:")
            yield Application(object=object, adapter_rt_id=adapter.rt_id, why=why, mended=mended)


def _why(adapter: WishedAdapter, wished: Object, found: Object | None, settled: bool) -> str | None:
    """Why an object has to be applied; None if it has not. `settled`: all of it had been there for this wish."""
    if found is None:
        return f"Mended: the {wished['kind']} had been deleted." if settled else _BEING_CREATED
    if _leaving(found):
        return None
    if _wish_of(found) != _wish_of(wished):
        return _update(adapter, wished, found)
    difference = next(_differences(wished, found), None)
    return f"Mended: {_told(difference, found)}." if difference else None


def _update(adapter: WishedAdapter, wished: Object, found: Object) -> str:
    if _running_part(wished) == _running_part(found):
        return _RELABELLED
    if wished["kind"] == Kind.DEPLOYMENT.kind and _images(wished) != _images(found):
        return f"Being updated to image '{image_of(adapter)}'."
    if wished["kind"] == Kind.SECRET.kind and wished["data"] != found.get("data"):
        return "Being updated to its new configuration."
    return "Being updated."


def _images(deployment: Object) -> list[str]:
    return [container.get("image", "") for container in deployment["spec"]["template"]["spec"]["containers"]]


def _findings(adapter: WishedAdapter | None, phase: Phase, message: str | None) -> tuple[Finding, ...]:
    if adapter is None:  # nobody asked about it
        return ()
    return (Finding(rt_id=adapter.rt_id, generation=adapter.generation, phase=phase, message=message),)


# Objects


def _identity(object: Object) -> tuple[str, str]:
    return object["kind"], object["metadata"]["name"]


def _wish_of(object: Object) -> str | None:
    wish: str | None = object["metadata"].get("annotations", {}).get(WISH)
    return wish


def _running_part(object: Object) -> str:
    """The part of the hash that is about what runs."""
    return (_wish_of(object) or "").partition("-")[0]


def _leaving(object: Object) -> bool:
    return bool(object["metadata"].get("deletionTimestamp"))


def _staying(objects: Iterable[Object]) -> tuple[Object, ...]:
    """Those that nobody has begun to delete."""
    return tuple(object for object in objects if not _leaving(object))


def _owner(object: Object) -> dict[str, Any] | None:
    """The CommunicationPool it belongs to, of whichever version."""
    references: Iterable[dict[str, Any]] = object["metadata"].get("ownerReferences") or ()
    return next(
        (each for each in references if each["kind"] == KIND and each["apiVersion"].partition("/")[0] == GROUP), None
    )


def _remainder(object: Object) -> str:
    """What is still there, and what keeps it if that is somebody else's business."""
    kind, name = object["kind"], object["metadata"]["name"]
    keepers = [each for each in object["metadata"].get("finalizers") or () if each not in _OF_KUBERNETES]
    kept = f", which is kept by the finalizer '{shown(keepers[0], 80)}'" if keepers and _leaving(object) else ""
    return (f"its pod '{name}'" if kind == Kind.POD.kind else f"its {kind}") + kept


def _listed(things: Iterable[str]) -> str:
    *some, last = things
    return f"{', '.join(some)} and {last}" if some else last


# What somebody else changed


@dataclass(frozen=True)
class _Difference:
    """A field that is not as wished."""

    path: tuple[_Step, ...]
    missing: bool


@dataclass(frozen=True)
class _Step:
    """One step into an object: a field, or with `item` the element of a list that is known by a name or a uid."""

    name: str
    item: Mapping[str, Any] | None = None


def _differences(wished: Any, found: Any, path: tuple[_Step, ...] = ()) -> Iterator[_Difference]:
    """Fields that are wished and are not so. What nobody wishes anything about is free: defaults, fields of others."""
    if found is None and wished not in ("", [], {}):  # the API server leaves empty values out
        yield _Difference(path, missing=True)
    elif isinstance(wished, dict) and isinstance(found, dict):
        for name, value in wished.items():
            yield from _differences(value, found.get(name), (*path, _Step(name)))
    elif isinstance(found, list) and (key := _list_key(wished)):
        for value in wished:
            item = next((each for each in found if each.get(key) == value[key]), None)
            yield from _differences(value, item, (*path, _Step(value[key], item or value)))
    elif found is not None and not _same(wished, found, path):
        yield _Difference(path, missing=False)


def _list_key(wished: Any) -> str | None:
    """What tells the elements of a list apart, if it is not to be compared as a whole."""
    if not isinstance(wished, list) or not wished:
        return None
    return next(
        (key for key in ("uid", "name") if all(isinstance(each, dict) and key in each for each in wished)), None
    )


def _same(wished: Any, found: Any, path: Sequence[_Step]) -> bool:
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


def _told(difference: _Difference, found: Object) -> str:
    """What happened to the field, by whose hand if that is known."""
    manager = _manager(found, difference.path)
    by = f" by '{shown(manager, 80)}'" if manager else ""
    return f"{_written(difference.path)} had been {'removed' if difference.missing else 'changed'}{by}"


def _written(path: Iterable[_Step]) -> str:
    """The path as people write it: `spec.template.spec.containers[adapter].image`."""
    text = "".join(
        f"[{step.name}]" if step.item is not None or not step.name.isidentifier() else f".{step.name}" for step in path
    )
    return text.removeprefix(".")


def _manager(object: Object, path: Sequence[_Step]) -> str | None:
    """Who, other than the operator, says that the field is theirs; the latest one. Who removed a field is not kept."""
    entries = [
        entry
        for entry in object["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and _owns(entry.get("fieldsV1") or {}, path)
    ]
    latest = max(entries, key=lambda entry: entry.get("time") or "", default=None)
    return latest and latest.get("manager")


def _owns(fields: Mapping[str, Any], path: Sequence[_Step]) -> bool:
    for step in path:
        owned = next((below for key, below in fields.items() if _leads(key, step)), None)
        if not owned:
            return owned is not None  # nothing further down: it is owned as a whole
        fields = owned
    return True


def _leads(key: str, step: _Step) -> bool:
    """Whether a key of `fieldsV1` is this step: `f:replicas`, or `k:{"name":"adapter"}` for an element of a list."""
    if step.item is None:
        return key == f"f:{step.name}"
    return key.startswith("k:") and json.loads(key[2:]).items() <= step.item.items()
