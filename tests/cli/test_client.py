"""`octomesh pools` and `octomesh adapters` against a real server, as people and scripts use them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.domain.adapter import Adapter
from octomesh_graphql.domain.pool import Pool
from octomesh_graphql.domain.states import DeploymentState
from octomesh_graphql.store.entities import TenantStore
from octomesh_graphql.store.mongo import Driver, Mongo
from octomesh_graphql.store.tenants import Registry
from octomesh_graphql.store.unit import Unit, write
from tests.builders import ALICE, NOW, a_served_pool, an_adapter, created_adapter, created_pool, stored
from tests.cli.conftest import SOURCES, Answer, Octomesh, Started, typing_on_a_terminal, until
from tests.conftest import drop_databases

IMAGE = ("--type", "edge", "--image", "registry.example.com/plant/opcua:3.13.2")


@dataclass(frozen=True)
class Served:
    """A server in a process of its own, the tenants it serves, and hands in its database."""

    url: str
    registry: Registry
    hands: asyncio.Runner


@dataclass(frozen=True)
class Tenant:
    """A tenant, and what others do in it."""

    id: str
    store: TenantStore
    hands: asyncio.Runner

    def pool(self, name: str = "North", **given: Any) -> Pool:
        """A pool that alice created."""
        return self.hands.run(created_pool(self.store, name, **given))

    def adapter(self, name: str = "OPC UA", **given: Any) -> Adapter:
        """An adapter that alice created."""
        return self.hands.run(created_adapter(self.store, name, **given))

    def deploy(self, pool: Pool) -> None:
        """What alice wishes."""
        self.hands.run(deploy_pool_adapters(self.store, ALICE, NOW, rt_id=pool.rt_id))

    def put(self, *entities: Pool | Adapter) -> None:
        """Have these as they are."""
        self.hands.run(stored(self.store, *entities))

    def now(self, adapter: Adapter) -> Adapter:
        """The adapter as it is now."""
        found = self.hands.run(self.store.adapter(adapter.rt_id))
        assert found
        return found

    def found(self, adapter: Adapter, state: DeploymentState, message: str | None = None) -> None:
        """What an operator would have reported."""

        async def report(unit: Unit) -> None:
            now = await unit.adapter(adapter.rt_id)
            assert now
            unit.save(replace(now, deployment_state=state, status_message=message))

        self.hands.run(write(self.store, report, caller=ALICE, now=NOW))


@pytest.fixture(scope="module")
def served(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests; each has a tenant of its own. They have a loop of their own, because the commands have."""
    with asyncio.Runner() as hands:
        mongo = Mongo.connect(mongo_uri, Driver.PYMONGO)
        registry = Registry(hands.run(mongo.__aenter__()), prefix=f"t{secrets.token_hex(6)}_")
        hands.run(registry.prepare())
        variables = {"MONGO_URI": mongo_uri, "DATABASE_PREFIX": registry.prefix}
        program = Octomesh(directory=tmp_path_factory.mktemp("server"), variables=variables)
        with program.started("serve", "--port", "0") as server:
            yield Served(server.url, registry, hands)
        hands.run(drop_databases(registry))
        hands.run(mongo.__aexit__(None, None, None))


@pytest.fixture
def tenant(served: Served) -> Tenant:
    """A fresh tenant."""
    id = f"t{secrets.token_hex(6)}"
    served.hands.run(served.registry.create(id, "Acme Works", NOW))
    return Tenant(id, served.hands.run(served.registry.open(id)), served.hands)


@pytest.fixture
def ask(
    command: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, served: Served, tenant: Tenant
) -> Callable[..., Answer]:
    """The command of somebody who has set server and tenant."""
    monkeypatch.setenv("OCTOMESH_SERVER_URL", served.url)
    monkeypatch.setenv("OCTOMESH_TENANT", tenant.id)
    return command


