"""What must hold of creates that were accepted while the store was down: each ends in one outcome,
and that is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.simulation.invariants import Log, Logged
from tests.simulation.shortener.links import contradicts, same_url, stream_id
from tests.simulation.world import Served, Violation, World

CREATE = "POST /v1/links"
ENDS = ("issued at first", "issued later", "issued by dedupe", "refused")
"""What accepted creates must have come to in a long run."""


@dataclass(frozen=True)
class Accepted:
    """A create that was answered with 202: its message, and whether its append had got through."""

    command: dict[str, Any]
    stood: bool

    @property
    def id(self) -> str:
        return str(self.command["commit_id"])

    @property
    def stream(self) -> str:
        """The stream of its outcome."""
        return f"command#{self.command['tenant']}#{self.id}"


class Promises:
    """The creates that were accepted so far, and what becomes of them."""

    def __init__(self, world: World, log: Log) -> None:
        self._world = world
        self._log = log
        self._accepted: list[Accepted] = []
        world.served.append(self._served)

    def _served(self, served: Served) -> None:
        if (served.route.key, served.answer.status) != (CREATE, 202):
            return
        sent = [body for queue, body in served.invocation.sent if queue == "ShortenerCommands"]
        if not sent or any(body != sent[0] for body in sent):
            raise Violation("what is accepted is in the queue", f"{sent}")
        stood = sent[0]["commit_id"] in self._log.first_of
        self._accepted.append(Accepted(sent[0], stood))

    def newest(self, correlation: str) -> str:
        """The stream of the outcome of the newest create with this correlation."""
        return next(
            each.stream
            for each in reversed(self._accepted)
            if each.command["correlation"] == correlation
        )

    def outcome(self, stream: str) -> Logged | None:
        """What became of a command so far."""
        commits = self._log.of(stream)
        return commits[0] if commits else None

    def settled(self) -> None:
        """When all is quiet: every accepted create has one outcome, and it is so."""
        for accepted in self._accepted:
            outcome = self.outcome(accepted.stream)
            if outcome is None:
                raise Violation("what is accepted ends", f"{accepted.command}")
            kind, _, data = outcome.events[0]
            issued = kind == "LinkIssued"
            true = self._issued(accepted, data) if issued else self._refused(accepted, data)
            if data["owner"] != accepted.command["actor"] or not true:
                raise Violation("an outcome is what became of it", f"{accepted.command}: {data}")

    def _issued(self, accepted: Accepted, data: dict[str, Any]) -> bool:
        command, stream = accepted.command, stream_id(data["code"])
        own = self._log.first_of.get(accepted.id)
        if own is not None:
            self._end("issued at first" if accepted.stood else "issued later")
            return stream == own
        first = self._log.of(stream)[0] if self._log.of(stream) else None
        if first is not None and first.correlation == command["correlation"]:
            # The same command with its key, by another attempt.
            return True
        self._end("issued by dedupe")
        return command["dedupe"] and any(
            state["owner"] == command["actor"]
            and same_url(state["long_url"], command["terms"]["long_url"])
            and all(state[name] == command["terms"].get(name) for name in command["required"])
            for _, state in self._log.between(stream, 1, self._log.head(stream))
        )

    def _refused(self, accepted: Accepted, data: dict[str, Any]) -> bool:
        self._end("refused")
        if accepted.id in self._log.first_of:
            return False
        command = accepted.command
        if data["kind"] == "invalid":
            # Wrong already when it was accepted, unless it was a repeat of what was right once.
            late = (command["terms"].get("expires_at") or 0) <= command["now"]
            return late or contradicts({}, command["terms"])
        first = self._log.of(stream_id(command["alias"] or command["tried"] or ""))
        if data["kind"] == "idempotency_key_reused":
            # Of one key's two requests the one that waited comes second, were it asked first.
            others = [first[0].correlation] if first else []
            return any(name.endswith(".reuse") for name in (command["correlation"], *others))
        own = first and first[0].correlation == command["correlation"] and command["key"]
        return bool(data["kind"] == "alias_taken" and first and not own)

    def _end(self, how: str) -> None:
        self._world.coverage.hit("accepted", "shortener", how)
