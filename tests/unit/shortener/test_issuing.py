from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from functions.kernel.commands import Context
from functions.kernel.errors import AlreadyExists, CommandReused, Conflict, Rejected
from functions.kernel.memory import MemoryStore
from functions.kernel.ring import Signature
from functions.shortener import codes
from functions.shortener.decider import Command, DeleteLink, Link, stream_id
from functions.shortener.events import Terms
from functions.shortener.issuing import TRIES, Issued, Issuer, Wish
from functions.shortener.strategies import Strategy
from tests.support.clock import START as NOW
from tests.unit.shortener.links import DAY, URL, by, commands, edit

TERMS = Terms(long_url=URL, expires_at=NOW + DAY, redirect_status=302)
WISH = Wish(TERMS)
FRESH = replace(WISH, dedupe=False)


def wish(**terms: Any) -> Wish:
    return replace(WISH, terms=replace(TERMS, **terms))


class Shop:
    """An issuer on a store of its own, whose fresh codes count; its key is asked for seldom."""

    def __init__(self, *, dedupes: bool = True) -> None:
        self.store = MemoryStore()
        self.asked = 0
        numbers = count()
        self.make: Callable[[int], str] = lambda length: codes.encode(next(numbers), length)
        self.strategy = Strategy(
            lambda length: self.make(length), lambda report: None, dedupes=dedupes
        )

    def issue(self, wish: Wish, context: Context | None = None) -> Issued:
        issuer = Issuer(commands(self.store), self._secret, self.strategy)
        return issuer.issue(wish, context or keyed(None))

    def change(self, link: Link, command: Command) -> None:
        commands(self.store).execute(stream_id(link.domain, link.code), command, keyed(None))

    def _secret(self) -> bytes:
        self.asked += 1
        return b"key"


_serial: Iterator[int] = count()


def keyed(
    key: str | None, *, actor: str = "alice", tenant: str = "default", payload: str = ""
) -> Context:
    signature = None if key is None else Signature.of(actor=actor, key=key, payload=payload)
    context = by(actor, tenant=tenant)
    return replace(context, commit_id=f"commit-{next(_serial)}", signature=signature)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_an_owner_that_has_the_link_already_gets_it_again(shop: Shop) -> None:
    first, again = shop.issue(WISH), shop.issue(WISH)
    assert (first.created, again.created) == (True, False)
    assert (again.link, again.version) == (first.link, 1)
    assert len(shop.store.commits) == 1


@pytest.mark.parametrize("other", ["https://example.com", "https://example.com/"], ids=repr)
def test_an_empty_path_is_the_same_url(shop: Shop, other: str) -> None:
    shop.issue(wish(long_url="https://example.com"))
    assert not shop.issue(wish(long_url=other)).created


@pytest.mark.parametrize(
    ("wish", "context"),
    [
        pytest.param(wish(long_url=URL + "b"), keyed(None), id="another-url"),
        pytest.param(WISH, keyed(None, actor="bob"), id="another-owner"),
        pytest.param(WISH, keyed(None, tenant="acme"), id="another-tenant"),
        pytest.param(FRESH, keyed(None), id="without-dedupe"),
        pytest.param(replace(wish(redirect_status=301), required={"redirect_status": 301}),
                     keyed(None), id="another-policy"),
        pytest.param(replace(WISH, alias="sale"), keyed(None), id="alias"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_gets_a_code_of_its_own(
    shop: Shop, wish: Wish, context: Context
) -> None:
    first, second = shop.issue(WISH), shop.issue(wish, context)
    assert second.created
    assert second.link.code != first.link.code


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(edit(NOW, long_url=URL + "b"), id="retargeted"),
        pytest.param(edit(NOW, disabled=True), id="disabled"),
        pytest.param(DeleteLink(NOW), id="deleted"),
        pytest.param(edit(NOW, max_clicks=1), id="capped"),
        pytest.param(edit(NOW, password="$argon2id$"), id="with-a-password"),
    ],
)
def test_a_link_that_does_not_lead_everybody_there_is_never_the_answer(
    shop: Shop, change: Command
) -> None:
    first = shop.issue(WISH).link
    shop.change(first, change)
    second = shop.issue(WISH)
    assert second.created
    assert second.link.code != first.code
    assert shop.issue(WISH).link == second.link


def test_an_expired_link_is_never_the_answer(shop: Shop) -> None:
    first = shop.issue(WISH).link
    later = replace(keyed(None), now=NOW + DAY)
    second = shop.issue(wish(expires_at=NOW + 2 * DAY), later)
    assert second.created
    assert second.link.code != first.code


@pytest.mark.parametrize(
    "squatter",
    [keyed(None, actor="bob"), keyed(None, tenant="acme")],
    ids=["another-owner", "another-tenant"],
)
def test_someone_elses_link_under_the_same_code_is_never_the_answer(
    shop: Shop, squatter: Context
) -> None:
    code = Shop().issue(WISH).link.code
    theirs = shop.issue(replace(WISH, alias=code), squatter).link
    mine = shop.issue(WISH)
    assert (mine.created, mine.link.owner) == (True, "alice")
    assert mine.link.code != theirs.code == code


def test_an_alias_is_the_code(shop: Shop) -> None:
    assert shop.issue(replace(WISH, alias="sale")).link.code == "sale"
    assert shop.asked == 0


@pytest.mark.parametrize("actor", ["alice", "bob"])
def test_a_taken_alias_is_refused(shop: Shop, actor: str) -> None:
    shop.issue(replace(WISH, alias="sale"))
    with pytest.raises(AlreadyExists):
        shop.issue(replace(WISH, alias="sale"), keyed(None, actor=actor))
    assert len(shop.store.commits) == 1


def test_a_deleted_alias_is_never_given_out_again(shop: Shop) -> None:
    shop.change(shop.issue(replace(WISH, alias="sale")).link, DeleteLink(NOW))
    with pytest.raises(AlreadyExists):
        shop.issue(replace(WISH, alias="sale"))


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(replace(WISH, alias="sale", key="k"), id="alias"),
        pytest.param(replace(WISH, key="k"), id="dedupe"),
        pytest.param(replace(FRESH, key="k"), id="without-dedupe"),
    ],
)
def test_a_repeat_gets_the_first_answer_even_if_the_link_was_changed(
    shop: Shop, wish: Wish
) -> None:
    first = shop.issue(wish, keyed("k"))
    shop.change(first.link, edit(NOW, long_url=URL + "b"))
    again = shop.issue(wish, keyed("k"))
    assert (again.link, again.version, again.created) == (first.link, 1, True)
    assert len(shop.store.commits) == 1


