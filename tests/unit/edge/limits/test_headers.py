from __future__ import annotations

from functions.edge.limits.headers import quota, refusal
from functions.edge.limits.limiter import Limiter
from functions.edge.limits.memory import Memory
from functions.edge.limits.rules import Asked, Rule

NOW = 1_795_000_000_000
ASKED = Asked("/", "GET", {"user": "ada"})


def test_who_comes_back_at_the_reset_is_allowed() -> None:
    limiter, rule, now = Limiter(Memory()), Rule("all", "/**", 1, 20), NOW + 900
    told = quota(limiter.check("default", [rule], ASKED, now), now)
    assert (told["X-RateLimit-Reset"], told["RateLimit"]) == ("1795000021", '"all";r=0;t=20')
    reset = int(told["X-RateLimit-Reset"]) * 1000
    assert limiter.check("default", [rule], ASKED, reset)[0].allows
    assert quota(limiter.check("default", [], ASKED, now), now) == {}


def test_the_limit_is_told_that_refuses_first() -> None:
    rules = [Rule("dear", "/**", 15, 60, cost=10), Rule("cheap", "/**", 4, 60)]
    limiter = Limiter(Memory())
    decisions = limiter.check("default", rules, ASKED, NOW)
    assert all(decision.allows for decision in decisions)
    assert quota(decisions, NOW)["RateLimit"] == '"dear";r=5;t=40'
    problem = refusal(limiter.check("default", rules, ASKED, NOW), NOW)
    assert problem is not None
    assert problem.errors == [{"field": "dear", "reason": "is used up for 20 seconds"}]


def test_of_what_costs_more_than_is_ever_there_nobody_says_how_it_stands() -> None:
    limiter, rule = Limiter(Memory()), Rule("all", "/**", 3, 60)
    assert limiter.check("default", [rule], ASKED._replace(cost=3), NOW)[0].allows
    decisions = limiter.check("default", [rule], ASKED._replace(cost=4), NOW)
    problem = refusal(decisions, NOW)
    assert problem is not None
    assert (problem.status, problem.headers) == (429, {})
