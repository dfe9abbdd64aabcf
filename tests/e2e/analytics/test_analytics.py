"""What visitors do, from a browser's request to the numbers, on the deployed template.

All is sent before the first test looks, so that they wait for the same few seconds.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from functions.analytics.exporting import COLUMNS
from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually

ORIGIN = "https://shop.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
ANY = {"if-match": "*"}
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
YESTERDAY, BEFORE = NOON - timedelta(days=1), NOON - timedelta(days=2)
BUY = {"steps": [{"what": "page", "pattern": "/pricing"}, {"what": "event", "pattern": "purchase"}]}


class Shop(NamedTuple):
    """An owner's client with what belongs to the owner, and a stranger's client."""

    api: httpx.Client
    stranger: httpx.Client
    exact: str
    bulk: str
    link: dict[str, Any]

    def stats(self, site: str, **query: str) -> Any:
        """The answer of /v1/stats for yesterday."""
        day = YESTERDAY.date().isoformat()
        return self.api.get(f"/v1/stats/{site}", params={"from": day, "to": day, **query}).json()

    def totals(self, site: str, **query: str) -> tuple[int, int, int]:
        """Events, page views and visitors of yesterday."""
        totals = self.stats(site, **query)["totals"]
        return totals["events"], totals["pageviews"], totals["visitors"]

    def top(self, site: str, by: str, **query: str) -> dict[str, int]:
        """Yesterday's events by value."""
        rows = self.stats(site, by=by, **query)["top"]["rows"]
        return {row["value"]: row["events"] for row in rows}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    owner, stranger = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("owner", "stranger"))
    with client(stack, owner) as api, client(stack, stranger) as other:
        exact, bulk = make(api, ledger="exact"), make(api, ledger="bulk")
        api.put(f"/v1/sites/{exact}/goals/bought", json=event("purchase"), headers=ANY)
        api.put(f"/v1/sites/{exact}/funnels/buy", json=BUY, headers=ANY)
        link = api.post("/v1/links", json={"long_url": "https://example.com/spring"}).json()
        for site in (exact, bulk):
            visit(stack, site)
            sell(api, site)
            track(stack, site, GOOGLEBOT, at(YESTERDAY, page="/"))
        track(stack, exact, FIREFOX, {"page": "/now"})
        for agent in (FIREFOX, SAFARI, GOOGLEBOT):
            httpx.get(link["short_url"], headers={"user-agent": agent}, timeout=30)
        yield Shop(api, other, exact, bulk, link)


