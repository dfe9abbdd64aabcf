"""Fed by the command queue: carries out creates that were accepted while the store was down.

What was accepted then may have been banned since, so each link is handed to the enforcement.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from functions.edge.http import problem_of
from functions.edge.log import LogLine
from functions.edge.problem import Problem
from functions.edge.queue import Message, consume, send
from functions.edge.runtime import Event, Handler, Runtime, entry
from functions.edge.secrets import Secrets
from functions.edge.settings import settings
from functions.kernel.commands import Commands, Context
from functions.kernel.dynamo import DynamoStore
from functions.kernel.errors import AlreadyExists
from functions.kernel.store import load
from functions.shortener import outcomes
from functions.shortener.decider import DECIDER, stream_id
from functions.shortener.deferring import Deferred, unpacked
from functions.shortener.issuing import Issued, Issuer
from functions.shortener.outcomes import OUTCOMES, Conclude, LinkIssued, LinkRefused
from functions.shortener.strategies import strategy

LASTING = (409, 422)
"""Answers that would be the same at the next delivery: they are the outcome. A create is right or
wrong by the time at which it was accepted, which its message carries."""


class Settings(NamedTuple):
    """What the function is told by its environment."""

    events_table: str
    secret_arn: str
    enforcement_queue_url: str


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    backoff = runtime.backoff()
    store = DynamoStore(runtime.client("dynamodb"), config.events_table, backoff)
    secrets = Secrets(runtime, config.secret_arn)
    reports: list[str] = []
    fresh = strategy(runtime, secrets, reports.append)
    issuer = Issuer(Commands(store, DECIDER, backoff), lambda: secrets.key("codes"), fresh)
    concluding = Commands(store, OUTCOMES, backoff)

    def carry_out(message: Message) -> None:
        deferred = unpacked(message.body)
        outcome = outcomes.stream_id(deferred.context.tenant or "", deferred.context.commit_id)
        if load(store, OUTCOMES, outcome).version:
            # A link that was the answer may lead elsewhere by now, and another would be made.
            return
        result = _result(issuer, deferred)
        if isinstance(result, LinkIssued):
            stream = stream_id(result.domain, result.code)
            send(runtime.client("sqs"), config.enforcement_queue_url, [{"stream": stream}])
        _conclude(concluding, outcome, deferred.context, result)

    def handler(event: Event, context: Any) -> Any:
        log = LogLine(runtime, "shortener", context.aws_request_id)
        with log.closing():
            answer = consume(event, context, log, "failed_commands", carry_out)
            while reports:
                log.count(reports.pop())
        return answer

    return handler


def _result(issuer: Issuer, deferred: Deferred) -> outcomes.Event:
    """What the command comes to. Raises what another delivery may not meet."""
    owner = deferred.context.actor
    try:
        issued = _issued(issuer, deferred)
    except AlreadyExists:
        return LinkRefused(owner, 409, "alias_taken", "This alias is taken.")
    except Exception as error:
        problem = problem_of(error)
        if problem.status not in LASTING or problem.kind == "conflict":
            raise
        return _refusal(owner, problem)
    return LinkIssued(owner, issued.link.domain, issued.link.code)


def _issued(issuer: Issuer, deferred: Deferred) -> Issued:
    wish, context, tried = deferred
    if tried is not None and wish.alias is None:
        # Where an answer was lost, the link may stand at this code: it is the first to look at.
        try:
            return issuer.issue(replace(wish, alias=tried), context)
        except AlreadyExists:
            pass
    return issuer.issue(wish, context)


def _refusal(owner: str, problem: Problem) -> LinkRefused:
    named = (problem.errors or [{}])[0]
    return LinkRefused(
        owner,
        problem.status,
        problem.kind,
        problem.detail,
        named.get("field"),
        named.get("reason"),
    )


def _conclude(
    commands: Commands[outcomes.Outcome | None],
    stream: str,
    context: Context,
    event: outcomes.Event,
) -> None:
    try:
        commands.create(stream, Conclude(event), replace(context, signature=None))
    except AlreadyExists:
        # An earlier delivery has concluded it, and its outcome may have been read: it stays.
        return


handler = entry(build)