@pytest.fixture
def beside(octomesh: Octomesh, served: Served, tenant: Tenant) -> Octomesh:
    """The same as a program beside the test."""
    octomesh.variables.update(SERVER_URL=served.url, TENANT=tenant.id)
    return octomesh


Ask = Callable[..., Answer]


def done(answer: Answer) -> str:
    """What a command printed that did what it should."""
    assert answer.exit_code == 0, answer.errors
    return answer.output


def failed(answer: Answer) -> str:
    """What a command said that failed."""
    assert answer.exit_code == 1, answer.output
    assert "octomesh: " in answer.errors
    return answer.errors.partition("octomesh: ")[2].rstrip("\n")


def told(program: Started, text: str) -> None:
    """Wait until it has said something."""
    until(lambda: text in program.errors + program.output, seconds=15)


def ended(program: Started) -> int:
    """Wait for the exit code."""
    return program.process.wait(15)


# Looking


def test_pools_are_listed_in_plain_columns_for_pipes_and_as_json_for_programs(ask: Ask, tenant: Tenant) -> None:
    north = tenant.pool("Werk Nürnberg")
    tenant.pool("Zentrale")
    tenant.adapter(pool=north)
    heading, first, _ = done(ask("pools", "list")).splitlines()
    assert heading.split() == [
        "NAME", "HEALTH", "COMMUNICATION", "DEPLOYMENT", "CONFIGURATION", "DEPLOYED", "OPERATOR", "RTID",
    ]  # fmt: skip
    assert first.split("   ")[0] == "Werk Nürnberg"
    assert first.endswith(f"0/1        -          {north.rt_id}")
    rows = json.loads(done(ask("pools", "list", "--json")))
    assert [(row["name"], row["summary"]["adapters"]) for row in rows] == [("Werk Nürnberg", 1), ("Zentrale", 0)]


def test_lists_are_narrowed_by_states_whose_case_does_not_matter(ask: Ask, tenant: Tenant) -> None:
    tenant.put(a_served_pool(name="Served"))
    tenant.pool("Planned")
    online = ("pools", "list", "--communication", "ONLINE")
    [served] = json.loads(done(ask(*online, "--json")))
    assert served["name"] == "Served"
    assert f"   {served['operator']['id']}   " in done(ask(*online))
    assert f"Served by       {served['operator']['id']} in " in done(ask("pools", "show", "Served"))
    assert json.loads(done(ask("pools", "list", "--health", "unknown", "--search", "serv", "--json"))) == []
    assert ask("pools", "list", "--deployment", "error").errors == "No pool is like that.\n"


def test_an_empty_list_says_what_to_do(ask: Ask) -> None:
    answer = ask("pools", "list")
    assert (answer.exit_code, answer.output) == (0, "")
    assert "octomesh pools create NAME" in answer.errors
    assert json.loads(done(ask("adapters", "list", "--json"))) == []


def test_long_lists_are_listed_whole(ask: Ask, tenant: Tenant) -> None:
    tenant.put(*(an_adapter(name=f"A{number:03}") for number in range(430)))
    assert len(done(ask("adapters", "list")).splitlines()) == 431


def test_a_pool_is_shown_with_its_adapters_and_causes(ask: Ask, tenant: Tenant) -> None:
    pool = tenant.pool("North", description="Hall 1")
    adapter = tenant.adapter("Camera", pool=pool)
    tenant.deploy(pool)
    tenant.found(adapter, DeploymentState.ERROR, "The image can't be pulled.")
    shown = done(ask("pools", "show", "north"))
    assert "Description     Hall 1\n" in shown
    assert "Served by       nobody; octomesh pools install North | kubectl apply -f -\n" in shown
    assert "'Camera'   The image can't be pulled.\n" in shown
    by_id = json.loads(done(ask("pools", "show", pool.rt_id, "--json")))
    assert [member["name"] for member in by_id["adapters"]] == ["Camera"]


