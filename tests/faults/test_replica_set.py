"""Servers on a replica set of three, whose members reach each other by the wires that break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from tests.faults.database import Database, Member
from tests.faults.installation import Installation, installed
from tests.faults.proxy import Way

Fault = Callable[[Installation], Awaitable[None]]


@asynccontextmanager
async def on_three(directory: Path, dice: random.Random) -> AsyncIterator[Installation]:
    """Two servers on three members."""
    database = Database(directory, members=3, flags=("--oplogSize", "200"))
    async with installed(directory, dice, database) as there:
        yield there


async def step_down_again_and_again(there: Installation) -> None:
    """The primary steps down every four seconds."""
    for _ in range(3):
        await there.database.step_down(10)
        await asyncio.sleep(4)


async def kill_the_primary(there: Installation) -> None:
    """The primary is killed, and comes back as another's secondary."""
    primary = await there.database.primary()
    await primary.kill()
    await there.database.primary()
    await asyncio.sleep(there.dice.uniform(1, 3))
    await primary.start()


async def swallow_what_the_primary_says(there: Installation) -> None:
    """The primary hears everybody, and nobody hears it, for six seconds."""
    primary = await there.database.primary()
    primary.wire.swallow(Way.BACK)
    await asyncio.sleep(6)
    primary.wire.heal()


async def swallow_what_the_primary_is_told(there: Installation) -> None:
    """Nobody gets through to the primary, which goes on to call the others, for six seconds."""
    primary = await there.database.primary()
    primary.wire.swallow(Way.THERE)
    await asyncio.sleep(6)
    primary.wire.heal()


async def cut_the_primary_off(there: Installation) -> None:
    """The primary's connections break for three seconds, as often as they are opened."""
    primary = await there.database.primary()
    primary.wire.breaks_after = 0
    for _ in range(30):
        primary.wire.cut()
        await asyncio.sleep(0.1)
    primary.wire.heal()


async def break_in_the_middle(there: Installation) -> None:
    """For four seconds every connection to any member breaks in the middle of an answer."""
    for wire in there.database.wires:
        wire.breaks_after = there.dice.randrange(2_000, 20_000)
        wire.cut()
    await asyncio.sleep(4)
    for wire in there.database.wires:
        wire.heal()


FAULTS = [
    step_down_again_and_again,
    kill_the_primary,
    swallow_what_the_primary_says,
    swallow_what_the_primary_is_told,
    cut_the_primary_off,
    break_in_the_middle,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_nothing_acknowledged_is_lost_while_members_come_and_go(
    fault: Fault, tmp_path: Path, dice: random.Random
) -> None:
    async with on_three(tmp_path, dice) as there, there.working():
        await fault(there)


async def test_what_is_rolled_back_was_never_acknowledged(tmp_path: Path, dice: random.Random) -> None:
    async with on_three(tmp_path, dice) as there, there.working() as users:
        old = await there.database.primary()
        others = [member for member in there.database.members if member is not old]
        async with users.cut_in_two():
            isolate(old, others)
            await write_carelessly(old)
            await elected(others)
            await asyncio.sleep(dice.uniform(1, 3))
            for wire in there.database.wires:
                wire.heal()
        await rolled_back(old)


def isolate(member: Member, others: list[Member]) -> None:
    """It and the others do not hear each other any more. Servers and tests hear them all."""
    member.wire.swallow(callers=lambda hello: any(other.calls(hello) for other in others))
    for other in others:
        other.wire.swallow(callers=member.calls)


async def write_carelessly(member: Member) -> None:
    """Acknowledged by this member alone."""
    documents = [{"_id": number} for number in range(20)]
    command = {"insert": "careless", "documents": documents, "writeConcern": {"w": 1}}
    assert (await member.command(command, "octomesh_careless"))["n"] == 20
    assert await careless(member) == 20


async def careless(member: Member) -> int:
    """How many careless writes it knows."""
    command = {"count": "careless", "$readPreference": {"mode": "secondaryPreferred"}}
    return int((await member.command(command, "octomesh_careless"))["n"])


async def elected(members: list[Member]) -> None:
    """Wait for one of these to be the primary."""
    async with asyncio.timeout(30):
        while not any([(await member.hello()).get("isWritablePrimary") for member in members]):
            await asyncio.sleep(0.1)


async def rolled_back(member: Member) -> None:
    """Wait for it to have given up what nobody else knew; the careless writes are gone, which shows that it could."""
    async with asyncio.timeout(60):
        while True:
            try:
                if await careless(member) == 0:
                    return
            except (MongoUnavailable, MongoCommandFailed):
                pass  # while it rolls back, it answers nothing
            await asyncio.sleep(0.2)
