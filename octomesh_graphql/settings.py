"""How a program starts: from `OCTOMESH_*` variables, and from flags, which win.

Server, operator and client often run in one environment, so each leaves the variables of the others alone. Everything
that is wrong is told at once. What does not belong here: how an adapter is configured, and acting on any of this; the
programs are handed their settings and never look at the environment themselves.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from octomesh_graphql.domain.session import LEASE_SECONDS
from octomesh_graphql.domain.text import shown
from octomesh_graphql.limits import DEFAULT, Limits

PREFIX: Final = "OCTOMESH_"

_SERVICE_LINK: Final = re.compile(
    r"OCTOMESH(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes puts into every container for each Service whose name begins with `octomesh`."""

_SERVICE_LINK_PORT: Final = re.compile(r"(tcp|udp|sctp)://.*")
"""The value of their `…_PORT`, `OCTOMESH_PORT` among them."""

_MONGO_URI: Final = re.compile(r"mongodb(\+srv)?://([^@/?#]+@)?[^@/?#\s]+([/?][^@\s]*)?")


class WrongSettings(Exception):
    """The settings can't be used; `faults` are all the reasons, each a sentence or two."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n  - ".join(["The settings can't be used:", *faults]) if len(faults) > 1 else faults[0])
        self.faults = faults


LogFormat = Annotated[Literal["auto", "json", "console"], Field(description="auto, json or console")]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], Field(description="debug, info, warning or error")]

_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
_SAFE_URL: Final = r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])[^\s?#@]+$"
_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_NAME: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

_SCOPE: Final = r"[\x21\x23-\x5b\x5d-\x7e]+"
Scope = Annotated[
    str, Field(max_length=1_000, pattern=f"^{_SCOPE}( {_SCOPE})*$", description="scopes, separated by blanks")
]


class ProgramSettings(BaseSettings):
    """How a program starts. A field's `description` completes the sentence "it must be …"."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, env_ignore_empty=True, validate_default=True, hide_input_in_errors=True
    )

    @field_validator("port", "operator_health_port", "broker_port", mode="before", check_fields=False)
    @classmethod
    def _set_by_a_person(cls, port: Any, info: ValidationInfo) -> Any:
        # A Service named octomesh makes Kubernetes set OCTOMESH_PORT=tcp://10.0.0.7:8000 in its own pods.
        name = str(info.field_name)
        return cls.model_fields[name].default if _SERVICE_LINK_PORT.fullmatch(str(port)) else port

    @field_validator("log_level", "log_format", "mongo_driver", mode="before", check_fields=False)
    @classmethod
    def _without_case(cls, word: Any) -> Any:
        return word.lower() if isinstance(word, str) else word

    @field_validator("data_dir", "mongod", "kubeconfig", "token_file", "client_secret_file", check_fields=False)
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and Path(os.path.abspath(os.path.expanduser(path)))