def test_the_resource_for_a_cluster_is_printed_for_kubectl(ask: Ask, tenant: Tenant) -> None:
    pool = tenant.pool("North")
    resource = yaml.safe_load(done(ask("pools", "install", "North")))
    assert resource["spec"] == {"tenantId": tenant.id, "poolRtId": pool.rt_id}


# Which one is meant


def test_for_a_name_that_is_not_there_those_that_come_near_are_named(ask: Ask, tenant: Tenant) -> None:
    tenant.pool("Werk Nürnberg")
    tenant.pool("Zentrale Linz")
    missing = f"There is no pool '%s' in the tenant '{tenant.id}'."
    assert failed(ask("pools", "show", "werk nurnberg")) == missing % "werk nurnberg" + " Did you mean 'Werk Nürnberg'?"
    assert failed(ask("pools", "show", "linz")) == missing % "linz" + " Did you mean 'Zentrale Linz'?"
    assert "`octomesh pools list` shows which there are." in failed(ask("pools", "deploy", "xyz"))
    assert "It has none yet; `octomesh adapters create` makes one." in failed(ask("adapters", "show", "x"))


def test_a_word_that_means_two_pools_is_ambiguous(ask: Ask, tenant: Tenant) -> None:
    north = tenant.pool("North")
    tricky = tenant.pool(north.rt_id)
    assert failed(ask("pools", "deploy", north.rt_id)) == (
        f"'{north.rt_id}' is ambiguous: it is the rtId of the pool 'North', and the name of another whose rtId is "
        f"{tricky.rt_id}. Say the name of the one, or the rtId of the other."
    )
    assert json.loads(done(ask("pools", "show", tricky.rt_id, "--json")))["name"] == north.rt_id


# Changing


def test_a_pool_is_created_edited_and_deleted(ask: Ask, tenant: Tenant) -> None:
    tenant.adapter("OPC UA")
    created = done(ask("pools", "create", "Hall 1"))
    assert "Next, unless an operator serves it by itself: octomesh pools install 'Hall 1' | kubectl" in created
    words = ("--name", "Hall 2", "--description", "Presses", "--add", "opc ua", "--expected-version", "1")
    done(ask("pools", "edit", "hall 1", *words))
    pool = json.loads(done(ask("pools", "show", "Hall 2", "--json")))
    assert (pool["description"], [member["name"] for member in pool["adapters"]]) == ("Presses", ["OPC UA"])
    edited = json.loads(done(ask("pools", "edit", "Hall 2", "--description", "", "--remove", "OPC UA", "--json")))
    assert (edited["description"], edited["summary"]["adapters"]) == (None, 0)
    assert "is deleted; its adapters are in no pool" in done(ask("pools", "delete", "Hall 2", "--yes"))
    assert json.loads(done(ask("pools", "list", "--json"))) == []


def test_a_refusal_comes_in_the_words_of_the_server(ask: Ask, tenant: Tenant) -> None:
    tenant.pool("North")
    taken = failed(ask("pools", "create", "NORTH"))
    assert taken.endswith(" has this name already; upper and lower case make no difference.")
    assert "you expected version 7, it is at 1" in failed(
        ask("pools", "edit", "North", "--name", "X", "--expected-version", "7")
    )
    several = failed(ask("adapters", "create", "X", "--type", "edge", "--image", "UPPER:v 1", "--port", "0"))
    assert several.startswith("It is refused:\n  - 'UPPER' is not the name of a container image.")
    assert several.count("\n  - ") == 2


def test_what_is_deployed_is_deleted_only_if_told_how(ask: Ask, tenant: Tenant) -> None:
    pool = a_served_pool(name="North")
    tenant.put(pool)
    tenant.adapter(pool=pool)
    tenant.deploy(pool)
    assert "Here that is --undeploy-first, or --force" in failed(ask("pools", "delete", "North", "--yes"))
    both = ask("pools", "delete", "North", "--yes", "--undeploy-first", "--force")
    assert (both.exit_code, "Say one of them" in both.errors) == (2, True)
    forced = ask("pools", "delete", "North", "--yes", "--force")
    assert "is deleted" in done(forced)
    assert "'OPC UA'" in forced.errors


