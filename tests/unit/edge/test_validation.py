from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from functions.edge.http import MAX_BODY_BYTES, Request
from functions.edge.problem import Problem
from functions.edge.validation import (
    FIRST,
    LAST,
    Moment,
    Query,
    Schema,
    parse_body,
    parse_query,
    to_millis,
    to_text,
)
from tests.unit.edge.conftest import World, event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


class Note(Schema):
    text: str
    stars: int = 0
    loud: bool = False
    due: Moment | None = None


class Filter(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    loud: bool | None = None


def posted(
    body: str | None, headers: dict[str, str] | None = None, *, encoded: bool = False
) -> Note:
    """The note in a request's body."""
    sent = event(body, base64=encoded)
    return parse_body(Note, Request(sent, {}, {}, headers or {}, None, "r", World().log()))


def status_of(body: str) -> int:
    try:
        posted(body)
    except Problem as problem:
        return problem.status
    return 200


def refusal(body: str | None, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        posted(body, **options)
    return caught.value


def faulty(problem: Problem) -> set[str]:
    assert problem.status == 422
    return {fault["field"] for fault in problem.errors or []}


class TestBodies:
    def test_a_good_body_is_the_schema(self) -> None:
        note = posted('{"text":"ü","stars":3,"loud":true,"due":"1970-01-01T00:00:01Z"}')
        assert (note.text, note.stars, note.loud, note.due) == ("ü", 3, True, 1000)

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            pytest.param({"text": "t", "extra": 1}, {"extra"}, id="unknown-field"),
            pytest.param({}, {"text"}, id="missing-field"),
            pytest.param({"text": 7}, {"text"}, id="number-for-text"),
            pytest.param({"text": None}, {"text"}, id="null-for-text"),
            pytest.param({"text": "t", "stars": "3"}, {"stars"}, id="text-for-number"),
            pytest.param({"text": "t", "stars": 3.0}, {"stars"}, id="float-for-integer"),
            pytest.param({"text": "t", "stars": True}, {"stars"}, id="boolean-for-integer"),
            pytest.param({"text": "t", "loud": "true"}, {"loud"}, id="text-for-boolean"),
            pytest.param({"text": "t", "loud": 1}, {"loud"}, id="number-for-boolean"),
            pytest.param({"text": "t", "due": 1000}, {"due"}, id="number-for-time"),
            pytest.param({"text": "t", "due": "soon"}, {"due"}, id="words-for-time"),
            pytest.param(
                {"text": "t", "due": "0001-01-01T00:00:00+01:00"},
                {"due"},
                id="time-before-all-years",
            ),
            pytest.param({"text": "t", "stars": float("nan")}, {"stars"}, id="nan"),
            pytest.param({"text": "t", "stars": float("inf")}, {"stars"}, id="infinity"),
            pytest.param(
                {"stars": "3", "x": 1, "due": 1},
                {"text", "stars", "x", "due"},
                id="every-fault-at-once",
            ),
        ],
    )
    def test_a_wrong_field_is_named(self, fields: dict[str, Any], named: set[str]) -> None:
        assert faulty(refusal(json.dumps(fields))) == named

    @pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"], ids=str)
    def test_a_document_that_is_no_object_is_422(self, body: str) -> None:
        assert refusal(body).status == 422

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(None, id="missing"),
            pytest.param("", id="empty"),
            pytest.param("{", id="cut-off"),
            pytest.param("{'text':'t'}", id="single-quotes"),
            pytest.param('{"text":"t"} {}', id="two-documents"),
            pytest.param('{"text":"\\ud800"}', id="lone-surrogate"),
            pytest.param('{"text":"\n"}', id="raw-line-break"),
            pytest.param('{"text":' + "[" * 60_000, id="nested-too-deep"),
            pytest.param('{"text":' + "[" * 30_000 + "]" * 30_000 + "}", id="nested-and-closed"),
        ],
    )
    def test_what_is_no_json_is_400(self, body: str | None) -> None:
        assert refusal(body).status == 400

    def test_of_a_repeated_field_the_last_one_counts(self) -> None:
        assert posted('{"text":"a","text":"b"}').text == "b"

    @given(JSON)
    def test_any_document_is_taken_or_a_problem(self, document: Any) -> None:
        assert status_of(json.dumps(document)) in (200, 400, 422)

    def test_nothing_that_was_sent_is_quoted_back_as_a_value(self) -> None:
        problem = refusal('{"text":"t","stars":"hunter2"}')
        assert "hunter2" not in problem.body("r")

    @pytest.mark.parametrize(
        ("media", "status"),
        [
            ("application/json", None),
            ("application/json; charset=utf-8", None),
            ("Application/JSON", None),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("application/jsonp", 415),
            ("", 415),
        ],
        ids=str,
    )
    def test_only_json_is_taken(self, media: str, status: int | None) -> None:
        headers = {"content-type": media}
        if status is None:
            assert posted('{"text":"t"}', headers).text == "t"
        else:
            assert refusal('{"text":"t"}', headers=headers).status == status

    def test_a_body_that_is_too_large_is_413(self) -> None:
        assert refusal("x" * MAX_BODY_BYTES * 2).status == 413

    def test_bytes_that_are_no_text_are_400(self) -> None:
        assert refusal(base64.b64encode(b"\xff").decode(), encoded=True).status == 400


