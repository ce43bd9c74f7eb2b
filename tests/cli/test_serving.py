"""`octomesh serve` and `octomesh demo`: starting, what can be in the way, and stopping."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from octomesh_graphql.store.embedded import find_mongod
from octomesh_graphql.store.entities import TenantStore
from tests.cli.conftest import Answer, Octomesh, Started, mongods_on, until
from tests.ports import reserved_port

Command = Callable[..., Answer]


@pytest.fixture(scope="module", autouse=True)
def unreachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server without a MongoDB. It tries for ten seconds, meanwhile the other tests run."""
    octomesh = Octomesh(directory=tmp_path_factory.mktemp("unreachable"))
    uri = "mongodb://octo:s3cret@127.0.0.1:1/?replicaSet=rs0"
    with octomesh.started("serve", "--port", "0", MONGO_URI=uri) as started:
        yield started


# The demo


def test_the_demo_greets_with_addresses_that_work(demo: Started) -> None:
    until(lambda: "Ctrl-C" in demo.output)
    addresses = re.findall(rf"{demo.url}\S+", demo.output)
    assert [urlsplit(address).path for address in addresses] == ["/", "/tenants/demo/graphql", "/healthz"]
    assert json.loads(demo.get("/healthz"))["status"] == "ok"
    pools = demo.get("/tenants/demo/graphql?query=%7Bpools%7BtotalCount%7D%7D")
    assert json.loads(pools) == {"data": {"pools": {"totalCount": 5}}}


def test_the_demo_says_what_is_not_real_and_where_its_data_is(demo: Started) -> None:
    assert "the cluster in which their adapters run is simulated in memory" in demo.output
    warning = demo.until_logged("the cluster of the demo is simulated; nothing runs for real")
    assert warning["level"] == "warning"
    assert str(demo.directory / ".octomesh") in demo.output
    warning = demo.until_logged("the embedded MongoDB is for trials and tests only")
    assert warning["level"] == "warning"


def test_for_people_the_greeting_of_the_demo_stays_in_sight_and_warnings_are_shown(
    demo: Started, octomesh: Octomesh
) -> None:
    demo.until_logged("pool claimed")  # for programs
    with octomesh.started("demo", "--port", "0", "--log-format", "console") as started:
        until(lambda: "Ctrl-C" in started.output, seconds=40)
        [panel] = re.findall(r"Admin Panel +(\S+)/", started.output)
        pools = f"{panel}/tenants/demo/graphql?query=%7Bpools%7Bnodes%7BcommunicationState%7D%7D%7D"

        def served() -> bool:
            with urllib.request.urlopen(pools, timeout=5) as answer:
                return b'"ONLINE"' in answer.read()

        until(served, seconds=20)
        assert "octomesh_graphql.operator" not in started.errors
        assert "nothing runs for real" in started.errors


def test_the_healthcheck_finds_the_demo(demo: Started, octomesh: Octomesh) -> None:
    assert octomesh.run("healthcheck", PORT=str(urlsplit(demo.url).port)).exit_code == 0


def test_the_server_does_not_say_what_it_is_made_of(demo: Started) -> None:
    with demo.connection() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"uvicorn" not in connection.recv(10_000).lower()


def test_a_second_server_on_the_same_directory_is_told_who_has_it(demo: Started, command: Command) -> None:
    second = command("serve", "--port", "0", DATA_DIR=str(demo.directory / ".octomesh"))
    assert second.exit_code == 1
    assert second.errors == (
        f"octomesh: The data directory {demo.directory}/.octomesh is in use by the process with pid "
        f"{demo.process.pid}. Stop that one first, or choose another directory with OCTOMESH_DATA_DIR.\n"
    )


def test_a_port_that_is_taken_is_named_before_anything_is_started(
    demo: Started, command: Command, tmp_path: Path
) -> None:
    port = urlsplit(demo.url).port or 0
    second = command("demo", "--port", str(port))
    assert second.exit_code == 1
    assert second.errors == (
        f"octomesh: Port {port} on 127.0.0.1 is in use by another program, perhaps another octomesh. Choose another "
        f"one with --port, for instance --port {port + 1}, or --port 0 for any that is free.\n"
    )
    assert not (tmp_path / ".octomesh").exists()


