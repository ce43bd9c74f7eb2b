"""What the API server of the simulated cluster keeps: objects with their versions, owners and finalizers.

Everything here is immediate. That requests can fail, and that what runs takes its time, is added around it.
What is handed out is not copied, and must not be changed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from octomesh_graphql.domain.resource import GROUP, KIND
from octomesh_graphql.operator.cluster import ClusterRefused, Kind, Object, Step
from octomesh_graphql.operator.crd import violations
from octomesh_graphql.operator.events import event_about, time_text, told_again
from octomesh_graphql.operator.ownership import Leaves, Owned, Owner, Path, taken_apart

Key = tuple[str, str]
"""Namespace and name."""
Listener = Callable[[Step, Object], None]

EVENTS_KEPT: Final = 5_000
"""A real cluster forgets them after an hour."""

_WITH_GENERATION: Final = frozenset({Kind.COMMUNICATION_POOL, Kind.DEPLOYMENT})
_METADATA: Final[Path] = ("f:metadata",)
_BY_GROUP: Final[Mapping[Kind, str]] = {
    Kind.COMMUNICATION_POOL: f"{KIND}.{GROUP}",
    Kind.DEPLOYMENT: "deployments.apps",
}


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """An object in its parts, of which the whole is made once for each version."""

    kind: Kind
    key: Key
    uid: str
    created: str
    version: str = ""
    generation: int = 0
    deleted: str | None = None
    owned: Owned = field(default_factory=Owned)
    status: Any = None
    status_owner: Owner | None = None
    object: Object = field(default_factory=dict)

    def same_as(self, other: _Stored) -> bool:
        """Whether they differ in nothing that anybody wrote."""
        return (self.owned, self.status, self.deleted) == (other.owned, other.status, other.deleted)

    def wishes_other_than(self, other: _Stored) -> bool:
        """Whether anything differs that a generation counts."""
        return self.owned is not other.owned and _wished(self.owned.leaves) != _wished(other.owned.leaves)


class Objects:
    """All objects of the cluster."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self._stored: dict[Kind, dict[Key, _Stored]] = {kind: {} for kind in Kind}
        self._labelled: dict[tuple[Kind, str, str], dict[Key, None]] = {}
        self._by_uid: dict[str, tuple[Kind, Key]] = {}
        self._owned_by: dict[str, dict[tuple[Kind, Key], None]] = {}
        self._listeners: dict[Kind, list[Listener]] = {kind: [] for kind in Kind}

    # Reading

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, if it is there."""
        stored = self._stored[kind].get((namespace, name))
        return stored.object if stored else None

    def select(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """All objects of a kind with these labels and fields, by name."""
        all_of_kind = self._stored[kind]
        # The rarest label leaves the fewest to look at: with a thousand adapters, one label has them all.
        marked = [self._labelled.get((kind, *label), {}) for label in (labels or {}).items()]
        candidates = min(marked, key=len) if marked else all_of_kind
        found = (all_of_kind[key].object for key in sorted(candidates))
        return [object for object in found if matches(object, namespace, labels, fields)]

    def listen(self, kind: Kind, listener: Listener) -> None:
        """Be told of every change of an object of a kind, while it happens."""
        self._listeners[kind].append(listener)

    def ignore(self, kind: Kind, listener: Listener) -> None:
        """Not be told any more."""
        self._listeners[kind].remove(listener)

    # Writing

    def apply(self, wished: Object, manager: str) -> Object:
        """Server-side apply, by force."""
        stored = self._there_or_new(wished)
        return self._put(stored, replace(stored, owned=stored.owned.applied(taken_apart(wished), manager)))

    def update(self, object: Object, manager: str) -> Object:
        """Write the whole object but its status, as it was read and changed. One without a version is made."""
        stored = self._there_or_new(object)
        return self._put(stored, replace(stored, owned=stored.owned.updated(taken_apart(object), manager)))

    def set_status(self, kind: Kind, key: Key, status: Any, owner: Owner) -> None:
        """Write the status; of an object that is gone, nothing happens."""
        if stored := self._stored[kind].get(key):
            self._put(stored, replace(stored, status=status, status_owner=owner))

    def set_finalizers(self, object: Object, finalizers: list[str], manager: str) -> None:
        """If nobody changed it since it was read; of an object that is gone, nothing happens."""
        kind, key = Kind.of(object), key_of(object)
        if stored := self._stored[kind].get(key):
            self._check_version(stored, object)
            changed = stored.object | {"metadata": stored.object["metadata"] | {"finalizers": finalizers}}
            self._put(stored, replace(stored, owned=stored.owned.updated(taken_apart(changed), manager)))

    def delete(self, kind: Kind, key: Key, uid: str | None = None) -> None:
        """What has finalizers, and a pod on a node, stays marked until somebody lets it go."""
        stored = self._stored[kind].get(key)
        if not stored or (uid and stored.uid != uid):
            return
        if stored.object["metadata"].get("finalizers") or (kind is Kind.POD and "nodeName" in stored.object["spec"]):
            self._put(stored, replace(stored, deleted=stored.deleted or time_text(self._clock())))
        else:
            self._remove(stored)

    def remove(self, kind: Kind, key: Key, uid: str) -> None:
        """Take it away, marked or not: the last word about a pod."""
        if (stored := self._stored[kind].get(key)) and stored.uid == uid:
            self._remove(stored)

    def note(self, about: Object, type: str, reason: str, message: str, source: str) -> None:
        """Leave an Event."""
        now = self._clock()
        event = event_about(about, type, reason, message, source=source, now=now)
        events = self._stored[Kind.EVENT]
        if earlier := events.get(key_of(event)):
            event = event | told_again(earlier.object, now) | {"firstTimestamp": earlier.object["firstTimestamp"]}
        self.apply(event, source)
        if len(events) > EVENTS_KEPT:
            self._remove(next(iter(events.values())))

    # How it is kept

    def _there_or_new(self, object: Object) -> _Stored:
        kind, key = Kind.of(object), key_of(object)
        if stored := self._stored[kind].get(key):
            self._check_version(stored, object)
            return stored
        return _Stored(kind=kind, key=key, uid=str(uuid4()), created=time_text(self._clock()))

    def _check_version(self, stored: _Stored, object: Object) -> None:
        """An object that names a version or a uid means that one."""
        metadata = object["metadata"]
        if metadata.get("resourceVersion", stored.version) == stored.version and metadata.get("uid", stored.uid) == (
            stored.uid
        ):
            return
        what = _BY_GROUP.get(stored.kind, stored.kind.plural)
        raise ClusterRefused(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on {what} "{stored.key[1]}": the object has been modified; please apply '
            "your changes to the latest version and try again",
        )

    def _put(self, before: _Stored, after: _Stored) -> Object:
        """Keep it with a new version, if anything differs; what was marked and has no finalizers left goes."""
        if before.version and after.same_as(before):
            return before.object
        if after.kind in _WITH_GENERATION and (not before.version or after.wishes_other_than(before)):
            after = replace(after, generation=before.generation + 1)
        after = replace(after, version=str(next(self._versions)))
        after = replace(after, object=self._whole(after))
        _check(after)
        self._forget(before)
        self._keep(after)
        if after.deleted and not after.object["metadata"].get("finalizers") and after.kind is not Kind.POD:
            self._remove(after)
        elif self._orphaned(after):
            self.delete(after.kind, after.key)
        return after.object

    def _keep(self, stored: _Stored) -> None:
        self._stored[stored.kind][stored.key] = stored
        self._by_uid[stored.uid] = (stored.kind, stored.key)
        for label in stored.object["metadata"].get("labels", {}).items():
            self._labelled.setdefault((stored.kind, *label), {})[stored.key] = None
        for owner in _owners(stored.object):
            self._owned_by.setdefault(owner["uid"], {})[stored.kind, stored.key] = None
        self._tell(Step.SEEN, stored)

    def _forget(self, stored: _Stored) -> None:
        """In the indexes. Nothing is there to forget of an object that is new."""
        for label in stored.object.get("metadata", {}).get("labels", {}).items():
            _discard(self._labelled, (stored.kind, *label), stored.key)
        for owner in _owners(stored.object):
            _discard(self._owned_by, owner["uid"], (stored.kind, stored.key))

    def _remove(self, stored: _Stored) -> None:
        """Take it away, and what only it owned."""
        self._forget(stored)
        del self._stored[stored.kind][stored.key], self._by_uid[stored.uid]
        self._tell(Step.GONE, stored)
        for kind, key in list(self._owned_by.get(stored.uid, ())):
            if self._orphaned(self._stored[kind][key]):
                self.delete(kind, key)

    def _orphaned(self, stored: _Stored) -> bool:
        """Whether all its owners are gone; one in another namespace never was there."""
        owners = [self._by_uid.get(owner["uid"]) for owner in _owners(stored.object)]
        return bool(owners) and not any(owner and owner[1][0] == stored.key[0] for owner in owners)

    def _tell(self, step: Step, stored: _Stored) -> None:
        for listener in list(self._listeners[stored.kind]):
            listener(step, stored.object)

    def _whole(self, stored: _Stored) -> Object:
        """The object as the API shows it."""
        namespace, name = stored.key
        parts = stored.owned.object
        metadata: Object = {
            "name": name,
            "namespace": namespace,
            "uid": stored.uid,
            "resourceVersion": stored.version,
            "creationTimestamp": stored.created,
        }
        metadata |= {"generation": stored.generation} if stored.generation else {}
        metadata |= {"deletionTimestamp": stored.deleted} if stored.deleted else {}
        metadata |= parts.get("metadata", {}) | {"managedFields": list(self._managed_fields(stored))}
        status = {} if stored.status is None else {"status": stored.status}
        head = {"apiVersion": stored.kind.api_version, "kind": stored.kind.kind}
        return head | parts | {"metadata": metadata} | status

    def _managed_fields(self, stored: _Stored) -> Iterator[Object]:
        time = time_text(self._clock())
        earlier = {
            (each["manager"], each["operation"], each.get("subresource")): each
            for each in stored.object.get("metadata", {}).get("managedFields", ())
        }
        claims: dict[tuple[str, str, str | None], Any] = {
            (*owner, None): fields for owner, fields in stored.owned.fields.items()
        }
        if stored.status_owner:
            claims[(*stored.status_owner, "status")] = {"f:status": {}}
        for owner, fields in claims.items():
            known = earlier.get(owner)
            manager, operation, subresource = owner
            yield (
                known
                if known and known["fieldsV1"] == fields
                else {
                    "manager": manager,
                    "operation": operation,
                    "apiVersion": stored.kind.api_version,
                    "time": time,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }
                | ({"subresource": subresource} if subresource else {})
            )


def key_of(object: Object) -> Key:
    """Namespace and name of an object."""
    return object["metadata"]["namespace"], object["metadata"]["name"]


def matches(
    object: Object, namespace: str | None, labels: Mapping[str, str] | None, fields: Mapping[str, str] | None = None
) -> bool:
    """Whether it is in the namespace and has the labels and fields of its own, as far as they are asked for."""
    metadata = object["metadata"]
    if namespace is not None and metadata["namespace"] != namespace:
        return False
    if any(object.get(name) != value for name, value in (fields or {}).items()):
        return False
    return not labels or labels.items() <= metadata.get("labels", {}).items()


def copied(value: Any) -> Any:
    """A copy that may be changed; faster than copy.deepcopy, since there are only dicts, lists and plain values."""
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    return value


def _check(stored: _Stored) -> None:
    """Raises `ClusterRefused` as an API server that knows our definition would."""
    if stored.kind is not Kind.COMMUNICATION_POOL:
        return
    if found := list(violations(stored.object)):
        # As a real one writes them: one bare, several in brackets.
        listed = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        message = f"{KIND}.{GROUP} {json.dumps(stored.key[1])} is invalid: {listed}"
        raise ClusterRefused(422, "Invalid", message)


def _wished(leaves: Leaves) -> dict[Path, Any]:
    return {path: value for path, value in leaves.items() if path[:1] != _METADATA}


def _owners(object: Object) -> list[Object]:
    """Those of kinds that are kept here: a pod's ReplicaSet is not."""
    known = {(kind.api_version, kind.kind) for kind in Kind}
    references = object.get("metadata", {}).get("ownerReferences", ())
    return [each for each in references if (each["apiVersion"], each["kind"]) in known]


def _discard(index: dict[Any, dict[Any, None]], at: Any, what: Any) -> None:
    if at in index:
        index[at].pop(what, None)
        if not index[at]:
            del index[at]
