"""Funnels: the longest chain of each visitor, held against every chain that there is."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.analytics.events import Step
from functions.analytics.facts import Fact
from functions.analytics.funnels import Chains, shown
from functions.analytics.rollups import reaches

PAGES = ("/a", "/ab", "/b", "/c")
PATTERNS = ("/a", "/a*", "/b", "*", "/c")


def view(at: int, page: str, visitor: str | None = "v", **fields: Any) -> Fact:
    return Fact(f"{at}", "s", at, "pageview", visitor, page, **fields)


def reached(window: int, steps: list[Step], facts: list[Fact]) -> list[int]:
    chains = Chains(window, steps)
    chains.take(facts)
    return chains.visitors()


def every_chain(window: int, steps: list[Step], facts: list[Fact]) -> int:
    """The longest chain, by trying all; of facts of one time, in every order."""
    for length in range(len(steps), 0, -1):
        for chain in permutations(facts, length):
            fit = all(reaches(step, fact) for step, fact in zip(steps, chain, strict=False))
            ordered = all(one.at <= later.at for one, later in pairwise(chain))
            if fit and ordered and chain[-1].at - chain[0].at <= window:
                return length
    return 0


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(PAGES)), max_size=7),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4),
    st.integers(0, 7),
    st.integers(0, 9),
)
def test_the_longest_chain_is_found(
    seen: list[tuple[int, str]], patterns: list[str], window: int, cut: int
) -> None:
    facts = [view(at, page) for at, page in sorted(seen, key=lambda pair: pair[0])]
    steps: list[Step] = [("page", pattern) for pattern in patterns]
    longest = every_chain(window, steps, facts)

    chains = Chains(window, steps)
    chains.take(fact for fact in facts if fact.at < cut)
    chains.take(fact for fact in facts if fact.at >= cut)

    assert chains.visitors() == [int(place < longest) for place in range(len(steps))]


CART: list[Step] = [("page", "/cart"), ("page", "/pay"), ("event", "paid")]


def test_the_window_is_counted_from_the_latest_first_step_that_leads_on() -> None:
    facts = [view(0, "/cart"), view(8, "/cart"), view(9, "/pay"), Fact("e", "s", 18, "paid", "v")]
    assert reached(10, CART, facts) == [1, 1, 1]
    # Taking the first step where it comes first, and never again, would lose the chain.
    assert reached(10, CART, [facts[0], *facts[2:]]) == [1, 1, 0]


def test_the_window_holds_its_last_millisecond() -> None:
    facts = [view(0, "/cart"), view(10, "/pay")]
    assert reached(10, CART, facts) == [1, 1, 0]
    assert reached(9, CART, facts) == [1, 0, 0]


def test_steps_of_one_moment_count_in_whichever_order_they_are_told() -> None:
    told = [Fact("e", "s", 5, "paid", "v"), view(5, "/pay"), view(5, "/cart")]
    assert reached(10, CART, told) == [1, 1, 1]
    # Whichever step a fact would take first, another may have to take that.
    steps: list[Step] = [("page", "/a"), ("page", "/b"), ("page", "/a*")]
    assert reached(10, steps, [view(0, "/a"), view(5, "/a"), view(5, "/b")]) == [1, 1, 1]


def test_one_fact_is_one_step() -> None:
    assert reached(10, [("page", "*"), ("page", "*")], [view(0, "/a")]) == [1, 0]


def test_each_visitor_has_a_chain_and_who_is_none_has_not() -> None:
    facts = [
        view(0, "/cart", "a"),
        view(1, "/pay", "b"),
        view(2, "/cart", None),
        view(3, "/cart", "bot", machine="bot"),
        view(4, "/cart", "b"),
        view(5, "/pay", "a"),
    ]
    assert reached(10, CART, facts) == [2, 1, 0]


def test_a_page_is_looked_for_in_page_views_alone() -> None:
    assert reached(10, [("page", "/a"), ("event", "x")], [Fact("1", "s", 0, "x", "v", "/a")]) == [
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("visitors", "shares", "drops"),
    [([4, 3, 1], [1.0, 0.75, 0.25], [0.0, 0.25, 0.6667]), ([0, 0, 0], [0.0] * 3, [0.0] * 3)],
)
def test_steps_are_shown_with_shares_and_drops(
    visitors: list[int], shares: list[float], drops: list[float]
) -> None:
    steps = shown(CART, visitors)
    assert [(step["what"], step["pattern"]) for step in steps] == CART
    assert [step["visitors"] for step in steps] == visitors
    assert [step["share"] for step in steps] == shares
    assert [step["drop"] for step in steps] == drops