class Settings(ProgramSettings):
    """How a server starts, and the commands that work on its database."""

    # OCTOMESH_LIMITS_BODY_BYTES is body_bytes of limits.
    model_config = SettingsConfigDict(env_nested_delimiter="_", env_nested_max_split=1)

    host: str = Field("127.0.0.1", pattern=r"^[^\s/]+$", description="an address or a name of this machine")
    """Where to listen. Loopback, because without an issuer nobody is asked who they are."""

    port: int = Field(8000, ge=0, le=65_535, description="a number from 0 to 65535; 0 takes any free port")
    """A TCP port. 8000 is what people try first for a Python web server, and needs no rights."""

    data_dir: Path = Field(Path(".octomesh"), description="a directory")
    """Where the embedded MongoDB keeps its data. In the working directory, for every command alike, because it is for
    trials: what was tried stays where it was tried, two checkouts never meet, and deleting it starts over."""

    mongo_uri: SecretStr | None = Field(
        None,
        description="like mongodb://user:password@host1:27017,host2:27017/?replicaSet=rs0, "
        "with the special characters of user and password percent-encoded",
    )
    """A MongoDB replica set. None: the embedded one. Only a variable or, by OCTOMESH_MONGO_URI_FILE, a file: a flag
    would show the password to everybody who lists processes."""

    mongo_driver: Literal["motor", "pymongo"] = Field("motor", description="motor or pymongo")
    """The client library to MongoDB. Motor was asked for; PyMongo's own asynchronous client reads about twice as fast,
    and is the one still maintained after May 2027."""

    mongod: Path | None = Field(None, description="the path of a mongod program")
    """The program of the embedded MongoDB. None: that of the extra `embedded`, else the one on PATH."""

    database_prefix: str = Field(
        "octomesh_",
        pattern=r"^[a-z][a-z0-9_]{0,22}_$",
        description="up to 24 lower-case letters, digits and _, with a letter first and _ last",
    )
    """How names of databases begin. Another one lets two installations, or tests, share a MongoDB; with the 38
    characters of a tenant's id it stays below the 63 that MongoDB allows."""

    log_format: LogFormat = "auto"
    """How logs look. auto: readable on a terminal, else one JSON object a line, which is what collectors take."""

    log_level: LogLevel = "info"
    """What is logged: this and graver. info tells starts, stops and requests, not what every one of them did."""

    public_url: str | None = Field(
        None, pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", description="a URL like https://octomesh.example.com"
    )
    """Where users reach the server, when that is not where it listens: behind a proxy or an ingress. Pages that come
    from there may open WebSockets, by whatever host the proxy asks for them."""

    lease_seconds: float = Field(LEASE_SECONDS, ge=2, le=3_600, description="a number of seconds from 2 to 3600")
    """How long an agent that falls silent still counts as online. It is asked to renew four times as often; longer for
    lines that are often cut, shorter where OFFLINE has to be seen at once. The same for all servers."""

    oidc_issuer: str | None = Field(
        None,
        pattern=_SAFE_URL,
        description="a URL like https://login.example.com; http only on this machine",
    )
    """Who issues the access tokens by which callers are known, exactly as its tokens name it. None: nobody is asked who
    they are."""

    oidc_audience: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^\S+$",
        description="the audience that the issuer writes into tokens",
    )
    """For whom the tokens must be: this server, as the issuer knows it. Without it tokens for others would do."""

    oidc_report_only: bool = Field(False, description="true or false")
    """For a staged roll-out: log who would be refused, and serve everybody."""

    limits: Limits = DEFAULT
    """What one client may take of it. Only variables: who needs another one sets it once."""

    @field_validator("mongo_uri")
    @classmethod
    def _is_a_mongo_uri(cls, uri: SecretStr | None) -> SecretStr | None:
        # Checked here, because MongoDB's driver quotes parts of a malformed one, of its password too.
        if uri and not _MONGO_URI.fullmatch(uri.get_secret_value()):
            raise ValueError("malformed")
        return uri


class CallerSettings(ProgramSettings):
    """Where a program finds the server, and how it says who it is: by a token, by a file with one, or as a client to
    which an issuer gives tokens."""

    server_url: str = Field(
        "http://127.0.0.1:8000", pattern=_URL, description="a URL like https://octomesh.example.com"
    )
    """Where the API server is. Where one started on this machine listens by default."""

    token: SecretStr | None = Field(None, description="an access token")
    """Shown to the server as it is. Only a variable: a flag would show it to everybody who lists processes."""

    token_file: Path | None = Field(None, description="the path of a file with a token")
    """A bearer token for the server, read again each time: tokens are short-lived, their files renewed."""

    client_id: str | None = Field(
        None, max_length=200, pattern=r"^[\x20-\x7e]+$", description="as the issuer of tokens knows this program"
    )
    """With a secret, and the place where tokens are to be had, for OAuth 2.0 client credentials."""

    client_secret: SecretStr | None = Field(None, description="a secret that the issuer of tokens gave out")
    """Only a variable, as the token; in a file it is better kept."""

    client_secret_file: Path | None = Field(None, description="the path of a file with that secret")
    """Read again for each token."""

    token_url: str | None = Field(
        None, pattern=_SAFE_URL, description="a URL like https://login.example.com/token; http only on this machine"
    )
    """Where tokens are to be had."""

    token_issuer: str | None = Field(
        None, pattern=_SAFE_URL, description="a URL like https://login.example.com; http only on this machine"
    )
    """Whose discovery document tells the same."""

    scope: Scope = "octo_api"
    """What such tokens shall be good for: everything in one tenant."""

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token and not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value()):
            raise ValueError("malformed")
        return token


