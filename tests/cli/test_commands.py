"""The words of the command: what is understood, and how mistakes are answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields

import pytest

from octomesh_graphql import __version__
from octomesh_graphql.cli.client.words import ClientFlags
from octomesh_graphql.cli.commands import ServerFlags
from octomesh_graphql.settings import ClientSettings, Settings
from tests.cli.conftest import SOURCES, Answer, Octomesh


def test_it_knows_its_version(octomesh: Octomesh) -> None:
    assert octomesh.run("--version").output == f"{__version__}\n"


def test_alone_it_says_what_it_can_do(octomesh: Octomesh) -> None:
    answer = octomesh.run()
    assert answer.exit_code == 0
    assert all(word in answer.output for word in ("serve", "demo", "tenants", "healthcheck", "OCTOMESH_MONGO_URI"))


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("serve", "--prot", "1"), "octomesh: Unknown option: --prot. Did you mean --port?\n"),
        (("serve", "--port", "x"), "octomesh: --port is 'x'; it must be a number from 0 to 65535; 0 takes any free"),
        (("serve", "--lease-seconds", "x"), "octomesh: --lease-seconds is 'x'; it must be a number of seconds from 2"),
        (("operator", "--broker-port", "1.5"), "octomesh: --broker-port is '1.5'; it must be a number from 1 to 65535"),
        (("pools", "deploy", "X", "--timeout", "x"), "--timeout is 'x'; it must be a number of seconds from 0.1 to"),
        (("pools", "deploy", "X", "--timeout", "nan"), "--timeout is 'nan'; it must be a number of seconds from 0.1"),
        (
            ("adapters", "edit", "X", "--port", "-1"),
            "--port is '-1'; it must be a number from 0 to 65535; 0 clears it.",
        ),
        (
            ("adapters", "edit", "X", "--expected-version", "x"),
            "--expected-version is 'x'; it must be a version, which",
        ),
        (("demo", "--oidc-issuer", "x"), "octomesh: Unknown option: --oidc-issuer."),
        (("demo", "--log-level", "loud"), "Choose from:"),
        (("srve",), 'octomesh: Unknown command "srve". Did you mean "serve"?'),
        (("tenants", "create"), "ID"),
    ],
)
def test_a_mistake_is_named_in_a_sentence(command: Callable[..., Answer], words: tuple[str, ...], answer: str) -> None:
    told = command(*words)
    assert told.exit_code == 2
    assert answer in told.errors
    assert told.output == ""


@pytest.mark.parametrize("module", ["commands", "checking"])
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str) -> None:
    heavy = ["pydantic", "pymongo", "motor", "uvicorn", "strawberry", "structlog", "aiohttp"]
    program = f"import sys, octomesh_graphql.cli.{module}; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=SOURCES, capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


def test_every_flag_of_the_client_is_a_setting() -> None:
    assert {field.name for field in fields(ClientFlags)} <= ClientSettings.model_fields.keys() - {"token"}


def test_every_flag_of_the_server_is_a_setting() -> None:
    told = {field.name for field in fields(ServerFlags)}
    assert told == Settings.model_fields.keys() - {"mongo_uri", "database_prefix", "limits"}


def test_the_help_of_the_demo_lists_nothing_that_the_demo_refuses(command: Callable[..., Answer]) -> None:
    assert "--oidc" in command("serve", "--help").output
    assert "--oidc" not in command("demo", "--help").output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_escaped(encoding: str) -> None:
    words = """
import sys
from octomesh_graphql.cli.client.telling import as_json
from octomesh_graphql.cli.commands import execute
execute(["healthcheck", "Köln – Süd"])
print("Köln – Süd")
as_json("Köln – Süd")
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", words], env=environment, capture_output=True, check=True)
    told, as_json = ended.stdout.decode(encoding).splitlines()
    assert told == "Köln – Süd".encode(encoding, "backslashreplace").decode(encoding)
    assert json.loads(as_json) == "Köln – Süd"


def test_the_defaults_in_the_help_are_those_of_the_settings(command: Callable[..., Answer]) -> None:
    shown = " ".join(command("serve", "--help").output.replace("│", " ").split())
    for name in ("host", "port", "data_dir", "mongo_driver", "log_format", "log_level"):
        assert f"[default: {Settings.model_fields[name].default}]" in shown
