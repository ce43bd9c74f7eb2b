"""Wall clocks that are wrong, or jump: who is there counts as there, who is dead does not, and one replica leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from kubernetes_asyncio.client import CoordinationV1Api

from tests.cluster.meddling import proxied
from tests.cluster.plant import Place, Program, Server, Tenant, within

OwnServer = Callable[..., AbstractAsyncContextManager[Server]]

LEASE_SECONDS: Final = 4
"""Of operators here, so that three of them pass soon."""

OFFLINE_SECONDS: Final = LEASE_SECONDS + 2.0 + 4.0
"""From the death of an operator until it is missed: its lease and 2 s are promised, the rest is room."""

ELECTION_SECONDS: Final = 20.0
"""A lease of Kubernetes, and a look: whoever measured by the wall clock would have taken the lead by then."""

TAKE_OVER_SECONDS: Final = 25.0
"""From the death of the leader: its lease of 15 s, a look, and linking, on a machine that is busy."""

LIBRARIES: Final = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")

each_skew = pytest.mark.parametrize("skews", [["+1h"], ["-1h"], ["+0", "+1h", "-1h"]], ids=" ".join)
"""An hour ahead, an hour behind, and jumps ahead and back."""


class Clock:
    """A wall clock for programs that begin while it is `worn`. The clock that only measures durations stays true."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file

    def set(self, skew: str) -> None:
        """From now on it shows this, such as `+1h`."""
        self._file.write_text(skew)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Programs that begin within have it until they end."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("LD_PRELOAD", str(self._library))
            environment.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
            environment.setenv("FAKETIME_NO_CACHE", "1")
            environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            yield


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A true one as yet."""
    found = [Path(each, "libfaketime.so.1") for each in LIBRARIES if Path(each, "libfaketime.so.1").exists()]
    if not found:
        pytest.skip("NO LIBFAKETIME TO SKEW CLOCKS WITH: apt-get install faketime")
    clock = Clock(found[0], tmp_path / "skew")
    clock.set("+0")
    return clock


@asynccontextmanager
async def skewed_operator(place: Place, server: Server, clock: Clock) -> AsyncIterator[Program]:
    """An operator with this clock. It reaches the API server without TLS: an hour ago the certificate was not valid."""
    async with proxied(place) as (_, behind):
        operating = behind.operator(server.url, linked=False)
        with clock.worn():
            operator = await operating.__aenter__()
        try:
            yield operator
        finally:
            await operating.__aexit__(None, None, None)


async def stays_and_dies(server: Server, place: Place, operator: Program, clock: Clock, skews: list[str]) -> None:
    """It is ONLINE through three leases, whatever the clock shows, and works; and soon OFFLINE when it is killed."""
    tenant = await server.tenant()
    pool = await tenant.deployed_pool(place, "opcua")
    for skew in skews:
        clock.set(skew)
        await asyncio.sleep(3 * LEASE_SECONDS / len(skews))  # nothing happens, which is what this is about
    assert await tenant.communication(pool) == ["ONLINE"]
    assert (await tenant.pool(pool))["communicationState"] == "ONLINE"
    await tenant.do("undeployPoolAdapters", rtId=pool)
    await tenant.adapters_turn(pool, "UNDEPLOYED")

    operator.kill()
    async with within(OFFLINE_SECONDS):
        await tenant.pool_turns(pool, "OFFLINE")
    # In any order: it is that of the times that the server wrote down.
    assert sorted(await tenant.communication(pool)) == ["OFFLINE", "ONLINE"]


@each_skew
async def test_an_operator_whose_clock_is_wrong_is_there_for_as_long_as_it_renews(
    own_server: OwnServer, place: Place, clock: Clock, skews: list[str]
) -> None:
    clock.set(skews[0])
    async with own_server(lease_seconds=LEASE_SECONDS) as server, skewed_operator(place, server, clock) as operator:
        assert shown(await operator.says("linked to the server")) == skews[0]
        await stays_and_dies(server, place, operator, clock, skews)


@each_skew
async def test_a_server_whose_clock_is_wrong_knows_who_is_there(
    own_server: OwnServer, place: Place, clock: Clock, skews: list[str]
) -> None:
    clock.set(skews[0])
    starting = own_server(lease_seconds=LEASE_SECONDS)
    with clock.worn():
        server = await starting.__aenter__()
    try:
        assert shown(await server.program.says("listening")) == skews[0]
        async with place.operator(server.url) as operator:
            await stays_and_dies(server, place, operator, clock, skews)
    finally:
        await starting.__aexit__(None, None, None)


@pytest.mark.parametrize("skew", ["+1h", "-1h"])
async def test_replicas_whose_clocks_are_an_hour_apart_do_not_take_the_lead_from_each_other(
    server: Server, tenant: Tenant, place: Place, clock: Clock, skew: str
) -> None:
    clock.set(skew)
    async with place.operator(server.url) as leader, skewed_operator(place, server, clock) as standby:
        assert shown(await standby.says("standing by")) == skew
        pool = await tenant.served_pool(place)
        await asyncio.sleep(ELECTION_SECONDS)
        assert await transitions(place) == 1
        assert "leading" not in [line["event"] for line in standby.logged]

        leader.kill()
        async with within(TAKE_OVER_SECONDS):
            await standby.says("linked to the server")
        await tenant.pool_turns(pool, "ONLINE")
        assert await transitions(place) == 2
        await leader.start("standing by")
        await asyncio.sleep(ELECTION_SECONDS)
        assert await transitions(place) == 2


async def transitions(place: Place) -> int:
    """How often the lead was taken."""
    coordination: Any = CoordinationV1Api(place.api_client)
    (lease,) = (await coordination.list_namespaced_lease(place.namespace)).items
    return int(lease.spec.lease_transitions)


def shown(line: dict[str, Any]) -> str:
    """How much the clock of who logged this is wrong: `+0`, `+1h` or `-1h`."""
    hours = round((datetime.fromisoformat(line["timestamp"]) - datetime.now(UTC)).total_seconds() / 3600)
    return f"{hours:+d}h" if hours else "+0"
