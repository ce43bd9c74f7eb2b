"""What the operator needs of a cluster. `kubernetes.py` is a real one, `simulated.py` one in memory.

Objects are plain dicts in the form of the Kubernetes API, with `apiVersion`, `kind` and `metadata`, in lists too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, Protocol

from octomesh_graphql.domain import resource

Object = dict[str, Any]


class Kind(Enum):
    """The kinds of objects the operator has to do with: API version, kind, plural."""

    COMMUNICATION_POOL = (resource.API_VERSION, resource.KIND, resource.PLURAL)
    DEPLOYMENT = ("apps/v1", "Deployment", "deployments")
    POD = ("v1", "Pod", "pods")
    SECRET = ("v1", "Secret", "secrets")
    SERVICE = ("v1", "Service", "services")
    EVENT = ("v1", "Event", "events")

    @property
    def api_version(self) -> str:
        """As objects carry it, for instance `apps/v1`."""
        return self.value[0]

    @property
    def kind(self) -> str:
        """As objects carry it, for instance `Deployment`."""
        return self.value[1]

    @property
    def plural(self) -> str:
        """As paths carry it, for instance `deployments`."""
        return self.value[2]

    @classmethod
    def of(cls, object: Object) -> Kind:
        """The kind of an object."""
        return next(kind for kind in cls if (kind.api_version, kind.kind) == (object["apiVersion"], object["kind"]))


WARNINGS: Final = {"type": "Warning"}
"""The Events that tell of trouble, by their fields."""


class ClusterUnavailable(Exception):
    """The cluster can't be reached, is overloaded or did not answer in time; trying again later is the answer."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the cluster asked for, if it did."""


class ClusterRefused(Exception):
    """The cluster refused a request: `status` (403, 409, 422, …), `reason` and message are its own."""

    def __init__(self, status: int, reason: str, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.name = name
        """Of the object it is about, if it is about one: else it may be the whole kind that is not there."""


class Step(Enum):
    """What a watch tells."""

    SEEN = "SEEN"  # the object is there, or changed
    GONE = "GONE"  # the object was there and is no more; its last known state
    LISTED = "LISTED"  # everything that was there at the beginning has been told; told once


@dataclass(frozen=True)
class Sighting:
    """One thing a watch tells. A hint to look, not a truth to act on: it may be old, doubled or out of order."""

    step: Step
    object: Object | None = None


class Cluster(Protocol):
    """A place where adapters run."""

    @property
    def name(self) -> str:
        """What people call it; a simulated one says so in its name."""
        ...

    async def identity(self) -> str:
        """Eight characters that no other installation in any cluster has, and that survive restarts."""
        ...

    async def objects(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """All objects of a kind, of a namespace or of all, with these labels and fields (by path: `type`)."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, if it exists."""
        ...

    async def apply(self, wished: Object) -> Object:
        """Server-side apply as `octomesh-operator`, taking over fields that others own. An unchanged object keeps its
        resourceVersion. Returns the object as it is then."""
        ...

    async def apply_status(self, status: Object) -> None:
        """Server-side apply of the status of a CommunicationPool; one that is gone meanwhile is no error."""
        ...

    async def delete(self, object: Object) -> None:
        """Delete exactly this object (by uid), with what belongs to it; gone or replaced already is no error."""
        ...

    async def set_finalizers(self, object: Object, finalizers: list[str]) -> None:
        """Replace its finalizers, if nobody changed it since it was read (else ClusterRefused 409); gone is fine."""
        ...

    async def record(self, about: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Leave an Event about an object, for `kubectl describe`. Failing to is no error."""
        ...

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Sighting, None]:
        """What is there, LISTED, then what changes, without end: through restarts of the API server, 410 Gone, watches
        that are cut or fall silent. After a break everything is listed anew, and what went meanwhile is told GONE; of
        that no more than `metadata` is known. Closing it ends the watch."""
        ...

    def leading(self) -> AbstractAsyncContextManager[Leadership]:
        """Wait until this process is the only one that leads, and lead until the block ends."""
        ...


class Leadership(Protocol):
    """Being the one of several replicas that acts."""

    async def lost(self) -> None:
        """Returns when this process no longer leads; it must stop acting at once."""
        ...

    def held(self) -> bool:
        """Whether it certainly leads at this moment. To be asked before each write: who was frozen learns it here."""
        ...
