"""How a program introduces itself to the API server: settings made credentials."""

from __future__ import annotations

from pydantic import SecretStr

from octomesh_graphql.credentials import (
    Client,
    ClientCredentials,
    Credentials,
    FixedToken,
    TokenFile,
    Unknown,
    secret_in,
)
from octomesh_graphql.settings import CallerSettings


def credentials_of(settings: CallerSettings) -> Credentials:
    """The one way that the settings name, which were checked for there being no other."""
    if settings.token:
        return FixedToken(settings.token.get_secret_value())
    if settings.token_file:
        return TokenFile(settings.token_file)
    if settings.client_id:
        return ClientCredentials(_client(settings, settings.client_id))
    return Unknown()


def _client(settings: CallerSettings, id: str) -> Client:
    file, handed = settings.client_secret_file, settings.client_secret
    return Client(
        id=id,
        scope=settings.scope,
        secret=secret_in(file) if file else (handed or SecretStr("")).get_secret_value,
        token_url=settings.token_url,
        issuer=settings.token_issuer,
    )