class ClientSettings(CallerSettings):
    """How the commands start that ask a server."""

    tenant: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,36}[a-z0-9])?$",
        description="the id of a tenant: 1 to 38 lower-case letters, digits and hyphens",
    )
    """Whose pools and adapters are meant."""


class OperatorSettings(CallerSettings):
    """How an operator starts."""

    scope: Scope = "octo_agent"
    """What such tokens shall be good for: the agents' API."""

    adapter_server_url: str | None = Field(None, pattern=_URL, description="a URL like https://octomesh.example.com")
    """Where adapters reach the server, if not where the operator does: it may run outside the cluster, or nearer to it.
    With a wrong one they stay UNREGISTERED while the operator looks healthy."""

    operator_id: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$",
        description="1 to 100 lower-case letters, digits, dots and hyphens, with a letter or digit at both ends",
    )
    """As the server knows it. None: the name of the cluster and an identity that is unique to the installation."""

    cluster_name: str | None = Field(
        None, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$", description="1 to 60 printable characters"
    )
    """What people call the cluster. None: as the context of the kubeconfig is called."""

    kubeconfig: Path | None = Field(None, description="the path of a kubeconfig")
    """How to reach the cluster. None: $KUBECONFIG or ~/.kube/config, else as a pod of the cluster itself."""

    context: str | None = Field(None, description="the name of a context in the kubeconfig")
    """Which cluster of the kubeconfig. None: its current context."""

    watch_namespace: str | None = Field(None, pattern=_LABEL, description="the name of a namespace")
    """The only namespace to serve. None: all; several operators in one cluster must not share any."""

    lease_namespace: str | None = Field(None, pattern=_LABEL, description="the name of a namespace")
    """Where replicas elect the one that leads. None: the watched one, else that of the pod, else default."""

    image_pull_secret: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names of Secrets, separated by commas"
    )
    """With which images are pulled, where a CommunicationPool names none of its own."""

    broker_host: str | None = Field(None, pattern=r"^[^\s/]+$", description="the name or address of a message broker")
    """The message broker of the cluster, as adapters reach it. None: they are told of none."""

    broker_port: int = Field(5672, ge=1, le=65_535, description="a number from 1 to 65535")
    """AMQP's own."""

    broker_virtual_host: str = Field("/", min_length=1, description="the name of a virtual host")
    """RabbitMQ's own default."""

    broker_secret: str | None = Field(None, pattern=_NAME, description="the name of a Secret")
    """In each namespace with adapters, with the keys brokerusername and brokerpassword."""

    undeploy_seconds: float = Field(60.0, ge=0, le=3_600, description="a number of seconds from 0 to 3600")
    """How long a deleted CommunicationPool waits for what was made for it; then it goes, and what stays is told. Twice
    the time that pods have to end."""

    operator_health_host: str = Field(
        "127.0.0.1", pattern=r"^[^\s/]+$", description="an address or a name of this machine"
    )
    """Where probes and metrics are answered. In a pod 0.0.0.0, because kubelets ask from outside of it."""

    operator_health_port: int = Field(
        8081, ge=0, le=65_535, description="a number from 0 to 65535; 0 takes any free port"
    )
    """What Kubernetes' own controllers use for it."""

    simulated: str | None = Field(None, min_length=1, description="the path of a YAML file, or - for standard input")
    """CommunicationPools to serve in a cluster that exists in memory only, for trials. None: a real cluster."""

    log_format: LogFormat = "auto"
    """As the server's."""

    log_level: LogLevel = "info"
    """As the server's. info tells what is done in the cluster, and why."""

    @field_validator("image_pull_secret", mode="before")
    @classmethod
    def _separated(cls, names: Any) -> Any:
        return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names

    @field_validator("image_pull_secret")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(_NAME, name) for name in names):
            raise ValueError("malformed")
        return names


Program = TypeVar("Program", bound=ProgramSettings)


def load(flags: Mapping[str, Any]) -> Settings:
    """The settings of a command. `flags` are fields by name, as given. Raises `WrongSettings`."""
    return _load(Settings, flags, [])


