"""An operator that the server does not let in tells why, keeps asking, and is let in when it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.meddling import Proxy
from tests.cluster.plant import Place, Program, Server, Tenant
from tests.issuing import AUDIENCE, TestIssuer

OwnServer = Callable[..., AbstractAsyncContextManager[Server]]

REFUSED_SECONDS: Final = 12.0
"""Long enough for the pauses between attempts to become the longest there are, 5 s."""

FEWEST_ATTEMPTS, MOST_ATTEMPTS = 3, 9
"""In that time: 0.2 s, 0.4 s, 0.8 s … 5 s, at random a little less."""

AGENT: Final = "octo_agent"


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A server that checks tokens, what stands before it and counts, and the file with the operator's token."""

    server: Server
    proxy: Proxy
    issuer: TestIssuer
    tenant: Tenant
    file: Path

    def hand_over(self, **claims: Any) -> None:
        """From now on the file holds a token with these."""
        self.file.write_text(self.issuer.token(**{"sub": "operator", "tenant_id": None, "scope": AGENT} | claims))


@pytest.fixture
async def guarded(own_server: OwnServer, tmp_path: Path) -> AsyncIterator[Guarded]:
    """Of a tenant, as whose user we may do everything."""
    async with TestIssuer().running() as issuer, own_server(lease_seconds=6) as server:
        server.program.kill()
        server.program.variables.update(OIDC_ISSUER=issuer.url, OIDC_AUDIENCE=AUDIENCE)
        await server.start()
        tenant = await server.tenant()
        tenant.api.http.headers["Authorization"] = f"Bearer {issuer.token(tenant_id=tenant.id)}"
        async with Proxy(server.url).running() as proxy:
            yield Guarded(server=server, proxy=proxy, issuer=issuer, tenant=tenant, file=tmp_path / "token")


def troubles(operator: Program) -> list[str]:
    """Why it was not linked, each time it said so."""
    return [line["reason"] for line in operator.logged if line["event"] == "link to the server is down"]


async def test_an_operator_without_the_scope_of_agents_says_so_once_and_is_let_in_with_another_token(
    guarded: Guarded, place: Place
) -> None:
    guarded.hand_over(scope="openid octo_api", tenant_id=guarded.tenant.id)
    tenant, flags = guarded.tenant, ("--token-file", str(guarded.file))
    async with place.operator(guarded.proxy.url, *flags, linked=False) as operator:
        pool = await tenant.create_pool()
        adapter = await tenant.create_adapter(pool, "opcua")
        await tenant.do("deployPoolAdapters", rtId=pool)
        await place.install(tenant, pool)
        await operator.says("link to the server is down")
        before = guarded.proxy.connections
        await asyncio.sleep(REFUSED_SECONDS)

        assert FEWEST_ATTEMPTS <= guarded.proxy.connections - before <= MOST_ATTEMPTS
        (trouble,) = troubles(operator)
        assert AGENT in trouble
        told = await place.resource_says(tenant, pool, "ServerUnreachable")
        assert (told["status"], AGENT in told["message"]) == ("False", True)
        assert (await tenant.pool(pool))["communicationState"] == "UNREGISTERED"
        assert await place.deployments() == {}

        guarded.hand_over()
        await operator.says("linked to the server")
        await tenant.adapter_turns(adapter, "DEPLOYED")
        assert len(troubles(operator)) == 1


async def test_who_wants_to_be_an_operator_that_is_somebody_else_is_told_and_let_in_when_that_one_is_gone(
    guarded: Guarded, place: Place, another_place: Place
) -> None:
    tenant, flags = guarded.tenant, ("--operator-id", "plant-1", "--token-file")
    theirs = guarded.file.with_name("theirs")
    theirs.write_text(guarded.issuer.token(sub="somebody-else", tenant_id=None, scope=AGENT))
    guarded.hand_over()
    async with place.operator(guarded.server.url, *flags, str(guarded.file)) as first:
        pool = await tenant.deployed_pool(place, "opcua")
        epoch = await guarded.server.epoch("plant-1")
        async with another_place.operator(guarded.proxy.url, *flags, str(theirs), linked=False) as second:
            await second.says("link to the server is down")
            before = guarded.proxy.connections
            await asyncio.sleep(REFUSED_SECONDS)

            assert FEWEST_ATTEMPTS <= guarded.proxy.connections - before <= MOST_ATTEMPTS
            (trouble,) = troubles(second)
            assert "Somebody else is the operator 'plant-1' now" in trouble
            assert await tenant.communication(pool) == ["ONLINE"]
            assert await guarded.server.epoch("plant-1") == epoch

            first.kill()
            await second.says("linked to the server")
            await eventually(lambda: tenant.pool(pool), lambda found: found["communicationState"] == "OFFLINE")
