"""A stack for a browser: the real files by their real function, and canned answers of the API.

The numbers are those of a made-up shop, the same in every run; NOW is when it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit
from zlib import crc32
from zoneinfo import ZoneInfo

from functions.analytics.handlers import page
from functions.edge.runtime import Runtime

NOW = datetime(2026, 11, 20, 15, 20, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
SITE = "acme00shop01"
EMPTY_SITE = "new000site01"
PASSWORD = "correct horse"
HOUR = timedelta(hours=1)
PAIRS = [["page", "country"], ["page", "device"], ["country", "device"]]

TOP: dict[str, list[tuple[str, float]]] = {
    "page": [
        ("/", 0.31),
        ("/pricing", 0.17),
        ("/blog/event-sourcing-without-tears", 0.14),
        ("/docs/quickstart", 0.11),
        ("/docs/projections", 0.07),
        ("/blog/exact-counts-on-dynamodb", 0.055),
        ("/changelog", 0.04),
        ("/about", 0.025),
        ("/docs/replay", 0.02),
        ("/careers", 0.01),
    ],
    "link": [("launch", 0.2), ("spring", 0.1)],
    "referrer": [
        ("news.ycombinator.com", 0.21),
        ("google.com", 0.19),
        ("github.com", 0.11),
        ("bing.com", 0.05),
        ("duckduckgo.com", 0.042),
        ("lobste.rs", 0.03),
        ("reddit.com", 0.028),
        ("linkedin.com", 0.017),
    ],
    "country": [
        ("US", 0.29),
        ("DE", 0.18),
        ("GB", 0.11),
        ("FR", 0.07),
        ("IN", 0.065),
        ("NL", 0.05),
        ("CA", 0.045),
        ("SE", 0.03),
        ("JP", 0.02),
    ],
    "device": [("desktop", 0.66), ("mobile", 0.31), ("tablet", 0.03)],
    "browser": [("Chrome", 0.52), ("Safari", 0.24), ("Firefox", 0.16), ("Edge", 0.06)],
    "os": [("Mac OS X", 0.34), ("Windows", 0.29), ("Linux", 0.14), ("iOS", 0.12)],
    "name": [("pageview", 1.0), ("signup", 0.061), ("download", 0.04), ("outbound", 0.034)],
    "goal": [("signup", 0.061), ("pricing-seen", 0.17), ("docs-read", 0.14)],
    "utm_source": [("newsletter", 0.08), ("mastodon", 0.02)],
    "prop:plan": [("pro", 0.04), ("free", 0.021)],
}


class Heard(NamedTuple):
    """A request that reached the stub; `path` without its query."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str


