"""A cluster in memory: for trying things out without Kubernetes, and for fast tests of whatever talks to one.

It answers as an API server does, plays what runs in it, and fails when it is told to. That the two clusters do not
differ is what their common tests are for.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, Self

from octomesh_graphql.domain.resource import FIELD_MANAGER
from octomesh_graphql.operator.cluster import (
    ClusterRefused,
    ClusterUnavailable,
    Kind,
    Object,
    Sighting,
    Step,
)
from octomesh_graphql.operator.sightings import Told
from octomesh_graphql.operator.simulated_objects import Objects, copied, key_of, matches
from octomesh_graphql.operator.simulated_workloads import Workloads

_BREAK_SECONDS: Final = 0.5
"""How long a watch that broke waits before it lists anew."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a fault can be chosen by: the name of the method of `Cluster`, and what it is about."""

    operation: str
    kind: Kind
    namespace: str | None = None
    name: str | None = None


class SimulatedCluster:
    """A cluster that is not there."""

    def __init__(
        self,
        name: str = "simulated",
        *,
        speed: float = 1.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`speed` is how many seconds a second of what is played takes; with 0, everything happens at once."""
        self._name = name
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._objects = Objects(clock)
        self._workloads = Workloads(self._objects, self._pause, clock)
        self._faults: list[_Fault] = []
        self._inboxes: set[_Inbox] = set()
        self._lead = asyncio.Lock()
        self._leader: _Leader | None = None
        self.requests: Counter[str] = Counter()
        """How often each operation was asked for, those that failed included."""
        self.admission: Callable[[Object], object] = lambda object: None
        """What a mutating webhook does with each object the operator applies: it changes the object it is given."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._workloads.stop()

    # As every cluster

    @property
    def name(self) -> str:
        return self._name

    async def identity(self) -> str:
        return hashlib.sha256(self._name.encode()).hexdigest()[:8]

    async def objects(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        async with self._served(Request(operation="objects", kind=kind, namespace=namespace)):
            return [copied(object) for object in self._objects.select(kind, namespace, labels, fields)]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        async with self._served(Request(operation="get", kind=kind, namespace=namespace, name=name)):
            found: Object | None = copied(self._objects.find(kind, namespace, name))
            return found

    async def apply(self, wished: Object) -> Object:
        async with self._served(_request("apply", wished)):
            admitted = copied(wished)
            self.admission(admitted)
            applied: Object = copied(self._objects.apply(admitted, FIELD_MANAGER))
            return applied

    async def apply_status(self, status: Object) -> None:
        async with self._served(_request("apply_status", status)):
            self._objects.set_status(
                Kind.of(status), key_of(status), copied(status["status"]), (FIELD_MANAGER, "Apply")
            )

    async def delete(self, object: Object) -> None:
        async with self._served(_request("delete", object)):
            self._objects.delete(Kind.of(object), key_of(object), object["metadata"]["uid"])

    async def set_finalizers(self, object: Object, finalizers: list[str]) -> None:
        async with self._served(_request("set_finalizers", object)):
            self._objects.set_finalizers(object, list(finalizers), FIELD_MANAGER)

    async def record(self, about: Object, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        try:
            async with self._served(_request("record", about)):
                self._objects.note(about, type, reason, message, FIELD_MANAGER)
        except (ClusterUnavailable, ClusterRefused):
            return

    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Sighting, None]:
        told = Told()
        while True:
            # Listening begins before listing, so that nothing falls in between.
            with self._inbox(kind, namespace, labels, fields) as inbox:
                try:
                    objects = await self.objects(kind, namespace=namespace, labels=labels, fields=fields)
                    inbox.expect(objects)
                    for sighting in told.listed(objects):
                        yield sighting
                    async with self._served(Request(operation="watch", kind=kind, namespace=namespace)):
                        pass
                    async for step, object in inbox.changes():
                        yield told.changed(step, copied(object))
                except (ClusterUnavailable, ClusterRefused):
                    pass
            await self._pause(_BREAK_SECONDS * random.uniform(0.5, 1.0))

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[_Leader]:
        async with self._lead:
            self._leader = leader = _Leader()
            try:
                yield leader
            finally:
                leader.depose()

    @property
    def watches(self) -> int:
        """How many watches there are."""
        return len(self._inboxes)

    # What people do

    def put(self, object: Object, manager: str = "kubectl") -> Object:
        """What `kubectl apply --server-side --force-conflicts` of somebody does. Raises `ClusterRefused`."""
        put: Object = copied(self._objects.apply(copied(object), manager))
        return put

    def edit(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], None], manager: str = "kubectl-edit"
    ) -> Object:
        """What `kubectl edit` of somebody does: `change` changes the object it is given. Raises `ClusterRefused`."""
        edited = copied(self._objects.find(kind, namespace, name))
        if edited is None:
            raise ClusterRefused(404, "NotFound", f'{kind.plural} "{name}" not found')
        change(edited)
        found: Object = copied(self._objects.update(edited, manager))
        return found

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """What `kubectl delete` of somebody does; nothing is there is fine."""
        self._objects.delete(kind, (namespace, name))

    # What can go wrong

    def fail_next(
        self,
        which: str | Callable[[Request], bool],
        error: ClusterUnavailable | ClusterRefused,
        times: int = 1,
        *,
        after: bool = False,
    ) -> None:
        """Let the next requests fail that are of this operation, or of which this is true.

        With `after` they are carried out and only their answer is lost. A seeded `random.Random` in a function and a
        large `times` make a cluster that fails now and then, and the same way again.
        """
        chosen = which if callable(which) else lambda request: request.operation == which
        self._faults.append(_Fault(chosen, error, times, after))

    def drop_watches(self) -> None:
        """Cut all watches; what they have not told yet they never tell."""
        for inbox in self._inboxes:
            inbox.cut()

    def compact(self) -> None:
        """Forget the history: the next watch is answered 410 and has to list anew. Those that run go on."""
        self.fail_next("watch", ClusterUnavailable("too old resource version"))

    def depose(self) -> None:
        """Take the lead from whoever has it, as a lease that could not be renewed does."""
        if self._leader:
            self._leader.depose()

    # How it is done

    async def _pause(self, seconds: float) -> None:
        await self._sleep(seconds * self._speed)

    @asynccontextmanager
    async def _served(self, request: Request) -> AsyncIterator[None]:
        """A request takes a turn of the loop, and fails if it is told to."""
        self.requests[request.operation] += 1
        await asyncio.sleep(0)
        fault = self._fault(request)
        if fault and not fault.after:
            raise fault.error.with_traceback(None)
        yield
        if fault:
            raise fault.error.with_traceback(None)

    def _fault(self, request: Request) -> _Fault | None:
        fault = next((each for each in self._faults if each.which(request)), None)
        if fault:
            fault.left -= 1
            self._faults = [each for each in self._faults if each.left > 0]
        return fault

    @contextmanager
    def _inbox(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None, fields: Mapping[str, str] | None
    ) -> Iterator[_Inbox]:
        inbox = _Inbox(namespace, dict(labels or {}), dict(fields or {}))
        self._objects.listen(kind, inbox.put)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._objects.ignore(kind, inbox.put)
            self._inboxes.discard(inbox)


