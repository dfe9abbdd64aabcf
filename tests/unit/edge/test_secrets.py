from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.edge.vault import ARN, Vault


@given(st.text(min_size=1), st.text())
def test_keys_are_those_of_hkdf(material: str, purpose: str) -> None:
    reference = HKDF(SHA256(), length=32, salt=None, info=purpose.encode())
    key = Vault({"root": material}).secrets().key(purpose)
    assert key == reference.derive(material.encode())


@given(st.lists(st.text(), unique=True, min_size=2))
def test_every_purpose_has_a_key_of_its_own(purposes: list[str]) -> None:
    secrets = Vault().secrets()
    assert len({secrets.key(purpose) for purpose in purposes}) == len(purposes)


def test_every_key_id_has_keys_of_its_own() -> None:
    secrets = Vault({"root": "one", "k2": "two"}).secrets()
    assert secrets.key("cursor") == secrets.key("cursor", "root") != secrets.key("cursor", "k2")


def test_the_secret_is_asked_for_once_and_not_before_it_is_needed() -> None:
    vault = Vault()
    secrets = vault.secrets()
    assert vault.asked == []
    for purpose in ("cursor", "codes", "cursor"):
        secrets.key(purpose)
    assert secrets.current == "root"
    assert vault.asked == [ARN]


def test_what_signs_now_is_named_by_current() -> None:
    assert Vault({"root": "one", "k2": "two", "current": "k2"}).secrets().current == "k2"


def test_an_unknown_key_id_is_an_error() -> None:
    with pytest.raises(KeyError):
        Vault().secrets().key("cursor", "k9")


def test_the_name_of_the_current_key_is_no_key_itself() -> None:
    # Its "material" would be a key id, which every cursor shows to its reader.
    with pytest.raises(KeyError):
        Vault({"root": "one", "k2": "two", "current": "k2"}).secrets().key("cursor", "current")
