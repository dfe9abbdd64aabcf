"""POST /v1/track: what happens on a site, from visitors' browsers. Public, and little is imported.

No read for a site and a salt that the container knows; one message, whatever the number of events.
"""

from __future__ import annotations

from functions.analytics.hotsites import HotSites
from functions.analytics.intake import Intake, Sender, Settings, envelope_of
from functions.analytics.tracking import country_of
from functions.analytics.visitors import opted_out
from functions.edge.http import Answer, Request, Route, http
from functions.edge.problem import Problem
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore

PREFLIGHT_SECONDS = 86_400
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")


class Tracks:
    """The routes, with what one container remembers between its requests."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        store = DynamoStore(runtime.client("dynamodb"), config.events_table)
        self._sites = HotSites(store, runtime.now)
        self._intake = Intake(runtime, config)
        self._country_header = config.country_header

    def track(self, request: Request) -> Answer:
        """POST. Whatever the answer, the page that asked may read it."""
        origin = request.headers.get("origin", "").lower()
        shared = {"access-control-allow-origin": origin or "*", "vary": "origin"}
        try:
            answer = self._track(request, origin)
        except Problem as problem:
            problem.headers.update(shared)
            raise
        return answer._replace(headers=shared)

    def allow(self, request: Request) -> Answer:
        """OPTIONS, before a page may send JSON. Which site it is for is not known yet."""
        headers = {
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "content-type",
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        }
        return Answer(204, headers=headers)

    def _track(self, request: Request, origin: str) -> Answer:
        envelope = envelope_of(request)
        if opted_out(request.headers):
            ignored = len(envelope.events)
            request.log.count("ignored_events", ignored)
            return Answer(202, {"accepted": 0, "ignored": ignored, "rejected": []})
        site = self._sites.find(envelope.site).state
        if site is None or site.deleted:
            raise Problem(404, "not_found", "There is no such site.")
        if origin not in site.origins:
            detail = "Events come from pages of the site's origins, or from its own server."
            raise Problem(403, "foreign_origin", detail)
        return self._intake.take(site, envelope, self._sender(request), request.log)

    def _sender(self, request: Request) -> Sender:
        purposes = " ".join(request.headers.get(name, "") for name in _PURPOSES).lower()
        return Sender(
            address=request.event["requestContext"]["http"].get("sourceIp", ""),
            agent=request.headers.get("user-agent", ""),
            country=country_of(request.headers.get(self._country_header, "")),
            machine="prefetch" if "pre" in purposes else None,
        )


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    tracks = Tracks(runtime, settings(Settings, runtime.env))
    routes = {
        "POST /v1/track": Route(tracks.track, scope=None),
        "OPTIONS /v1/track": Route(tracks.allow, scope=None),
    }
    return http(runtime, "analytics", routes)


handler = entry(build, hurried=True)
