"""Sealed texts: what a client hands back later, and can neither read meaning into nor make up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

_TAG_BYTES: Final = 12  # 96 bits: nobody guesses that within a server's rate limits


class Forged(Exception):
    """The text was not sealed here for this purpose."""


@dataclass(frozen=True)
class Seal:
    """Closes bytes into a text for one purpose; the secret is shared by all servers of a database."""

    secret: bytes
    purpose: str

    def of(self, *purpose: object) -> Seal:
        """The seal for a narrower purpose."""
        return Seal(self.secret, "\x1f".join([self.purpose, *map(repr, purpose)]))

    def close(self, payload: bytes) -> str:
        """The sealed text."""
        return base64.urlsafe_b64encode(self._tag(payload) + payload).decode().rstrip("=")

    def open(self, text: str) -> bytes:
        """What was sealed. Raises `Forged`."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise Forged from error
        tag, payload = data[:_TAG_BYTES], data[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(payload)):
            raise Forged
        return payload

    def _tag(self, payload: bytes) -> bytes:
        keyed = hmac.new(self.secret, self.purpose.encode() + b"\x00" + payload, hashlib.sha256)
        return keyed.digest()[:_TAG_BYTES]
