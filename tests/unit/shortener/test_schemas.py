from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.edge.history import page_of
from functions.edge.problem import Problem
from functions.edge.validation import parse_query, to_millis
from functions.kernel.codec import to_data
from functions.kernel.memory import MemoryStore
from functions.kernel.store import Commit, Metadata
from functions.shortener.decider import DEFAULT_DOMAIN, Link
from functions.shortener.events import (
    CODEC,
    Event,
    LinkDisabled,
    LinkEnabled,
    LinkExpiryChanged,
    LinkRetargeted,
)
from functions.shortener.schemas import (
    LinkPatch,
    LinkQuery,
    NewLink,
    PageQuery,
    link_body,
)
from functions.shortener.targets import MAX_URL
from tests.support.clock import START as NOW
from tests.unit.shortener.links import CREATED, STREAM, URL


def patch(**fields: Any) -> dict[str, Any]:
    return LinkPatch.model_validate_json(json.dumps(fields)).changes()


class TestNewLink:
    def test_what_is_absent_takes_its_default(self) -> None:
        link = NewLink.model_validate_json(json.dumps({"long_url": URL}))
        assert (link.alias, link.expires_at, link.redirect_status, link.dedupe) == (
            None,
            None,
            302,
            True,
        )
        assert link.model_fields_set == {"long_url"}

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_status_is_taken(self, status: int) -> None:
        body = json.dumps({"long_url": URL, "redirect_status": status})
        assert NewLink.model_validate_json(body).redirect_status == status

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({}, id="no-url"),
            pytest.param({"long_url": ""}, id="empty-url"),
            pytest.param({"long_url": None}, id="null-url"),
            pytest.param({"long_url": "x" * (MAX_URL + 1)}, id="url-too-long"),
            pytest.param({"redirect_status": 200}, id="no-redirect"),
            pytest.param({"redirect_status": 303}, id="other-redirect"),
            pytest.param({"redirect_status": "301"}, id="status-as-text"),
            pytest.param({"redirect_status": None}, id="null-status"),
            pytest.param({"dedupe": "yes"}, id="dedupe-as-text"),
            pytest.param({"alias": 7}, id="alias-as-number"),
            pytest.param({"expires_at": "tomorrow"}, id="expiry-in-words"),
            pytest.param({"owner": "mallory"}, id="unknown-field"),
        ],
    )
    def test_a_wrong_field_is_refused(self, fields: dict[str, Any]) -> None:
        body = fields if not fields or "long_url" in fields else {"long_url": URL, **fields}
        with pytest.raises(ValidationError):
            NewLink.model_validate_json(json.dumps(body))


class TestLinkPatch:
    @pytest.mark.parametrize(
        ("field", "cleared"),
        [("expires_at", None), ("redirect_status", 302), ("disabled", False)],
    )
    def test_null_clears(self, field: str, cleared: object) -> None:
        assert patch(**{field: None}) == {field: cleared}

    def test_a_url_cannot_be_cleared(self) -> None:
        with pytest.raises(Problem) as refusal:
            patch(long_url=None)
        assert refusal.value.status == 422
        assert [fault["field"] for fault in refusal.value.errors or []] == ["long_url"]

    def test_what_is_absent_is_no_change(self) -> None:
        assert patch() == {}

    def test_what_is_given_is_the_change(self) -> None:
        moment = "2030-01-31T12:00:00Z"
        assert patch(long_url=URL, expires_at=moment, redirect_status=308, disabled=True) == {
            "long_url": URL,
            "expires_at": to_millis(moment),
            "redirect_status": 308,
            "disabled": True,
        }

    @pytest.mark.parametrize(
        "fields",
        [
            {"long_url": ""},
            {"alias": "a"},
            {"version": 7},
            {"disabled": 1},
            {"redirect_status": 303},
            {"expires_at": 0},
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_a_wrong_field_is_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            patch(**fields)


class TestQueries:
    def test_a_page_is_of_twenty_unless_told(self) -> None:
        assert parse_query(PageQuery, {}) == PageQuery(limit=20, cursor=None)

    @pytest.mark.parametrize("limit", ["0", "-1", "101", "ten", "1.5"])
    def test_a_limit_is_of_1_to_100(self, limit: str) -> None:
        with pytest.raises(Problem) as refusal:
            parse_query(PageQuery, {"limit": limit})
        assert refusal.value.status == 422

    @pytest.mark.parametrize("at", ["", "x" * 41], ids=["empty", "long"])
    def test_at_is_short(self, at: str) -> None:
        with pytest.raises(Problem):
            parse_query(LinkQuery, {"at": at})


@given(st.from_type(Link), st.integers(1))
def test_a_body_shows_the_link_and_its_version(link: Link, version: int) -> None:
    moments = {"created_at": NOW, "expires_at": link.expires_at and NOW + 1, "not_before": None}
    shown = Link(**{**vars(link), **moments, "domain": DEFAULT_DOMAIN, "rules": None})
    body = link_body(shown, version, "https://sho.rt")
    assert body["version"] == version
    assert body["short_url"] == f"https://sho.rt/{link.code}"
    assert to_millis(body["created_at"]) == NOW
    assert (body["expires_at"] and to_millis(body["expires_at"])) == shown.expires_at
    same = ("code", "long_url", "redirect_status", "disabled", "deleted")
    assert all(body[name] == getattr(link, name) for name in same)
    assert "owner" not in body
    assert body["password"] is (link.password is not None)


EVENTS: st.SearchStrategy[Event] = st.sampled_from(
    [
        LinkRetargeted(URL),
        LinkExpiryChanged(NOW),
        LinkExpiryChanged(),
        LinkDisabled(),
        LinkEnabled(),
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Commit]:
    """A link's commits: its creation, then any changes, of up to four events each."""
    changes = draw(st.lists(st.lists(EVENTS, min_size=1, max_size=4), max_size=12))
    commits: list[Commit] = []
    history: list[list[Event]] = [[CREATED], *changes]
    for events in history:
        before = commits[-1].after if commits else 0
        metadata = Metadata(NOW + before, "alice")
        after = before + len(events)
        commits.append(Commit(STREAM, before, after, str(before), CODEC.encode(events), metadata))
    return commits


@given(histories(), st.integers(1, 15))
def test_pages_of_a_history_put_together_are_the_whole(commits: list[Commit], limit: int) -> None:
    store = MemoryStore({STREAM: commits})
    items: list[dict[str, Any]] = []
    place, seen, more = 0, 0, True
    while more:
        found, further = store.forward(STREAM, after=place, limit=limit)
        page = page_of(CODEC, found, seen, limit)
        assert 0 < len(page.items) <= limit
        items += page.items
        assert len(items) <= commits[-1].after
        (place, seen), more = page.following, further or page.cut
    assert items == page_of(CODEC, commits, 0, 10**6).items
    assert [item["version"] for item in items] == list(range(1, commits[-1].after + 1))


@given(histories())
def test_an_item_of_a_history_tells_what_happened_when_and_by_whom(commits: list[Commit]) -> None:
    items = iter(page_of(CODEC, commits, 0, 10**6).items)
    for commit in commits:
        for event in CODEC.decode(commit.events):
            item = next(items)
            assert item["type"] == type(event).__name__
            assert item["actor"] == "alice"
            assert to_millis(item["at"]) == commit.metadata.at
            read = {
                name: to_millis(value) if name.endswith("_at") else value
                for name, value in item["data"].items()
            }
            assert read == to_data(event)
    assert next(items, None) is None
