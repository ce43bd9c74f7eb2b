"""Electing the one replica that leads, by a Lease object that the leader keeps renewing.

Time is only ever measured by one's own clock since boot: a leader gives up `renew_seconds` after it sent the last
renewal that was stored, others take over `lease_seconds` after they saw the lease change. So the old leader has
stopped before a new one starts, whatever the wall clocks of the two say.

kubernetes_asyncio brings an election too. It measures by the wall clock, dies of a broken connection, waits for ever on
one that hangs, and leaves the next leader to wait for the whole lease when it ends.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from octomesh_graphql.logs import Trouble
from octomesh_graphql.operator.clocks import boot_time
from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable, Object

log = structlog.get_logger()

_CONFLICT: Final = 409
_RELEASE_SECONDS: Final = 3.0
"""How long a leader that ends tries to say so. The next one waits for the lease otherwise."""
_RELEASE_ATTEMPTS: Final = 3


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """Kubernetes' own: what its controllers use."""

    lease_seconds: int = 15
    """After this long without a renewal, others take over."""
    renew_seconds: float = 10.0
    """After this long without a renewal, the leader stops. The 5 s in between are for it to stop in."""
    retry_seconds: float = 2.0
    """Between two renewals, and between two looks of one who waits."""


class LeaseObject(Protocol):
    """The one Lease object all candidates look at. Both methods raise `ClusterUnavailable` and `ClusterRefused`."""

    async def read(self) -> Object:
        """It as it is; made if it is missing."""
        ...

    async def write(self, lease: Object) -> Object:
        """Replace it, unless somebody changed it since it was read: then `ClusterRefused` 409."""
        ...


def new_identity() -> str:
    """A name that no other process has. One keeps it: a lease that it could not release in time is still its own."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Candidate:
    """One who wants to lead, and then does."""

    def __init__(
        self,
        lease: LeaseObject,
        times: LeaseTimes,
        *,
        identity: str | None = None,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity: Final = identity or new_identity()
        self._lease = lease
        self._times = times
        self._clock = clock
        self._sleep = sleep
        self._lost = asyncio.Event()
        self._held: Object = {}
        self._renewed_at = 0.0
        self._seen_version = ""
        self._seen_at = 0.0
        self._trouble = Trouble(log, broken="can't ask for the lead", well="the lead can be asked for again")

    async def lost(self) -> None:
        """Returns when it no longer leads."""
        await self._lost.wait()

    def held(self) -> bool:
        """Whether it leads now, by the clock: a process that was frozen is told so before `lost` is."""
        return not self._lost.is_set() and self._clock() < self._renewed_at + self._times.renew_seconds

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[Candidate]:
        """Wait for the lead, keep it for as long as possible, and leave it to the next when the block ends."""
        await self._win()
        log.info("leading", candidate=self.identity)
        keeping = asyncio.create_task(self._keep())
        try:
            yield self
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await self._leave()

    # Waiting

    async def _win(self) -> None:
        while not await self._won():
            await self._sleep(self._times.retry_seconds * random.uniform(0.8, 1.2))

    async def _won(self) -> bool:
        """Try to get the lead. What the cluster forbids is raised: waiting would not help."""
        try:
            lease = await self._lease.read()
            won = self._free(lease)
            if won:
                await self._write(lease)
        except ClusterUnavailable as error:
            self._trouble.note(str(error))
            return False
        except ClusterRefused as error:
            if error.status != _CONFLICT:
                raise
            won = False  # another one was faster
        self._trouble.end()
        return won

    def _free(self, lease: Object) -> bool:
        """Whether nobody else holds it, or its holder has been silent for all the time that we looked."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen_version:
            self._seen_version, self._seen_at = version, self._clock()
        spec = lease.get("spec") or {}
        lasts = spec.get("leaseDurationSeconds") or self._times.lease_seconds
        holder = spec.get("holderIdentity")
        return holder in (None, "", self.identity) or self._clock() - self._seen_at >= lasts

    async def _write(self, lease: Object) -> None:
        """Hold it from now on: from before the request, since the others count from when it is stored."""
        sent_at = self._clock()
        self._held = await self._lease.write(self._holding(lease))
        self._renewed_at = sent_at

    def _holding(self, lease: Object) -> Object:
        spec = lease.get("spec") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # for people to read, nobody measures by it
        held = spec | {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._times.lease_seconds,
            "renewTime": now,
        }
        if spec.get("holderIdentity") != self.identity:
            held |= {"acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        return lease | {"spec": held}

    # Leading

    async def _keep(self) -> None:
        """Renew until that does not work any more."""
        try:
            while self._left() > 0:
                if not await self._renewed(self._left()):
                    break
                await self._sleep(max(0.0, min(self._times.retry_seconds, self._left())))
            log.warning("lost the lead", candidate=self.identity)
        finally:
            self._lost.set()

    def _left(self) -> float:
        """Seconds until the lead is over if it is not renewed; asked anew each time, since a process can be frozen."""
        return self._renewed_at + self._times.renew_seconds - self._clock()

    async def _renewed(self, within: float) -> bool:
        """Try to renew. False only when somebody else leads; without an answer nothing is known."""
        try:
            async with asyncio.timeout(within):
                await self._write(self._held)
        except (ClusterUnavailable, TimeoutError) as error:
            log.warning("can't renew the lead", reason=str(error), seconds_left=round(within, 1))
        except ClusterRefused as error:
            log.warning("can't renew the lead", reason=str(error), seconds_left=round(within, 1))
            return error.status != _CONFLICT or await self._still_held(within)
        return True

    async def _still_held(self, within: float) -> bool:
        """Somebody changed the lease, maybe we: an answer was lost, or a person edited it."""
        try:
            async with asyncio.timeout(within):
                lease = await self._lease.read()
        except (ClusterUnavailable, ClusterRefused, TimeoutError):
            return True
        self._held = lease
        return (lease.get("spec") or {}).get("holderIdentity") == self.identity

    async def _leave(self) -> None:
        self._lost.set()
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._give_back()
        except (ClusterUnavailable, ClusterRefused, TimeoutError) as error:
            log.info("can't release the lead, it will run out", reason=str(error))

    async def _give_back(self) -> None:
        for _ in range(_RELEASE_ATTEMPTS):  # a last renewal may still be on its way, and come in between
            lease = await self._lease.read()
            if (lease.get("spec") or {}).get("holderIdentity") != self.identity:
                return
            with suppress(ClusterRefused):
                await self._lease.write(lease | {"spec": lease["spec"] | {"holderIdentity": ""}})
                return
