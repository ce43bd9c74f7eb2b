"""Servers and their database under faults, while users work and others look on."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.faults.installation import Installation, installed
from tests.faults.proxy import Way

Fault = Callable[[Installation], Awaitable[None]]


async def kill_the_database(there: Installation) -> None:
    """mongod is killed under load, and started again on its data."""
    await there.database.kill()
    await asyncio.sleep(there.dice.uniform(0, 2))
    await there.database.start()


async def step_down(there: Installation) -> None:
    """There is no primary for three seconds."""
    await there.database.step_down(3)
    await asyncio.sleep(4)


async def cut_the_wire(there: Installation) -> None:
    """All connections to MongoDB break, several times."""
    for _ in range(5):
        there.database.wires[0].cut()
        await asyncio.sleep(there.dice.uniform(0, 0.5))


async def break_in_the_middle(there: Installation) -> None:
    """For three seconds every connection to MongoDB breaks in the middle of an answer."""
    [wire] = there.database.wires
    wire.breaks_after = there.dice.randrange(2_000, 20_000)
    wire.cut()
    await asyncio.sleep(3)
    wire.heal()


async def swallow_everything(there: Installation) -> None:
    """Nothing comes through for five seconds, and nobody is told."""
    there.database.wires[0].swallow()
    await asyncio.sleep(5)
    there.database.wires[0].heal()


async def swallow_answers(there: Installation) -> None:
    """For six seconds MongoDB does what it is told, and nobody hears of it; then the connections break."""
    there.database.wires[0].swallow(Way.BACK)
    await asyncio.sleep(6)
    there.database.wires[0].cut()
    there.database.wires[0].heal()


async def slow_the_wire(there: Installation) -> None:
    """Every piece is half a second late."""
    there.database.wires[0].delay = 0.5
    await asyncio.sleep(4)
    there.database.wires[0].heal()


async def kill_a_server(there: Installation) -> None:
    """One of the servers is killed under load, and started again."""
    server = there.dice.choice(there.servers)
    server.send(signal.SIGKILL)
    await server.ended()
    there.database.wires[0].heal()
    await asyncio.sleep(there.dice.uniform(0, 1))
    await server.start()


async def kill_a_server_as_it_writes(there: Installation) -> None:
    """One of the servers is killed while MongoDB's answers are under way, and with them its transactions open."""
    there.database.wires[0].swallow(Way.BACK)
    await asyncio.sleep(0.3)
    await kill_a_server(there)


async def stop_a_server(there: Installation) -> None:
    """One of the servers is asked to stop, with work in flight."""
    server = there.dice.choice(there.servers)
    began = time.monotonic()
    server.send(signal.SIGTERM)
    assert await server.ended() == 0
    assert time.monotonic() - began < 20
    await server.start()


FAULTS = [
    kill_the_database,
    step_down,
    cut_the_wire,
    break_in_the_middle,
    swallow_everything,
    swallow_answers,
    slow_the_wire,
    kill_a_server,
    kill_a_server_as_it_writes,
    stop_a_server,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(
    fault: Fault, tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there, there.working():
        await fault(there)


async def lose_the_database(there: Installation) -> None:
    """mongod is gone."""
    await there.database.kill()


async def lose_the_wire(there: Installation) -> None:
    """Nothing comes through any more, and nobody is told."""
    there.database.wires[0].swallow()


async def back_again(there: Installation) -> None:
    """Whatever was gone is back."""
    if not await there.database.members[0].hello():
        await there.database.start()
    there.database.wires[0].heal()


@pytest.mark.parametrize("seconds", [8, 60])
@pytest.mark.parametrize("fault", [lose_the_database, lose_the_wire], ids=lambda fault: fault.__name__)
async def test_readiness_follows_the_database_within_five_seconds(
    fault: Fault, seconds: float, tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there, there.working(), there.probed() as probes:
        await fault(there)
        await asyncio.gather(*(probe.until(False, 5) for probe in probes))
        await asyncio.sleep(seconds)
        await back_again(there)
        await asyncio.gather(*(probe.until(True, 5) for probe in probes))
        await asyncio.sleep(3)
        assert all(probe.green for probe in probes)
