"""/v1/sites/{site}/exports: asks for a file of a site's events, and tells what became of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from functions.analytics import exports
from functions.analytics.asking import NewExport
from functions.analytics.exports import EXPORTS, Export, ExportRequested, Tell
from functions.analytics.files import MISSING
from functions.analytics.naming import new_id
from functions.analytics.owning import owned_site
from functions.analytics.routing import path
from functions.analytics.schemas import NoQuery
from functions.analytics.spans import span
from functions.edge.command import context
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_query, to_text
from functions.kernel.codec import to_json
from functions.kernel.commands import Commands
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists, Conflict, Gone, NotFound
from functions.kernel.store import load

RETRY_SECONDS = "5"
"""When to ask again what became of it."""
URL_SECONDS = 900


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    raw_bucket: str
    exports_queue_url: str
    public_url: str


class Exports:
    """The routes' functions, in a given runtime."""

    def __init__(self, runtime: Runtime, config: Settings) -> None:
        backoff = runtime.backoff()
        self._runtime = runtime
        self._config = config
        self._store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
        self._commands = Commands(self._store, EXPORTS, backoff)

    def ask(self, request: Request) -> Answer:
        """POST"""
        parse_query(NoQuery, request.query)
        body = parse_body(NewExport, request)
        site = owned_site(self._store, request)
        asked = span(body.first, body.to, site.timezone)
        export = new_id(request, self._runtime)
        payload = to_json(["POST exports", body.model_dump()])
        event = ExportRequested(
            site.id, site.owner, *asked, body.format, requested_at=self._runtime.now()
        )
        try:
            outcome = self._commands.create(
                exports.stream_id(site.id, export),
                Tell(event),
                context(request, self._runtime, payload),
            )
        except AlreadyExists as error:
            # As good as never: the next try draws another id.
            raise Conflict(export) from error
        # A repeat too: who asked before may have died between the two.
        self._runtime.client("sqs").send_message(
            QueueUrl=self._config.exports_queue_url,
            MessageBody=json.dumps({"site": site.id, "export": export}),
        )
        assert outcome.state is not None
        place = f"{self._config.public_url}{path(site.id)}/exports/{export}"
        headers = {"location": place, "Retry-After": RETRY_SECONDS}
        return Answer(202, shown(export, outcome.state), headers)

    def one(self, request: Request) -> Answer:
        """GET /v1/sites/{site}/exports/{export}"""
        parse_query(NoQuery, request.query)
        site, name = owned_site(self._store, request), request.path["export"]
        export = load(self._store, EXPORTS, exports.stream_id(site.id, name)).state
        if export is None:
            raise NotFound(name)
        if export.status == "pending":
            return Answer(200, shown(name, export), {"Retry-After": RETRY_SECONDS})
        if export.status == "failed":
            return Answer(200, shown(name, export))
        return Answer(200, {**shown(name, export), **self._file(name, export)})

    def _file(self, name: str, export: Export) -> dict[str, Any]:
        """The file's size, and where it lies for a while. Raises Gone once it was cleared away."""
        s3 = self._runtime.client("s3")
        place = {"Bucket": self._config.raw_bucket, "Key": exports.key(name, export)}
        try:
            size = s3.head_object(**place)["ContentLength"]
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                raise Gone from error
            raise
        saved = f'attachment; filename="{export.site}-{name}.{export.format}"'
        url = s3.generate_presigned_url(
            "get_object",
            Params={**place, "ResponseContentDisposition": saved},
            ExpiresIn=URL_SECONDS,
        )
        until = self._runtime.now() + URL_SECONDS * 1000
        return {"bytes": size, "url": url, "url_expires_at": to_text(until)}


def shown(name: str, export: Export) -> dict[str, Any]:
    """An export as who asked for it sees it."""
    ended = export.finished_at
    return {
        "id": name,
        "status": export.status,
        "from": to_text(export.since),
        "to": to_text(export.until),
        "format": export.format,
        "requested_at": to_text(export.requested_at),
        "finished_at": None if ended is None else to_text(ended),
        "events": export.facts,
        "reason": export.reason,
        "bytes": None,
        "url": None,
        "url_expires_at": None,
    }


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    made = Exports(runtime, settings(Settings, runtime.env))
    routes = {
        "POST /v1/sites/{site}/exports": Route(made.ask, "analytics:read"),
        "GET /v1/sites/{site}/exports/{export}": Route(made.one, "analytics:read"),
    }
    return http(runtime, "analytics", routes)


handler = entry(build)
