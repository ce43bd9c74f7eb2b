"""Who is let in, and who is not."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from octomesh_graphql.api.issuer import FRESH_SECONDS, KEPT_SECONDS, PAUSE_SECONDS, Issuer, IssuerSilent
from octomesh_graphql.api.tokens import LEEWAY_SECONDS, Tokens, Unauthenticated
from tests.issuing import AUDIENCE, TestIssuer, made


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Of the server."""
    return Clock()


@pytest.fixture
def issuer() -> TestIssuer:
    """One that is asked over no network."""
    issuer = TestIssuer()
    issuer.url = "https://issuer.example.com"
    issuer.discovery = {"jwks_uri": "https://issuer.example.com/keys"}
    return issuer


@pytest.fixture
def tokens(issuer: TestIssuer, clock: Clock) -> Tokens:
    """A server's view of them."""
    return Tokens(Issuer(issuer.url, fetch=issuer.fetch, clock=clock), AUDIENCE)


@pytest.mark.parametrize("key", ["rsa-1", "ec-1"])
async def test_a_good_token_tells_who_asks_and_what_they_may(issuer: TestIssuer, tokens: Tokens, key: str) -> None:
    caller = await tokens.caller(issuer.token(key=key))
    assert (caller.name, caller.authenticated, caller.tenant_id) == ("alice", True, "acme")
    assert (caller.may_read, caller.may_edit, caller.may_be_agent) == (True, True, False)
    assert caller.until
    assert caller.until.timestamp() == pytest.approx(time.time() + 600 + LEEWAY_SECONDS, abs=5)


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"scope": "octo_api"}, (True, True, False)),
        ({"scope": "octo_api.read_only"}, (True, False, False)),
        ({"scope": "octo_api.read_only octo_api"}, (True, True, False)),
        ({"scope": ["openid", "octo_api"]}, (True, True, False)),
        ({"scope": None, "scp": "octo_api"}, (True, True, False)),
        ({"scope": "octo_agent", "tenant_id": None}, (False, False, True)),
        ({"scope": "octo_agent octo_api"}, (True, True, True)),
        ({"scope": "octo_api", "tenant_id": None}, (False, False, False)),
        ({"scope": "OCTO_API octo_apis octo_api.read_only2"}, (False, False, False)),
        ({"scope": {"octo_api": True}}, (False, False, False)),
        ({"scope": [["octo_api"], 7]}, (False, False, False)),
        ({"scope": None}, (False, False, False)),
    ],
)
async def test_scopes_say_what_one_may(
    issuer: TestIssuer, tokens: Tokens, claims: dict[str, Any], may: tuple[bool, bool, bool]
) -> None:
    caller = await tokens.caller(issuer.token(**claims))
    assert (caller.may_read, caller.may_edit, caller.may_be_agent) == may


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({}, "alice"),
        ({"preferred_username": None, "client_id": "panel"}, "panel"),
        ({"preferred_username": None}, "5e0c"),
        ({"preferred_username": " ", "sub": " ", "azp": "panel"}, "panel"),
        ({"preferred_username": "Änne\x1b[31m"}, "Änne"),
        ({"preferred_username": "a" * 500}, "aaa"),
        ({"preferred_username": 7, "email": "a@example.com"}, "a@example.com"),
    ],
)
async def test_a_caller_has_a_name_that_can_be_shown(
    issuer: TestIssuer, tokens: Tokens, claims: dict[str, Any], name: str
) -> None:
    caller = await tokens.caller(issuer.token(**claims))
    assert caller.name.startswith(name)
    assert len(caller.name) <= 100
    assert caller.name.isprintable()


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def _altered(token: str, **claims: Any) -> str:
    head, body, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{_encoded({**told, **claims})}.{signature}"


