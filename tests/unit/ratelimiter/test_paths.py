from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from functions.edge.problem import Problem
from functions.ratelimiter.paths import Place, place_of, seen_from_outside

BASES = st.sampled_from(["", "/base", "/a/b"])
PIECES = st.sampled_from(
    [
        *("/", "//", "..", ".", "%", "%2e", "%2E%2e", "%252e", "%25", "%2f", "\\", "@", ":", "a"),
        *("?", "#", " ", "\r\n", "\x00", "é", "\u2025", "\uff0e", "\u2044", ";", "evil.example"),
    ]
)
PATHS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)


def place(rest: str) -> Place:
    found = place_of(f"/gw/orders{rest}", "orders")
    assert found is not None
    return found


@given(path=PATHS, base=BASES, query=PATHS)
@example(path="..", base="/base", query="")
@example(path="..?", base="/base", query="")
@example(path="..;/x", base="/base", query="")
@example(path="%252e%252e/x", base="/base", query="")
@example(path="/evil.example/x", base="", query="")
@example(path=";/evil.example/x", base="", query="")
@example(path="a/;b=c/x", base="", query="")
def test_no_path_leads_to_another_host_or_out_of_the_base(path: str, base: str, query: str) -> None:
    with suppress(Problem):
        stays_below(base, place(f"/{path}").target(base, query))


def stays_below(base: str, target: str) -> None:
    # One line of printable ASCII, which no parser takes for an authority.
    assert re.fullmatch(r"/[!-~]*", target)
    assert not target.startswith("//")
    assert "\\" not in target.partition("?")[0]
    seen = target.partition("?")[0]
    for _ in range(3):
        # As a server sees it that leaves parameters out.
        plain = re.sub(r";[^/]*", "", seen)
        whole = urlsplit(urljoin("https://upstream.example/", plain))
        assert whole.netloc == "upstream.example"
        assert "//" not in plain
        assert f"{whole.path}/".startswith(f"{base}/")
        seen = unquote(seen)


@given(path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), base=BASES)
def test_an_upstream_decodes_the_path_that_the_client_meant(path: str, base: str) -> None:
    try:
        target = place(f"/{path}").target(base, "")
    except Problem:
        assume(False)
    assert unquote(target) == f"{base}/{path}".replace("%25", "%")


@given(query=st.text(st.sampled_from("abc%2fF0&=+/?:@!$'()*,;-._~[]|"), max_size=30))
def test_a_query_is_sent_as_it_came(query: str) -> None:
    target = place("/x").target("", query)
    assert target == (f"/x?{query}" if query else "/x")


@pytest.mark.parametrize(
    ("raw", "label", "expected"),
    [
        ("/gw/orders", "orders", (None, "orders", "/gw/orders", "")),
        ("/gw/orders/", "orders", (None, "orders", "/gw/orders", "/")),
        ("/gw/acme~orders/x", "acme~orders", ("acme", "orders", "/gw/acme~orders", "/x")),
        ("/v2/gw/orders/x", "orders", (None, "orders", "/v2/gw/orders", "/x")),
        ("/gw/a~b~orders", "a~b~orders", ("a~b", "orders", "/gw/a~b~orders", "")),
        ("/gw/a b~orders", "a b~orders", ("a b", "orders", "/gw/a%20b~orders", "")),
        ("/gw/orders/a/gw/orders/b", "orders", (None, "orders", "/gw/orders", "/a/gw/orders/b")),
    ],
)
def test_a_place_is_named_by_the_first_segment(
    raw: str, label: str, expected: tuple[str | None, str, str, str]
) -> None:
    assert place_of(raw, label) == expected


@pytest.mark.parametrize(
    "label",
    ["", "~orders", "Orders", "-x", "a_b", "x" * 41, "acme~", "acme~a b", "t" * 1001 + "~x"],
)
def test_what_can_be_no_name_is_no_place(label: str) -> None:
    assert place_of(f"/gw/{label}/x", label) is None


def test_rules_know_an_upstream_by_its_name_alone() -> None:
    found = place_of("/gw/acme~orders/x", "acme~orders")
    assert found is not None
    assert found.endpoint == "/gw/orders/x"


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("https://up.example/base/there", "/gw/orders/there"),
        ("https://up.example/base", "/gw/orders"),
        ("/base/there?x=1#f", "/gw/orders/there?x=1#f"),
        ("there", "/gw/orders/a/there"),
        ("../there", "/gw/orders/there"),
        ("?x=1", "/gw/orders/a/b?x=1"),
        ("/elsewhere", "https://up.example/elsewhere"),
        ("../../../etc", "https://up.example/etc"),
        ("https://up.example/basement", "https://up.example/basement"),
        ("//other.example/base/x", "https://other.example/base/x"),
        ("https://other.example/base/x", "https://other.example/base/x"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_a_location_below_the_upstream_is_one_below_the_gateway(location: str, seen: str) -> None:
    asked, base = "https://up.example/base/a/b", "https://up.example/base"
    assert seen_from_outside(location, asked, base, "/gw/orders") == seen