def load_for_server(flags: Mapping[str, Any], *, insecure: bool) -> Settings:
    """The settings of a server, which must not be open to strangers unless told. Raises `WrongSettings`."""
    return _load(Settings, flags, [*_half_an_issuer(flags), *([] if insecure else _exposed(flags))])


def load_for_operator(flags: Mapping[str, Any]) -> OperatorSettings:
    """The settings of an operator. Raises `WrongSettings`."""
    return _load(OperatorSettings, flags, [*_unclear_credentials(flags), *_half_a_broker(flags)])


def load_for_client(flags: Mapping[str, Any]) -> ClientSettings:
    """The settings of a command that asks a server. Raises `WrongSettings`."""
    return _load(ClientSettings, flags, [*_unclear_credentials(flags)])


def _load(program: type[Program], flags: Mapping[str, Any], faults: list[str]) -> Program:
    faults = [*_unknown(), *faults]
    given = dict(flags)
    try:
        given |= _from_files(program)
    except ValueError as error:
        faults.append(str(error))
    try:
        settings = program(**given)
    except ValidationError as error:
        faults += [_sentence(program, fault["loc"], flags) for fault in error.errors()]
    if faults:
        raise WrongSettings(faults)
    return settings


_SECRET: Final = ("token", "client_secret")
"""Never shown, and never flags."""


def _variable(field: str | int) -> str:
    return f"{PREFIX}{field}".upper()


def variables(program: type[ProgramSettings]) -> dict[str, FieldInfo]:
    """Each variable of a program, and what is known of it; limits, which are many, last."""
    fields = {_variable(name): field for name, field in program.model_fields.items() if name != "limits"}
    limits = {_variable(f"limits_{name}"): field for name, field in Limits.model_fields.items()}
    return {**fields, **limits} if "limits" in program.model_fields else fields


def _sentence(program: type[ProgramSettings], place: Sequence[str | int], flags: Mapping[str, Any]) -> str:
    """What is wrong with the value of a field, and what would be right."""
    name = "_".join(map(str, place[:2] if place[0] == "limits" else place[:1]))
    field = variables(program)[_variable(name)]
    expected = field.title or field.description
    if name == "mongo_uri":
        return f"OCTOMESH_MONGO_URI, whose value is not shown, is no MongoDB URI; it must be {expected}."
    if name in _SECRET:
        return f"{_variable(name)}, whose value is not shown, can't be used; it must be {expected}."
    if name in flags:
        return f"--{name.replace('_', '-')} is '{shown(_as_given(flags[name]))}'; it must be {expected}."
    value = next(value for variable, value in os.environ.items() if variable.upper() == _variable(name))
    return f"{_variable(name)} is '{shown(value)}'; it must be {expected}."


def _as_given(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple | list) else str(value)


def _from_files(program: type[ProgramSettings]) -> dict[str, str]:
    """What is given by a file. Raises ValueError with a sentence."""
    path = os.environ.get("OCTOMESH_MONGO_URI_FILE")
    if not path or "mongo_uri" not in program.model_fields:
        return {}
    if os.environ.get("OCTOMESH_MONGO_URI"):
        raise ValueError("OCTOMESH_MONGO_URI and OCTOMESH_MONGO_URI_FILE are both set; keep one of them.")
    try:
        return {"mongo_uri": Path(path).read_text(encoding="utf-8").strip()}
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"OCTOMESH_MONGO_URI_FILE is '{shown(path, 200)}', which can't be read: {reason}.") from error


_ALIKE: Final = 0.7
"""How much two names must have in common: ISSUER and OIDC_ISSUER have 0.71, INSECURE and CLIENT_SECRET 0.67."""


def _unknown() -> Iterator[str]:
    """Variables that nobody reads: most likely misspelt, and then a setting the user believes in is not in force."""
    programs: tuple[type[ProgramSettings], ...] = (Settings, OperatorSettings, ClientSettings)
    known = {variable for program in programs for variable in variables(program)} | {"OCTOMESH_MONGO_URI_FILE"}
    for name, value in sorted(os.environ.items()):
        if not name.startswith(PREFIX) or not value or name in known or _from_kubernetes(name, value):
            continue
        ends = [other.removeprefix(PREFIX) for other in known]  # the beginning, which all share, says nothing
        alike = difflib.get_close_matches(name.removeprefix(PREFIX), ends, n=1, cutoff=_ALIKE)
        yield f"{name} is not a setting. " + (f"Did you mean {PREFIX}{alike[0]}?" if alike else "Remove it.")


