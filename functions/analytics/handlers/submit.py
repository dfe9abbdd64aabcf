"""POST /v1/sites/{site}/events: what happens on a site, from its own server, for its owner alone.

An event may say of its visitor what a browser's request would: address, agent and country.
"""

from __future__ import annotations

from functions.analytics.decider import visible
from functions.analytics.hotsites import HotSites
from functions.analytics.intake import Intake, Sender, Settings, envelope_of
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import NotFound


class Events:
    """The route, with what one container remembers between its requests."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        store = DynamoStore(runtime.client("dynamodb"), config.events_table)
        self._sites = HotSites(store, runtime.now)
        self._intake = Intake(runtime, config)

    def take(self, request: Request) -> Answer:
        """POST. Raises NotFound for another's site, as for none."""
        envelope = envelope_of(request, request.path["site"])
        stream = self._sites.find(envelope.site)
        site, caller = stream.state, request.caller
        if site is None or site.deleted or stream.tenant != caller.tenant:
            raise NotFound(envelope.site)
        if not visible(site, caller.user):
            raise NotFound(envelope.site)
        return self._intake.take(site, envelope, Sender(own=True), request.log)


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    events = Events(runtime, settings(Settings, runtime.env))
    routes = {"POST /v1/sites/{site}/events": Route(events.take, scope="analytics:write")}
    return http(runtime, "analytics", routes)


handler = entry(build)
