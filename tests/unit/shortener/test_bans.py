from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.kernel.store import Stream
from functions.shortener.bans import (
    DECIDER,
    Ban,
    BanImposed,
    BanLifted,
    ImposeBan,
    LiftBan,
    over_host,
    stream_id,
)
from functions.shortener.directory import Directory, render
from tests.support.clock import START as NOW
from tests.support.given import given

IMPOSED = BanImposed("host", "evil.example", "phishing", NOW)
IMPOSE = ImposeBan("host", "evil.example", "phishing", NOW)


def directory(*banned: tuple[str, str]) -> Directory:
    return Directory({stream_id(*each): Ban(*each, "", NOW) for each in banned})  # type: ignore[arg-type]


def test_a_ban_is_imposed_once() -> None:
    given(DECIDER).when(IMPOSE).then(IMPOSED)
    given(DECIDER, IMPOSED).when(IMPOSE).then()


def test_a_ban_gets_another_reason() -> None:
    other = BanImposed("host", "evil.example", "malware", NOW)
    given(DECIDER, IMPOSED).when(ImposeBan("host", "evil.example", "malware", NOW)).then(other)


def test_a_ban_is_lifted_once_and_imposed_again() -> None:
    given(DECIDER, IMPOSED).when(LiftBan()).then(BanLifted())
    given(DECIDER, IMPOSED, BanLifted()).when(LiftBan()).then()
    given(DECIDER, IMPOSED, BanLifted()).when(IMPOSE).then(IMPOSED)
    given(DECIDER).when(LiftBan()).then()


def test_a_host_is_under_its_own_ban_and_those_of_all_above_it() -> None:
    assert list(over_host("a.b.example")) == [
        "ban#host#a.b.example",
        "ban#host#b.example",
        "ban#host#example",
    ]
    assert list(over_host("2001:db8::1")) == ["ban#host#2001:db8::1"]


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("evil.example", "ban#host#evil.example"),
        ("a.evil.example", "ban#host#evil.example"),
        ("notevil.example", None),
        ("evil.example.org", None),
        ("example", None),
    ],
)
def test_a_ban_covers_a_host_and_what_is_below_it_alone(host: str, found: str | None) -> None:
    assert directory(("host", "evil.example")).over_host(host) == found


LABELS = st.sampled_from(["a", "b", "evil", "example"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
BANS = st.lists(st.tuples(st.just("host"), HOSTS) | st.tuples(st.just("owner"), LABELS), max_size=6)


@for_all(LABELS, st.lists(HOSTS, max_size=4), BANS)
def test_which_ban_a_link_is_under_depends_on_no_order(
    owner: str, hosts: list[str], banned: list[tuple[str, str]]
) -> None:
    found = directory(*banned).over_link(owner, hosts)
    assert found == directory(*banned[::-1]).over_link(owner, hosts[::-1])
    covering = {
        stream_id(kind, value)
        for kind, value in banned
        if (kind == "owner" and value == owner)
        or (kind == "host" and any(f".{host}".endswith(f".{value}") for host in hosts))
    }
    assert found == min(covering, default=None)


@for_all(LABELS, BANS)
def test_a_corrected_directory_knows_just_that(owner: str, banned: list[tuple[str, str]]) -> None:
    ban = stream_id("owner", owner)
    known = directory(*banned)
    assert known.corrected(ban, None).over_owner(owner) is None
    with_it = known.corrected(ban, Ban("owner", "x", "", NOW))
    assert with_it.over_owner(owner) == ban
    assert with_it.bans.keys() - {ban} == known.bans.keys() - {ban}


def test_what_is_over_leaves_the_directory() -> None:
    held = Ban("host", "evil.example", "", NOW)
    assert render(Stream("ban#host#evil.example", held)).list == "directory"
    assert render(Stream("ban#host#evil.example", Ban("host", "e", "", NOW, True))).list is None
