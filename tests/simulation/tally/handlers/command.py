"""PUT, POST and GET /tallies/{name}: begin, count, look."""

from __future__ import annotations

import json
from typing import NamedTuple

from functions.edge.command import context, etag, expected_versions
from functions.edge.http import Answer, Request, Route, http
from functions.edge.runtime import Handler, Runtime
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Outcome
from functions.kernel.dynamo import DynamoStore
from functions.kernel.store import load
from tests.simulation.tally.decider import DECIDER, Add, Open, Tally, stream_id


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    table = settings(Settings, runtime.env).events_table
    store = DynamoStore(runtime.client("dynamodb"), table, runtime.backoff())
    commands = Commands(store, DECIDER, runtime.backoff())

    def begin(request: Request) -> Answer:
        name = request.path["name"]
        command = Open(request.caller.user, runtime.now())
        surroundings = context(request, runtime, f"open {name}")
        return show(commands.create(stream_id(name), command, surroundings))

    def add(request: Request) -> Answer:
        name, body = request.path["name"], request.body()
        outcome = commands.execute(
            stream_id(name),
            Add(tuple(json.loads(body)), runtime.now()),
            context(request, runtime, f"add {name} {body}"),
            expected_versions(request),
        )
        return show(outcome)

    def show(outcome: Outcome[Tally]) -> Answer:
        return Answer(200, vars(outcome.state), etag(outcome.version))

    def look(request: Request) -> Answer:
        current = load(store, DECIDER, stream_id(request.path["name"]))
        return Answer(200, vars(current.state), {"ETag": f'"{current.version}"'})

    routes = {
        "PUT /tallies/{name}": Route(begin, "shortener:write"),
        "POST /tallies/{name}": Route(add, "shortener:write"),
        "GET /tallies/{name}": Route(look, "shortener:read"),
    }
    return http(runtime, "tally", routes)
