from __future__ import annotations

import pytest

from functions.kernel.store import Stream
from functions.shortener.directory import Directory, render
from functions.shortener.domains import (
    DECIDER,
    ClaimDomain,
    Domain,
    DomainClaimed,
    DomainReleased,
    ReleaseDomain,
    Taken,
)
from tests.support.clock import START as NOW
from tests.support.given import given

HOST = "go.acme.example"
CLAIMED = DomainClaimed(HOST, "alice", NOW)


def claim(owner: str = "alice") -> ClaimDomain:
    return ClaimDomain(HOST, owner, NOW)


def test_a_domain_that_is_nobodys_is_claimed_once() -> None:
    given(DECIDER).when(claim()).then(CLAIMED)
    given(DECIDER, CLAIMED).when(claim()).then()


def test_a_domain_belongs_to_one_owner_at_a_time() -> None:
    given(DECIDER, CLAIMED).when(claim("bob")).rejected("host")
    with pytest.raises(Taken):
        DECIDER.decide(claim("bob"), Domain(HOST, "alice", NOW))
    released = (CLAIMED, DomainReleased())
    given(DECIDER, *released).when(claim("bob")).then(DomainClaimed(HOST, "bob", NOW))


def test_a_domain_is_released_once() -> None:
    given(DECIDER, CLAIMED).when(ReleaseDomain()).then(DomainReleased())
    given(DECIDER, CLAIMED, DomainReleased()).when(ReleaseDomain()).then()


def test_only_its_owner_owns_a_domain_and_nobody_a_released_one() -> None:
    held = Directory(domains={HOST: Domain(HOST, "alice", NOW)})
    assert held.owns("alice", HOST)
    assert not held.owns("bob", HOST)
    assert not held.owns("alice", f"sub.{HOST}")
    assert render(Stream(f"domain#{HOST}", Domain(HOST, "alice", NOW))).position == f"domain#{HOST}"
    assert render(Stream(f"domain#{HOST}", Domain(HOST, "alice", NOW, True))).list is None
