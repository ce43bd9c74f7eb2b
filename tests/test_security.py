"""What SECURITY.md shows is true: its tokens are let in as it says, and its MongoDB role is the least that serves."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from octomesh_graphql.actions.clock import now
from octomesh_graphql.actions.seeding import DEMO, seed_demo
from octomesh_graphql.api.issuer import Issuer
from octomesh_graphql.api.tokens import Tokens
from octomesh_graphql.cli.database import Database, connected
from octomesh_graphql.cli.running import CommandFailed
from octomesh_graphql.settings import load_for_server
from octomesh_graphql.store.mongo import Driver, Mongo, MongoCommandFailed, run_admin_command
from octomesh_graphql.store.tenants import Registry
from tests.abandoning import left_open
from tests.faults.database import Member
from tests.issuing import AUDIENCE, TestIssuer
from tests.ports import reserved_port

SECURITY = (Path(__file__).parents[1] / "SECURITY.md").read_text(encoding="utf-8")

# Tokens


def shown_tokens() -> list[dict[str, Any]]:
    return [json.loads(body) for body in re.findall(r"^```json\n(.*?)^```$", SECURITY, re.MULTILINE | re.DOTALL)]


async def test_the_tokens_shown_are_of_who_may_change_who_may_look_and_an_operator() -> None:
    issuer = TestIssuer()
    issuer.url = shown_tokens()[0]["iss"]
    issuer.discovery = {"jwks_uri": f"{issuer.url}/keys"}
    tokens = Tokens(Issuer(issuer.url, fetch=issuer.fetch), AUDIENCE)
    none: dict[str, Any] = dict.fromkeys(("preferred_username", "tenant_id", "scope"))
    callers = [
        await tokens.caller(issuer.token(**none | claims | {"exp": int(time.time()) + 600}))
        for claims in shown_tokens()
    ]
    assert [(each.name, each.tenant_id, each.may_read, each.may_edit, each.may_be_agent) for each in callers] == [
        ("alice", "acme", True, True, False),
        ("bob", "acme", True, False, False),
        ("operator-north", None, False, False, True),
    ]


# The MongoDB user

UNAUTHORIZED = 13
Privileges = list[dict[str, Any]]


def shown_privileges() -> Privileges:
    (shown,) = re.findall(r"\.createRole\((\{.*?\})\)$", SECURITY, re.MULTILINE | re.DOTALL)
    role = yaml.safe_load(shown)
    assert (role["role"], role["roles"]) == ("octomesh", [])
    privileges: Privileges = role["privileges"]
    return privileges


(EVERYWHERE,) = shown_privileges()


class Guarded:
    """A replica set of one that asks who is there."""

    def __init__(self, port: int) -> None:
        self._port = port

    def uri(self, user: str) -> str:
        return f"mongodb://{user}:secret@127.0.0.1:{self._port}/?directConnection=true"

    async def command(self, command: dict[str, Any], database: str = "admin") -> None:
        """As somebody who may do everything."""
        await run_admin_command(self.uri("root"), command, database=database)

    async def user(self, name: str, privileges: Privileges) -> str:
        """Somebody with just these; the URI."""
        await self.command({"createRole": name, "privileges": privileges, "roles": []})
        await self.command({"createUser": name, "pwd": "secret", "roles": [{"role": name, "db": "admin"}]})
        return self.uri(name)


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    place = tmp_path_factory.mktemp("guarded")
    key = place / "key"
    key.write_text("k" * 64)
    key.chmod(0o400)  # or mongod refuses it
    (place / "data").mkdir()
    with reserved_port() as port:
        member = Member(place / "data", port, ["--auth", "--keyFile", str(key)])
        try:
            await member.start()
            alone = {"_id": "faults", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
            await member.command({"replSetInitiate": alone})
            async with asyncio.timeout(40):
                while not (await member.hello()).get("isWritablePrimary"):
                    await asyncio.sleep(0.05)
            await member.command({"createUser": "root", "pwd": "secret", "roles": ["root"]})
            yield Guarded(port)
        finally:
            await member.kill()
            member.throw_away()


async def life(guarded: Guarded, uri: str, prefix: str, driver: Driver = Driver.MOTOR) -> None:
    """All that we ask of MongoDB, from the first start until a tenant is deleted. Raises `MongoCommandFailed`."""
    async with Mongo.connect(uri, driver) as mongo:
        registry = Registry(mongo, prefix)
        await registry.prepare()
        begin = await mongo.present()
        await seed_demo(registry, now())
        for database in (None, f"{prefix}{DEMO}"):
            async with mongo.watch([], database=database, start_at=begin) as stream:
                assert await stream.next()
        # As somebody leaves it who restores a dump: without images of what was there before.
        without = {"collMod": "pools", "changeStreamPreAndPostImages": {"enabled": False}}
        await guarded.command(without, f"{prefix}{DEMO}")
        registry.forget_all()
        await registry.open(DEMO)
        async with left_open(uri, registry.system, "leases", {}):
            [abandoned] = await mongo.idle_transactions()
            await mongo.end_transactions([abandoned.session])
            assert await mongo.idle_transactions() == []
        await registry.delete(DEMO)


@pytest.mark.parametrize("driver", Driver)
async def test_the_role_shown_is_enough(guarded: Guarded, driver: Driver) -> None:
    uri = await guarded.user(f"enough-{driver.value}", [EVERYWHERE])
    await life(guarded, uri, f"e{driver.value}_", driver)


async def test_what_mongodb_brings_itself_is_enough_too(guarded: Guarded) -> None:
    roles = [{"role": role, "db": "admin"} for role in ("readWriteAnyDatabase", "dbAdminAnyDatabase")]
    await guarded.command({"createUser": "any", "pwd": "secret", "roles": roles})
    await life(guarded, guarded.uri("any"), "any_")


@pytest.mark.parametrize("action", EVERYWHERE["actions"])
async def test_each_right_of_the_role_shown_is_needed(guarded: Guarded, action: str) -> None:
    fewer = {**EVERYWHERE, "actions": [each for each in EVERYWHERE["actions"] if each != action]}
    uri = await guarded.user(f"without-{action}", [fewer])
    with pytest.raises(MongoCommandFailed) as refused:
        await life(guarded, uri, f"w{action[:15].lower()}_")
    assert refused.value.code == UNAUTHORIZED


async def test_who_lacks_a_right_is_led_here(guarded: Guarded) -> None:
    few = await guarded.user("few", [{**EVERYWHERE, "actions": ["find"]}])
    settings = load_for_server({"database_prefix": "few_"}, insecure=False)
    for uri in (few, few.replace(":secret@", ":s3cret@")):
        with pytest.raises(
            CommandFailed, match=r"^MongoDB refuses us: .* with the role that SECURITY\.md shows\?$"
        ) as no:
            async with connected(settings, Database(uri=uri, where="MongoDB")):
                pass
        assert "s3cret" not in str(no.value)


def narrow(prefix: str, tenants: Sequence[str]) -> Privileges:
    """As described for a deployment that others use too."""
    watching = ["find", "changeStream"]
    others = [each for each in EVERYWHERE["actions"] if each not in watching]
    databases = [f"{prefix}{name}" for name in ("system", *tenants)]
    return [
        {**EVERYWHERE, "actions": watching},
        *({"resource": {"db": database, "collection": ""}, "actions": others} for database in databases),
    ]


async def test_beside_others_a_right_for_each_database_is_enough(guarded: Guarded) -> None:
    uri = await guarded.user("narrow", narrow("narrow_", [DEMO]))
    await life(guarded, uri, "narrow_")
    async with Mongo.connect(uri) as mongo:
        with pytest.raises(MongoCommandFailed) as refused:
            await mongo.insert("somebody_elses", "things", [{"a": 1}])
    assert refused.value.code == UNAUTHORIZED
