"""What the rate limiter ever stored stays readable, and means what it meant."""

from __future__ import annotations

from functions.edge.limits.lists import Entry, Listed
from functions.edge.limits.rules import Rule, Rulebook, decode, encode
from functions.ratelimiter.decider import DECIDER
from tests.unit.corpus_contract import Corpus, CorpusContract

STORED = '[{"endpoint":"/api/login","limit":5,"name":"login","window":60}]'
"""Before there were lists."""


class TestCorpus(CorpusContract):
    decider = DECIDER
    corpus = Corpus(__file__)


def test_what_a_stored_rule_leaves_out_is_what_it_was_when_it_was_stored() -> None:
    rule = Rule(
        name="login",
        endpoint="/api/login",
        limit=5,
        window=60,
        methods=(),
        identifiers=("user", "ip"),
        tier=None,
        algorithm="token_bucket",
        burst=0,
        cost=1,
        closed=False,
        deadline=100,
        shadow=False,
    )
    assert decode(STORED) == Rulebook((rule,))
    assert encode(Rulebook((rule,))) == f'{{"rules":{STORED}}}'


def test_what_was_stored_is_read_as_it_is_stored_now() -> None:
    texts = [data["rules"] for _, _, data in Corpus(__file__).events]
    assert [encode(decode(text)) for text in texts] == [
        text if text.startswith("{") else f'{{"rules":{text}}}' for text in texts
    ]


def test_a_rulebook_is_read_as_it_was_stored() -> None:
    rule = Rule("r", "/**", 1, 1, ("GET",), ("ip",), "free", "sliding_log", 3, 2, True, 20, True)
    allow = Listed.of([Entry("ip", "10.0.0.0/8"), Entry("ip", "2001:db8::1")])
    deny = Listed.of([Entry("user", "caf\u00e9"), Entry("header:x-bot", "1")])
    book = Rulebook((rule,), allow, deny)
    assert decode(encode(book)) == book