@pytest.mark.parametrize(("typed", "exit_code"), [("North", 0), ("yes", 1)])
def test_before_something_is_deleted_its_name_has_to_be_typed(
    ask: Ask, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, typed: str, exit_code: int
) -> None:
    tenant.pool("North")
    with typing_on_a_terminal(typed, monkeypatch):
        answer = ask("pools", "delete", "North")
    assert answer.exit_code == exit_code
    assert len(json.loads(done(ask("pools", "list", "--json")))) == exit_code


@pytest.mark.parametrize("kind", ["pools", "adapters"])
def test_where_nobody_can_be_asked_yes_has_to_be_said(ask: Ask, kind: str) -> None:
    answer = ask(kind, "delete", "North")
    assert (answer.exit_code, "say --yes" in answer.errors) == (2, True)


def test_an_adapter_is_created_edited_moved_removed_and_deleted(ask: Ask, tenant: Tenant, tmp_path: Path) -> None:
    tenant.pool("North")
    tenant.pool("South")
    (tmp_path / "opcua.json").write_text('{"host": "10.0.0.1"}')
    words = ("--pool", "north", "--configuration", "opcua.json", "--port", "80", "--health-path", "/healthz")
    assert "in the pool 'North'. Next: octomesh adapters deploy X" in done(
        ask("adapters", "create", "X", *IMAGE, *words)
    )
    adapter = json.loads(done(ask("adapters", "show", "X", "--json")))
    assert (adapter["configuration"], adapter["port"], adapter["imageVersion"]) == ({"host": "10.0.0.1"}, 80, "3.13.2")
    assert "10.0.0.1" not in done(ask("adapters", "show", "X"))
    digest = f"sha256:{'0' * 64}"
    cleared = ("--image", f"reg:5000/plant/x@{digest}", "--health-path", "", "--port", "0", "--type", "MESH")
    edited = json.loads(done(ask("adapters", "edit", "X", *cleared, "--json")))
    assert (edited["imageName"], edited["imageVersion"], edited["port"]) == ("reg:5000/plant/x", digest, None)
    assert done(ask("adapters", "move", "X", "South")) == "The adapter 'X' is in the pool 'South' now.\n"
    assert [row["name"] for row in json.loads(done(ask("adapters", "list", "--pool", "South", "--json")))] == ["X"]
    assert done(ask("adapters", "remove", "X")) == "The adapter 'X' is in no pool now.\n"
    assert "X" in done(ask("adapters", "list", "--unassigned"))
    assert done(ask("adapters", "delete", "X", "--yes")) == "The adapter 'X' is deleted.\n"


@pytest.mark.parametrize(
    ("words", "exit_code", "answer"),
    [
        ((), 2, "A new adapter needs --type and --image, for instance --type edge --image plant/opcua:3."),
        (("--type", "edge", "--image", "plant/opcua"), 2, "--image is 'plant/opcua'; it must be a name and a version"),
        (("--type", "edge", "--image", "reg:5000/x"), 2, "--image is 'reg:5000/x'; it must be a name and a version"),
        ((*IMAGE, "--configuration", "none.json"), 1, "in 'none.json' can't be read: No such file or directory."),
        ((*IMAGE, "--configuration", "/dev/null"), 1, "The configuration in '/dev/null' is no JSON: "),
        ((*IMAGE, "--pool", "nowhere"), 1, "There is no pool 'nowhere'"),
    ],
)
def test_what_a_new_adapter_lacks_is_named(ask: Ask, words: tuple[str, ...], exit_code: int, answer: str) -> None:
    told = ask("adapters", "create", "X", *words)
    assert told.exit_code == exit_code
    assert answer in told.errors


# Deploying


@pytest.fixture
def north(tenant: Tenant) -> tuple[Pool, Adapter, Adapter]:
    """A served pool with two adapters."""
    pool = a_served_pool(name="North")
    tenant.put(pool)
    return pool, tenant.adapter("A", pool=pool), tenant.adapter("B", pool=pool)


