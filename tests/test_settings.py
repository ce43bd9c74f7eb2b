"""Settings: what counts, and what is said when they can't be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octomesh_graphql.limits import Limits
from octomesh_graphql.settings import (
    OperatorSettings,
    Settings,
    WrongSettings,
    load,
    load_for_client,
    load_for_operator,
    load_for_server,
    variables,
)

URI = "mongodb://octo:s3cret@db1:27017,db2:27017/?replicaSet=rs0"

DEFAULTS = Settings.model_validate({})


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OCTOMESH_")]:
        monkeypatch.delenv(name)


def faults(flags: dict[str, Any] | None = None, *, insecure: bool = False) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        load_for_server(flags or {}, insecure=insecure)
    return list(caught.value.faults)


def test_without_any_the_server_keeps_to_this_machine_and_this_directory() -> None:
    settings = load_for_server({}, insecure=False)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.data_dir == Path.cwd() / ".octomesh"
    assert settings.mongo_uri is None


def test_a_flag_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_PORT", "9000")
    assert load({}).port == 9000
    assert load({"port": 9001}).port == 9001


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OCTOMESH_PORT", "OCTOMESH_MONGO_URI", "OCTOMESH_OIDC_ISSUER", "OCTOMESH_TYPO"):
        monkeypatch.setenv(name, "")
    assert load_for_server({}, insecure=False) == DEFAULTS


def test_words_count_without_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_LOG_LEVEL", "WARNING")
    assert load({}).log_level == "warning"


def test_the_home_directory_can_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_DATA_DIR", "~/octomesh")
    assert load({}).data_dir == Path.home() / "octomesh"


def test_they_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).port = 1


def test_all_faults_are_told_at_once_with_name_value_and_what_would_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_PORT", "80000")
    monkeypatch.setenv("OCTOMESH_LOG_FORMAT", "xml")
    monkeypatch.setenv("OCTOMESH_MONGO_DRIVER", "mongoengine")
    monkeypatch.setenv("OCTOMESH_PUBLIC_URL", "octomesh.example.com")
    monkeypatch.setenv("OCTOMESH_MONGO_URL", URI)
    assert faults({"database_prefix": "1"}) == [
        "OCTOMESH_MONGO_URL is not a setting. Did you mean OCTOMESH_MONGO_URI?",
        "OCTOMESH_PORT is '80000'; it must be a number from 0 to 65535; 0 takes any free port.",
        "OCTOMESH_MONGO_DRIVER is 'mongoengine'; it must be motor or pymongo.",
        "--database-prefix is '1'; it must be up to 24 lower-case letters, digits and _, with a letter first and _ "
        "last.",
        "OCTOMESH_LOG_FORMAT is 'xml'; it must be auto, json or console.",
        "OCTOMESH_PUBLIC_URL is 'octomesh.example.com'; it must be a URL like https://octomesh.example.com.",
    ]


@pytest.mark.parametrize("name", ["OCTOMESH_XYZZY", "OCTOMESH_INSECURE", "OCTOMESH_PRINT_CRD", "OCTOMESH_WAIT"])
def test_a_variable_that_resembles_nothing_is_a_fault_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert faults() == [f"{name} is not a setting. Remove it."]


@pytest.mark.parametrize(("name", "meant"), [("ISSUER", "OIDC_ISSUER"), ("PROT", "PORT"), ("LOGLEVEL", "LOG_LEVEL")])
def test_what_was_meant_is_guessed(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(f"OCTOMESH_{name}", "1")
    assert faults() == [f"OCTOMESH_{name} is not a setting. Did you mean OCTOMESH_{meant}?"]


def test_the_server_leaves_the_variables_of_the_operator_alone_whatever_is_in_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in variables(OperatorSettings).keys() - variables(Settings).keys():
        monkeypatch.setenv(name, "://")
    assert load_for_server({}, insecure=False) == DEFAULTS


def test_the_operator_leaves_the_variables_of_the_server_alone_whatever_is_in_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in variables(Settings).keys() - variables(OperatorSettings).keys():
        monkeypatch.setenv(name, "://")
    monkeypatch.setenv("OCTOMESH_MONGO_URI_FILE", "/nowhere")
    monkeypatch.setenv("OCTOMESH_OIDC_ISSUER", "https://login.example.com")
    assert load_for_operator({}) == OperatorSettings.model_validate({})


def test_what_kubernetes_sets_for_a_service_named_octomesh_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_PORT", "tcp://10.0.0.7:8000")
    for name, value in {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "PORT_8000_TCP_ADDR": "10.0.0.7",
        "SERVER_PORT": "tcp://10.0.0.8:8000",
        "SERVER_SERVICE_HOST": "10.0.0.8",
    }.items():
        monkeypatch.setenv(f"OCTOMESH_{name}", value)
    assert load({}).port == 8000


# Limits


def test_each_limit_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Limits.model_fields.items():
        monkeypatch.setenv(f"OCTOMESH_LIMITS_{name.upper()}", str(field.default + 1))
    assert load({}).limits == Limits(**{name: field.default + 1 for name, field in Limits.model_fields.items()})


def test_a_limit_that_is_none_is_told_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_LIMITS_BODY_BYTES", "1")
    monkeypatch.setenv("OCTOMESH_LIMITS_DEPTH", "deep")
    monkeypatch.setenv("OCTOMESH_LIMITS_DEPHT", "20")
    assert faults() == [
        "OCTOMESH_LIMITS_DEPHT is not a setting. Did you mean OCTOMESH_LIMITS_DEPTH?",
        "OCTOMESH_LIMITS_BODY_BYTES is '1'; it must be a number from 1024 to 67108864.",
        "OCTOMESH_LIMITS_DEPTH is 'deep'; it must be a number from 14 to 100.",
    ]


def test_an_empty_limit_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_LIMITS_BODY_BYTES", "")
    assert load({}) == DEFAULTS


# Credentials


def test_credentials_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_MONGO_URI", URI)
    settings = load({})
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.mongo_uri
    assert settings.mongo_uri.get_secret_value() == URI


@pytest.mark.parametrize(
    "uri", ["mongodb://octo:s3/cret@db1/", "mongodb://octo:s3@cret@db1/", "mongodb://octo:s3?cret@db1/", "s3cret"]
)
def test_a_malformed_mongo_uri_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("OCTOMESH_MONGO_URI", uri)
    [fault] = faults()
    assert fault.startswith("OCTOMESH_MONGO_URI, whose value is not shown, is no MongoDB URI; it must be like mongodb:")
    assert "s3" not in fault
    assert "cret" not in fault


@pytest.mark.parametrize(
    "uri", [URI, "mongodb://localhost", "mongodb+srv://octo:s3%2Fcret@cluster.example.com/?w=1", "mongodb://[::1]:1/"]
)
def test_a_well_formed_mongo_uri_is_taken(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("OCTOMESH_MONGO_URI", uri)
    assert load({}).mongo_uri is not None


def test_the_mongo_uri_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text(f"{URI}\n")
    monkeypatch.setenv("OCTOMESH_MONGO_URI_FILE", str(tmp_path / "uri"))
    uri = load({}).mongo_uri
    assert uri
    assert uri.get_secret_value() == URI


def test_a_file_that_can_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCTOMESH_MONGO_URI_FILE", str(tmp_path / "none"))
    assert faults() == [
        f"OCTOMESH_MONGO_URI_FILE is '{tmp_path}/none', which can't be read: No such file or directory."
    ]


def test_the_mongo_uri_must_not_be_given_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCTOMESH_MONGO_URI", URI)
    monkeypatch.setenv("OCTOMESH_MONGO_URI_FILE", str(tmp_path / "uri"))
    assert faults() == ["OCTOMESH_MONGO_URI and OCTOMESH_MONGO_URI_FILE are both set; keep one of them."]


# Who can reach the server


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "octomesh.example.com"])
def test_a_server_that_others_reach_is_refused_unless_insecure(host: str) -> None:
    [fault] = faults({"host": host})
    assert f"The host '{host}' can be reached from other machines, and nobody is asked who they are" in fault
    assert "--insecure" in fault
    assert load_for_server({"host": host}, insecure=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_consent(host: str) -> None:
    assert load_for_server({"host": host}, insecure=False).host == host


def test_commands_that_do_not_listen_do_not_care_about_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_HOST", "0.0.0.0")
    assert load({}).host == "0.0.0.0"


ISSUER = {"oidc_issuer": "https://login.example.com", "oidc_audience": "octomesh"}


def test_a_server_that_checks_tokens_may_be_reached_by_others() -> None:
    settings = load_for_server({"host": "0.0.0.0", **ISSUER}, insecure=False)
    assert (settings.oidc_issuer, settings.oidc_audience) == tuple(ISSUER.values())


@pytest.mark.parametrize("name", ISSUER)
@pytest.mark.parametrize("insecure", [False, True])
def test_half_an_issuer_is_none(monkeypatch: pytest.MonkeyPatch, name: str, insecure: bool) -> None:
    monkeypatch.setenv(f"OCTOMESH_{name.upper()}", ISSUER[name])
    [fault] = faults(insecure=insecure)
    assert f"Only OCTOMESH_{name.upper()} is set" in fault


@pytest.mark.parametrize("word", ["true", "1", "TRUE", "on"])
def test_a_server_that_only_reports_is_still_open(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("OCTOMESH_OIDC_REPORT_ONLY", word)
    [fault] = faults({"host": "0.0.0.0", **ISSUER})
    assert "it is only reported who would be refused" in fault
    assert load_for_server(ISSUER, insecure=False).oidc_report_only
    [fault] = faults()
    assert "there is nothing to report" in fault


@pytest.mark.parametrize(
    "url",
    ["http://login.example.com", "login.example.com", "https://user@login.example.com", "http://127.0.0.1.evil.com/"],
)
def test_keys_are_fetched_safely(url: str) -> None:
    [fault] = faults({**ISSUER, "oidc_issuer": url})
    assert "http only on this machine" in fault


# The operator


def operator_faults(**flags: Any) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        load_for_operator(flags)
    return list(caught.value.faults)


def test_without_any_the_operator_asks_the_server_of_this_machine() -> None:
    settings = load_for_operator({})
    assert settings.server_url == "http://127.0.0.1:8000"
    assert settings.adapter_server_url is None
    assert (settings.operator_health_host, settings.operator_health_port) == ("127.0.0.1", 8081)


def test_all_faults_of_an_operator_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_SERVER_URI", "http://x")
    monkeypatch.setenv("OCTOMESH_BROKER_HOST", "rabbitmq")
    monkeypatch.setenv("OCTOMESH_OPERATOR_ID", "Plant 1")
    monkeypatch.setenv("OCTOMESH_IMAGE_PULL_SECRET", "registry,Not A Name")
    assert operator_faults(server_url="ws://x", watch_namespace="Octo") == [
        "OCTOMESH_SERVER_URI is not a setting. Did you mean OCTOMESH_SERVER_URL?",
        "Only OCTOMESH_BROKER_HOST is set. To reach a message broker adapters need both: OCTOMESH_BROKER_HOST, where "
        "it is, and OCTOMESH_BROKER_SECRET, the Secret with their user and password.",
        "--server-url is 'ws://x'; it must be a URL like https://octomesh.example.com.",
        "OCTOMESH_OPERATOR_ID is 'Plant 1'; it must be 1 to 100 lower-case letters, digits, dots and hyphens, with a "
        "letter or digit at both ends.",
        "--watch-namespace is 'Octo'; it must be the name of a namespace.",
        "OCTOMESH_IMAGE_PULL_SECRET is 'registry,Not A Name'; it must be names of Secrets, separated by commas.",
    ]


def test_a_broker_is_complete_also_when_half_of_it_is_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_BROKER_SECRET", "broker")
    settings = load_for_operator({"broker_host": "rabbitmq.octo.svc"})
    assert (settings.broker_host, settings.broker_secret, settings.broker_port) == ("rabbitmq.octo.svc", "broker", 5672)


def test_several_pull_secrets_fit_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_IMAGE_PULL_SECRET", "registry, mirror")
    assert load_for_operator({}).image_pull_secret == ("registry", "mirror")
    assert load_for_operator({"image_pull_secret": ["other"]}).image_pull_secret == ("other",)


def test_a_password_in_a_server_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(operator_faults(server_url="https://octo:pass@octomesh.example.com")) == 1


# How a program says who it is


@pytest.mark.parametrize("load_for", [load_for_operator, load_for_client])
@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"token": "t", "token_file": "/t"}, "OCTOMESH_TOKEN and OCTOMESH_TOKEN_FILE are set. A program says in"),
        ({"token_file": "/t", "client_id": "c"}, "OCTOMESH_TOKEN_FILE and OCTOMESH_CLIENT_ID are set."),
        ({"client_id": "c", "token_url": "https://x/t"}, "not OCTOMESH_CLIENT_SECRET_FILE or OCTOMESH_CLIENT_SECRET"),
        ({"client_id": "c", "client_secret": "s3cret"}, "but not OCTOMESH_TOKEN_URL or OCTOMESH_TOKEN_ISSUER"),
        (
            {"client_secret": "s3cret", "token_issuer": "https://x"},
            "OCTOMESH_CLIENT_ID, the name of the client. To get",
        ),
        (
            {"client_id": "c", "client_secret": "s3cret", "client_secret_file": "/s", "token_url": "https://x"},
            "OCTOMESH_CLIENT_SECRET_FILE and OCTOMESH_CLIENT_SECRET are both set; keep one of them.",
        ),
        ({"token": "s3cret s3cret"}, "OCTOMESH_TOKEN, whose value is not shown, can't be used; it must be an access"),
        (
            {"client_id": "c", "client_secret": "s3cret", "token_url": "http://login.example.com/token"},
            "OCTOMESH_TOKEN_URL is 'http://login.example.com/token'; it must be a URL like https://",
        ),
    ],
)
def test_there_is_one_clear_way_to_say_who_a_program_is(
    monkeypatch: pytest.MonkeyPatch, load_for: Callable[[dict[str, Any]], Any], given: dict[str, str], fault: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"OCTOMESH_{name.upper()}", value)
    with pytest.raises(WrongSettings) as caught:
        load_for({})
    [told] = caught.value.faults
    assert fault in told
    assert "s3cret" not in told


def test_secrets_of_a_program_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTOMESH_CLIENT_ID", "c")
    monkeypatch.setenv("OCTOMESH_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("OCTOMESH_TOKEN_URL", "https://login.example.com/token")
    assert "s3cret" not in f"{load_for_operator({})!r} {load_for_client({}).model_dump_json()}"


def test_an_operator_asks_for_the_rights_of_an_agent_and_a_client_for_those_of_a_user() -> None:
    assert (load_for_operator({}).scope, load_for_client({}).scope) == ("octo_agent", "octo_api")


@pytest.mark.parametrize("name", ["broker_port", "operator_health_port"])
def test_what_kubernetes_sets_for_a_service_is_no_port_of_the_operator(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"OCTOMESH_{name.upper()}", "tcp://10.0.0.7:5672")
    assert getattr(load_for_operator({}), name) == OperatorSettings.model_fields[name].default
