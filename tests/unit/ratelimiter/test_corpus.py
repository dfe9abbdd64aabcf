"""What the rate limiter ever stored stays readable, and means what it meant."""

from __future__ import annotations

from functions.edge.limits.rules import Rule, decode, encode
from functions.ratelimiter.decider import DECIDER
from tests.unit.corpus_contract import Corpus, CorpusContract

STORED = '[{"endpoint":"/api/login","limit":5,"name":"login","window":60}]'


class TestCorpus(CorpusContract):
    decider = DECIDER
    corpus = Corpus(__file__)


def test_what_a_stored_rule_leaves_out_is_what_it_was_when_it_was_stored() -> None:
    [rule] = decode(STORED)
    assert rule == Rule(
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
        shadow=False,
    )
    assert encode([rule]) == STORED


def test_a_rule_is_read_as_it_was_stored() -> None:
    rule = Rule("r", "/**", 1, 1, ("GET",), ("ip",), "free", "sliding_log", 3, 2, True, True)
    assert decode(encode([rule])) == [rule]