North = tuple[Pool, Adapter, Adapter]


def test_without_waiting_a_wish_is_stored_and_how_to_follow_it_told(ask: Ask, north: North) -> None:
    said = done(ask("pools", "deploy", "North"))
    assert said == (
        "The pool 'North' is wished to be deployed, which is news for 2 of its 2 adapters. "
        "How it goes: octomesh pools show North\n"
    )
    assert (
        done(ask("pools", "deploy", "North")) == "The pool 'North' was wished to be deployed already; it is PENDING.\n"
    )
    assert "The adapter 'A' is wished to be undeployed, and is PENDING." in done(ask("adapters", "undeploy", "A"))


def test_where_no_operator_serves_a_pool_that_is_said(ask: Ask, tenant: Tenant) -> None:
    pool = tenant.pool("Hall 1")
    assert "has no adapters, so there is nothing to do." in done(ask("pools", "deploy", "Hall 1", "--wait"))
    tenant.adapter(pool=pool)
    hint = "No operator serves the pool 'Hall 1' yet; the wish waits for one: octomesh pools install 'Hall 1' | kubectl"
    assert hint in ask("pools", "deploy", "Hall 1").errors


def test_what_is_there_already_is_not_waited_for(ask: Ask, tenant: Tenant, north: North) -> None:
    assert done(ask("pools", "undeploy", "North", "--wait")) == "The pool 'North' is undeployed: 2 of 2 adapters.\n"
    assert done(ask("adapters", "undeploy", "A", "--wait")) == "The adapter 'A' is undeployed.\n"


def test_waiting_ends_when_everything_is_deployed(beside: Octomesh, ask: Ask, tenant: Tenant, north: North) -> None:
    _, a, b = north
    with beside.started("pools", "deploy", "north", "--wait", "--json") as program:
        told(program, "'B': PENDING")
        tenant.found(a, DeploymentState.DEPLOYED)
        told(program, "'A': DEPLOYED")
        assert program.process.poll() is None
        tenant.found(b, DeploymentState.DEPLOYED)
        assert ended(program) == 0
    shown = json.loads(program.output)
    assert shown == json.loads(done(ask("pools", "show", "North", "--json")))
    assert (shown["deploymentState"], len(shown["adapters"])) == ("DEPLOYED", 2)


def test_what_can_not_be_deployed_is_told_with_its_cause_when_all_others_are_done(
    beside: Octomesh, tenant: Tenant, north: North
) -> None:
    _, a, b = north
    with beside.started("pools", "deploy", "North", "--wait") as program:
        told(program, "'B': PENDING")
        tenant.found(a, DeploymentState.ERROR, "The image can't be pulled.")
        told(program, "'A': ERROR: The image can't be pulled.")
        assert program.process.poll() is None
        tenant.found(b, DeploymentState.DEPLOYED)
        assert ended(program) == 1
    assert program.errors.endswith(
        "octomesh: The pool 'North' is not deployed as wished:\n"
        "  'A': The image can't be pulled.\n"
        "The wish stays: as long as an operator serves the pool, it goes on working on it.\n"
    )


def test_a_wish_of_somebody_else_ends_waiting(beside: Octomesh, ask: Ask, tenant: Tenant, north: North) -> None:
    with beside.started("adapters", "deploy", "A", "--wait") as program:
        told(program, "'A': PENDING")
        done(ask("adapters", "undeploy", "A"))
        assert ended(program) == 1
    assert "'A': it is wished to be undeployed by now; somebody else said so." in program.errors


def test_waiting_ends_in_time_and_tells_what_is_missing(ask: Ask, north: North) -> None:
    told = failed(ask("pools", "deploy", "North", "--timeout", "0.5"))
    assert "After 0.5 s the pool 'North' is not deployed yet:\n  'A': Waiting for the operator" in told
    assert told.endswith("The wish stays: as long as an operator serves the pool, it goes on working on it.")


