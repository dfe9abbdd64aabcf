from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from functions.kernel.errors import Rejected
from functions.shortener.decider import (
    DECIDER,
    KEEP,
    MAX_LIFETIME_MS,
    Command,
    DeleteLink,
    EditLink,
    Link,
    stream_id,
    visible,
)
from functions.shortener.events import (
    Event,
    LinkCreated,
    LinkDeleted,
    LinkDisabled,
    LinkEnabled,
    LinkExpiryChanged,
    LinkRedirectStatusChanged,
    LinkRetargeted,
)
from tests.support.given import given
from tests.unit.shortener.links import CREATED, DAY, NOW, URL, create

LIVE = (CREATED,)
DISABLED = (CREATED, LinkDisabled())
DELETED = (CREATED, LinkDeleted())
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
    given(DECIDER).when(create(None)).then(
        LinkCreated("default", "abc1234", "alice", URL, 302, NOW)
    )


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
    given(DECIDER, *history).when(EditLink(NOW, expires_at=expires_at)).rejected("expires_at")


@pytest.mark.parametrize("expires_at", [NOW + 1, NOW + MAX_LIFETIME_MS], ids=["soonest", "latest"])
def test_an_expiry_at_the_bound_is_accepted(expires_at: int) -> None:
    given(DECIDER).when(create(expires_at)).then(
        LinkCreated("default", "abc1234", "alice", URL, 302, NOW, expires_at)
    )
    given(DECIDER, *LIVE).when(EditLink(NOW, expires_at=expires_at)).then(
        LinkExpiryChanged(expires_at)
    )


@pytest.mark.parametrize(("history", "now"), EXISTING)
@pytest.mark.parametrize(("change", "event"), EDITS)
def test_a_link_that_is_not_deleted_is_edited(
    history: tuple[Event, ...], now: int, change: dict[str, Any], event: Event
) -> None:
    given(DECIDER, *history).when(EditLink(now, **change)).then(event)


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
    given(DECIDER, *history).when(EditLink(NOW, disabled=disabled)).then(*events)


@pytest.mark.parametrize(("history", "now"), EXISTING)
def test_an_edit_to_what_is_already_so_changes_nothing(
    history: tuple[Event, ...], now: int
) -> None:
    same = EditLink(now, CREATED.long_url, CREATED.expires_at, CREATED.redirect_status)
    given(DECIDER, *history).when(same).then()
    given(DECIDER, *history).when(EditLink(now)).then()


def test_an_edit_of_everything_is_one_event_each() -> None:
    given(DECIDER, *LIVE).when(EditLink(NOW, OTHER, None, 301, True)).then(
        LinkRetargeted(OTHER),
        LinkExpiryChanged(None),
        LinkRedirectStatusChanged(301),
        LinkDisabled(),
    )


@pytest.mark.parametrize(("history", "now"), EXISTING)
def test_a_link_that_is_not_deleted_is_deleted(history: tuple[Event, ...], now: int) -> None:
    given(DECIDER, *history).when(DeleteLink()).then(LinkDeleted())


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(DeleteLink(), id="delete"),
        pytest.param(EditLink(NOW), id="edit-nothing"),
        pytest.param(EditLink(NOW, disabled=False), id="enable"),
        pytest.param(EditLink(NOW, expires_at=0), id="edit-badly"),
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


CHANGES: st.SearchStrategy[EditLink | DeleteLink] = st.builds(
    EditLink,
    now=st.just(NOW),
    long_url=st.sampled_from([KEEP, URL, OTHER]),
    expires_at=st.sampled_from([KEEP, None, NOW + DAY, NOW + 30 * DAY, NOW - 1]),
    redirect_status=st.sampled_from([KEEP, 301, 302]),
    disabled=st.sampled_from([KEEP, True, False]),
) | st.just(DeleteLink())


@for_all(st.lists(CHANGES.filter(lambda change: isinstance(change, EditLink))))
def test_after_an_edit_the_link_is_what_was_asked_and_asking_again_changes_nothing(
    edits: list[EditLink],
) -> None:
    link: Link = given(DECIDER, *LIVE).state
    for edit in edits:
        try:
            link = DECIDER.fold(link, DECIDER.decide(edit, link))  # type: ignore[assignment]
        except Rejected:
            continue
        asked = {name: value for name, value in vars(edit).items() if value is not KEEP}
        del asked["now"]
        assert {name: getattr(link, name) for name in asked} == asked
        assert not DECIDER.decide(edit, link)


@for_all(st.lists(CHANGES))
def test_who_owns_which_code_since_when_never_changes(changes: list[EditLink | DeleteLink]) -> None:
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