def _from_kubernetes(name: str, value: str) -> bool:
    link = name.endswith("_PORT") and _SERVICE_LINK_PORT.fullmatch(value)
    return bool(link or _SERVICE_LINK.fullmatch(name))


def _exposed(flags: Mapping[str, Any]) -> Iterator[str]:
    host = str(_given("host", flags) or Settings.model_fields["host"].default)
    if is_loopback(host) or (_given("oidc_issuer", flags) and not _reports_only(flags)):
        return
    unasked = "it is only reported who would be refused" if _reports_only(flags) else "nobody is asked who they are"
    yield (
        f"The host '{shown(host)}' can be reached from other machines, and {unasked}: whoever reaches it could read "
        "and change everything. Set OCTOMESH_OIDC_ISSUER and OCTOMESH_OIDC_AUDIENCE, listen on 127.0.0.1, or say "
        "--insecure if something in front of the server keeps strangers out."
    )


def _half_an_issuer(flags: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in ("oidc_issuer", "oidc_audience") if _given(name, flags)]
    if len(given) == 1:
        yield (
            f"Only {_variable(given[0])} is set. To check access tokens the server needs both: OCTOMESH_OIDC_ISSUER, "
            "who issues them, and OCTOMESH_OIDC_AUDIENCE, for whom they are."
        )
    elif not given and _reports_only(flags):
        yield "OCTOMESH_OIDC_REPORT_ONLY is set, but without OCTOMESH_OIDC_ISSUER there is nothing to report."


def _reports_only(flags: Mapping[str, Any]) -> bool:
    return str(_given("oidc_report_only", flags)).lower() in ("1", "true", "yes", "on", "y", "t")


def _given(field: str, flags: Mapping[str, Any]) -> Any:
    """What is given for a field, whatever it is worth."""
    return flags.get(field) or os.environ.get(_variable(field))


_OF_A_CLIENT: Final = ("client_id", "client_secret", "client_secret_file", "token_url", "token_issuer")


def _unclear_credentials(flags: Mapping[str, Any]) -> Iterator[str]:
    """More than one way to say who the program is, or half of one."""
    client = [name for name in _OF_A_CLIENT if _given(name, flags)]
    ways = [name for name in ("token", "token_file") if _given(name, flags)] + client[:1]
    if len(ways) > 1:
        *others, last = map(_variable, ways)
        yield f"{', '.join(others)} and {last} are set. A program says in one way who it is: keep one of them."
    elif client:
        yield from _half_a_client(client)


def _half_a_client(given: Sequence[str]) -> Iterator[str]:
    for choice, what in (
        (("client_id",), "the name of the client"),
        (("client_secret_file", "client_secret"), "its secret"),
        (("token_url", "token_issuer"), "where tokens are to be had"),
    ):
        found = [name for name in choice if name in given]
        variables = " or ".join(map(_variable, choice))
        if not found:
            yield (
                f"{_variable(given[0])} is set, but not {variables}, {what}. To get tokens from an issuer "
                "all three are needed: OCTOMESH_CLIENT_ID, OCTOMESH_CLIENT_SECRET_FILE or OCTOMESH_CLIENT_SECRET, and "
                "OCTOMESH_TOKEN_ISSUER or OCTOMESH_TOKEN_URL."
            )
        elif len(found) > 1:
            yield f"{' and '.join(map(_variable, choice))} are both set; keep one of them."


def _half_a_broker(flags: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in ("broker_host", "broker_secret") if _given(name, flags)]
    if len(given) == 1:
        yield (
            f"Only {_variable(given[0])} is set. To reach a message broker adapters need both: OCTOMESH_BROKER_HOST, "
            "where it is, and OCTOMESH_BROKER_SECRET, the Secret with their user and password."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than localhost is not trusted to be one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