@dataclass
class _Fault:
    which: Callable[[Request], bool]
    error: ClusterUnavailable | ClusterRefused
    left: int
    after: bool


class _Leader:
    def __init__(self) -> None:
        self._lost = asyncio.Event()

    async def lost(self) -> None:
        await self._lost.wait()

    def held(self) -> bool:
        return not self._lost.is_set()

    def depose(self) -> None:
        self._lost.set()


class _Inbox:
    """What one watch has not told yet: of each object the latest, so that it never holds more than there are."""

    def __init__(self, namespace: str | None, labels: Mapping[str, str], fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._namespace = namespace
        self._labels = labels
        self._matching: set[str] = set()
        self._untold: dict[str, tuple[Step, Object]] = {}
        self._filled = asyncio.Event()
        self._cut = False

    def expect(self, objects: Iterable[Object]) -> None:
        """The watch is about these: it must tell when one does not match any more."""
        self._matching.update(object["metadata"]["uid"] for object in objects)

    def put(self, step: Step, object: Object) -> None:
        """Keep a change, if the watch is about that object; one that no longer matches is gone for it."""
        uid = object["metadata"]["uid"]
        if step is Step.SEEN and matches(object, self._namespace, self._labels, self._fields):
            self._matching.add(uid)
        elif uid in self._matching or matches(object, self._namespace, self._labels, self._fields):
            self._matching.discard(uid)
            step = Step.GONE
        else:
            return
        self._untold.pop(uid, None)
        self._untold[uid] = (step, object)
        self._filled.set()

    def cut(self) -> None:
        """Nothing more is told."""
        self._cut = True
        self._untold.clear()
        self._filled.set()

    async def changes(self) -> AsyncIterator[tuple[Step, Object]]:
        """What comes, until it is cut."""
        while not self._cut:
            await self._filled.wait()
            self._filled.clear()
            while self._untold and not self._cut:
                yield self._untold.pop(next(iter(self._untold)))


def _request(operation: str, object: Object) -> Request:
    namespace, name = key_of(object)
    return Request(operation=operation, kind=Kind.of(object), namespace=namespace, name=name)