class Stub:
    """The stack at `url`; a context manager.

    `heard` are the requests so far, `broken` the status that a path answers instead, `html` the
    pages of a site that uses the snippet, `tokens` how many tokens there were, of which the newest
    is valid, `gate` what statistics wait for, and `body` what the rest of their bodies does. Its
    issuer is a Cognito pool, or any other (`oidc`).
    """

    def __init__(self, *, oidc: bool = False) -> None:
        self.changed = threading.Condition()
        self.tokens = 1
        self.challenge = ""
        self.gate = threading.Event()
        self.gate.set()
        self.body = threading.Event()
        self.body.set()
        self.heard: list[Heard] = []
        self.broken: dict[str, int] = {}
        self.html: dict[str, str] = {}
        self.live = 23
        self.share = 1.0
        self.sites = list(SITES)
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stub._answer(self)

            do_POST = do_OPTIONS = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        pool = "https://cognito-idp.eu-central-1.amazonaws.com/pool"
        self.issuer = f"{self.url}/oidc" if oidc else pool

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        """Waits for something that requests bring about."""
        with self.changed:
            assert self.changed.wait_for(holds, seconds), [each.path for each in self.heard]

    def of(self, path: str) -> list[Heard]:
        """The requests to one path."""
        return [each for each in self.heard if each.path == path]

    @property
    def tracked(self) -> list[dict[str, Any]]:
        """Every event that the snippet sent."""
        bodies = [json.loads(each.body) for each in self.of("/v1/track")]
        return [event for body in bodies for event in body["events"]]

    def _answer(self, http: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(http.path)
        length = int(http.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in http.headers.items()}
        body = http.rfile.read(length).decode()
        heard = Heard(http.command, unquote(parts.path), parse_qs(parts.query), headers, body)
        with self.changed:
            self.heard.append(heard)
            self.changed.notify_all()
        status, answered, content = self._respond(heard)
        http.send_response(status)
        for name, value in answered.items():
            http.send_header(name, value)
        http.send_header("content-length", str(len(content)))
        http.end_headers()
        # Who asked may be gone.
        with suppress(OSError):
            http.wfile.write(content[:1])
            if heard.path.startswith("/v1/stats/"):
                self.body.wait(60)
            http.wfile.write(content[1:])

    def _respond(self, heard: Heard) -> tuple[int, dict[str, str], bytes]:
        if heard.path in self.html:
            return 200, {"content-type": page.HTML}, self.html[heard.path].encode()
        if heard.path.startswith("/static/"):
            return self._file(heard)
        if heard.path.startswith("/oidc/"):
            return self._oidc(heard)
        if heard.path == "/v1/track":
            origin = {"access-control-allow-origin": heard.headers.get("origin", "*")}
            return self.broken.get(heard.path, 202), origin, b"{}"
        status, data = self._api(heard)
        return status, {"content-type": "application/json"}, json.dumps(data).encode()

    def _file(self, heard: Heard) -> tuple[int, dict[str, str], bytes]:
        """What the function itself answers."""
        env = {"ISSUER": self.issuer, "AUDIENCE": "client", "AWS_ENDPOINT_URL": f"{self.url}/idp"}
        names = ("TENANT_CLAIM", "TIER_CLAIM", "SCOPES_CLAIM")
        env.update({name: name.lower() for name in names})
        runtime = Runtime(env, _nobody, lambda: 0, bytes, _nobody, _ignore)
        event = {
            "routeKey": "GET /static/{file}",
            "headers": heard.headers,
            "pathParameters": {"file": heard.path.removeprefix("/static/")},
            "queryStringParameters": {name: each[0] for name, each in heard.query.items()},
            "requestContext": {"requestId": "request", "http": {}},
        }
        answer = page.build(runtime)(event, None)
        return answer["statusCode"], answer["headers"], answer.get("body", "").encode()

    def _oidc(self, heard: Heard) -> tuple[int, dict[str, str], bytes]:
        """An issuer that logs everybody in, and holds them to PKCE (RFC 7636, 4.6)."""
        body = parse_qs(heard.body)
        match heard.path.removeprefix("/oidc/"):
            case ".well-known/openid-configuration":
                ends = {name: f"{self.issuer}/{name}" for name in ("authorize", "token")}
                data = {
                    f"{name.replace('ize', 'ization')}_endpoint": at for name, at in ends.items()
                }
            case "authorize":
                asked = {name: each[0] for name, each in heard.query.items()}
                assert (asked["client_id"], asked["response_type"]) == ("client", "code")
                assert asked["code_challenge_method"] == "S256"
                self.challenge = asked["code_challenge"]
                back = urlencode({"code": "once", "state": asked["state"]})
                return 302, {"location": f"{asked['redirect_uri']}?{back}"}, b""
            case _:
                digest = hashlib.sha256(body["code_verifier"][0].encode()).digest()
                assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.challenge
                data = {"access_token": "opaque", "id_token": self.token}
        return 200, {"content-type": "application/json"}, json.dumps(data).encode()

    @property
    def token(self) -> str:
        """The only token that opens the stub."""
        return _token(self.tokens)

    def _api(self, heard: Heard) -> tuple[int, Any]:
        if heard.path == "/idp":
            return _cognito(json.loads(heard.body), heard.headers["x-amz-target"], self.token)
        if heard.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "Unauthorized"}
        if status := self.broken.get(heard.path):
            return status, {"title": "Broken", "detail": "The API is having a bad day."}
        match heard.path.strip("/").split("/"):
            case ["v1", "sites"] if heard.method == "POST":
                return 201, _site(EMPTY_SITE, json.loads(heard.body)["name"])
            case ["v1", "sites"]:
                return 200, {"items": self.sites, "next_cursor": None}
            case ["v1", "stats", site, "live"]:
                return 200, _live(self.live if site == SITE else 0)
            case ["v1", "stats", site]:
                self.gate.wait(60)
                return _stats(heard.query, 0 if site == EMPTY_SITE else self.share)
            case ["v1", "links", "launch", "stats"]:
                return 200, _link(heard.query)
        return 404, {"title": "Not Found", "detail": "There is no such thing."}