def test_a_repeat_after_the_expiry_finds_its_link_behind_anothers_code(shop: Shop) -> None:
    other = shop.issue(WISH)
    shop.change(other.link, edit(NOW, long_url=URL + "b"))
    soon = replace(wish(expires_at=NOW + DAY), key="k", required={"expires_at": NOW + DAY})
    first = shop.issue(soon, keyed("k"))
    late = shop.issue(soon, replace(keyed("k"), now=NOW + 2 * DAY))
    assert (late.link, late.repeated) == (first.link, True)
    with pytest.raises(Rejected):
        shop.issue(soon, replace(keyed("new"), now=NOW + 2 * DAY))


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(replace(WISH, alias="sale", key="k"), id="alias"),
        pytest.param(replace(WISH, key="k"), id="dedupe"),
        pytest.param(replace(FRESH, key="k"), id="without-dedupe"),
    ],
)
def test_the_same_key_with_another_payload_is_refused(shop: Shop, wish: Wish) -> None:
    shop.issue(wish, keyed("k"))
    with pytest.raises(CommandReused):
        shop.issue(wish, keyed("k", payload="other"))


def test_without_dedupe_or_key_every_link_is_new(shop: Shop) -> None:
    codes = {shop.issue(FRESH).link.code for _ in range(5)}
    assert len(codes) == 5


def test_a_url_whose_codes_are_used_up_gets_random_ones(shop: Shop) -> None:
    for _ in range(TRIES):
        shop.change(shop.issue(WISH).link, edit(NOW, long_url=URL + "b"))
    last = shop.issue(WISH)
    assert (last.created, last.conflicts) == (True, TRIES)


def test_the_search_for_a_free_code_is_bounded(shop: Shop) -> None:
    shop.make = lambda length: "same"
    shop.issue(FRESH)
    with pytest.raises(Conflict):
        shop.issue(FRESH)


def test_a_url_whose_first_codes_are_taken_gets_longer_ones_and_is_still_deduped(
    shop: Shop,
) -> None:
    lengths = []
    for _ in range(TRIES):
        link = shop.issue(WISH).link
        assert shop.issue(WISH).link == link
        lengths.append(len(link.code))
        shop.change(link, edit(long_url=URL + "b"))
    assert lengths == [7, 7, 7, 7, 8, 8, 8, 8]


def test_what_a_container_has_seen_does_not_change_derived_codes(shop: Shop) -> None:
    first = shop.issue(WISH).link
    shop.strategy.length = 9
    assert shop.issue(WISH).link == first
    assert len(shop.issue(FRESH).link.code) == 9


def test_fresh_codes_grow_within_a_request_that_meets_nothing_but_taken_ones(shop: Shop) -> None:
    shop.make = lambda length: "0" * length
    assert len(shop.issue(FRESH).link.code) == 7
    grown = shop.issue(FRESH)
    assert (len(grown.link.code), grown.conflicts) == (8, 8)


def test_a_strategy_that_cannot_dedupe_makes_a_link_for_each_wish() -> None:
    shop = Shop(dedupes=False)
    first, again = shop.issue(WISH), shop.issue(WISH)
    assert first.created
    assert again.created
    assert first.link.code != again.link.code
    assert shop.asked == 0


def test_a_strategy_that_cannot_dedupe_still_answers_a_repeated_key_with_the_first_link() -> None:
    shop = Shop(dedupes=False)
    keyed_wish = replace(WISH, key="k")
    first, again = (shop.issue(keyed_wish, keyed("k")) for _ in range(2))
    assert first.link == again.link
    assert len(shop.store.commits) == 1
    with pytest.raises(CommandReused):
        shop.issue(keyed_wish, keyed("k", payload="other"))
