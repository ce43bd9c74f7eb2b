"""`octomesh operator`: starting, what it tells, what can be in the way, and stopping."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from octomesh_graphql.actions.deploying import deploy_pool_adapters
from octomesh_graphql.api.install import install_manifest
from octomesh_graphql.cli.commands import OperatorFlags
from octomesh_graphql.domain.states import CommunicationState, DeploymentState
from octomesh_graphql.settings import OperatorSettings
from octomesh_graphql.store.entities import TenantStore
from tests.builders import ALICE, NOW, created_adapter, created_pool
from tests.cli.conftest import Answer, Octomesh, Started, until

Command = Callable[..., Answer]

POOL = """\
apiVersion: octo-mesh.meshmakers.io/v1alpha1
kind: CommunicationPool
metadata:
  name: north
spec:
  tenantId: acme
  poolRtId: "00000000000000000000a001"
"""
NOBODY = "http://127.0.0.1:1"


def probe(operator: Started, path: str) -> tuple[int, Any]:
    """Status and body of a probe."""
    try:
        return 200, json.loads(operator.get(path))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture
def lonely(octomesh: Octomesh) -> Iterator[Started]:
    """An operator with a simulated cluster and no server."""
    (octomesh.directory / "pools.yaml").write_text(POOL)
    flags = ("--simulated", "pools.yaml", "--server-url", NOBODY, "--operator-health-port", "0")
    with octomesh.started("operator", *flags) as operator:
        yield operator


async def test_a_simulated_operator_serves_a_pool_of_a_real_server(
    connected_octomesh: Octomesh, store: TenantStore
) -> None:
    pool = await created_pool(store)
    adapter = await created_adapter(store, pool=pool)
    await deploy_pool_adapters(store, ALICE, NOW, rt_id=pool.rt_id)
    (connected_octomesh.directory / "pools.yaml").write_text(install_manifest("acme", pool))
    server_directory = connected_octomesh.directory / "server"
    server_directory.mkdir()
    server_program = Octomesh(directory=server_directory, variables=connected_octomesh.variables)
    with server_program.started("serve", "--port", "0") as server:
        flags = ("--simulated", "pools.yaml", "--server-url", server.url, "--operator-health-port", "0")
        with connected_octomesh.started("operator", *flags) as operator:
            operator.until_logged("linked to the server")
            assert probe(operator, "/readyz") == (200, {"status": "ready", "leading": True, "missing": []})
            operator.until_logged("adapter turned")
            deployed = await store.adapter(adapter.rt_id)
            assert deployed
            assert deployed.deployment_state is DeploymentState.DEPLOYED
            assert "octomesh_operator_connected 1.0" in operator.get("/metrics")
            assert "octomesh_operator_pools 1.0" in operator.get("/metrics")
            served = await store.pool(pool.rt_id)
            assert served
            assert served.operator
            assert served.operator.cluster.startswith("simulated ")
            assert operator.stop() == 0
        left = await store.pool(pool.rt_id)
        assert left
        assert left.communication_state is CommunicationState.OFFLINE
        assert [line for line in operator.logged if line["level"] == "error"] == []


def test_a_simulated_cluster_says_so(lonely: Started) -> None:
    warning = lonely.until_logged("the cluster is simulated; nothing runs for real")
    assert warning["cluster"].startswith("simulated ")
    until(lambda: "Ctrl-C" in lonely.output)
    assert "No container is started anywhere." in lonely.output


def test_without_a_server_it_lives_is_not_ready_and_says_why(lonely: Started) -> None:
    assert lonely.until_logged("link to the server is down")["reason"].startswith("The server at ws://127.0.0.1:1/")
    assert probe(lonely, "/healthz")[0] == 200
    status, answer = probe(lonely, "/readyz")
    assert (status, answer["status"], answer["leading"]) == (503, "not ready", True)
    assert "can't be reached" in answer["missing"][0]
    assert lonely.stop() == 0


def test_the_definition_of_its_resource_is_printed_for_kubectl(command: Command) -> None:
    printed = command("operator", "--print-crd")
    assert printed.exit_code == 0
    definition = yaml.safe_load(printed.output)
    assert (definition["kind"], definition["spec"]["names"]["kind"]) == (
        "CustomResourceDefinition",
        "CommunicationPool",
    )


# What can be in the way


def test_wrong_settings_are_all_listed(command: Command) -> None:
    told = command("operator", "--server-url", "octomesh", OPERATOR_ID="Plant 1", SERVR_URL="http://x")
    assert told.exit_code == 2
    assert [line[:24] for line in told.errors.splitlines()] == [
        "octomesh: The settings c",
        "  - OCTOMESH_SERVR_URL i",
        "  - --server-url is 'oct",
        "  - OCTOMESH_OPERATOR_ID",
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (None, "octomesh: 'pools.yaml' can't be read: No such file or directory.\n"),
        ("a: [", "octomesh: 'pools.yaml' is no YAML: "),
        (POOL + "---\nkind: Namespace\n", "octomesh: Document 2 of 'pools.yaml' is no CommunicationPool of octo-mesh."),
        (POOL.replace("a001", "A001"), "octomesh: The cluster refuses: "),
    ],
)
def test_a_file_that_is_no_list_of_pools_is_named(
    command: Command, tmp_path: Path, text: str | None, answer: str
) -> None:
    if text is not None:
        (tmp_path / "pools.yaml").write_text(text)
    told = command("operator", "--simulated", "pools.yaml", "--operator-health-port", "0")
    assert told.exit_code == 1
    assert answer in told.errors


def test_a_health_port_that_is_taken_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "pools.yaml").write_text(POOL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = command("operator", "--simulated", "pools.yaml", "--operator-health-port", port)
    assert told.exit_code == 1
    assert f"octomesh: Port {port} on 127.0.0.1, for probes and metrics, is in use by another program" in told.errors


def test_a_kubeconfig_that_is_not_there_is_named_and_nothing_else_is_said(command: Command, tmp_path: Path) -> None:
    told = command("operator", "--kubeconfig", "nowhere.yaml", "--operator-health-port", "0")
    assert told.exit_code == 1
    assert told.errors == (
        f"octomesh: There is no kubeconfig at {tmp_path}/nowhere.yaml. Name another one with --kubeconfig, or try it "
        "with --simulated.\n"
    )


def test_where_no_context_is_chosen_it_is_said_which_there_are(
    command: Command, without_anything: Callable[[str], Path]
) -> None:
    kubeconfig = str(without_anything("gone"))
    told = command("operator", "--kubeconfig", kubeconfig, "--context", "there", "--operator-health-port", "0")
    assert told.exit_code == 1
    assert told.errors == (
        f"octomesh: The kubeconfig {kubeconfig} has no context 'there'. Choose one with --context: 'here'.\n"
    )


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("the server could not find the requested resource", "--print-crd | kubectl apply -f -"),
        ('namespaces "plant" not found', 'does not exist: namespaces "plant" not found. Create it, or name another'),
    ],
)
def test_what_the_cluster_does_not_have_is_named(
    command: Command, without_anything: Callable[[str], Path], said: str, answer: str
) -> None:
    kubeconfig = str(without_anything(said))
    told = command("operator", "--kubeconfig", kubeconfig, "--operator-health-port", "0")
    assert told.exit_code == 1
    assert answer in told.errors


@pytest.fixture
def without_anything(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Tells the kubeconfig of a cluster that answers everything with these words: it is not there."""

    class Answering(BaseHTTPRequestHandler):
        said = ""

        def do_GET(self) -> None:
            body = json.dumps({"kind": "Status", "code": 404, "reason": "NotFound", "message": self.said}).encode()
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    def saying(said: str) -> Path:
        Answering.said = said
        url = f"http://127.0.0.1:{server.server_port}"
        context = {"name": "here", "context": {"cluster": "here", "user": "here"}}
        users = [{"name": "here", "user": {}}]
        clusters = [{"name": "here", "cluster": {"server": url}}]
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump({"current-context": "here", "contexts": [context], "clusters": clusters, "users": users})
        )
        return kubeconfig

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield saying
        server.shutdown()
        thread.join()


# Flags


def test_every_setting_of_the_operator_is_a_flag_but_for_secrets_which_others_would_see_there() -> None:
    told = {field.name for field in fields(OperatorFlags)}
    assert told == OperatorSettings.model_fields.keys() - {"token", "client_secret"}


def test_the_definition_of_pools_can_come_from_standard_input(command: Command) -> None:
    assert "--server-url is 'x'" in command("operator", "--simulated", "-", "--server-url", "x").errors


def test_the_defaults_in_the_help_are_those_of_the_settings(command: Command) -> None:
    shown = " ".join(command("operator", "--help").output.replace("│", " ").split())
    for name, field in OperatorSettings.model_fields.items():
        if field.default not in (None, ()):
            assert f"[default: {field.default}]" in shown, name


def test_a_pull_secret_can_be_given_several_times_or_in_one_word(command: Command) -> None:
    told = command("operator", "--image-pull-secret", "a", "--image-pull-secret", "B!", "--operator-health-port", "0")
    assert "octomesh: --image-pull-secret is 'a,B!'; it must be names of Secrets, separated by commas." in told.errors
