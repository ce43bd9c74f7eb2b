"""Who leads, by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from octomesh_graphql.operator.cluster import ClusterRefused, ClusterUnavailable, Object
from octomesh_graphql.operator.electing import Candidate, LeaseTimes

TIMES = LeaseTimes()


@dataclass
class World:
    """A Lease object, and time, which only passes when everybody waits."""

    now: float = 1_000.0
    lease: Object = field(default_factory=lambda: {"metadata": {"resourceVersion": "1"}})
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    def candidate(self, **faults: Callable[[], Exception | None]) -> Candidate:
        return Candidate(Lease(self, **faults), TIMES, clock=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def passes(self, seconds: float) -> None:
        """Let time pass, and everybody do what they do at their times."""
        end = self.now + seconds
        await settled()
        while due := [each for each in self.sleepers if each[0] <= end]:
            first = min(due, key=lambda each: each[0])
            self.sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()
            await settled()
        self.now = end

    @property
    def holder(self) -> str:
        holder: str = self.lease.get("spec", {}).get("holderIdentity", "")
        return holder


async def settled() -> None:
    """All that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class Lease:
    """As one candidate reaches it."""

    world: World
    reading: Callable[[], Exception | None] = lambda: None
    writing: Callable[[], Exception | None] = lambda: None
    answering: Callable[[], Exception | None] = lambda: None

    async def read(self) -> Object:
        if error := self.reading():
            raise error
        return self.world.lease

    async def write(self, lease: Object) -> Object:
        if error := self.writing():
            raise error
        present = self.world.lease["metadata"]["resourceVersion"]
        if lease["metadata"]["resourceVersion"] != present:
            raise ClusterRefused(409, "Conflict", "the object has been modified")
        self.world.lease = lease | {"metadata": {"resourceVersion": str(int(present) + 1)}}
        if error := self.answering():
            raise error
        return self.world.lease


