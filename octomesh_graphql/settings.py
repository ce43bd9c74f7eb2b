"""How a program starts: from `OCTOMESH_*` variables, and from flags, which win.

Everything that is wrong is told at once. What does not belong here: how an adapter is configured, and acting on any of
this; the programs are handed a `Settings` and never look at the environment themselves.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from octomesh_graphql.domain.text import shown

PREFIX: Final = "OCTOMESH_"

_OF_CLIENTS: Final = frozenset({"OCTOMESH_SERVER_URL", "OCTOMESH_TOKEN_FILE"})
"""For programs that call the server. It leaves them alone, because both often run in one environment."""

_NOT_YET: Final = ("OCTOMESH_OIDC_ISSUER", "OCTOMESH_OIDC_AUDIENCE")
"""Asked for by who wants tokens to be checked, which this version can't do."""

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


class Settings(BaseSettings):
    """How a program starts. A field's `description` completes the sentence "it must be …"."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, env_ignore_empty=True, validate_default=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", pattern=r"^[^\s/]+$", description="an address or a name of this machine")
    """Where to listen. Loopback, because nobody is asked who they are."""

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

    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto, json or console")
    """How logs look. auto: readable on a terminal, else one JSON object a line, which is what collectors take."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    """What is logged: this and graver. info tells starts, stops and requests, not what every one of them did."""

    public_url: str | None = Field(
        None, pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", description="a URL like https://octomesh.example.com"
    )
    """Where users reach the server, when that is not where it listens: behind a proxy or an ingress."""

    @field_validator("port", mode="before")
    @classmethod
    def _set_by_a_person(cls, port: Any) -> Any:
        # A Service named octomesh makes Kubernetes set OCTOMESH_PORT=tcp://10.0.0.7:8000 in its own pods.
        return cls.model_fields["port"].default if _SERVICE_LINK_PORT.fullmatch(str(port)) else port

    @field_validator("log_level", "log_format", "mongo_driver", mode="before")
    @classmethod
    def _without_case(cls, word: Any) -> Any:
        return word.lower() if isinstance(word, str) else word

    @field_validator("mongo_uri")
    @classmethod
    def _is_a_mongo_uri(cls, uri: SecretStr | None) -> SecretStr | None:
        # Checked here, because MongoDB's driver quotes parts of a malformed one, of its password too.
        if uri and not _MONGO_URI.fullmatch(uri.get_secret_value()):
            raise ValueError("malformed")
        return uri

    @field_validator("data_dir", "mongod")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and Path(os.path.abspath(os.path.expanduser(path)))


def load(flags: Mapping[str, Any]) -> Settings:
    """The settings of a command. `flags` are fields by name, as given. Raises `WrongSettings`."""
    return _load(flags, [])


def load_for_server(flags: Mapping[str, Any], *, insecure: bool) -> Settings:
    """The settings of a server, which must not be open to strangers unless told. Raises `WrongSettings`."""
    return _load(flags, [*_unprotected(), *([] if insecure else _exposed(flags))])


def _load(flags: Mapping[str, Any], faults: list[str]) -> Settings:
    faults = [*_unknown(), *faults]
    given = dict(flags)
    try:
        given |= _from_files()
    except ValueError as error:
        faults.append(str(error))
    try:
        settings = Settings(**given)
    except ValidationError as error:
        faults += [_sentence(fault["loc"][0], flags) for fault in error.errors()]
    if faults:
        raise WrongSettings(faults)
    return settings


def _variable(field: str | int) -> str:
    return f"{PREFIX}{field}".upper()


def _sentence(field: str | int, flags: Mapping[str, Any]) -> str:
    """What is wrong with the value of a field, and what would be right."""
    name = str(field)
    expected = Settings.model_fields[name].description
    if name == "mongo_uri":
        return f"OCTOMESH_MONGO_URI, whose value is not shown, is no MongoDB URI; it must be {expected}."
    if name in flags:
        return f"--{name.replace('_', '-')} is '{shown(str(flags[name]))}'; it must be {expected}."
    value = next(value for variable, value in os.environ.items() if variable.upper() == _variable(name))
    return f"{_variable(name)} is '{shown(value)}'; it must be {expected}."


def _from_files() -> dict[str, str]:
    """What is given by a file. Raises ValueError with a sentence."""
    path = os.environ.get("OCTOMESH_MONGO_URI_FILE")
    if not path:
        return {}
    if os.environ.get("OCTOMESH_MONGO_URI"):
        raise ValueError("OCTOMESH_MONGO_URI and OCTOMESH_MONGO_URI_FILE are both set; keep one of them.")
    try:
        return {"mongo_uri": Path(path).read_text(encoding="utf-8").strip()}
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ValueError(f"OCTOMESH_MONGO_URI_FILE is '{shown(path, 200)}', which can't be read: {reason}.") from error


def _unknown() -> Iterator[str]:
    """Variables that nobody reads: most likely misspelt, and then a setting the user believes in is not in force."""
    known = {_variable(field) for field in Settings.model_fields} | {"OCTOMESH_MONGO_URI_FILE", *_NOT_YET, *_OF_CLIENTS}
    for name, value in sorted(os.environ.items()):
        if not name.startswith(PREFIX) or not value or name in known or _from_kubernetes(name, value):
            continue
        ends = [other.removeprefix(PREFIX) for other in known]  # the beginning, which all share, says nothing
        alike = difflib.get_close_matches(name.removeprefix(PREFIX), ends, n=1)
        yield f"{name} is not a setting. " + (f"Did you mean {PREFIX}{alike[0]}?" if alike else "Remove it.")


def _from_kubernetes(name: str, value: str) -> bool:
    link = name.endswith("_PORT") and _SERVICE_LINK_PORT.fullmatch(value)
    return bool(link or _SERVICE_LINK.fullmatch(name))


def _unprotected() -> Iterator[str]:
    for name in _NOT_YET:
        if os.environ.get(name):
            yield (
                f"{name} is set, but this version can't check tokens yet, and would serve everybody unasked. "
                "Remove it; the server then listens on loopback only."
            )


def _exposed(flags: Mapping[str, Any]) -> Iterator[str]:
    host = str(flags.get("host") or os.environ.get("OCTOMESH_HOST") or Settings.model_fields["host"].default)
    if not is_loopback(host):
        yield (
            f"The host '{shown(host)}' can be reached from other machines, and nobody is asked who they are: whoever "
            "reaches it could read and change everything. Listen on 127.0.0.1, or say --insecure if something in "
            "front of the server keeps strangers out."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than localhost is not trusted to be one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
