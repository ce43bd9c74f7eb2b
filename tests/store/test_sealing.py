"""What is handed out sealed comes back unchanged, or not at all."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomesh_graphql.store.sealing import Forged, Seal

SEAL = Seal(b"secret", "octomesh")


@given(st.binary())
def test_what_was_sealed_can_be_opened(payload: bytes) -> None:
    assert SEAL.open(SEAL.close(payload)) == payload


@given(st.binary(max_size=40), st.integers(0), st.integers(1, 255))
def test_one_changed_bit_is_noticed(payload: bytes, place: int, change: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(SEAL.close(payload) + "=="))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(Forged):
        SEAL.open(base64.urlsafe_b64encode(sealed).decode())


@given(st.text())
def test_any_text_is_forged(text: str) -> None:
    with pytest.raises(Forged):
        SEAL.open(text)


@pytest.mark.parametrize(
    "other",
    [
        Seal(b"another secret", "octomesh"),
        Seal(b"secret", "other"),
        SEAL.of("pools"),
        SEAL.of("pools", None),
        SEAL.of(("pools",)),
        SEAL.of("'pools'"),
    ],
)
def test_each_purpose_has_its_own_seal(other: Seal) -> None:
    with pytest.raises(Forged):
        SEAL.open(other.close(b"payload"))
    if other != SEAL.of("pools"):
        with pytest.raises(Forged):
            SEAL.of("pools").open(other.close(b"payload"))


def test_equal_purposes_open_each_others_seals() -> None:
    assert SEAL.of("pools", 1).open(Seal(b"secret", "octomesh").of("pools", 1).close(b"x")) == b"x"