@dataclass
class Replica:
    """A candidate and whether it acts."""

    candidate: Candidate
    acts: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def start(self) -> Replica:
        self.task = asyncio.create_task(self.run())
        return self

    async def run(self) -> None:
        async with self.candidate.leading() as leadership:
            self.acts = True
            lost = asyncio.create_task(leadership.lost())
            stopped = asyncio.create_task(self.stop.wait())
            await asyncio.wait({lost, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self.acts = False
            stopped.cancel()
            lost.cancel()

    async def ends(self) -> None:
        assert self.task
        self.stop.set()
        with suppress(asyncio.CancelledError):
            await self.task


class Link:
    """The way from a replica to the API server, which can be cut."""

    def __init__(self) -> None:
        self.cut = False
        self.reason = "no answer in time"

    def __call__(self) -> Exception | None:
        return ClusterUnavailable(self.reason) if self.cut else None


async def test_the_first_leads_at_once_and_holds_the_lease_for_hours() -> None:
    world = World()
    first = Replica(world.candidate()).start()
    await settled()
    assert first.acts

    second = Replica(world.candidate()).start()
    await world.passes(10_000)

    assert (first.acts, second.acts) == (True, False)
    assert world.holder == first.candidate.identity
    await first.ends()
    await world.passes(3)
    assert second.acts
    await second.ends()


async def test_the_next_leads_within_seconds_when_one_ends() -> None:
    world = World()
    first = Replica(world.candidate()).start()
    await settled()
    second = Replica(world.candidate()).start()
    await world.passes(60)

    await first.ends()
    assert world.holder == ""
    await world.passes(TIMES.retry_seconds * 1.2)

    assert second.acts
    await second.ends()


@pytest.mark.parametrize("cut_after", [0.0, 0.7, 1.9, 5.3])
async def test_a_leader_that_is_cut_off_stops_before_the_next_starts(cut_after: float) -> None:
    world, link = World(), Link()
    first = Replica(world.candidate(reading=link, writing=link)).start()
    await settled()
    second = Replica(world.candidate()).start()
    await world.passes(60 + cut_after)

    link.cut = True
    acted = []
    for _ in range(400):
        await world.passes(0.05)
        acted.append((first.acts, second.acts))

    assert (True, True) not in acted
    assert acted[-1] == (False, True)
    stopped, started = acted.index((False, False)) * 0.05, acted.index((False, True)) * 0.05
    assert stopped <= TIMES.renew_seconds + 0.1
    # The next one may see the last renewal one look late, and that the lease ran out one look late too.
    assert TIMES.lease_seconds - TIMES.retry_seconds <= started <= TIMES.lease_seconds + 2 * 1.2 * TIMES.retry_seconds
    assert started - stopped >= TIMES.lease_seconds - TIMES.renew_seconds - TIMES.retry_seconds
    await first.ends()
    await second.ends()


async def test_a_short_break_is_survived() -> None:
    world, link = World(), Link()
    first = Replica(world.candidate(reading=link, writing=link)).start()
    await settled()

    for _ in range(20):
        link.cut = True
        await world.passes(TIMES.renew_seconds - TIMES.retry_seconds - 0.1)
        link.cut = False
        await world.passes(TIMES.retry_seconds + 0.1)

    assert first.acts
    await first.ends()


async def test_a_renewal_whose_answer_was_lost_costs_nothing() -> None:
    world, link = World(), Link()
    first = Replica(world.candidate(answering=link)).start()
    await settled()

    for _ in range(20):
        link.cut = True  # what is written is stored, but nobody says so
        await world.passes(TIMES.retry_seconds)
        link.cut = False
        await world.passes(2 * TIMES.retry_seconds)

    assert first.acts
    await first.ends()


async def test_a_lead_that_somebody_else_took_is_lost() -> None:
    world = World()
    first = Replica(world.candidate()).start()
    await settled()

    world.lease = {"metadata": {"resourceVersion": "99"}, "spec": {"holderIdentity": "a person with kubectl"}}
    await world.passes(TIMES.retry_seconds)

    assert not first.acts
    await first.ends()
    assert world.holder == "a person with kubectl"


async def test_a_lease_that_a_person_annotated_is_not_lost() -> None:
    world = World()
    first = Replica(world.candidate()).start()
    await settled()

    world.lease = world.lease | {"metadata": {"resourceVersion": "99"}}
    await world.passes(60)

    assert first.acts
    await first.ends()


async def test_of_many_only_one_leads() -> None:
    world = World()
    replicas = [Replica(world.candidate()).start() for _ in range(10)]
    leaders: list[int] = []
    while replicas:
        await world.passes(30)
        acting = [replica for replica in replicas if replica.acts]
        leaders.append(len(acting))
        await acting[0].ends()
        replicas.remove(acting[0])

    assert leaders == [1] * 10
    assert world.lease["spec"]["leaseTransitions"] == 10


async def test_a_candidate_waits_for_an_api_server_that_is_away() -> None:
    world, link = World(), Link()
    link.cut = True
    first = Replica(world.candidate(reading=link)).start()
    await world.passes(600)
    assert not first.acts

    link.cut = False
    await world.passes(3)

    assert first.acts
    await first.ends()


@pytest.mark.parametrize("way", ["reading", "writing"])
async def test_why_nobody_can_be_asked_is_told_once_and_that_it_is_over(way: str) -> None:
    world, link = World(), Link()
    link.cut = True
    first = Replica(world.candidate(**{way: link})).start()
    with capture_logs() as logs:
        await world.passes(600)
        link.reason = "connection refused"
        await world.passes(600)
        link.cut = False
        await world.passes(3)
    assert [(line["event"], line.get("reason")) for line in logs] == [
        ("can't ask for the lead", "no answer in time"),
        ("can't ask for the lead", "connection refused"),
        ("the lead can be asked for again", None),
        ("leading", None),
    ]
    assert first.acts
    await first.ends()


async def test_who_stands_by_tells_each_break_once() -> None:
    world, link = World(), Link()
    first = Replica(world.candidate()).start()
    await settled()
    second = Replica(world.candidate(reading=link)).start()
    with capture_logs() as logs:
        for _ in range(3):
            link.cut = True
            await world.passes(60)
            link.cut = False
            await world.passes(60)
    assert [line["event"] for line in logs] == 3 * ["can't ask for the lead", "the lead can be asked for again"]
    assert (first.acts, second.acts) == (True, False)
    await first.ends()
    await world.passes(3)
    await second.ends()


async def test_what_is_forbidden_is_raised_instead_of_waited_for() -> None:
    forbidden = ClusterRefused(403, "Forbidden", 'cannot get resource "leases"')

    with pytest.raises(ClusterRefused, match="leases"):
        async with World().candidate(reading=lambda: forbidden).leading():
            pass


async def test_a_process_that_was_frozen_knows_when_it_wakes() -> None:
    world = World()
    first = Replica(world.candidate()).start()
    await settled()

    assert first.candidate.held()

    world.now += 20  # nobody ran meanwhile, and the next timer is overdue
    assert not first.candidate.held()
    await world.passes(0)
    await world.passes(0)

    assert not first.acts
    await first.ends()