def test_a_tenant_can_be_created_beside_a_running_server(demo: Started, command: Command) -> None:
    assert command("tenants", "create", "beside", DATA_DIR=str(demo.directory / ".octomesh")).exit_code == 0
    assert '"data"' in demo.get("/tenants/beside/graphql?query=%7Bviewer%7B__typename%7D%7D")


# Stopping


def test_a_signal_ends_server_and_mongod_and_the_data_is_there_at_the_next_start(
    octomesh: Octomesh, command: Command
) -> None:
    data_dir = octomesh.directory / ".octomesh"
    with octomesh.started("serve", "--port", "0") as server:
        server.until_logged("listening")
        assert command("tenants", "create", "kept").exit_code == 0
        assert len(mongods_on(data_dir)) == 1
        assert server.stop() == 0
        assert mongods_on(data_dir) == []
        assert server.logged[-1]["event"] == "stopped"
    assert "kept" in command("tenants", "list").output
    assert mongods_on(data_dir) == []


def test_a_signal_during_the_start_ends_it_too(octomesh: Octomesh) -> None:
    with octomesh.started("serve", "--port", "0") as server:
        until(lambda: mongods_on(octomesh.directory / ".octomesh"))
        assert server.stop() == 0
        assert mongods_on(octomesh.directory / ".octomesh") == []


def test_subscribers_are_told_to_come_back(connected_octomesh: Octomesh, store: TenantStore) -> None:
    with connected_octomesh.started("serve", "--port", "0") as server:
        address = f"ws{server.url.removeprefix('http')}/tenants/{store.tenant.id}/graphql"
        with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as client:
            query = "subscription { poolChanges { kind } }"
            client.send('{"type": "connection_init"}')
            client.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            assert json.loads(client.recv(5))["type"] == "connection_ack"
            assert json.loads(client.recv(5))["payload"]["data"]["poolChanges"]["kind"] == "LIVE"
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(5)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1012
        assert server.process.wait(5) == 0
        assert time.monotonic() - begin < 4
        assert [line for line in server.logged if line["level"] == "error"] == []


def test_a_second_signal_does_not_wait_for_a_slow_request(connected_octomesh: Octomesh) -> None:
    head = (
        b"POST /tenants/acme/graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9"
    )
    with connected_octomesh.started("serve", "--port", "0") as server, server.connection() as slow:
        slow.sendall(head + b"\r\n\r\n{")
        server.get("/healthz")  # by then it has read the beginning of the slow one
        server.process.send_signal(signal.SIGTERM)
        server.until_logged("stopping")
        assert server.stop() == 1
    assert "octomesh: Stopped at once" in server.errors


def test_the_death_of_the_embedded_mongod_is_noticed_at_once(octomesh: Octomesh) -> None:
    with octomesh.started("serve", "--port", "0") as server:
        server.until_logged("listening")
        [mongod] = mongods_on(octomesh.directory / ".octomesh")
        os.kill(mongod, signal.SIGKILL)
        assert server.until_logged("the embedded MongoDB ended on its own", 2)["level"] == "error"


# What can be in the way


def test_wrong_settings_are_all_listed(command: Command) -> None:
    told = command("serve", "--host", "0.0.0.0", PORT="abc", MONGO_URL="mongodb://octo:s3cret@db1/")
    assert told.exit_code == 2
    head, *faults = told.errors.splitlines()
    assert head == "octomesh: The settings can't be used:"
    beginnings = [
        "OCTOMESH_MONGO_URL is not a setting.",
        "The host '0.0.0.0' can be",
        "OCTOMESH_PORT is 'abc'; it must be",
    ]
    for fault, beginning in zip(faults, beginnings, strict=True):
        assert fault.startswith(f"  - {beginning}")
    assert "s3cret" not in told.errors


def test_told_to_be_insecure_it_listens_everywhere_and_warns(connected_octomesh: Octomesh) -> None:
    with connected_octomesh.started("serve", "--port", "0", "--insecure", HOST="0.0.0.0") as server:
        assert "ok" in server.get("/healthz")
        assert server.until_logged("whoever reaches this address can read and change everything")["host"] == "0.0.0.0"
        assert server.until_logged("there is no tenant yet")["next"] == "octomesh tenants create ID"
        assert server.stop(signal.SIGINT) == 0