def _nobody(*_: Any) -> Any:
    raise AssertionError("the files need nobody")


def _ignore(_: str) -> None:
    pass


def _site(site: str, name: str) -> dict[str, Any]:
    return {
        "id": site,
        "name": name,
        "timezone": "Europe/Berlin",
        "properties": ["plan"] if site == SITE else [],
        "pairs": PAIRS,
        "created_at": "2026-11-20T10:00:00Z" if site == EMPTY_SITE else "2025-01-07T10:00:00Z",
    }


SITES = [_site(SITE, "acme.dev"), _site(EMPTY_SITE, "new.example")]


def _token(number: int) -> str:

    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'aud': 'client', 'exp': 4102444800})}.{number}"


def _cognito(body: dict[str, Any], target: str, token: str) -> tuple[int, Any]:
    tokens = {"IdToken": token, "RefreshToken": "again"}
    if target.endswith("RespondToAuthChallenge"):
        assert body["Session"] == "first"
        return 200, {"AuthenticationResult": tokens}
    asked = body["AuthParameters"]
    if asked.get("REFRESH_TOKEN") == "again":
        return 200, {"AuthenticationResult": {"IdToken": token}}
    if asked.get("PASSWORD") == "temporary":
        return 200, {"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "first"}
    if asked.get("PASSWORD") != PASSWORD:
        return 400, {"__type": "NotAuthorizedException", "message": "Incorrect username"}
    return 200, {"AuthenticationResult": tokens}


def _noise(*of: Any) -> float:
    return crc32(repr(of).encode()) / 2**32


def _cell(at: datetime) -> dict[str, int]:
    """What an hour counted: people sleep, rest at weekends, and there are more of them each week;
    a post was shared widely on the 9th."""
    local = at.astimezone(ZONE)
    asleep = 0.18 + 0.82 * max(0.0, math.sin((local.hour - 4.5) / 21 * math.pi)) ** 1.5
    week = (1, 1.06, 1.04, 1, 0.92, 0.55, 0.6)[local.weekday()]
    growth = 1 + 0.012 * (local.date() - date(2026, 10, 20)).days
    shared = 1 + 1.5 * math.exp(-abs((local.date() - date(2026, 11, 9)).days) * 1.1)
    visitors = (
        62 * asleep * week * max(growth, 0.35) * shared * (0.9 + 0.2 * _noise(at.isoformat()))
    )
    if at > NOW:
        visitors = 0
    weeks = (local.date() - date(2026, 10, 20)).days / 7
    pageviews = visitors * (2.1 + 0.06 * weeks + 0.3 * _noise(local.hour))
    return {
        "events": round(pageviews * (1.12 - 0.006 * weeks)),
        "pageviews": round(pageviews),
        "visitors": round(visitors),
    }


def _first(query: dict[str, list[str]], name: str, otherwise: str = "") -> str:
    return query.get(name, [otherwise])[0]


def _series(first: date, last: date, interval: str, share: float) -> list[dict[str, Any]]:
    cells: dict[datetime, dict[str, Any]] = {}
    at = datetime(first.year, first.month, first.day, tzinfo=ZONE).astimezone(UTC)
    end = last + timedelta(days=1)
    while at < datetime(end.year, end.month, end.day, tzinfo=ZONE):
        start = _start(at.astimezone(ZONE), interval)
        cell = cells.setdefault(start, {"events": 0, "pageviews": 0, "visitors": 0})
        for name, number in _cell(at).items():
            cell[name] += round(number * share)
        cell["last"] = at + HOUR
        at += HOUR
    return [
        {
            "start": start.isoformat(),
            **{name: cell[name] for name in ("events", "pageviews", "visitors")},
            "final": cell["last"] + timedelta(minutes=2) < NOW,
            "revision": 0,
        }
        for start, cell in cells.items()
    ]


def _start(local: datetime, interval: str) -> datetime:
    if interval == "hour":
        return local
    midnight = local.replace(hour=0)
    if interval == "week":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if interval == "month" else midnight


def _totals(series: list[dict[str, Any]]) -> dict[str, int]:
    return {
        name: sum(cell[name] for cell in series) for name in ("events", "pageviews", "visitors")
    }


def _stats(query: dict[str, list[str]], share: float) -> tuple[int, Any]:
    first, last = (date.fromisoformat(_first(query, name)) for name in ("from", "to"))
    filters = [filter.partition(":")[0] for filter in query.get("filter", [])]
    by, interval = _first(query, "by"), _first(query, "interval", "day")
    if interval == "5m" and "compare" in query:
        return 422, {"errors": [{"field": "compare", "reason": "is not for minutes"}]}
    if not declared([*filters, *([by] if by and by not in filters else [])]):
        reason = "page and country, page and device, country and device are counted together"
        return 422, {"errors": [{"field": "filter", "reason": reason}]}
    share *= 0.22 ** len(filters)
    series = _series(first, last, interval, share)
    totals = _totals(series)
    answer: dict[str, Any] = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "interval": interval,
        "timezone": "Europe/Berlin",
        "totals": totals,
        "series": series,
        "uniques": "estimated",
    }
    if by:
        answer["top"] = _top(by, totals, int(_first(query, "limit", "10")))
    if _first(query, "compare"):
        back = timedelta(
            days=(last - first).days + 1 if _first(query, "compare") != "year" else 365
        )
        before = _series(first - back, last - back, interval, share)
        answer["compare"] = {
            "from": (first - back).isoformat(),
            "to": (last - back).isoformat(),
            "totals": _totals(before),
            "series": before,
        }
    return 200, answer