def client(stack: Stack, user: str) -> httpx.Client:
    headers = {"authorization": f"Bearer {stack.token(user)}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=30)


def make(api: httpx.Client, **terms: str) -> str:
    made = api.post("/v1/sites", json={"name": "Shop", "origins": [ORIGIN], **terms})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def event(name: str) -> dict[str, str]:
    return {"what": "event", "pattern": name}


def at(moment: datetime, **fields: Any) -> dict[str, Any]:
    return {"timestamp": moment.isoformat(), **fields}


def track(stack: Stack, site: str, agent: str, *events: dict[str, Any]) -> None:
    """What a browser sends, from a page of the site."""
    headers = {"origin": ORIGIN, "user-agent": agent, "cloudfront-viewer-country": "DE"}
    body = {"site": site, "events": list(events)}
    answer = httpx.post(f"{stack.url}/v1/track", json=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["rejected"]) == (202, []), answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def visit(stack: Stack, site: str) -> None:
    """Two visitors of yesterday, one of them with a repeat, and one of the day before."""
    seen = at(YESTERDAY, page="/pricing?utm_source=mail&secret=1", id="seen-once")
    track(stack, site, FIREFOX, at(YESTERDAY, page="/"), seen)
    track(stack, site, FIREFOX, seen)
    track(stack, site, SAFARI, at(YESTERDAY, page="/pricing", referrer="https://news.example/1"))
    track(stack, site, SAFARI, at(BEFORE, page="/"))


def sell(api: httpx.Client, site: str) -> None:
    """The site's own server tells what a visitor bought, and before that looked at."""
    look = at(YESTERDAY, page="/pricing", user_id="ada", agent=SAFARI, country="FR")
    buy = at(
        YESTERDAY + timedelta(seconds=40),
        event_type="purchase",
        user_id="ada",
        agent=SAFARI,
        country="FR",
    )
    sent = api.post(f"/v1/sites/{site}/events", json={"events": [look, buy]})
    assert (sent.status_code, sent.json()["accepted"]) == (202, 2), sent.text


def test_events_of_browsers_and_of_a_server_are_counted(shop: Shop) -> None:
    eventually(lambda: shop.totals(shop.exact), (5, 4, 3))
    eventually(lambda: shop.totals(shop.exact, filter="page:/pricing"), (3, 3, 3))
    eventually(lambda: shop.top(shop.exact, "page"), {"/pricing": 3, "/": 1})
    eventually(lambda: shop.top(shop.exact, "country"), {"DE": 3, "FR": 2})
    eventually(lambda: shop.top(shop.exact, "referrer"), {"news.example": 1})
    eventually(lambda: shop.top(shop.exact, "utm_source"), {"mail": 1})
    eventually(lambda: shop.top(shop.exact, "machine"), {"bot": 1})
    on_page = {"by": "country", "filter": "page:/pricing"}
    eventually(lambda: shop.top(shop.exact, **on_page), {"DE": 2, "FR": 1})
    noon = shop.stats(shop.exact, interval="hour")["series"][12]
    assert (noon["events"], noon["visitors"], noon["final"]) == (5, 3, True)


def test_a_day_is_compared_with_the_one_before(shop: Shop) -> None:
    def compared() -> int:
        answer = shop.stats(shop.exact, compare="previous")
        assert answer["compare"]["from"] == f"{BEFORE.date()}T00:00:00.000Z"
        return int(answer["compare"]["totals"]["pageviews"])

    eventually(compared, 1)


def test_who_is_here_now_is_seen_live(shop: Shop) -> None:
    def live() -> Any:
        answer = shop.api.get(f"/v1/stats/{shop.exact}/live").json()
        return answer["pages"], sum(minute["events"] for minute in answer["minutes"])

    eventually(live, ([{"value": "/now", "events": 1, "visitors": 1}], 1))


def test_numbers_are_for_a_sites_owner_alone(stack: Stack, shop: Shop) -> None:
    below = ("", "/goals?from=2026-01-01&to=2026-01-02", "/history")
    paths = [f"/v1/stats/{shop.exact}", f"/v1/stats/{shop.exact}/live"]
    paths += [f"/v1/sites/{shop.exact}{each}" for each in below]
    assert {shop.stranger.get(path).status_code for path in paths} == {404}
    assert httpx.get(f"{stack.url}{paths[0]}", timeout=30).status_code == 401


def test_events_from_another_origin_are_refused(stack: Stack, shop: Shop) -> None:
    body = {"site": shop.exact, "events": [{"page": "/"}]}
    headers = {"origin": "https://elsewhere.example"}
    refused = httpx.post(f"{stack.url}/v1/track", json=body, headers=headers, timeout=30)
    assert refused.json()["type"] == "urn:millrace:problem:foreign_origin"


def test_a_goal_and_a_funnel_tell_who_came_to_buy(shop: Shop) -> None:
    day = YESTERDAY.date().isoformat()
    days = {"from": day, "to": day}

    def reached() -> Any:
        [goal] = shop.api.get(f"/v1/sites/{shop.exact}/goals", params=days).json()["goals"]
        return goal["events"], goal["visitors"], goal["conversion"]

    eventually(reached, (1, 1, 0.3333))
    funnel = shop.api.get(f"/v1/sites/{shop.exact}/funnels/buy", params=days).json()
    assert [step["visitors"] for step in funnel["steps"]] == [3, 1]


def test_clicks_on_a_link_are_for_whoever_has_it(shop: Shop) -> None:
    path = f"/v1/links/{shop.link['code']}"

    def clicks(api: httpx.Client) -> Any:
        answer = api.get(f"{path}/stats")
        return answer.json()["clicks"] if answer.status_code == 200 else answer.status_code

    eventually(lambda: clicks(shop.api), 2)

    def apart() -> Any:
        mine = shop.api.get(f"{path}/stats").json()
        return mine["bots"], {row["value"]: row["clicks"] for row in mine["devices"]}

    eventually(apart, (1, {"desktop": 1, "mobile": 1}))
    assert clicks(shop.stranger) == 404
    given = shop.api.post(f"{path}/transfer", json={"owner": subject(shop.stranger)}, headers=ANY)
    assert given.status_code == 200, given.text
    eventually(lambda: clicks(shop.stranger), 2)
    assert clicks(shop.api) == 404


def subject(api: httpx.Client) -> str:
    """Whose token a client has."""
    claims = api.headers["authorization"].split(".")[1]
    return str(json.loads(urlsafe_b64decode(claims + "=="))["sub"])


def test_compaction_makes_bulk_numbers_those_of_the_exact_ledger(stack: Stack, shop: Shop) -> None:
    s3, bucket = stack.session.client("s3"), stack.physical_id("AnalyticsRaw")

    def objects(folder: str) -> int:
        day = f"{folder}/{shop.bulk}/{YESTERDAY.date()}/"
        return int(s3.list_objects_v2(Bucket=bucket, Prefix=day)["KeyCount"])

    def counted() -> bool:
        # A repeat that came in another batch counts until compaction.
        return shop.totals(shop.bulk)[0] >= 5

    def compacted() -> tuple[int, int]:
        stack.session.client("lambda").invoke(
            FunctionName=stack.physical_id("AnalyticsCompact"), Payload='{"for": "compaction"}'
        )
        return objects("raw"), objects("compact")

    eventually(counted, True)
    eventually(compacted, (0, 1))
    eventually(lambda: shop.totals(shop.bulk), (5, 4, 3))
    for by in ("page", "country", "device", "referrer", "machine"):
        eventually(partial(shop.top, shop.bulk, by), shop.top(shop.exact, by))


def test_an_export_is_a_file_behind_a_url(shop: Shop) -> None:
    eventually(lambda: shop.totals(shop.exact)[0], 5)
    day = YESTERDAY.date().isoformat()
    asked = shop.api.post(f"/v1/sites/{shop.exact}/exports", json={"from": day, "to": day})
    assert asked.status_code == 202, asked.text

    def export() -> Any:
        return shop.api.get(asked.headers["location"]).json()

    eventually(lambda: export()["status"], "ready")
    url = export()["url"]
    assert urlsplit(url).query
    file = httpx.get(url, timeout=30)
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert (file.status_code, tuple(rows[0])) == (200, COLUMNS)
    assert sorted(row["event"] for row in rows) == ["pageview"] * 5 + ["purchase"]
    assert [row["id"] for row in rows].count("seen-once") == 1


def test_the_dashboard_and_the_snippet_are_served(stack: Stack) -> None:
    def served(name: str) -> tuple[int, str]:
        file = httpx.get(f"{stack.url}/static/{name}", timeout=30)
        return file.status_code, file.headers["content-type"]

    assert served("dashboard.html") == (200, "text/html; charset=utf-8")
    assert served("track.js") == (200, "text/javascript; charset=utf-8")
    assert served("uplot.css") == (200, "text/css; charset=utf-8")
    assert served("nothing.js")[0] == 404
