"""Servers that stop, are killed or stand still, with work in flight and subscriptions open."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.cli.conftest import mongods_on
from tests.faults.history import check, present
from tests.faults.installation import TENANT, Server, installed
from tests.faults.onlookers import POOL_CHANGES, Watcher, all_live, all_told, watching
from tests.faults.users import Users, wrong_in

CROWD = 200
"""Subscriptions, each on a WebSocket of its own."""

STOP_SECONDS = 20
"""From being asked to stop to the end, with room: ten are promised."""

WAITED_IN_VAIN = "timeout graceful shutdown exceeded"
"""What uvicorn logs, as an error, when requests wait for a database that does not answer."""


def crowd(servers: Sequence[Server], dice: random.Random, size: int) -> list[Watcher]:
    """So many who watch, each by any of these servers."""
    urls = [server.url for server in servers]
    return [Watcher(urls, TENANT, POOL_CHANGES, random.Random(dice.random())) for _ in range(size)]


@asynccontextmanager
async def at_work(servers: Sequence[Server], dice: random.Random) -> AsyncIterator[Users]:
    """Users who work as long as the block lasts, and then look at what became of it by the first of the servers."""
    users = Users([server.url for server in servers], TENANT, dice)
    await users.settle_in()
    async with users.working():
        await asyncio.sleep(1)
        yield users
    check(users, await present(users))


async def test_who_is_asked_to_stop_is_not_ready_at_once_and_sends_everybody_elsewhere(
    tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there:
        staying, leaving = there.servers
        watchers = crowd([leaving], dice, 20)
        async with at_work([staying, leaving], dice), watching(watchers), there.probed() as [_, probe]:
            began = time.monotonic()
            leaving.send(signal.SIGTERM)
            await probe.until(False, 2)
            assert await leaving.ended() == 0
            assert time.monotonic() - began < STOP_SECONDS
            assert [green for _, green in probe.changes] == [True, False]
            assert {watcher.endings[0] for watcher in watchers} == {"closed 1012"}
            await leaving.start()
            await all_live(watchers, 10)
        there.nothing_to_complain_of()


async def test_who_is_asked_to_stop_while_the_database_is_away_answers_and_ends(
    tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there:
        staying, leaving = there.servers
        watchers = crowd([leaving], dice, 5)
        async with at_work([staying, leaving], dice), watching(watchers):
            there.database.wires[0].swallow()
            await asyncio.sleep(1)
            began = time.monotonic()
            leaving.send(signal.SIGTERM)
            await leaving.ended()
            assert time.monotonic() - began < STOP_SECONDS
            there.database.wires[0].heal()
            assert {watcher.endings[0] for watcher in watchers} == {"closed 1012"}
            await leaving.start()
        there.expected += [WAITED_IN_VAIN, "Stopped the hard way"]  # the latter after ten seconds, whatever hangs
        there.nothing_to_complain_of()


async def test_all_subscribers_of_a_killed_server_are_back_on_another_within_ten_seconds(
    tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there:
        killed, other = there.servers
        watchers = crowd(there.servers, dice, CROWD)
        async with at_work([other], dice) as users, watching(watchers):
            killed.send(signal.SIGKILL)
            await asyncio.sleep(0.5)
            async with asyncio.timeout(10):
                while await other.subscriptions() < CROWD:
                    await asyncio.sleep(0.1)
            await users.rest()
            await all_told(watchers, await present(users))
        there.nothing_to_complain_of()


@pytest.mark.parametrize("seconds", [5, 30])
async def test_who_asks_a_frozen_server_is_answered_when_it_goes_on(
    seconds: float, tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice) as there, there.working() as users:
        users.forgives = seconds
        server = dice.choice(there.servers)
        server.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        server.send(signal.SIGCONT)


async def test_when_the_embedded_mongod_is_killed_the_server_says_so_and_ends(
    tmp_path: Path, dice: random.Random
) -> None:
    data = tmp_path / "data"
    server = Server(tmp_path / "server", None, DATA_DIR=str(data))
    try:
        await server.create_tenant()
        await server.start()
        async with at_work([server], dice), watching(crowd([server], dice, 5)):
            asking = [asyncio.create_task(answers_until_gone(server, dice)) for _ in range(20)]
            [mongod] = mongods_on(data)
            os.kill(mongod, signal.SIGKILL)
            assert await server.ended() == 1
            answers = [answer for answers in await asyncio.gather(*asking) for answer in answers]
            assert [wrong for answer in answers if (wrong := wrong_in(answer))] == []
            await server.start()
        last = server.programs[0].errors.splitlines()[-1]
        assert last.startswith("octomesh: The embedded MongoDB was killed by SIGKILL"), last
        assert server.complaints(["the embedded MongoDB ended on its own", last, WAITED_IN_VAIN]) == []
    finally:
        server.close()


async def answers_until_gone(server: Server, dice: random.Random) -> list[httpx.Response]:
    """All answers to somebody who asks without a pause, until nobody listens any more."""
    asked = {"query": "{ pools(first: 10) { nodes { rtId name } } }"}
    answers: list[httpx.Response] = []
    async with httpx.AsyncClient(timeout=30) as http:
        while True:
            try:
                answers.append(await http.post(f"{server.url()}/tenants/{TENANT}/graphql", json=asked))
            except httpx.ConnectError:
                return answers
            except httpx.HTTPError:
                pass  # cut off in the middle: the next attempt tells whether for good
            await asyncio.sleep(dice.uniform(0, 0.02))
