"""GET, HEAD and POST /{code}: from a code to where it leads. Public, and little is imported.

One eventually consistent read, none for a link that was read within seconds; one update where its
clicks are capped; one message for the click; and once per container the secret, for the visitors'
digests. The password form posts to the link itself.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import parse_qs

from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.shortener.clicks import Clicks, Visitors, message, opted_out
from functions.shortener.codes import is_code
from functions.shortener.decider import Link
from functions.shortener.hotlinks import Found, HotLinks
from functions.shortener.policy import Visit, destination, guarded, may_be_told, stage
from functions.shortener.quotas import Quotas, clicks_key
from functions.shortener.routing import followed
from functions.shortener.visits import visit

PERMANENT = (301, 308)
PERMANENT_SECONDS = 90
"""How long a browser may keep a permanent redirect: edits bind within this time."""
UNCOUNTED_SECONDS = 60
"""How long anybody, a CDN too, may keep a redirect whose clicks are not counted."""
MINUTE_MS = 60_000
ATTEMPTS_PER_VISITOR = 5
ATTEMPTS_PER_LINK = 60
"""Passwords tried in a minute: by one address, and at one link."""
PREVIEW = "+"
"""What a code is followed by to see where it leads."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    counters_table: str
    clicks_queue_url: str
    public_url: str
    secret_arn: str
    country_header: str = "cloudfront-viewer-country"


