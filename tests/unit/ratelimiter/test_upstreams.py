from __future__ import annotations

from functions.ratelimiter.upstreams import (
    UPSTREAMS,
    RemoveUpstream,
    SetUpstream,
    UpstreamRemoved,
    UpstreamSet,
)
from tests.support.given import given
from tests.unit.corpus_contract import Corpus, CorpusContract

SET = UpstreamSet("orders", "https://a.example", 1000, "key", (("x", "1"),), set_at=5)


class TestCorpus(CorpusContract):
    decider = UPSTREAMS
    corpus = Corpus(__file__, "corpus_upstreams.json")


def command(url: str = "https://a.example", now: int = 5) -> SetUpstream:
    return SetUpstream("orders", url, 1000, "key", (("x", "1"),), now)


def test_an_upstream_is_set_as_it_was_asked_for() -> None:
    given(UPSTREAMS).when(command()).then(SET)


def test_what_is_so_already_is_no_change() -> None:
    given(UPSTREAMS, SET).when(command(now=9)).then()


def test_a_change_keeps_when_it_was_made_first() -> None:
    changed = UpstreamSet("orders", "https://b.example", 1000, "key", (("x", "1"),), set_at=9)
    given(UPSTREAMS, SET).when(command("https://b.example", 9)).then(changed)
    assert given(UPSTREAMS, SET, changed).state.created_at == 5


def test_a_removed_upstream_forgets_what_it_was_sent_with_and_may_be_set_again() -> None:
    given(UPSTREAMS, SET).when(RemoveUpstream(7)).then(UpstreamRemoved(7))
    removed = given(UPSTREAMS, SET, UpstreamRemoved(7))
    assert removed.state.headers == ()
    removed.when(RemoveUpstream(8)).gone()
    again = UpstreamSet("orders", "https://a.example", 1000, "key", (("x", "1"),), set_at=9)
    removed.when(command(now=9)).then(again)
    state = given(UPSTREAMS, SET, UpstreamRemoved(7), again).state
    assert (state.created_at, state.removed_at) == (9, None)


def test_what_never_was_cannot_be_removed() -> None:
    given(UPSTREAMS).when(RemoveUpstream(7)).gone()
