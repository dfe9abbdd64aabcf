from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.kernel.errors import Rejected
from functions.shortener.decider import (
    DECIDER,
    MAX_LIFETIME_MS,
    Command,
    DeleteLink,
    EditLink,
    Enforce,
    Link,
    Moderate,
    Standing,
    stream_id,
    visible,
)
from functions.shortener.events import (
    Event,
    LinkDeleted,
    LinkDisabled,
    LinkEnabled,
    LinkExpiryChanged,
    LinkRedirectStatusChanged,
    LinkRetargeted,
)
from tests.support.clock import START as NOW
from tests.support.given import given
from tests.unit.shortener.links import CREATED, DAY, URL, create, edit

LIVE = (CREATED,)
DISABLED = (CREATED, LinkDisabled())
DELETED = (CREATED, LinkDeleted(NOW))
AFTER_EXPIRY = NOW + 31 * DAY
OTHER = "https://example.com/b"

# An expired link differs from a live one by the time of the command alone.
EXISTING = [
    pytest.param(LIVE, NOW, id="live"),
    pytest.param(DISABLED, NOW, id="disabled"),
    pytest.param(LIVE, AFTER_EXPIRY, id="expired"),
]
EDITS = [
    pytest.param({"long_url": OTHER}, LinkRetargeted(OTHER), id="retarget"),
    pytest.param(
        {"expires_at": NOW + 60 * DAY}, LinkExpiryChanged(NOW + 60 * DAY), id="other-expiry"
    ),
    pytest.param({"expires_at": None}, LinkExpiryChanged(None), id="never-expire"),
    pytest.param({"redirect_status": 308}, LinkRedirectStatusChanged(308), id="status"),
]


def test_a_link_is_created_as_asked() -> None:
    given(DECIDER).when(create()).then(CREATED)


def test_a_link_may_be_created_that_never_expires() -> None:
    given(DECIDER).when(create(None)).then(replace(CREATED, expires_at=None))


BAD_EXPIRIES = [
    pytest.param(NOW - 1, id="past"),
    pytest.param(NOW, id="now"),
    pytest.param(-62135596800000, id="year-1"),
    pytest.param(NOW + MAX_LIFETIME_MS + 1, id="beyond-five-years"),
    pytest.param(253402300799999, id="year-9999"),
]


@pytest.mark.parametrize("expires_at", BAD_EXPIRIES)
def test_a_link_is_not_created_with_an_expiry_out_of_bounds(expires_at: int) -> None:
    given(DECIDER).when(create(expires_at)).rejected("expires_at")


@pytest.mark.parametrize("expires_at", BAD_EXPIRIES)
@pytest.mark.parametrize("history", [LIVE, DISABLED], ids=["live", "disabled"])
def test_an_expiry_is_not_moved_out_of_bounds(history: tuple[Event, ...], expires_at: int) -> None:
    given(DECIDER, *history).when(edit(NOW, expires_at=expires_at)).rejected("expires_at")


@pytest.mark.parametrize("expires_at", [NOW + 1, NOW + MAX_LIFETIME_MS], ids=["soonest", "latest"])
def test_an_expiry_at_the_bound_is_accepted(expires_at: int) -> None:
    given(DECIDER).when(create(expires_at)).then(replace(CREATED, expires_at=expires_at))
    given(DECIDER, *LIVE).when(edit(NOW, expires_at=expires_at)).then(LinkExpiryChanged(expires_at))


@pytest.mark.parametrize(("history", "now"), EXISTING)
@pytest.mark.parametrize(("change", "event"), EDITS)
def test_a_link_that_is_not_deleted_is_edited(
    history: tuple[Event, ...], now: int, change: dict[str, Any], event: Event
) -> None:
    given(DECIDER, *history).when(edit(now, **change)).then(event)


@pytest.mark.parametrize(
    ("history", "disabled", "events"),
    [
        pytest.param(LIVE, True, [LinkDisabled()], id="switch-off"),
        pytest.param(LIVE, False, [], id="on-already"),
        pytest.param(DISABLED, True, [], id="off-already"),
        pytest.param(DISABLED, False, [LinkEnabled()], id="switch-on"),
    ],
)
def test_a_link_is_switched_off_and_on(
    history: tuple[Event, ...], disabled: bool, events: list[Event]
) -> None:
    given(DECIDER, *history).when(edit(NOW, disabled=disabled)).then(*events)


@pytest.mark.parametrize(("history", "now"), EXISTING)
def test_an_edit_to_what_is_already_so_changes_nothing(
    history: tuple[Event, ...], now: int
) -> None:
    same = edit(
        now,
        long_url=CREATED.long_url,
        expires_at=CREATED.expires_at,
        redirect_status=CREATED.redirect_status,
    )
    given(DECIDER, *history).when(same).then()
    given(DECIDER, *history).when(EditLink(now)).then()


def test_an_edit_of_everything_is_one_event_each() -> None:
    given(DECIDER, *LIVE).when(
        edit(long_url=OTHER, expires_at=None, redirect_status=301, disabled=True)
    ).then(
        LinkRetargeted(OTHER),
        LinkExpiryChanged(None),
        LinkRedirectStatusChanged(301),
        LinkDisabled(),
    )


