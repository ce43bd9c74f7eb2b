"""Turns: few at once, none for long."""

from __future__ import annotations

import asyncio

from octomesh_graphql.store.turns import Turns


async def test_no_more_work_at_once_than_may_and_all_get_there() -> None:
    turns, working, most = Turns(2, 10), 0, 0

    async def work() -> None:
        nonlocal working, most
        async with turns.turn():
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(work() for _ in range(20)))
    assert most == 2


async def test_who_takes_long_keeps_nobody_and_gives_back_only_once() -> None:
    turns, done = Turns(1, 0.02), asyncio.Event()

    async def slow() -> None:
        async with turns.turn():
            await done.wait()

    async def quick() -> None:
        async with turns.turn():
            pass

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(slow())
        await asyncio.sleep(0)
        await quick()
        done.set()
    async with turns.turn():
        waiting = asyncio.create_task(quick())
        await asyncio.sleep(0)
        assert not waiting.done()  # there is one turn, as before
    await waiting


async def test_who_is_cancelled_while_waiting_takes_no_turn() -> None:
    turns = Turns(1, 10)
    async with turns.turn():
        waiting = asyncio.create_task(turns.turn().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), turns.turn():
        pass
