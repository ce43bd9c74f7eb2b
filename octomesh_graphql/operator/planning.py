"""Planning: what has to be done about the adapters of a pool, and what to report of them.

A pure function of what is wished and what was observed. What is as wished is not in the plan at all, so that nothing is
ever touched twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from octomesh_graphql.domain.adapter import Phase
from octomesh_graphql.domain.resource import ADAPTER_RT_ID, GROUP, KIND
from octomesh_graphql.domain.text import shown
from octomesh_graphql.domain.wish import Finding, PoolWish, WishedAdapter
from octomesh_graphql.operator.causes import cause, rolled_out, waits_for
from octomesh_graphql.operator.cluster import Kind, Object
from octomesh_graphql.operator.differing import (
    Difference,
    Identity,
    Overruled,
    differences,
    identity,
    told,
    wish_of,
    written,
)
from octomesh_graphql.operator.manifests import Place, image_of, manifests

_BEING_CREATED: Final = "Being created."
_RELABELLED: Final = "Being relabelled."
_NAMED: Final = 3  # fields in one sentence
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
    generation: int
    why: str
    mended: bool
    """Whether this undoes what somebody else did in the cluster; else the wish is news."""
    field: str | None = None
    """The field that was changed, if that is what is mended."""

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


def plan(
    wish: PoolWish,
    place: Place,
    observed: Observed,
    known: Collection[str] = frozenset(),
    overruled: Mapping[Identity, Overruled] = MappingProxyType({}),
) -> Plan:
    """What it takes to get from what was observed to what is wished, and how far that is.

    `known` are the rtIds of adapters reported AVAILABLE before, and not unwanted since: only with them can a Deployment
    that somebody deleted be told from one that never was. What the cluster `overruled` is not mended but told.
    """
    adapters = {adapter.rt_id: adapter for adapter in wish.adapters}
    shares = _shares(observed, overruled)
    plans = [
        _adapter_plan(wish, place, adapters.get(rt_id), shares.get(rt_id, _Share(overruled=overruled)), rt_id in known)
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
    overruled: Mapping[Identity, Overruled]
    """Of all adapters."""

    def will(self, wished: Object) -> Overruled | None:
        """What the cluster made of this wish, if it did not take it as it is."""
        will = self.overruled.get(identity(wished))
        return will if will and will.wish == wish_of(wished) else None

    def like(self, wished: Object) -> Object | None:
        """The one that a manifest is about."""
        return next((each for each in self.objects if identity(each) == identity(wished)), None)

    def foreign(self, place: Place) -> tuple[Object, dict[str, Any]] | None:
        """One that another CommunicationPool owns, and its reference to that."""
        own = place.owner["metadata"]["uid"]
        owned = ((each, _owner(each)) for each in self.objects)
        return next(((each, owner) for each, owner in owned if owner and owner["uid"] != own), None)


def _shares(observed: Observed, overruled: Mapping[Identity, Overruled]) -> dict[str, _Share]:
    objects = _by_adapter([*observed.deployments, *observed.services, *observed.secrets])
    pods = _by_adapter(observed.pods)
    return {
        rt_id: _Share(
            objects=sorted(objects.get(rt_id, ()), key=_order),
            pods=sorted(pods.get(rt_id, ()), key=_order),
            events=observed.events,
            overruled=overruled,
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
    names = [identity(each) for each in wished]
    return Plan(
        apply=applications,
        delete=_staying(each for each in share.objects if identity(each) not in names),
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
    against = _overruled(wished, share)
    if deployment["spec"].get("replicas", 1) == 0:
        return Phase.FAILED, f"The cluster lets none of it run. {against}"
    if rolled_out(deployment):
        return Phase.AVAILABLE, f"It runs. {against}" if against else None
    if found := cause(deployment, share.pods, share.events):
        return Phase.FAILED if found.final else Phase.PROGRESSING, found.message
    return Phase.PROGRESSING, waits_for(deployment, share.pods)


def _overruled(wished: Sequence[Object], share: _Share) -> str:
    """What the cluster does not take as it is wished; empty if it takes it all."""
    wills = [(object["kind"], will) for object in wished if (will := share.will(object)) and share.like(object)]
    fields = [f"{field} of the {kind}" for kind, will in wills for field in sorted(will.fields)]
    return f"The cluster, perhaps an admission webhook, sets {_listed(fields[:_NAMED])} differently." if fields else ""


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
    settled = known and (seen is None or wish_of(seen) == wish_of(deployment))
    for object in wished:
        found = share.like(object)
        difference = _difference(object, found, share.will(object))
        if why := _why(adapter, object, found, difference, settled):
            mended = why.startswith("Mended:")
            yield Application(
                object=object,
                adapter_rt_id=adapter.rt_id,
                generation=adapter.generation,
                why=why,
                mended=mended,
                field=written(difference.path) if difference and mended else None,
            )


def _difference(wished: Object, found: Object | None, will: Overruled | None) -> Difference | None:
    """The first one that is not the cluster's own will."""
    if found is None:
        return None
    return next((each for each in differences(wished, found) if not (will and will.wants(each))), None)


def _why(
    adapter: WishedAdapter, wished: Object, found: Object | None, difference: Difference | None, settled: bool
) -> str | None:
    """Why an object has to be applied; None if it has not. `settled`: all of it had been there for this wish."""
    if found is None:
        return f"Mended: the {wished['kind']} had been deleted." if settled else _BEING_CREATED
    if _leaving(found) or difference is None:
        return None
    if wish_of(found) != wish_of(wished):
        return _update(adapter, wished, found)
    return f"Mended: {told(difference, found)}."


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


def _running_part(object: Object) -> str:
    """The part of the hash that is about what runs."""
    return (wish_of(object) or "").partition("-")[0]


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
