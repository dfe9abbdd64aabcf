"""Whether a request may go on by a rulebook, as one container decides and tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from functions.edge.limits.algorithms import SLOT
from functions.edge.limits.buckets import Buckets
from functions.edge.limits.limiter import Decision, Limiter
from functions.edge.limits.rules import Asked, Rulebook
from functions.edge.log import LogLine
from functions.edge.runtime import Runtime
from functions.ratelimiter.answering import denied

if TYPE_CHECKING:
    from functions.ratelimiter.sampling import Denials


class Checking:
    """Takes of the limits that hold; who is refused is told of to the queue of denials."""

    def __init__(self, runtime: Runtime, shared: Buckets, denials_queue_url: str) -> None:
        self._runtime = runtime
        self._limiter = Limiter(shared, runtime.entropy)
        self._queue_url = denials_queue_url
        self._denials: Denials | None = None

    def decide(
        self, tenant: str, book: Rulebook, asked: Asked, now: int, log: LogLine
    ) -> Sequence[Decision]:
        """What the rules say at `now`, epoch ms; nothing of somebody who is always allowed. Raises
        a 403 Problem for who is always denied."""
        match book.standing(asked):
            case "denied":
                log.count("denied")
                self._tell(tenant, asked, book, [], log)
                raise denied()
            case "allowed":
                return []
        asked = asked._replace(slot=self._runtime.entropy(SLOT))
        decisions = self._limiter.check(tenant, book.rules, asked, now)
        log.count("denied", sum(not decision.allows for decision in decisions))
        log.count("uncounted", sum(decision.verdict is None for decision in decisions))
        if any(each.verdict is not None and not each.verdict.allowed for each in decisions):
            self._tell(tenant, asked, book, decisions, log)
        return decisions

    def _tell(
        self,
        tenant: str,
        asked: Asked,
        book: Rulebook,
        decisions: Sequence[Decision],
        log: LogLine,
    ) -> None:
        # Who is allowed does not wait for this import.
        from functions.ratelimiter.sampling import Denials, refusals

        self._denials = self._denials or Denials(self._runtime, self._queue_url)
        self._denials.tell(tenant, asked, refusals(asked, book.deny, decisions), log)
