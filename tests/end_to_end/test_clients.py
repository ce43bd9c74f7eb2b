"""Well-known clients against the program as users start it."""

from __future__ import annotations

from typing import Any

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

from tests.cli.conftest import Octomesh


async def test_the_python_client_queries_edits_and_watches(octomesh: Octomesh) -> None:
    with octomesh.started("demo", "--port", "0") as server:
        url = f"{server.url}/tenants/demo/graphql"
        async with Client(transport=AIOHTTPTransport(url=url), fetch_schema_from_transport=True) as http:
            found = await http.execute(gql("{ pools { nodes { rtId rtVersion name } } }"))
            pool = found["pools"]["nodes"][0]
            async with Client(transport=WebsocketsTransport(url=url.replace("http", "ws"))) as socket:
                kinds: list[Any] = []
                mine = gql(
                    "subscription($of: [OctoObjectId!]) { poolChanges(rtIds: $of) { kind pool { description } } }"
                )
                mine.variable_values = {"of": [pool["rtId"]]}  # the demo lives: others change by themselves
                watching = socket.subscribe(mine)
                async for message in watching:
                    change = message["poolChanges"]
                    kinds.append(change["kind"])
                    if kinds[-1] == "LIVE":
                        edit = gql("mutation($i: EditPoolInput!) { editPool(input: $i) { errors { message } } }")
                        edit.variable_values = {"i": {"rtId": pool["rtId"], "description": "new"}}
                        await http.execute(edit)
                    if kinds[-1] == "UPDATED" and change["pool"]["description"] == "new":
                        break
                await watching.aclose()
                assert kinds[:2] == ["SNAPSHOT", "LIVE"]
