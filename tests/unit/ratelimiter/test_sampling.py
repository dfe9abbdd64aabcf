"""Which denials are told at once, which as a number, and what a container keeps in mind for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.edge.limits.rules import Asked
from functions.ratelimiter import sampling
from functions.ratelimiter.denials import Denial, decode, encode
from functions.ratelimiter.sampling import SILENT_MS, TOGETHER, Refusal, Sampler
from tests.unit.edge.conftest import World

IP = "203.0.113.7"
LOGIN = Refusal("login", "ip")


def asked(endpoint: str = "/api/login", **identities: str) -> Asked:
    return Asked(endpoint, "POST", identities or {"ip": IP})


def deny(sampler: Sampler, *refusals: Refusal, **identities: str) -> list[Denial]:
    return sampler.take("acme", asked(**identities), refusals or [LOGIN])


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sampler(world: World) -> Sampler:
    return Sampler(world.runtime)


def test_the_first_denial_is_told_at_once_and_whole(world: World, sampler: Sampler) -> None:
    [sample] = deny(sampler)
    assert sample == Denial(
        id="00" * 12,
        tenant="acme",
        rule="login",
        kind="ip",
        at=world.clock.now(),
        denied=1,
        method="POST",
        identity=IP,
        endpoint="/api/login",
    )


def test_the_next_sample_is_a_minute_later_and_tells_how_many_there_were(
    world: World, sampler: Sampler
) -> None:
    found = []
    for _ in range(130):
        found += [(world.clock.now(), sample.denied) for sample in deny(sampler)]
        world.clock.advance(1)
    start = found[0][0]
    assert [((at - start) // 1000, denied) for at, denied in found] == [(0, 1), (60, 60), (120, 60)]


def test_each_identity_rule_and_tenant_is_counted_for_itself(sampler: Sampler) -> None:
    assert len(deny(sampler)) == 1
    assert len(deny(sampler, ip="203.0.113.8")) == 1
    assert len(deny(sampler, Refusal("login", "ip", shadow=True))) == 1
    assert len(deny(sampler, Refusal("search", "ip"))) == 1
    assert len(sampler.take("other", asked(), [LOGIN])) == 1
    assert deny(sampler) == []


def test_who_is_spelled_in_many_ways_is_somebody_once(sampler: Sampler) -> None:
    """Else whoever is denied would have a message sent for each way."""
    by_user = Refusal("search", "user")
    found = [deny(sampler, by_user, user=name) for name in ("ada", "\uff41da", "a\uff44a")]
    assert [[each.identity for each in samples] for samples in found] == [["ada"], [], []]


def test_a_request_that_several_rules_refuse_is_a_sample_of_each(sampler: Sampler) -> None:
    found = deny(sampler, LOGIN, Refusal("search", "user"), ip=IP, user="ada")
    assert [(each.rule, each.identity) for each in found] == [("login", IP), ("search", "ada")]


def test_what_somebody_came_to_before_falling_silent_goes_with_the_next_of_others(
    world: World, sampler: Sampler
) -> None:
    deny(sampler)
    world.clock.advance(10)
    deny(sampler)
    last = world.clock.now()
    world.clock.advance(60)
    found = deny(sampler, ip="203.0.113.8")
    assert [(each.identity, each.denied, each.at) for each in found] == [
        (IP, 1, last),
        ("203.0.113.8", 1, world.clock.now()),
    ]


def test_one_message_takes_along_so_many_and_leaves_the_others_to_the_next(
    world: World, sampler: Sampler
) -> None:
    for _ in range(2):
        for number in range(TOGETHER + 5):
            deny(sampler, ip=f"10.0.0.{number}")
    world.clock.advance(60)
    assert [len(deny(sampler)) for _ in range(3)] == [TOGETHER + 1, 5, 0]


def test_a_container_remembers_so_many_and_tells_of_those_that_it_forgets(
    sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "REMEMBERED", 3)
    for number in (0, 0, 0, 1, 2):
        deny(sampler, ip=f"10.0.0.{number}")
    found = deny(sampler, ip="10.0.0.3")
    assert [(each.identity, each.denied) for each in found] == [("10.0.0.3", 1), ("10.0.0.0", 2)]
    assert len(sampler._counted) == 3


def test_a_clock_that_steps_back_silences_nobody_for_long(world: World, sampler: Sampler) -> None:
    deny(sampler)
    world.clock.advance(-3600)
    assert len(deny(sampler)) == 1
    assert deny(sampler) == []


@pytest.mark.parametrize("kind", ["api_key", "header:cookie"])
def test_what_opens_doors_is_told_as_a_digest(sampler: Sampler, kind: str) -> None:
    [sample] = deny(sampler, Refusal("keys", kind), **{kind: "sk_live_4242"})
    assert sample.identity == "sha256:" + sha256(b"sk_live_4242").hexdigest()[:16]
    assert "4242" not in str(sample)


def test_no_query_string_is_told_and_of_a_path_its_beginning(sampler: Sampler) -> None:
    long = asked("/reset/" + "x" * 300 + "?token=secret")
    [sample] = sampler.take("acme", long, [LOGIN])
    assert sample.endpoint == ("/reset/" + "x" * 300)[: sampling.MAX_ENDPOINT]


def test_halves_of_characters_are_told_as_no_queue_refuses_them(sampler: Sampler) -> None:
    request = Asked("/\ud800", "GET", {"user": "a\udfffb"})
    [sample] = sampler.take("acme", request, [Refusal("all", "user")])
    assert (sample.identity, sample.endpoint) == ("a?b", "/?")


STEPS = st.lists(
    st.tuples(st.integers(0, 40_000), st.integers(0, 4), st.sampled_from(["login", "search"])),
    max_size=120,
)


@given(steps=STEPS)
def test_every_denial_is_told_once_or_still_counted_and_none_twice_a_minute(steps: Any) -> None:
    world = World()
    sampler = Sampler(world.runtime)
    told: Counter[Any] = Counter()
    times: defaultdict[Any, list[int]] = defaultdict(list)
    for wait, number, rule in steps:
        world.clock.milliseconds += wait
        for sample in deny(sampler, Refusal(rule, "user"), user=str(number)):
            told[sample.rule, sample.identity] += sample.denied
            times[sample.rule, sample.identity].append(world.clock.now())
    waiting = Counter(
        {key[1:4:2]: rest.denied for key, (_, rest) in sampler._counted.items() if rest is not None}
    )
    assert told + waiting == Counter((rule, str(number)) for _, number, rule in steps)
    for each in times.values():
        gaps = [after - before for before, after in pairwise(each)]
        assert all(gap >= SILENT_MS for gap in gaps)


@given(
    denials=st.lists(
        st.builds(
            Denial,
            *[st.text() for _ in range(4)],
            st.integers(0, 10**14),
            st.integers(1),
            st.text(),
            st.none() | st.text(min_size=1),
            st.none() | st.text(min_size=1),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_a_message_tells_what_was_put_into_it(denials: list[Denial]) -> None:
    assert decode(encode(denials)) == denials
