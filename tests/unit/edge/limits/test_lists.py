from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.edge.limits.lists import Entry, Listed, network
from functions.edge.limits.rules import Asked, Rulebook

V4, V6 = int(ip_address("203.0.113.0")), int(ip_address("2001:db8:1:2::"))
ADDRESSES = st.one_of(
    st.integers(0, 300).map(lambda n: str(ip_address(V4 - 20 + n))),
    st.integers(0, 300).map(lambda n: str(IPv6Address(V6 - 20 + n))),
    st.integers(0, 2**32 - 1).map(lambda n: str(ip_address(n))),
)
"""Near to each other, so that networks meet them."""


def networks() -> st.SearchStrategy[str]:
    def around(address: str, length: int) -> str:
        return network(str(ip_network(f"{address}/{length}", strict=False)))

    lengths = st.one_of(st.integers(22, 32), st.integers(0, 32))
    return st.builds(around, ADDRESSES.filter(lambda text: ":" not in text), lengths) | st.builds(
        around, ADDRESSES.filter(lambda text: ":" in text), st.integers(118, 128)
    )


@for_all(texts=st.lists(networks(), max_size=8), address=ADDRESSES)
def test_an_address_is_on_a_list_if_one_of_its_networks_has_it(
    texts: list[str], address: str
) -> None:
    expected = any(ip_address(address) in ip_network(text) for text in texts)
    listed = Listed.of(Entry("ip", text) for text in texts)
    assert listed.has({"ip": "whatever"}, address) == expected
    if ":" not in address:
        assert listed.has({}, f"::ffff:{address}") == expected


@for_all(text=networks())
def test_a_network_is_kept_in_one_spelling(text: str) -> None:
    assert network(text) == text
    assert network(text.upper()) == text
    if isinstance(found := ip_network(text), IPv6Network):
        assert network(found.exploded) == text
    if "/" not in text:
        assert network(f"{text}/{found.max_prefixlen}") == text


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "10.0.0.1/8", "2001:db8::1/32", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
        "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0", "10.0.0.01", " 10.0.0.1",
        "10.0.0.0/\u0668", "fe80::1%eth0", "fe80::%eth0/64", "::ffff:192.0.2.1",
        "::ffff:192.0.2.0/120", "10.0.0.0/8/8", "10.0.0.0,10.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^ip is "):
        network(text)


@pytest.mark.parametrize(
    ("identities", "there"),
    [
        ({"user": "caf\u00e9"}, True),
        ({"user": "cafe\u0301"}, True),
        ({"user": "ada", "header:x-bot": "\uff11"}, True),
        ({"user": "cafe"}, False),
        ({"api_key": "caf\u00e9"}, False),
        ({"header:x-bot": "2"}, False),
        ({}, False),
    ],
)
def test_an_identity_is_on_a_list_by_its_kind(identities: dict[str, str], there: bool) -> None:
    listed = Listed.of([Entry("user", "cafe\u0301"), Entry("header:x-bot", "1")])
    assert listed.has(identities, None) == there


def test_an_identity_is_no_address() -> None:
    assert not Listed.of([Entry("ip", "10.0.0.1")]).has({"ip": "10.0.0.1"}, None)
    assert not Listed.of([Entry("user", "10.0.0.1")]).has({}, "10.0.0.1")


@pytest.mark.parametrize(
    ("allow", "deny", "standing"),
    [
        ("eve", "eve", None),
        ("ada", "eve", "allowed"),
        ("eve", "ada", "denied"),
        ("ada", "ada", "denied"),
    ],
)
def test_deny_wins_over_allow(allow: str, deny: str, standing: str | None) -> None:
    on = [Listed.of([Entry("user", name)]) for name in (allow, deny)]
    assert Rulebook((), *on).standing(Asked("/", "GET", {"user": "ada"})) == standing