class Redirects:
    """The routes, with what one container remembers between its requests."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client = runtime.client("dynamodb")
        store = DynamoStore(client, config.events_table)
        self._now = runtime.now
        self._config = config
        self._links = HotLinks(
            store, runtime.now, lambda: int.from_bytes(runtime.entropy(4)) / 2**32
        )
        self._quotas = Quotas(client, config.counters_table, runtime.entropy)
        self._clicks = Clicks(runtime, config.clicks_queue_url)
        self._visitors = Visitors(runtime, config.secret_arn)

    def follow(self, request: Request) -> Answer:
        """GET and HEAD."""
        code = request.path["code"]
        if code.endswith(PREVIEW):
            return self._preview(request, code.removesuffix(PREVIEW))
        found = self._found(request, code)
        visiting = self._visit(request)
        if (other := self._elsewhere(found) or self._kept_out(found, visiting)) is not None:
            return other
        if found.link.password is not None:
            return self._ask(found)
        return self._go(request, found, visiting, found.link.redirect_status)

    def unlock(self, request: Request) -> Answer:
        """POST, by the password form. The redirect is a GET, whatever the link's status (303)."""
        found = self._found(request, request.path["code"])
        visiting = self._visit(request)
        if (other := self._elsewhere(found) or self._kept_out(found, visiting)) is not None:
            return other
        kept = found.link.password
        if kept is not None:
            self._throttle(request, found)
            given = parse_qs(request.body()).get("password", [""])[0]
            from functions.shortener import pages, passwords

            if not passwords.matches(given[:128], kept):
                return pages.ask(wrong=True)
        return self._go(request, found, visiting, 303)

    def _found(self, request: Request, code: str) -> Found:
        stream = followed(request, code, self._config.public_url) if is_code(code) else None
        found = self._links.find(stream) if stream else None
        if found is None:
            raise Problem(404, "unknown_link", "There is no such link.")
        if found.stale:
            request.log.count("stale_redirects")
        return found

    def _visit(self, request: Request) -> Visit:
        caller = request.event["requestContext"]["http"]
        return visit(
            caller["method"],
            request.headers,
            request.query,
            caller.get("sourceIp", ""),
            self._config.country_header,
        )

    def _elsewhere(self, found: Found) -> Answer | None:
        """The answer of a link that is not open. Raises a Problem where there is no answer."""
        link, now = found.link, self._now()
        match stage(link, now):
            case "open":
                return None
            case "over":
                return _ended(link)
            case "warning":
                from functions.shortener.pages import warning

                told = link.long_url if may_be_told(link, now) else None
                return warning(told, more=bool(link.rules))
            case "early":
                raise Problem(404, "link_not_yet", "This link does not lead anywhere yet.")
            case "banned":
                raise Problem(410, "link_banned", "This link was taken down.")
            case "gone":
                raise Problem(410, "link_gone", "This link is no longer available.")

    def _kept_out(self, found: Found, visiting: Visit) -> Answer | None:
        """What a machine gets of a link for people, whether it asks or sends the form."""
        if not guarded(found.link) or visiting.kind == "human":
            return None
        from functions.shortener.pages import people_only

        return people_only()

    def _ask(self, found: Found) -> Answer:
        from functions.shortener.pages import ask

        return _ended(found.link) if self._used_up(found) else ask()

    def _used_up(self, found: Found) -> bool:
        most = found.link.max_clicks
        return most is not None and not self._quotas.left(_cap(found), most)

    def _go(self, request: Request, found: Found, visiting: Visit, status: int) -> Answer:
        link = found.link
        if link.max_clicks is not None and not self._quotas.take(_cap(found), link.max_clicks):
            return _ended(link)
        url = destination(link, visiting)
        if link.counted:
            agent = request.headers.get("user-agent", "")
            referrer = request.headers.get("referer", "")
            visitor = self._visitor(request, found, visiting)
            click = message(found.stream, link, visiting, url, agent, referrer, visitor)
            self._clicks.tell(click, request.log)
        headers = {"location": url, "cache-control": _cache(link, self._now())}
        return Answer(status, headers=headers)

    def _visitor(self, request: Request, found: Found, visiting: Visit) -> str | None:
        if opted_out(request.headers):
            return None
        return self._visitors.digest(found.stream.id, visiting.visitor)

    def _throttle(self, request: Request, found: Found) -> None:
        """Counts an attempt at a password. Raises a 429 Problem for one too many."""
        now = self._now()
        minute, into = divmod(now, MINUTE_MS)
        key, gone_at = f"attempts#{found.stream.id}#{minute}", now // 1000 + 3600
        visitor = blake2b(request.network.encode(), digest_size=8).hexdigest()
        if not (
            self._quotas.take(f"{key}#{visitor}", ATTEMPTS_PER_VISITOR, gone_at)
            and self._quotas.take(key, ATTEMPTS_PER_LINK, gone_at)
        ):
            wait = str((MINUTE_MS - into + 999) // 1000)
            detail = "Too many passwords were tried. Try again in a minute."
            raise Problem(429, "too_many_attempts", detail, headers={"Retry-After": wait})

    def _preview(self, request: Request, code: str) -> Answer:
        from functions.shortener import pages

        found = self._found(request, code)
        link, over = found.link, stage(found.link, self._now()) == "over"
        if not over and (other := self._elsewhere(found)) is not None:
            return other
        if over or self._used_up(found):
            return pages.preview(_fallback(link), more=False)
        if link.password is not None:
            return pages.preview_hidden()
        return pages.preview(link.long_url, more=bool(link.rules))


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    redirects = Redirects(runtime, settings(Settings, runtime.env))
    routes = {
        "GET /{code}": Route(redirects.follow, scope=None),
        "HEAD /{code}": Route(redirects.follow, scope=None),
        "POST /{code}": Route(redirects.unlock, scope=None),
    }
    return http(runtime, "shortener", routes)


def _cap(found: Found) -> str:
    return clicks_key(found.stream.id, found.link.created_at)


def _ended(link: Link) -> Answer:
    """A link that is over or used up: its fallback, if it has one."""
    return Answer(302, headers={"location": _fallback(link)})


def _fallback(link: Link) -> str:
    if link.fallback_url is None:
        raise Problem(410, "link_gone", "This link is no longer available.")
    return link.fallback_url


def _cache(link: Link, now: int) -> str:
    if not link.counted:
        return f"public, max-age={_left(link, now, UNCOUNTED_SECONDS)}"
    if link.redirect_status not in PERMANENT or guarded(link):
        return "no-store"
    return f"private, max-age={_left(link, now, PERMANENT_SECONDS)}"


def _left(link: Link, now: int, seconds: int) -> int:
    return seconds if link.expires_at is None else min(seconds, (link.expires_at - now) // 1000)


handler = entry(build, hurried=True)
