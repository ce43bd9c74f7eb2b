"""What was acknowledged is there, whatever dies."""

from __future__ import annotations

import asyncio
import signal

import httpx2 as httpx

from tests.cli.conftest import Octomesh, Started, until

CREATE = "mutation($n: String!) { createPool(input: { name: $n }) { pool { rtId } errors { message } } }"
LIST = "query($a: String) { pools(first: 500, after: $a) { nodes { rtId } pageInfo { hasNextPage endCursor } } }"


async def test_every_acknowledged_write_survives_a_kill_of_server_and_database(octomesh: Octomesh) -> None:
    acknowledged: set[str] = set()
    for _ in range(2):
        with octomesh.started("demo", "--port", "0") as server:
            url = server.url + "/tenants/demo/graphql"
            assert acknowledged <= await _stored(url)
            writers = [asyncio.create_task(_write(url, acknowledged)) for _ in range(8)]
            enough = len(acknowledged) + 60
            async with asyncio.timeout(20):
                while len(acknowledged) < enough:
                    await asyncio.sleep(0.01)
            _kill(server)
            await asyncio.gather(*writers)
    with octomesh.started("demo", "--port", "0") as server:
        assert acknowledged <= await _stored(server.url + "/tenants/demo/graphql")


async def _write(url: str, acknowledged: set[str]) -> None:
    """Create pools until the server is gone."""
    async with httpx.AsyncClient() as http:
        while True:
            name = f"pool {asyncio.get_running_loop().time()} {id(http)}"
            try:
                answer = (await http.post(url, json={"query": CREATE, "variables": {"n": name}})).json()
            except (httpx.HTTPError, ValueError):
                return
            acknowledged.add(answer["data"]["createPool"]["pool"]["rtId"])


async def _stored(url: str) -> set[str]:
    found: set[str] = set()
    after = None
    async with httpx.AsyncClient() as http:
        while True:
            answer = (await http.post(url, json={"query": LIST, "variables": {"a": after}})).json()
            page = answer["data"]["pools"]
            found |= {pool["rtId"] for pool in page["nodes"]}
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]


def _kill(server: Started) -> None:
    """The server dies at once, and MongoDB with it."""
    server.process.send_signal(signal.SIGKILL)
    until(lambda: server.process.poll() is not None)