def test_ctrl_c_leaves_the_wish_and_says_so(beside: Octomesh, tenant: Tenant, north: North) -> None:
    with beside.started("pools", "deploy", "North", "--wait") as program:
        told(program, "'B': PENDING")
        program.process.send_signal(signal.SIGINT)
        assert ended(program) == 130
    assert program.errors.splitlines()[-1].startswith("Not waiting any longer. The wish stays:")
    assert tenant.now(north[1]).wanted


def test_a_pool_that_goes_later_can_be_waited_for(beside: Octomesh, ask: Ask, tenant: Tenant, north: North) -> None:
    tenant.deploy(north[0])
    words = ("pools", "delete", "North", "--yes", "--undeploy-first")
    with beside.started(*words, "--wait") as program:
        told(program, "'North': Being deleted")
        done(ask("pools", "delete", "North", "--yes", "--force"))
        assert ended(program) == 0
    assert "The pool 'North' is deleted" in program.output


def test_a_pool_that_can_not_go_is_told_with_the_cause(beside: Octomesh, tenant: Tenant, north: North) -> None:
    tenant.deploy(north[0])
    with beside.started("pools", "delete", "North", "--yes", "--undeploy-first", "--wait") as program:
        told(program, "'North': Being deleted")
        tenant.found(north[1], DeploymentState.ERROR, "The namespace is locked.")
        tenant.found(north[2], DeploymentState.UNDEPLOYED)
        assert ended(program) == 1
    assert "octomesh: The pool 'North' can't go yet:\n  'A': The namespace is locked.\nIt goes by" in program.errors


@pytest.mark.parametrize("kind", ["pools", "adapters"])
def test_an_edit_of_nothing_is_wrong_usage(ask: Ask, kind: str) -> None:
    answer = ask(kind, "edit", "North", "--expected-version", "1")
    assert (answer.exit_code, "Nothing to edit" in answer.errors) == (2, True)


def test_whoever_has_seen_enough_of_a_list_is_shown_no_traceback(beside: Octomesh, tenant: Tenant) -> None:
    tenant.put(*(an_adapter(name=f"A{number:03}") for number in range(400)))
    ours, theirs = os.pipe()
    os.close(ours)
    environment = os.environ | {f"OCTOMESH_{name}": value for name, value in beside.variables.items()}
    words = [sys.executable, "-m", "octomesh_graphql", "adapters", "list", "--json"]
    listing = subprocess.run(words, env=environment, cwd=SOURCES, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (listing.returncode, listing.stderr) == (141, b"")


# What can be in the way


def test_without_a_tenant_nothing_is_asked(ask: Ask) -> None:
    answer = ask("pools", "list", TENANT="")
    assert (answer.exit_code, answer.output) == (2, "")
    assert "Say --tenant ID, or set OCTOMESH_TENANT. `octomesh tenants list`" in answer.errors


def test_an_unknown_tenant_is_named_with_where_to_look(ask: Ask) -> None:
    assert failed(ask("pools", "list", "--tenant", "nobody")).startswith(
        "There is no tenant 'nobody'. `octomesh tenants list`, where the server runs, shows which there are;"
    )


def test_a_server_that_is_away_is_named_with_the_reason(ask: Ask) -> None:
    assert failed(ask("pools", "list", "--server-url", "http://127.0.0.1:1")) == (
        "The server at http://127.0.0.1:1 can't be reached: Connection refused. Does it run? "
        "--server-url or OCTOMESH_SERVER_URL says where the server is."
    )


def test_wrong_settings_are_wrong_usage(ask: Ask) -> None:
    answer = ask("pools", "list", TOKEN="s3cret", TOKEN_FILE="token")
    assert answer.exit_code == 2
    assert "OCTOMESH_TOKEN and OCTOMESH_TOKEN_FILE are set." in answer.errors
    assert "s3cret" not in answer.errors