@pytest.mark.parametrize(("history", "now"), EXISTING)
def test_a_link_that_is_not_deleted_is_deleted(history: tuple[Event, ...], now: int) -> None:
    given(DECIDER, *history).when(DeleteLink(now)).then(LinkDeleted(now))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(DeleteLink(NOW), id="delete"),
        pytest.param(EditLink(NOW), id="edit-nothing"),
        pytest.param(edit(NOW, disabled=False), id="enable"),
        pytest.param(edit(NOW, expires_at=0), id="edit-badly"),
    ],
)
@pytest.mark.parametrize("history", [DELETED, ()], ids=["deleted", "never-created"])
def test_what_is_gone_cannot_be_changed(history: tuple[Event, ...], command: Command) -> None:
    given(DECIDER, *history).when(command).gone()


@pytest.mark.parametrize(
    ("history", "now", "live"),
    [
        pytest.param(LIVE, NOW, True, id="live"),
        pytest.param(LIVE, NOW + 30 * DAY - 1, True, id="last-moment"),
        pytest.param(LIVE, NOW + 30 * DAY, False, id="expired-to-the-millisecond"),
        pytest.param((*LIVE, LinkExpiryChanged(None)), AFTER_EXPIRY, True, id="made-permanent"),
        pytest.param(DISABLED, NOW, False, id="disabled"),
        pytest.param((*DISABLED, LinkEnabled()), NOW, True, id="enabled-again"),
        pytest.param(DELETED, NOW, False, id="deleted"),
    ],
)
def test_a_link_redirects_while_it_is_live(
    history: tuple[Event, ...], now: int, live: bool
) -> None:
    assert given(DECIDER, *history).state.live(now) is live


SETTINGS: dict[str, list[Any]] = {
    "long_url": [URL, OTHER],
    "expires_at": [None, NOW + DAY, NOW + 30 * DAY, NOW - 1],
    "not_before": [None, NOW, NOW + DAY],
    "fallback_url": [None, OTHER],
    "max_clicks": [None, 1, 100],
    "password": [None, "hash"],
    "rules": [None, (((("country", "DE"),), ((OTHER, 1),)),)],
    "tags": [None, ("a", "b")],
    "title": [None, "Sale"],
    "counted": [True, False],
    "redirect_status": [301, 302],
    "disabled": [True, False],
}

EDITED: st.SearchStrategy[EditLink] = st.builds(
    EditLink,
    st.just(NOW),
    st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in SETTINGS.items()}
    ),
)
MODERATED = (
    st.builds(
        Moderate,
        st.sampled_from(["quarantined", "banned"]),
        st.sampled_from(["", "looked at"]),
    )
    | st.just(Moderate("clear"))
    | st.builds(
        Enforce,
        st.sampled_from([None, "ban#host#a", "ban#owner#b"]),
        st.sampled_from(["harm", "spam"]),
    )
)
CHANGES: st.SearchStrategy[Command] = EDITED | MODERATED | st.just(DeleteLink(NOW))


@for_all(st.lists(EDITED))
def test_after_an_edit_the_link_is_what_was_asked_and_asking_again_changes_nothing(
    edits: list[EditLink],
) -> None:
    link: Link = given(DECIDER, *LIVE).state
    for command in edits:
        try:
            link = DECIDER.fold(link, DECIDER.decide(command, link))  # type: ignore[assignment]
        except Rejected:
            continue
        asked = dict(command.changes)
        assert {name: getattr(link, name) for name in asked} == asked
        assert not DECIDER.decide(command, link)


@for_all(st.lists(MODERATED))
def test_the_standing_that_moderation_gave_comes_back_when_no_ban_is_left(
    commands: list[Command],
) -> None:
    link: Link = given(DECIDER, *LIVE).state
    verdict: tuple[Standing, str | None] = ("clear", None)
    for command in commands:
        link = DECIDER.fold(link, DECIDER.decide(command, link))  # type: ignore[assignment]
        if isinstance(command, Moderate):
            why = None if command.standing == "clear" else command.reason
            verdict = (command.standing, why)
            assert (link.standing, link.reason, link.ban) == (*verdict, None)
        elif isinstance(command, Enforce) and link.ban is not None:
            assert (link.ban, link.reason) == (command.ban, command.reason)
        assert not DECIDER.decide(command, link)
    link = DECIDER.fold(link, DECIDER.decide(Enforce(None), link))  # type: ignore[assignment]
    assert (link.standing, link.reason, link.ban) == (*verdict, None)


@for_all(st.lists(CHANGES))
def test_who_owns_which_code_since_when_never_changes(changes: list[Command]) -> None:
    link: Link = given(DECIDER, *LIVE).state
    for change in changes:
        try:
            link = DECIDER.fold(link, DECIDER.decide(change, link))  # type: ignore[assignment]
        except Exception:
            continue
    fixed = ("domain", "code", "owner", "created_at")
    assert all(getattr(link, name) == getattr(CREATED, name) for name in fixed)


@pytest.mark.parametrize(
    ("history", "actor", "sees"),
    [
        pytest.param(LIVE, "alice", True, id="owner"),
        pytest.param(DELETED, "alice", True, id="owner-of-a-deleted-link"),
        pytest.param(LIVE, "bob", False, id="another"),
        pytest.param(LIVE, "", False, id="nobody"),
        pytest.param((), "alice", False, id="no-link"),
    ],
)
def test_a_link_is_its_owners_alone(history: tuple[Event, ...], actor: str, sees: bool) -> None:
    assert visible(given(DECIDER, *history).state, actor) is sees


def test_a_link_has_a_stream_of_its_own() -> None:
    assert stream_id("default", "abc1234") == "link#default#abc1234"
