from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.ratelimiter.credentials import digest_of, read, secret_of, written
from tests.unit.edge.vault import Vault

ID, SECRET = "0" * 20, "a" * 40


@given(tenant=st.text(min_size=1, max_size=40))
@example(tenant="a#b_c")
@example(tenant="é" * 100)
def test_a_key_says_whose_it_is_whatever_the_tenants_name(tenant: str) -> None:
    text = written(tenant, ID, SECRET)
    assert re.fullmatch("[a-z0-9_]+", text)
    found = read(text)
    assert found is not None
    assert found == (tenant, ID, digest_of(SECRET))


@given(text=st.text(max_size=100) | st.from_regex(r"mr_[a-z2-7]{2,20}_[0-9a-f]{20}_[a-z2-7]{40}"))
def test_what_is_read_is_spelt_in_one_way_alone(text: str) -> None:
    found = read(text)
    assert found is None or written(found.tenant, found.id, text.rpartition("_")[2]) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "mr_", "mr___", f"mr__{ID}_{SECRET}", f"mr_mq_{ID}_{SECRET}a", f"mr_mq_{ID}_{SECRET}\n",
        f"MR_MQ_{ID}_{SECRET.upper()}", f"mr_mr_{ID}_{SECRET}", f"mr_77777777_{ID}_{SECRET}",
        f"mr_m_{ID}_{SECRET}", f"mr_mq_{ID}_{'1' * 40}", "mr_" + "a" * 1_000_000,
    ],
)  # fmt: skip
def test_what_is_no_key_says_nothing(text: str) -> None:
    assert read(text) is None


def test_a_secret_is_of_its_stream_and_number_and_of_the_deployment() -> None:
    first, other = (Vault({"root": root}).secrets() for root in ("one", "two"))
    secrets = [
        secret_of(first, "key#default#a", 1),
        secret_of(first, "key#default#a", 2),
        secret_of(first, "key#default#b", 1),
        secret_of(other, "key#default#a", 1),
    ]
    assert len(set(secrets)) == 4
    assert secret_of(first, "key#default#a", 1) == secrets[0]
    assert all(re.fullmatch("[a-z2-7]{40}", secret) for secret in secrets)
