"""Fed by a shortener's clicks, contracts/shortener/LinkClicked.v1.json: keeps each once, as a fact
of the small site that a link is."""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.analytics.ledger import ExactLedger
from functions.analytics.links import definition
from functions.analytics.salts import Salts
from functions.analytics.sightings import of_click
from functions.analytics.visitors import anonymous
from functions.edge.log import LogLine
from functions.edge.queue import Message, consume
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.settings import settings

TYPE, SCHEMA = "LinkClicked", 1


class Unknown(Exception):
    """A message that is no click, or of a schema that is not known here."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    facts_table: str
    salts_table: str


class Clicks:
    """Keeps clicks, with what one container remembers."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        client = runtime.client("dynamodb")
        self._ledger = ExactLedger(client, config.facts_table)
        self._salts = Salts(client, config.salts_table, runtime.now, runtime.entropy)

    def take(self, click: Any, log: LogLine) -> None:
        """Keeps a click. Raises Unknown."""
        if (click["type"], click["schema"]) != (TYPE, SCHEMA):
            raise Unknown
        sighting = of_click(click)
        site = definition(sighting.fact.site)
        visitor = self._visitor(click["data"].get("visitor"), sighting.fact.site, click["time"])
        fact = sighting.fact._replace(visitor=visitor)
        outcome = self._ledger.keep(sighting._replace(fact=fact), site)
        log.count(f"{outcome}_clicks")

    def _visitor(self, digest: str | None, site: str, at: int) -> str | None:
        """The visitor's digest once more, with a salt that is deleted: what the shortener could
        make again tells nothing afterwards. A click that comes later than that has none."""
        if digest is None or (salt := self._salts.at("day", at)) is None:
            return None
        return anonymous(salt, site, digest, "")


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    clicks = Clicks(runtime, settings(Settings, runtime.env))

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "analytics", context.aws_request_id)

        def take(message: Message) -> None:
            clicks.take(message.body, log)

        with log.closing():
            return consume(event, context, log, "failed_clicks", take)

    return handler


handler = entry(build)
