"""POST /v1/links/bulk: many creates in one request, each with its own outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions.edge.command import idempotency_key
from functions.edge.http import Answer, Request, Route, explain, http, problem_of
from functions.edge.problem import Problem, unavailable
from functions.edge.runtime import Handler, Runtime, entry
from functions.edge.settings import settings
from functions.edge.validation import parse_body, parse_part
from functions.shortener.creating import Creator, Settings
from functions.shortener.issuing import Issued
from functions.shortener.schemas import BulkItem, NewLinks, link_body

MAX_BYTES = 1024 * 1024
RESERVE_MS = 10_000
"""Time kept back for a last link: its write may be tried three times, at 3 s each."""
GIVE_UP = 3
"""Links in a row that the store did not take; the others are then not tried."""

Outcome = Issued | Problem


def build(runtime: Runtime) -> Handler:
    """The handler, in a given runtime."""
    config = settings(Settings, runtime.env)
    creator = Creator(runtime, config)

    def bulk(request: Request) -> Answer:
        links = parse_body(NewLinks, request, MAX_BYTES).links
        outcomes = list(every(request, links))
        failures = [each for each in outcomes if isinstance(each, Problem)]
        if len(failures) == len(links) and all(each.status >= 500 for each in failures):
            raise failures[0]
        created = sum(_created(each) for each in outcomes)
        answer = {
            "items": [item(index, each) for index, each in enumerate(outcomes)],
            "created": created,
            "existing": len(links) - len(failures) - created,
            "failed": len(failures),
        }
        return Answer(200, answer)

    def every(request: Request, links: list[Any]) -> Iterator[Outcome]:
        key, down = idempotency_key(request), 0
        for index, link in enumerate(links):
            if down == GIVE_UP or request.remaining_ms < RESERVE_MS:
                yield unavailable()
                continue
            outcome = one(request, link, f"{key}.{index}" if key else None)
            down = down + 1 if _unavailable(outcome) else 0
            yield outcome

    def one(request: Request, link: Any, key: str | None) -> Outcome:
        try:
            asked = parse_part(BulkItem, link)
            issued = creator.create(request, asked, asked.idempotency_key or key)
            assert isinstance(issued, Issued), "without a command queue nothing is deferred"
            return issued
        except Exception as error:
            problem = problem_of(error)
            if problem.status >= 500:
                explain(request.log, problem)
            return problem

    def item(index: int, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Problem):
            return {"index": index, "status": outcome.status, "problem": outcome.document()}
        return {
            "index": index,
            "status": 201 if outcome.created else 200,
            "repeated": outcome.repeated,
            "link": link_body(outcome.link, outcome.version, config.public_url),
        }

    return http(runtime, "shortener", {"POST /v1/links/bulk": Route(bulk, "shortener:write")})


def _created(outcome: Outcome) -> bool:
    """Whether it was this request that created it."""
    return isinstance(outcome, Issued) and outcome.created and not outcome.repeated


def _unavailable(outcome: Outcome) -> bool:
    return isinstance(outcome, Problem) and outcome.status == 503


handler = entry(build)