def _bad(issuer: TestIssuer) -> Iterator[tuple[str, str]]:
    now, good = int(time.time()), issuer.token()
    claims = jwt.decode(good, options={"verify_signature": False})
    public = made("rsa-1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed_by_public = _hs256(claims, public)
    yield issuer.token(exp=now - 60), "has expired"
    yield issuer.token(nbf=now + 60), "is not valid yet"
    yield issuer.token(exp=None), "has no claim 'exp'"
    yield issuer.token(iss=None), "has no claim 'iss'"
    yield issuer.token(aud=None), "has no claim 'aud'"
    yield issuer.token(aud="somebody"), "its audience is not 'octomesh'"
    yield issuer.token(aud=["a", "b"]), "its audience is not 'octomesh'"
    yield issuer.token(iss="https://issuer.example.com/"), "its issuer is not 'https://issuer.example.com'"
    yield issuer.token(iss="https://evil.example.com"), "its issuer is not"
    yield f"{_encoded({'alg': 'none'})}.{_encoded(claims)}.", "is not signed by RS256 or ES256"
    yield f"{_encoded({'alg': 'NONE', 'kid': 'rsa-1'})}.{_encoded(claims)}.", "is not signed by"
    yield signed_by_public, "is not signed by"
    yield jwt.encode(claims, made("rsa-1"), "RS512", {"kid": "rsa-1"}), "is not signed by"
    yield issuer.token(key="rsa-9"), "with a key that its issuer does not have"
    yield issuer.token(key="rsa-9", header={"kid": "rsa-1"}), "signature or form is wrong"
    yield issuer.token(key="ec-9", header={"kid": "rsa-1"}), "signature or form is wrong"
    yield issuer.token(header={"kid": None}), "does not have"  # there are two
    yield issuer.token(header={"kid": ""}), "does not have"
    yield _altered(good, tenant_id="globex"), "signature or form is wrong"
    yield _altered(good, exp=10**400), "signature or form is wrong"
    yield good[:-8], "is no JSON Web Token|is wrong"
    yield f"{good}.more", "is no JSON Web Token"
    yield "", "is no JSON Web Token"
    yield "your-access-token", "is no JSON Web Token"
    yield "a.b.c", "is no JSON Web Token"
    yield "ü.ü.ü", "is no JSON Web Token"
    yield f"{_encoded({'alg': ['RS256']})}.{_encoded(claims)}.", "is no"
    yield f"{_encoded({'alg': 'RS256', 'kid': 7})}.{_encoded(claims)}.", "is no"
    yield f"{base64.urlsafe_b64encode(b'[' * 10_000).decode()}.e30.", "is no JSON Web Token"
    yield issuer.token(padding="x" * 20_000), "has more than 16,000 characters"
    yield issuer.token(exp="soon"), "signature or form is wrong"
    yield issuer.token(exp=str(now + 600)), "signature or form is wrong"
    yield issuer.token(exp=True), "has expired|is wrong"
    for no_number in (str(now - 60), True, [now - 60]):
        yield issuer.token(nbf=no_number), "signature or form is wrong"
        yield issuer.token(iat=no_number), "signature or form is wrong"
    for scope in ("octo_api", "octo_agent"):  # an agent's token without a tenant is for all of them
        for no_text in (["acme"], [], 7, 0, True, False, {"id": "acme"}):
            yield issuer.token(scope=scope, tenant_id=no_text), "'tenant_id' is no text"
    yield issuer.token(sub=None), "has no claim 'sub'"
    yield issuer.token(sub=" "), "has no claim 'sub'"
    yield issuer.token(sub=None, client_id=7, azp=""), "has no claim 'sub'"
    half = "half \ud800"
    yield issuer.token(sub=half), "signature or form is wrong"
    yield issuer.token(preferred_username=half), "signature or form is wrong"
    yield issuer.token(tenant_id=half), "signature or form is wrong"
    yield issuer.token(address={half: [half]}), "signature or form is wrong"


def _hs256(claims: dict[str, Any], secret: bytes) -> str:
    """By hand, because the library refuses a public key as the secret."""
    import hashlib
    import hmac

    signed = f"{_encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{_encoded(claims)}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


async def test_a_bad_token_is_refused_with_the_reason(issuer: TestIssuer, tokens: Tokens) -> None:
    assert await tokens.caller(issuer.token())
    for token, why in _bad(issuer):
        with pytest.raises(Unauthenticated, match=why):
            await tokens.caller(token)


async def test_a_subject_is_told_from_all_that_look_like_it(issuer: TestIssuer, tokens: Tokens) -> None:
    named: list[dict[str, Any]] = [
        {"sub": "robot"},
        {"sub": " robot"},
        {"sub": "Robot"},
        {"sub": None, "client_id": "robot"},
        {"sub": None, "azp": "robot"},
        {"sub": "client_id:robot"},
        {"sub": "sub:client_id:robot"},
    ]
    ids = [(await tokens.caller(issuer.token(**claims))).id for claims in named]
    assert len(set(ids)) == len(named)
    assert ids[:2] == ["robot", " robot"]
    again = await tokens.caller(issuer.token(sub=None, client_id="robot", azp="other"))
    assert again.id == ids[3]


async def test_clocks_may_differ_by_seconds(issuer: TestIssuer, tokens: Tokens) -> None:
    now = int(time.time())
    assert await tokens.caller(issuer.token(exp=now - 5))
    assert await tokens.caller(issuer.token(nbf=now + 5))


async def test_without_an_id_the_only_key_is_meant(issuer: TestIssuer, tokens: Tokens) -> None:
    issuer.keys = ["rsa-1"]
    assert await tokens.caller(issuer.token(header={"kid": None}))


# The issuer


async def test_keys_are_fetched_once_for_all_who_come_at_once(issuer: TestIssuer, tokens: Tokens) -> None:
    await asyncio.gather(*(tokens.caller(issuer.token()) for _ in range(50)))
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_new_key_is_found_when_it_is_first_met(issuer: TestIssuer, tokens: Tokens, clock: Clock) -> None:
    await tokens.caller(issuer.token())
    issuer.keys = ["rsa-2"]
    clock.now += PAUSE_SECONDS
    assert await tokens.caller(issuer.token(key="rsa-2"))
    with pytest.raises(Unauthenticated):
        await tokens.caller(issuer.token(key="rsa-1"))


async def test_invented_keys_do_not_make_us_ask_again_and_again(
    issuer: TestIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.caller(issuer.token())
    for number in range(100):
        with pytest.raises(Unauthenticated):
            await tokens.caller(issuer.token(key="rsa-9", header={"kid": f"invented-{number}"}))
    assert len(issuer.asked) == 2
    clock.now += PAUSE_SECONDS
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            await tokens.caller(issuer.token(key="rsa-9"))
    assert len(issuer.asked) == 4


async def test_an_outage_of_the_issuer_is_survived_with_the_keys_at_hand(
    issuer: TestIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.caller(issuer.token())
    issuer.down = True
    for _ in range(5):
        clock.now += FRESH_SECONDS
        assert await tokens.caller(issuer.token())
    clock.now += KEPT_SECONDS
    with pytest.raises(IssuerSilent, match="connection refused"):
        await tokens.caller(issuer.token())
    issuer.down = False
    clock.now += PAUSE_SECONDS
    assert await tokens.caller(issuer.token())


async def test_whether_an_unknown_key_is_a_new_one_is_left_open_until_the_issuer_can_be_asked(
    issuer: TestIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.caller(issuer.token())
    issuer.down, issuer.keys = True, ["rsa-1", "rsa-2"]
    clock.now += PAUSE_SECONDS
    for _ in range(2):
        with pytest.raises(IssuerSilent, match="connection refused"):
            await tokens.caller(issuer.token(key="rsa-2"))
        assert await tokens.caller(issuer.token())
    issuer.down = False
    clock.now += PAUSE_SECONDS
    assert await tokens.caller(issuer.token(key="rsa-2"))
    with pytest.raises(Unauthenticated, match="does not have"):
        await tokens.caller(issuer.token(key="rsa-9"))


async def test_a_withdrawn_key_is_not_believed_for_long(issuer: TestIssuer, tokens: Tokens, clock: Clock) -> None:
    await tokens.caller(issuer.token())
    issuer.keys = ["rsa-2"]
    clock.now += FRESH_SECONDS
    await tokens.caller(issuer.token())  # with the keys at hand, while others are fetched
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Unauthenticated):
        await tokens.caller(issuer.token())


@pytest.mark.parametrize(
    ("discovery", "why"),
    [
        ({"issuer": "https://other.example.com"}, "calls itself 'https://other.example.com'"),
        ({"jwks_uri": None}, "tells no 'jwks_uri'"),
        ({"jwks_uri": "http://issuer.example.com/keys"}, "not to be had by https"),
    ],
)
async def test_an_issuer_that_contradicts_itself_is_not_believed(
    issuer: TestIssuer, tokens: Tokens, discovery: dict[str, Any], why: str
) -> None:
    issuer.discovery |= discovery
    with pytest.raises(IssuerSilent, match=why):
        await tokens.caller(issuer.token())


@pytest.mark.parametrize("document", [None, [], {}, {"keys": []}, {"keys": 7}, {"keys": [{"kty": "oct", "k": "AA"}]}])
async def test_an_issuer_without_usable_keys_is_as_none(issuer: TestIssuer, document: Any) -> None:
    async def fetch(url: str) -> Any:
        return await issuer.fetch(url) if url.endswith("configuration") else document

    with pytest.raises(IssuerSilent):
        await Tokens(Issuer(issuer.url, fetch=fetch), AUDIENCE).caller(issuer.token())


async def test_documents_are_fetched_over_http() -> None:
    async with TestIssuer().running() as issuer:
        tokens = Tokens(Issuer(issuer.url), AUDIENCE)
        assert (await tokens.caller(issuer.token())).name == "alice"
        issuer.down = True
        with pytest.raises(IssuerSilent, match="503"):
            await Tokens(Issuer(issuer.url), AUDIENCE).caller(issuer.token())
    with pytest.raises(IssuerSilent, match="onnect"):
        await Tokens(Issuer(issuer.url), AUDIENCE).caller(issuer.token())
