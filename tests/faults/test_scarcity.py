"""Too little of something: room on the disk, file descriptors, memory, processor; and a MongoDB that refuses work."""

from __future__ import annotations

import asyncio
import random
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from octomesh_graphql.store.mongo import MongoCommandFailed, MongoUnavailable
from tests.faults.database import Database, Member
from tests.faults.installation import TENANT, Server, installed
from tests.faults.users import CREATE_ADAPTER, CREATE_POOL, EDIT, wrong_in

DISK = "700m"
"""Room for a fresh database with its journal, and soon full."""

PASSING = {
    6: "HostUnreachable",
    24: "LockTimeout",
    50: "MaxTimeMSExpired",
    64: "WriteConcernFailed",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    100: "UnsatisfiableWriteConcern",
    134: "ReadConcernMajorityNotAvailableYet",
    189: "PrimarySteppedDown",
    262: "ExceededTimeLimit",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
}
"""By what MongoDB refuses work that it may do a moment later."""

LARGE = {"type": "EDGE", "imageName": "a/b", "imageVersion": "1", "configuration": {"text": "x" * 60_000}}
"""An adapter of which three hundred make an answer of 18 megabytes."""

EVERYTHING = "{ adapters(first: 500) { nodes { configuration } } }"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that a few hundred megabytes fill, where the first member keeps its data."""
    place = tmp_path / "mongod-0"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "octomesh-faults", str(place)]
    told = subprocess.run(mounting, capture_output=True, text=True, timeout=10, check=False)
    if told.returncode:
        pytest.skip(f"A SMALL DISK CAN'T BE MOUNTED HERE: {told.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], timeout=20, check=True)


async def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, dice: random.Random
) -> None:
    database = Database(tmp_path, flags=("--oplogSize", "50", "--syncdelay", "1"))
    async with (
        installed(tmp_path, dice, database) as there,
        there.working(),
        there.probed() as probes,
        filled(small_disk),
    ):
        await until_it_gives_up(database.members[0])
        await asyncio.gather(*(probe.until(False, 10) for probe in probes))
        await asyncio.sleep(3)
        (small_disk / "filling").unlink()
        await database.start()
        await asyncio.gather(*(probe.until(True, 5) for probe in probes))


@asynccontextmanager
async def filled(disk: Path) -> AsyncIterator[None]:
    """No room is left."""
    with pytest.raises(OSError, match="No space left"):
        await asyncio.to_thread(_fill, disk / "filling")
    yield


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 1_000_000)


async def until_it_gives_up(member: Member) -> None:
    """Write until mongod ends, which it does when it can't keep its journal or a checkpoint."""
    assert member.process
    async with asyncio.timeout(90):
        while member.process.returncode is None:
            documents = [{"filling": random.randbytes(500_000)} for _ in range(4)]
            try:
                await member.command({"insert": "filling", "documents": documents}, "filling")
            except (MongoUnavailable, MongoCommandFailed):
                await asyncio.sleep(0.2)


async def test_a_database_that_takes_no_writes_for_a_while_loses_none(tmp_path: Path, dice: random.Random) -> None:
    async with installed(tmp_path, dice) as there, there.working() as users:
        await there.database.members[0].command({"fsync": 1, "lock": True})
        try:
            await asyncio.sleep(20)
        finally:
            await there.database.members[0].command({"fsyncUnlock": 1})
        unavailable = [done for done in users.history if done.outcome == "unavailable"]
        assert unavailable, "nobody was told"


async def test_whatever_passing_refusal_of_the_database_is_unavailable_or_nothing_to_notice(
    tmp_path: Path, dice: random.Random
) -> None:
    async with installed(tmp_path, dice, servers=1) as there, httpx.AsyncClient(timeout=30) as http:
        url = f"{there.servers[0].url()}/tenants/{TENANT}/graphql"
        created = await http.post(url, json={"query": CREATE_POOL, "variables": {"i": {"name": "One"}}})
        rt_id = created.json()["data"]["done"]["it"]["rtId"]
        wrong = {}
        for code, name in PASSING.items():
            for command in dice.sample(("find", "aggregate", "insert", "update", "commitTransaction"), 2):
                given = {"rtId": rt_id, "description": "new", "requestId": f"{name}-{command}"}
                async with refusing(there.database.members[0], code, command):
                    answer = await http.post(url, json={"query": EDIT, "variables": {"i": given}})
                if why := wrong_in(answer):
                    wrong[f"{name} of {command}"] = why[:200]
        assert wrong == {}
        there.nothing_to_complain_of()


@asynccontextmanager
async def refusing(member: Member, code: int, command: str) -> AsyncIterator[None]:
    """A member that refuses this command to servers."""
    data = {"errorCode": code, "failCommands": [command], "appName": "octomesh"}
    await member.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
    yield
    await member.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_who_has_no_descriptors_left_refuses_and_serves_again(tmp_path: Path, dice: random.Random) -> None:
    async with installed(tmp_path, dice) as there, there.working():
        small = there.servers[0]
        resource.prlimit(small.pid, resource.RLIMIT_NOFILE, (256, 256))
        connections = [await _connected(small) for _ in range(400)]
        await asyncio.sleep(5)
        assert small.descriptors <= 256
        for writer in connections:
            writer.transport.abort()
        assert await _answers(small), "it serves nobody any more"


async def test_who_has_no_memory_left_refuses_and_serves_again(tmp_path: Path, dice: random.Random) -> None:
    async with installed(tmp_path, dice) as there, there.working():
        there.expected.append("MemoryError")
        small = there.servers[0]
        url = f"{small.url()}/tenants/{TENANT}/graphql"
        async with httpx.AsyncClient(timeout=40) as http:
            for number in range(300):
                given = {**LARGE, "name": f"Large {number}"}
                await http.post(url, json={"query": CREATE_ADAPTER, "variables": {"i": given}})
            with little_memory(small, 4):
                answers = await asyncio.gather(*(http.post(url, json={"query": EVERYTHING}) for _ in range(30)))
        refused = [answer for answer in answers if "errors" in answer.json()]
        assert refused, "it had enough"
        assert [wrong_in(answer) for answer in refused if wrong_in(answer)] == []
        assert await _answers(small), "it serves nobody any more"


@contextmanager
def little_memory(server: Server, megabytes: int) -> Iterator[None]:
    """A server that can get no more memory than this."""
    used = int(Path(f"/proc/{server.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(server.pid, resource.RLIMIT_AS, (used + megabytes * 1024 * 1024, resource.RLIM_INFINITY))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def _connected(server: Server) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    return writer


async def _answers(server: Server) -> bool:
    async with asyncio.timeout(10), httpx.AsyncClient() as http:
        while True:
            try:
                return (await http.get(f"{server.url()}/readyz")).status_code == 200
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


async def test_with_busy_processors_every_answer_is_still_right(tmp_path: Path, dice: random.Random) -> None:
    async with installed(tmp_path, dice) as there, there.working():
        with busy(2):
            await asyncio.sleep(6)


@contextmanager
def busy(processors: int) -> Iterator[None]:
    """Programs that compute all the time, less nice than tests usually are to others."""
    with ExitStack() as stack:
        for _ in range(processors):
            program = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(program.kill)
        yield
