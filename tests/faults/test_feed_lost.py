"""What subscribers are told where MongoDB's history no longer tells what happened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.database import Database, Member
from tests.faults.history import present
from tests.faults.installation import TENANT, Installation, Server, installed
from tests.faults.onlookers import Watcher, all_told, watching
from tests.faults.users import Users

DATABASE = f"octomesh_{TENANT}"


@asynccontextmanager
async def with_a_short_history(directory: Path, dice: random.Random) -> AsyncIterator[tuple[Installation, Users]]:
    """A server behind a wire; and users who work by another one, which is not, and have created something."""
    database = Database(directory, flags=("--oplogSize", "1", "--syncdelay", "1"))
    async with installed(directory, dice, database, servers=1) as there:
        beside = Server(directory / "beside", database.direct_uri)
        try:
            await beside.start()
            users = Users([beside.url], TENANT, dice)
            await users.settle_in()
            yield there, users
            assert [server.complaints() for server in (*there.servers, beside)] == [[], []]
        finally:
            beside.close()


async def roll_over(member: Member) -> None:
    """Write until nothing of before is left in the history."""
    newest = (await oplog(member, -1))["ts"]
    async with asyncio.timeout(60):
        while (await oplog(member, 1))["ts"] <= newest:
            documents = [{"filling": "x" * 100_000} for _ in range(5)]
            await member.command({"insert": "filling", "documents": documents}, "filling")
            await asyncio.sleep(0.02)


async def oplog(member: Member, end: int) -> Any:
    """The oldest (1) or newest (-1) entry of the history."""
    command = {"find": "oplog.rs", "sort": {"$natural": end}, "limit": 1}
    return (await member.command(command, "local"))["cursor"]["firstBatch"][0]


async def all_told_after_some_work(watchers: Sequence[Watcher], users: Users) -> None:
    """Users edit, move and create for a while, and the watchers hear of it."""
    async with users.working():
        await asyncio.sleep(2)
    await all_told(watchers, await present(users))


async def test_who_watches_while_the_history_is_lost_is_told_to_start_over(tmp_path: Path, dice: random.Random) -> None:
    async with with_a_short_history(tmp_path, dice) as (there, users):
        watchers = there.watchers()
        async with watching(watchers):
            there.database.wires[0].swallow()
            async with users.working():
                await asyncio.sleep(2)
            await roll_over(there.database.members[0])
            there.database.wires[0].cut()
            there.database.wires[0].heal()
            await all_told(watchers, await present(users))
        assert all("RESYNC" in watcher.kinds for watcher in watchers)


async def test_who_comes_back_after_the_history_is_lost_is_told_to_start_over(
    tmp_path: Path, dice: random.Random
) -> None:
    async with with_a_short_history(tmp_path, dice) as (there, users):
        watchers = there.watchers()
        async with watching(watchers):
            await all_told(watchers, await present(users))
        async with users.working():
            await asyncio.sleep(2)
        await roll_over(there.database.members[0])
        async with watching(watchers):
            await all_told(watchers, await present(users))
        assert all("RESYNC" in watcher.kinds for watcher in watchers)


async def test_who_watches_a_tenant_whose_database_is_dropped_is_told_that_nothing_is_there(
    tmp_path: Path, dice: random.Random
) -> None:
    async with with_a_short_history(tmp_path, dice) as (there, users):
        watchers = there.watchers()
        async with watching(watchers):
            await there.database.members[0].command({"dropDatabase": 1}, DATABASE)
            await all_told(watchers, await present(users))


async def test_a_tenant_whose_database_was_dropped_can_be_worked_in_as_before(
    tmp_path: Path, dice: random.Random
) -> None:
    async with with_a_short_history(tmp_path, dice) as (there, users):
        await there.database.members[0].command({"dropDatabase": 1}, DATABASE)
        await asyncio.sleep(2)
        again = Users(users.servers, TENANT, dice)
        await again.settle_in()
        indexes = await there.database.members[0].command({"listIndexes": "pools"}, DATABASE)
        assert any(index.get("unique") for index in indexes["cursor"]["firstBatch"]), "names may be taken twice"
        watchers = there.watchers()
        async with watching(watchers):
            await all_told_after_some_work(watchers, again)
        assert not any("RESYNC" in watcher.kinds for watcher in watchers), "what was there before is not kept"