def declared(rollups: list[str]) -> bool:
    """Whether rollups are counted together: any one, or a pair of PAIRS."""
    return len(rollups) < 2 or sorted(rollups) in [sorted(pair) for pair in PAIRS]


def _top(by: str, totals: dict[str, int], limit: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"value": value, **{name: _part(part, value, name, all) for name, all in totals.items()}}
        for value, part in TOP.get(by, [])
    ]
    shown = [row for row in rows if row["visitors"]][:limit]
    other = {
        name: totals[name] - sum(row[name] for row in shown) for name in ("events", "pageviews")
    }
    return {"by": by, "rows": shown, "other": other}


def _part(part: float, value: str, name: str, all: int) -> int:
    read = 1 if name == "visitors" or part == 1 else 0.75 + 0.3 * _noise(value)
    return round(all * part * read)


def _live(visitors: int) -> dict[str, Any]:
    minutes = [
        {
            "start": (NOW - timedelta(minutes=29 - at)).isoformat(),
            "events": round(12 + 9 * _noise("live", at)),
            "visitors": round(4 + 7 * _noise("live", at) + 3 * math.sin(at / 4)),
        }
        for at in range(30)
    ]
    sliding = {"events": 41, "visitors": visitors}
    return {"visitors": visitors, "minutes": minutes, "pages": [], "sliding": sliding}


def _link(query: dict[str, list[str]]) -> dict[str, Any]:
    first, last = (date.fromisoformat(_first(query, name)) for name in ("from", "to"))
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    by_day: list[dict[str, Any]] = [
        {"date": day.isoformat(), "clicks": 40 + day.day * 3, "visitors": 30 + day.day * 2}
        for day in days
    ]
    clicks = sum(day["clicks"] for day in by_day)

    def share(by: str) -> list[dict[str, Any]]:
        return [{"value": value, "clicks": round(clicks * part)} for value, part in TOP[by]]

    return {
        "clicks": clicks,
        "bots": 17,
        "created_at": "2026-09-01T08:00:00Z",
        "by_day": by_day,
        "referrers": share("referrer"),
        "locations": share("country"),
        "devices": share("device"),
    }
