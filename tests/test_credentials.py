"""Credentials: where a program gets its token, how long it keeps it, and what it says when there is none."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from octomesh_graphql.credentials import (
    NOBODY,
    Client,
    ClientCredentials,
    FixedToken,
    NoToken,
    TokenFile,
    authorization,
    secret_in,
)
from tests.issuing import TestIssuer


class Clock:
    """A clock that is turned by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def robot(known_by: TestIssuer, clock: Clock | None = None, **given: Any) -> ClientCredentials:
    """The credentials of a client that the issuer knows, but for what is given."""
    usual: dict[str, Any] = {"id": "robot", "scope": "octo_agent", "secret": lambda: "s3cret"}
    usual |= {} if "issuer" in given else {"token_url": f"{known_by.url}/token"}
    return ClientCredentials(Client(**(usual | given)), clock=clock or Clock())


async def why_not(credentials: Any) -> str:
    """Why there is no token."""
    with pytest.raises(NoToken) as caught:
        await credentials.token()
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


async def test_who_says_nothing_shows_nothing() -> None:
    assert await authorization(NOBODY) == {}


async def test_a_token_is_shown_as_a_bearer_token_and_does_not_show_itself() -> None:
    credentials = FixedToken("s3cret")
    assert await authorization(credentials) == {"Authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(credentials)


# A file


async def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    credentials = TokenFile(tmp_path / "token")
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert await credentials.token() == token


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't be read: No such file or directory."),
        (b"\xff", "can't be read: it is not text."),
        (b"\n", "holds nothing."),
        (b"s3cret\r\ns3cret", "holds more than one token, or none."),
        (b"<html>no s3cret</html>", "holds more than one token, or none."),
    ],
)
async def test_a_file_without_a_token_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    assert await why_not(TokenFile(tmp_path / "token")) == f"The token file {tmp_path}/token {why}"


# A client of an issuer


async def test_an_issuer_gives_a_token_of_the_scope_that_was_asked_for(issuer: TestIssuer) -> None:
    token = await robot(issuer).token()
    assert [token] == issuer.granted
    assert issuer.asked == ["/token"]


async def test_where_tokens_are_is_told_by_the_issuer(issuer: TestIssuer) -> None:
    await robot(issuer, issuer=issuer.url).token()
    assert issuer.asked == ["/.well-known/openid-configuration", "/token"]


async def test_names_and_secrets_with_special_characters_are_understood(issuer: TestIssuer) -> None:
    issuer.clients["a:b c"] = "ö:%+ &="
    assert await robot(issuer, id="a:b c", secret=lambda: "ö:%+ &=").token()


async def test_an_issuer_that_wants_the_secret_in_the_body_gets_it_there(issuer: TestIssuer) -> None:
    issuer.discovery["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert await robot(issuer, issuer=issuer.url).token()


async def test_a_token_is_kept_until_shortly_before_it_ends(issuer: TestIssuer) -> None:
    clock = Clock()
    credentials = robot(issuer, clock)
    first = await credentials.token()
    clock.now += 569
    assert await credentials.token() == first
    assert len(issuer.granted) == 1
    clock.now += 2
    await credentials.token()
    assert len(issuer.granted) == 2


@pytest.mark.parametrize(("told", "kept"), [(10, 4.9), ("10", 4.9), (None, 0), ("soon", 0), (-5, 0)])
async def test_a_short_token_is_kept_for_half_its_time_and_one_of_unknown_length_not(
    issuer: TestIssuer, told: Any, kept: float
) -> None:
    issuer.expires_in, clock = told, Clock()
    credentials = robot(issuer, clock)
    await credentials.token()
    clock.now += kept
    await credentials.token()
    assert len(issuer.granted) == (1 if kept else 2)
    clock.now += 0.2
    await credentials.token()
    assert len(issuer.granted) == (2 if kept else 3)


async def test_a_token_that_was_refused_is_shown_no_more(issuer: TestIssuer) -> None:
    credentials = robot(issuer)
    await credentials.token()
    credentials.refused()
    await credentials.token()
    assert len(issuer.granted) == 2


async def test_a_secret_in_a_file_is_read_for_each_token(issuer: TestIssuer, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    credentials = robot(issuer, secret=secret_in(file))
    await credentials.token()
    issuer.clients["robot"] = "other"
    file.write_text("other\n")
    credentials.refused()
    assert await credentials.token()
    file.unlink()
    credentials.refused()
    assert await why_not(credentials) == (
        f"The file with the client's secret, {file}, can't be read: No such file or directory."
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            {"id": "stranger"},
            "gives the client 'stranger' no token: invalid_client: Client authentication failed. Does it know "
            "OCTOMESH_CLIENT_ID, and is that its secret?",
        ),
        ({"scope": "all"}, "gives the client 'robot' no token: invalid_scope. OCTOMESH_SCOPE asks for 'all'."),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_the_issuer(
    issuer: TestIssuer, given: dict[str, Any], why: str
) -> None:
    assert await why_not(robot(issuer, **given)) == f"{issuer.url}/token {why}"


async def test_an_issuer_in_trouble_is_named_with_its_status(issuer: TestIssuer) -> None:
    issuer.down = True
    assert await why_not(robot(issuer)) == f"{issuer.url}/token gives the client 'robot' no token: status 503."
    assert "openid-configuration, which should tell where tokens are to be had, answers 503." in await why_not(
        robot(issuer, issuer=issuer.url)
    )


async def test_an_issuer_that_is_not_there_is_named(issuer: TestIssuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    told = await why_not(robot(issuer, token_url=f"http://127.0.0.1:{port}/token"))
    assert told.startswith(f"http://127.0.0.1:{port}/token, where tokens are to be had, can't be reached: ")


async def test_a_secret_goes_to_the_issuer_only(issuer: TestIssuer) -> None:
    issuer.discovery["issuer"] = "https://other.example.com"
    assert "calls itself 'https://other.example.com': another issuer." in await why_not(
        robot(issuer, issuer=issuer.url)
    )
    issuer.discovery = {"token_endpoint": "ftp://elsewhere"}
    assert "tells no 'token_endpoint' that can be used." in await why_not(robot(issuer, issuer=issuer.url))
    assert "/token" not in issuer.asked


async def test_what_is_no_token_is_not_shown_to_the_server(issuer: TestIssuer) -> None:
    issuer.token_type = "mac"
    assert await why_not(robot(issuer)) == f"{issuer.url}/token answers, but with no bearer token."
