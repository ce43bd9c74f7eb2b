"""The work queue: when keys are due, and that none is lost or worked on twice at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomesh_graphql.operator.queueing import PAUSE_SECONDS, WorkQueue


@dataclass
class Waiting:
    """A queue in a time of its own."""

    now: float = 100.0
    chance: float = 0.5
    queue: WorkQueue[str] = field(init=False)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(clock=lambda: self.now, chance=lambda: self.chance)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def worked_on(self, key: str) -> None:
        """A run of the key that went well."""
        assert self.queue.next() == key
        self.queue.done(key)
        self.pass_by(1)


def test_a_key_added_often_is_worked_on_once() -> None:
    waiting = Waiting()
    for _ in range(5):
        waiting.queue.add("a")
    waiting.worked_on("a")
    assert waiting.queue.next() is None


def test_keys_come_in_the_order_in_which_they_are_due() -> None:
    waiting = Waiting()
    waiting.queue.add("late", after=2)
    waiting.queue.add("first")
    waiting.queue.add("second")
    assert [waiting.queue.next(), waiting.queue.next(), waiting.queue.next()] == ["first", "second", None]
    assert waiting.queue.wait() == 2
    waiting.pass_by(2)
    assert waiting.queue.next() == "late"


def test_who_asks_for_sooner_is_heard_and_who_asks_for_later_is_served_already() -> None:
    waiting = Waiting()
    waiting.queue.add("a", after=300)
    waiting.queue.add("a", after=3)
    waiting.queue.add("a", after=60)
    waiting.pass_by(3)
    waiting.worked_on("a")
    waiting.pass_by(1000)
    assert waiting.queue.next() is None


def test_what_is_asked_for_during_the_work_is_done_afterwards_and_never_meanwhile() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    assert waiting.queue.next() == "a"
    waiting.queue.add("a")
    waiting.queue.add("a")
    waiting.pass_by(10)
    assert waiting.queue.next() is None
    waiting.queue.done("a")
    assert waiting.queue.next() is None
    waiting.pass_by(PAUSE_SECONDS)
    waiting.worked_on("a")
    assert waiting.queue.next() is None


def test_a_burst_after_a_run_becomes_one_run_a_moment_later() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    assert waiting.queue.next() == "a"
    waiting.queue.done("a")
    for _ in range(10):
        waiting.queue.add("a")
        waiting.pass_by(PAUSE_SECONDS / 20)
    assert waiting.queue.next() is None
    waiting.pass_by(PAUSE_SECONDS)
    waiting.worked_on("a")
    assert waiting.queue.next() is None


def test_failures_are_tried_again_later_each_time_up_to_a_minute() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    pauses = []
    for _ in range(9):
        assert waiting.queue.next() == "a"
        waiting.queue.failed("a")
        pauses.append(waiting.queue.wait())
        waiting.pass_by(pauses[-1] or 0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_pauses_differ_by_chance_so_that_many_keys_do_not_come_back_together() -> None:
    pauses = []
    for chance in (0.0, 0.999):
        waiting = Waiting(chance=chance)
        waiting.queue.add("a")
        waiting.queue.next()
        waiting.queue.failed("a")
        pauses.append(round(waiting.queue.wait() or 0, 2))
    assert pauses == [0.75, 1.25]


def test_a_success_forgets_the_failures() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    for _ in range(4):
        waiting.queue.next()
        waiting.queue.failed("a")
        waiting.pass_by(60)
    waiting.worked_on("a")
    waiting.queue.add("a")
    waiting.queue.next()
    waiting.queue.failed("a")
    assert waiting.queue.wait() == 1


def test_a_pause_that_was_asked_for_is_kept() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    waiting.queue.next()
    waiting.queue.failed("a", at_least=30)
    assert waiting.queue.wait() == 30


def test_news_about_a_key_that_failed_are_looked_at_without_waiting_for_the_retry() -> None:
    waiting = Waiting()
    waiting.queue.add("a")
    for _ in range(5):
        waiting.queue.next()
        waiting.queue.failed("a")
        waiting.pass_by(60)
    waiting.queue.next()
    waiting.queue.failed("a")
    waiting.queue.add("a")
    assert waiting.queue.wait() == pytest.approx(PAUSE_SECONDS)


def test_its_length_counts_what_is_due_or_being_done_and_not_what_is_planned_for_later() -> None:
    waiting = Waiting()
    for key in "abc":
        waiting.queue.add(key)
    waiting.queue.add("later", after=300)
    waiting.queue.next()
    assert len(waiting.queue) == 3


async def test_a_waiting_worker_gets_what_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("later", after=3600)
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("now")
    assert await asyncio.wait_for(worker, 5) == "now"


async def test_two_workers_get_two_keys() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(queue.take()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    assert set(await asyncio.wait_for(asyncio.gather(*workers), 5)) == {"a", "b"}


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), st.sampled_from([0.0, 1.0, 300.0])),
        st.tuples(st.just("take"), st.just(""), st.just(0.0)),
        st.tuples(st.just("done"), st.sampled_from("abc"), st.just(0.0)),
        st.tuples(st.just("failed"), st.sampled_from("abc"), st.just(0.0)),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.05, 1.0, 60.0])),
    ),
    max_size=60,
)


@given(Steps)
def test_whatever_happens_no_key_is_lost_and_none_is_worked_on_twice_at_once(
    steps: list[tuple[str, str, float]],
) -> None:
    waiting, working, owed = Waiting(), set[str](), set[str]()
    for step, key, seconds in steps:
        match step:
            case "add":
                waiting.queue.add(key, after=seconds)
                owed.add(key)
            case "take":
                taken = waiting.queue.next()
                assert taken not in working
                if taken:
                    working.add(taken)
                    owed.discard(taken)
            case "done" if key in working:
                waiting.queue.done(key)
                working.discard(key)
            case "failed" if key in working:
                waiting.queue.failed(key)
                working.discard(key)
                owed.add(key)
            case "wait":
                waiting.pass_by(seconds)
    for key in working:
        waiting.queue.done(key)
    waiting.pass_by(1000)
    rest = set()
    while key_left := waiting.queue.next():
        rest.add(key_left)
    assert rest == owed