class TestQueries:
    def test_values_arrive_as_text(self) -> None:
        query = parse_query(Filter, {"limit": "7", "loud": "true"})
        assert (query.limit, query.loud) == (7, True)

    @pytest.mark.parametrize(
        ("given", "named"),
        [
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"limit": "x"}, "limit"),
            ({"limit": ""}, "limit"),
            ({"limit": "1,2"}, "limit"),
            ({"limit": "9" * 5000}, "limit"),
            ({"other": "1"}, "other"),
        ],
        ids=["low", "high", "word", "empty", "given-twice", "endless", "unknown"],
    )
    def test_a_wrong_parameter_is_named(self, given: dict[str, str], named: str) -> None:
        with pytest.raises(Problem) as caught:
            parse_query(Filter, given)
        assert faulty(caught.value) == {named}


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00z", 0),
            ("1970-01-01t00:00:00Z", 0),
            ("1970-01-01T00:00:00.5Z", 500),
            ("1970-01-01T00:00:00.123Z", 123),
            ("1970-01-01T00:00:00.123456Z", 123),
            ("1970-01-01T02:30:00+02:30", 0),
            ("1969-12-31T22:00:00-02:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1969-12-31T23:59:59Z", -1000),
            ("2024-02-29T00:00:00Z", 1709164800000),
        ],
        ids=str,
    )
    def test_an_rfc_3339_time_is_epoch_milliseconds(self, text: str, expected: int) -> None:
        assert to_millis(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2030-01-31",
            "2030-01-31T12:00:00",
            "2030-01-31T12:00Z",
            "2030-01-31T12:00:00,5Z",
            "2030-01-31T12:00:00.Z",
            "2030-01-31T12:00:00+0200",
            "2030-01-31T12:00:00+25:00",
            "2030-W05-4T12:00:00Z",
            "20300131T120000Z",
            "2030-02-30T12:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T12:60:00Z",
            "0000-01-01T00:00:00Z",
            "12030-01-31T12:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "9999-12-31T23:59:59.9996Z",
            " 2030-01-31T12:00:00Z",
            "2030-01-31T12:00:00Z\n",
            "\uff12030-01-31T12:00:00Z",
            "1893456000",
            1893456000,
            None,
        ],
        ids=repr,
    )
    def test_anything_else_is_refused(self, text: object) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 (pydantic shows the reason of any)
            to_millis(text)

    @given(st.datetimes(), st.sampled_from(["Z", "+00:01", "-00:01", "+23:59", "-23:59"]))
    @example(datetime.min, "+00:01")
    @example(datetime.max, "Z")
    def test_what_is_taken_can_be_shown(self, moment: datetime, zone: str) -> None:
        try:
            millis = to_millis(moment.isoformat(timespec="microseconds") + zone)
        except ValueError:
            return
        assert to_millis(to_text(millis)) == millis

    @given(st.integers(FIRST, LAST))
    @example(FIRST)
    @example(LAST)
    def test_what_is_shown_reads_back_as_the_same_moment(self, millis: int) -> None:
        assert to_millis(to_text(millis)) == millis

    @given(st.datetimes(timezones=st.just(UTC)))
    def test_a_time_is_shown_in_utc_with_milliseconds(self, moment: datetime) -> None:
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        millis = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        text = to_text(millis)
        assert text.endswith("Z")
        assert len(text) == len("2030-01-31T12:00:00.000Z")
        assert datetime.fromisoformat(text) == whole
