"""`octomesh tenants`, as an administrator types it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.store.tenants import Registry
from tests.builders import ALICE, NOW, created_adapter, created_pool
from tests.cli.conftest import Answer, typing_on_a_terminal

Command = Callable[..., Answer]


@pytest.fixture
async def acme(connected_command: Command, registry: Registry) -> Command:
    """The command, and a tenant `acme` with a deployed adapter."""
    await registry.create("acme", "Öl & Co", NOW)
    store = await registry.open("acme")
    pool = await created_pool(store, "North")
    await created_adapter(store, "OPC UA", pool=pool)
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    return connected_command


def test_created_tenants_are_listed(connected_command: Command, registry: Registry) -> None:
    created = connected_command("tenants", "create", "acme", "--name", "Öl & Co")
    assert created.output == "The tenant 'acme' is there. Its API is at /tenants/acme/graphql.\n"
    head, row = connected_command("tenants", "list").output.splitlines()
    assert head.split() == ["ID", "NAME", "DATABASE", "CREATED"]
    assert row.startswith(f"acme   Öl & Co   {registry.prefix}acme")


def test_the_list_is_there_for_programs_too(acme: Command, registry: Registry) -> None:
    assert json.loads(acme("tenants", "list", "-o", "json").output) == [
        {"id": "acme", "name": "Öl & Co", "database": f"{registry.prefix}acme", "created": "2026-03-01T12:00:00Z"}
    ]


def test_an_empty_list_says_what_to_do(connected_command: Command) -> None:
    told = connected_command("tenants", "list")
    assert (told.output, told.exit_code) == ("", 0)
    assert "octomesh tenants create ID" in told.errors
    assert json.loads(connected_command("tenants", "list", "-o", "json").output) == []


def test_a_bad_id_is_refused_in_a_sentence(connected_command: Command) -> None:
    told = connected_command("tenants", "create", "ACME")
    assert told.exit_code == 1
    assert told.errors.startswith("octomesh: 'ACME' can't be the id of a tenant:")


def test_what_is_deployed_is_in_the_way_unless_forced(acme: Command) -> None:
    refused = acme("tenants", "delete", "acme", "--yes")
    assert refused.exit_code == 1
    assert refused.errors == (
        "octomesh: The tenant 'acme' has adapters that are deployed or on their way:\n"
        "  pool 'North': 'OPC UA'\n"
        "Undeploy them first.\n"
        "To delete it all the same, say --force.\n"
    )
    forced = acme("tenants", "delete", "acme", "--yes", "--force")
    assert forced.output == "The tenant 'acme' is deleted.\n"
    assert "pool 'North': 'OPC UA'" in forced.errors


def test_where_nobody_can_be_asked_yes_has_to_be_said(connected_command: Command) -> None:
    told = connected_command("tenants", "delete", "acme")
    assert told.exit_code == 2
    assert "say --yes" in told.errors


@pytest.mark.parametrize(("typed", "exit_code", "left"), [("acme", 0, []), ("yes", 1, ["acme"])])
def test_on_a_terminal_the_id_has_to_be_typed(
    connected_command: Command, monkeypatch: pytest.MonkeyPatch, typed: str, exit_code: int, left: list[str]
) -> None:
    connected_command("tenants", "create", "acme")
    with typing_on_a_terminal(typed, monkeypatch):
        told = connected_command("tenants", "delete", "acme")
    assert "Type its id to go on:" in told.errors
    assert told.exit_code == exit_code
    found = json.loads(connected_command("tenants", "list", "-o", "json").output)
    assert [tenant["id"] for tenant in found] == left
