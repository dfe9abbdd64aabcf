from __future__ import annotations

import pytest

from functions.kernel.store import Stream
from functions.shortener.moderation import NewReport, reported
from functions.shortener.reports import DECIDER, LinkReported, Report, ReportLink, render
from tests.support.clock import START as NOW
from tests.support.given import given

REPORTED = LinkReported("default", "abc1234", "phishing", NOW, "look at this")
REPORT = ReportLink("default", "abc1234", "phishing", "look at this", NOW)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://sho.rt/in/abc1234", ("default", "abc1234")),
        ("HTTP://SHO.RT/in/abc1234+?a=b#c", ("default", "abc1234")),
        ("https://api.example/abc1234", ("default", "abc1234")),
        ("https://sho.rt/abc1234", ("default", "abc1234")),
        ("https://go.acme.example/abc1234", ("go.acme.example", "abc1234")),
        ("https://go.acme.example/in/abc1234", None),
        ("https://sho.rt/in/", None),
        ("https://sho.rt/inner", ("default", "inner")),
    ],
)
def test_a_short_url_names_its_link(url: str, place: tuple[str, str] | None) -> None:
    told = NewReport(url=url, reason="spam")
    own = {"sho.rt", "api.example"}
    assert reported(told, "https://sho.rt/in", own.__contains__) == place


def test_a_reporter_tells_of_a_link_once() -> None:
    given(DECIDER).when(REPORT).then(REPORTED)
    given(DECIDER, REPORTED).when(REPORT).then()


def test_reports_are_ordered_by_their_time() -> None:
    def position(at: int) -> str:
        report = Report("default", "abc1234", "spam", at)
        stream: Stream[Report | None] = Stream("report#default#abc1234#f00", report)
        return render(stream).position or ""

    assert position(NOW) < position(NOW + 1) < position(10 * NOW)
