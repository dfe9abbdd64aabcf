from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from functions.ratelimiter.headers import (
    HOP_BY_HOP,
    MAX_BYTES,
    Asker,
    settable,
    to_client,
    to_upstream,
    went_through,
)

ASKER = Asker("203.0.113.7", "api.example", "c0rr", {"x-millrace-key": "k"})
NAMES = st.sampled_from(
    [
        *(*HOP_BY_HOP, "host", "content-length", "expect", "x-api-key", "x-forwarded-for", "via"),
        *("forwarded", "x_forwarded_for", "X-Real-IP", "x-millrace-scopes", "x_millrace_key", "x"),
        *("authorization", "accept", "a b", "", "x:y", "é", "x\r\ny", "client_ip", "X-Mine"),
        "cookie",
    ]
)
VALUES = st.sampled_from(
    ["", "1", "close, x, X-Mine", "a\r\nb: c", "\x00", "é", "keep-alive", "1.2.3.4", "\ud800"]
)
GIVEN = st.dictionaries(NAMES, VALUES, max_size=10)
KEPT = "x-api-key"


def sent(given: dict[str, str], keeps_key: bool = False) -> dict[str, str | bytes]:
    return to_upstream(given, [], [], ASKER, keeps_key)


@given(given=GIVEN, keeps_key=st.booleans())
@example(given={"connection": "x-forwarded-for, via, x-correlation-id"}, keeps_key=False)
def test_an_upstream_gets_nothing_that_is_of_one_hop_or_a_clients_claim(
    given: dict[str, str], keeps_key: bool
) -> None:
    fields = sent(given, keeps_key)
    assert not fields.keys() & (HOP_BY_HOP | {"host", "content-length", "expect"})
    claimed = {name for name in fields if name.replace("_", "-").startswith("x-forwarded")}
    assert claimed == {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
    assert fields["x-forwarded-for"] == "203.0.113.7"
    assert fields["forwarded"] == "for=203.0.113.7;host=api.example;proto=https"
    ours = {name for name in fields if name.replace("_", "-").startswith("x-millrace-")}
    assert (ours, fields["x-millrace-key"]) == ({"x-millrace-key"}, "k")
    assert keeps_key or KEPT not in fields
    octets = {n: v if isinstance(v, bytes) else v.encode("ascii") for n, v in fields.items()}
    assert octets["via"].endswith(b"1.1 api.example")
    for name, value in octets.items():
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name)
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)


@given(given=GIVEN)
def test_what_connection_names_goes_no_further(given: dict[str, str]) -> None:
    fields = sent({**given, "connection": "close, X-Mine", "x-mine": "1"})
    assert "x-mine" not in fields


def test_an_ordinary_field_goes_on_as_it_is() -> None:
    plain = {"accept": "*/*", "authorization": "Bearer x", "if-match": '"1"', "range": "bytes=0-1"}
    assert plain.items() <= sent(plain).items()


def test_an_ipv6_address_is_told_as_rfc_7239_has_it() -> None:
    asker = ASKER._replace(address="2001:db8::1")
    fields = to_upstream({}, [], [], asker, False)
    assert fields["forwarded"] == 'for="[2001:db8::1]";host=api.example;proto=https'
    assert fields["x-forwarded-for"] == "2001:db8::1"


def test_what_an_upstream_is_always_sent_is_in_the_place_of_the_clients() -> None:
    fixed = [("authorization", "Basic y")]
    fields = to_upstream({"authorization": "x"}, [], fixed, ASKER, False)
    assert fields["authorization"] == "Basic y"


@given(name=NAMES)
def test_what_may_be_set_is_nothing_that_the_gateway_says(name: str) -> None:
    if settable(name):
        assert name.lower() == name
        fixed = [(name, "mine")]
        fields = to_upstream({}, [], fixed, ASKER, False)
        assert fields[name] == "mine"
        assert {**fields, name: ""} == {**sent({}), name: ""}


BACK = st.lists(
    st.tuples(
        NAMES
        | st.sampled_from(["Set-Cookie", "Strict-Transport-Security", "Clear-Site-Data", "vary"]),
        VALUES,
    ),
    max_size=10,
)


@given(given=BACK)
def test_a_client_gets_nothing_that_is_of_one_hop_or_of_the_hosts_policy(
    given: list[tuple[str, str]],
) -> None:
    returned = to_client(given, "api.example", "/gw/orders")
    assert returned is not None
    named = {each.strip() for n, v in given if n == "connection" for each in v.lower().split(",")}
    dropped = HOP_BY_HOP | {"strict-transport-security", "clear-site-data", "set-cookie"}
    assert not returned.headers.keys() & (dropped | {"content-length"} | named - {"via"})
    assert not [name for name in returned.headers if name.startswith("x-millrace-")]
    assert returned.headers["content-security-policy"].endswith("sandbox")
    for name, value in returned.headers.items():
        assert name == name.lower()
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
    for cookie in returned.cookies:
        assert cookie.endswith("; Path=/gw/orders")
        assert not re.search(r"[\r\n\x00]", cookie)


ATTRIBUTES = st.sampled_from(
    [
        *("Path=/", "path=/x", " PATH = /", "Domain=example.com", "domain", "HttpOnly", "Secure"),
        *("SameSite=None", "Max-Age=1", "Path=/gw", ""),
    ]
)


@given(attributes=st.lists(ATTRIBUTES, max_size=6))
def test_a_cookie_is_for_the_upstream_alone(attributes: list[str]) -> None:
    text = ";".join(["a=b", *attributes])
    returned = to_client([("Set-Cookie", text)], "api.example", "/gw/orders")
    assert returned is not None
    [cookie] = returned.cookies
    pair, *found = [each.strip() for each in cookie.split(";")]
    names = [each.partition("=")[0].strip().lower() for each in found]
    assert (pair, names.count("path"), names.count("domain")) == ("a=b", 1, 0)
    assert found[-1] == "Path=/gw/orders"
    assert [n for n in names if n in ("httponly", "secure")] == [
        each.strip().lower() for each in attributes if each in ("HttpOnly", "Secure")
    ]


def test_as_many_bytes_of_fields_as_fit_come_back() -> None:
    most = [("x", "v" * (MAX_BYTES - 1))]
    assert to_client(most, "api.example", "/gw/orders") is not None
    assert to_client([*most, ("y", "")], "api.example", "/gw/orders") is None


def test_a_circle_is_seen_by_the_own_name_alone() -> None:
    assert went_through({"via": "1.1 api.example"}, "api.example")
    assert went_through({"via": "1.0 a, 1.1 api.example (x)"}, "api.example")
    assert not went_through({"via": "1.1 other.example, 1.1 api.example.org"}, "api.example")
    assert not went_through({}, "api.example")