def status(port: int, host: str) -> int:
    """Of the answer to who asks by this name."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"GET /schema.graphql HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(100).split()[1])


def test_without_an_issuer_it_answers_only_to_names_that_no_stranger_can_choose(connected_octomesh: Octomesh) -> None:
    public_url = "https://OctoMesh.example.com/"
    with (
        reserved_port() as port,
        connected_octomesh.started("serve", "--port", str(port), PUBLIC_URL=public_url) as server,
    ):
        assert server.url == public_url
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", "octomesh.example.com"):
            assert status(port, host) == 200
        for host in (f"evil.example:{port}", "example.com"):
            assert status(port, host) == 421


def test_pages_that_come_from_the_public_url_can_open_websockets(connected_octomesh: Octomesh) -> None:
    with (
        reserved_port() as port,
        connected_octomesh.started("serve", "--port", str(port), PUBLIC_URL="https://OctoMesh.example.com/") as server,
    ):
        server.until_logged("listening")
        address, protocols = f"ws://127.0.0.1:{port}/agents/graphql", [Subprotocol("graphql-transport-ws")]
        with connect(address, subprotocols=protocols, origin=Origin("https://octomesh.example.com")):
            pass
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, subprotocols=protocols, origin=Origin("https://evil.example"))


def test_an_issuer_that_does_not_answer_keeps_no_server_from_listening_and_is_told_at_the_start(
    connected_octomesh: Octomesh,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken, and nothing is ever said
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with connected_octomesh.started("serve", "--port", "0", OIDC_ISSUER=issuer, OIDC_AUDIENCE="octomesh") as server:
            assert "ok" in server.get("/healthz")
            port = urlsplit(server.url).port or 0
            assert status(port, f"evil.example:{port}") == 200  # whoever asks has to show a token
            assert "no keys from the issuer of tokens" not in server.errors
            told = server.until_logged("no keys from the issuer of tokens", 15)
            assert (told["level"], told["issuer"], told["known"]) == ("warning", issuer, 0)
            assert told["reason"]
            assert server.stop() == 0
        with connected_octomesh.started("serve", "--port", "0", OIDC_ISSUER=issuer, OIDC_AUDIENCE="octomesh") as server:
            server.until_logged("listening")
            assert server.stop() == 0  # while it still waits for the issuer
            assert "Traceback" not in server.errors


def test_a_data_directory_that_can_not_be_used_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = command("serve", "--port", "0", "--data-dir", "file")
    assert told.exit_code == 1
    assert f"octomesh: The data directory {tmp_path}/file can't be used: it is not a directory" in told.errors


@pytest.mark.parametrize(("host", "reason"), [("203.0.113.1", "Cannot assign"), ("no.such.host.invalid", "")])
def test_an_address_of_another_machine_is_named(command: Command, host: str, reason: str) -> None:
    told = command("serve", "--host", host, "--port", "0", "--insecure")
    assert told.exit_code == 1
    assert f"It is not possible to listen on '{host}': {reason}" in told.errors


def test_a_standalone_mongod_is_told_what_it_lacks(command: Command, tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    flags = ("--bind_ip", "127.0.0.1", "--port", "0", "--nounixsocket")
    mongod = subprocess.Popen([find_mongod(), "--dbpath", tmp_path / "db", *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert mongod.stdout
        listening = (re.search(r'"Waiting for connections","attr":{"port":(\d+)', line) for line in mongod.stdout)
        port = next(found[1] for found in listening if found)
        told = command("serve", "--port", "0", MONGO_URI=f"mongodb://127.0.0.1:{port}")
    finally:
        mongod.kill()
        mongod.communicate()
    assert told.exit_code == 1
    assert "octomesh: This MongoDB is a standalone server." in told.errors
    assert "rs.initiate()" in told.errors


def test_a_mongodb_that_can_not_be_reached_is_told_at_last(unreachable: Started) -> None:
    assert unreachable.process.wait(15) == 1
    last = unreachable.errors.splitlines()[-1]
    assert last.startswith("octomesh: MongoDB does not answer: 127.0.0.1:1: ")
    assert last.endswith(". Does it run, and does OCTOMESH_MONGO_URI say where?")
    assert "s3cret" not in unreachable.errors
    assert unreachable.logged[-1]["database"] == "the MongoDB at 127.0.0.1:1, from OCTOMESH_MONGO_URI"
