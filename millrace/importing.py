"""Moving links in from another shortener's export, through the HTTP API.

Every link carries an idempotency key made of its source, its domain there and its code: a run that
was interrupted is run again, and creates what is missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError
from rich.markup import escape

from functions.edge.validation import to_millis
from functions.kernel.errors import Rejected
from functions.shortener import codes, targets
from functions.shortener.handlers.bulk import MAX_BYTES
from functions.shortener.imports import kutt, millrace, shlink, yourls
from functions.shortener.imports.rows import Row
from functions.shortener.schemas import BulkItem
from millrace.api import AGAIN, ENVELOPE, Api, encoded
from millrace.batching import batches
from millrace.errors import BenchError
from millrace.terminal import table

SOURCES: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "yourls": yourls.rows,
    "shlink": shlink.rows,
    "kutt": kutt.rows,
    "millrace": millrace.rows,
}
OWN_DOMAIN = millrace.OWN_DOMAIN
CHUNK = 100
"""Links in a request: the API takes 500, and the gateway gives them 30 seconds."""
EXAMPLES = 3

CREATED, EXISTING, VALID = "created", "already there", "valid"
CHANGED, TAKEN, INVALID, FAILED = "changed since", "taken", "invalid", "failed"
SKIPPED = "skipped"
MEANINGS = {
    VALID: "would be sent",
    CREATED: "",
    EXISTING: "by an earlier run, or by an answer that was lost",
    CHANGED: "an earlier run took this code to something else",
    TAKEN: "somebody has this code",
    INVALID: "",
    SKIPPED: "",
    FAILED: "the service could not; run it again",
}
"""Each outcome, in the order of the report, and what it means."""
MISSING = (CHANGED, TAKEN, INVALID, FAILED)
"""Outcomes after which a link that should be here is not as the file has it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a row, and why if it was not created."""

    row: Row
    kind: str
    reason: str = ""
    short_url: str | None = None

    def line(self) -> dict[str, Any]:
        """For the report's file."""
        link = self.row.link
        return {
            "place": self.row.place,
            "domain": link.get("domain"),
            "code": link.get("alias"),
            "long_url": link.get("long_url"),
            "outcome": self.kind,
            "reason": self.reason or None,
            "short_url": self.short_url,
            "left_behind": list(self.row.notes),
        }


@dataclass
class Report:
    """The outcomes so far, counted; each is written to `file` when it is known."""

    file: TextIO | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Outcome]] = field(default_factory=dict)
    left_behind: Counter[str] = field(default_factory=Counter)
    clicks: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one."""
        self.outcomes[outcome.kind] += 1
        self.left_behind.update(outcome.row.notes)
        self.clicks += outcome.row.clicks
        seen = self.examples.setdefault(outcome.kind, [])
        if outcome.reason and len(seen) < EXAMPLES:
            seen.append(outcome)
        if self.file:
            self.file.write(json.dumps(outcome.line(), ensure_ascii=False) + "\n")
            self.file.flush()

    @property
    def missing(self) -> int:
        """Links that should be here and are not as the file has them."""
        return sum(self.outcomes[kind] for kind in MISSING)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rows": self.outcomes.total(),
            **{kind.replace(" ", "_"): self.outcomes[kind] for kind in MEANINGS},
            "clicks_not_carried_over": self.clicks,
            "left_behind": dict(self.left_behind),
            "examples": [each.line() for seen in self.examples.values() for each in seen],
        }

    def words(self) -> Iterator[Any]:
        """For people: the counts, the first of what is missing, what stays behind."""
        counts = [
            (kind, f"{self.outcomes[kind]:,}", meaning)
            for kind, meaning in MEANINGS.items()
            if self.outcomes[kind]
        ]
        yield table(
            *("outcome", "rows", ""),
            rows=[*counts, ("all", f"{self.outcomes.total():,}", "")],
            right=["rows"],
        )
        if reasons := [
            (kind, each.row.place, each.row.link.get("alias", "-"), each.reason)
            for kind in MEANINGS
            for each in self.examples.get(kind, ())
        ]:
            yield ""
            yield table("first of", "place", "code", "reason", rows=reasons)
        if self.clicks:
            yield f"\n{self.clicks:,} clicks were counted at the source: they are not carried over"
        for what, links in sorted(self.left_behind.items()):
            yield f"not carried over: {escape(what)}, of {links:,} links"


@contextmanager
def written(path: Path | None, source: Path) -> Iterator[TextIO | None]:
    """A report's file, if one is wanted. Raises BenchError if it is the source itself, which
    writing would empty before it is read."""
    if path is None:
        yield None
        return
    if path.exists() and path.samefile(source):
        raise BenchError(f"{path} is what is to be imported: name another file for the report")
    with path.open("w", encoding="utf-8") as file:
        yield file


def decoded(content: bytes) -> str:
    """A file's text: UTF-8, or UTF-16 where a byte order mark says so. Bytes that are not UTF-8
    become lone surrogates, which make their row a bad one."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="surrogateescape")


@dataclass(frozen=True)
class Import:
    """One run. `domain` is where every link goes; None is the one it had at the source."""

    source: str
    domain: str | None
    now: int

    def plan(self, export: str) -> Iterator[Outcome]:
        """Each row of the file: VALID, or what stands in its way before it is even sent."""
        places: dict[tuple[Any, str], str] = {}
        for row in SOURCES[self.source](export):
            identity = row.link.get("domain"), row.link.get("alias", "")
            if row.fault:
                yield Outcome(row, INVALID, row.fault)
            elif row.left_out:
                yield Outcome(row, SKIPPED, row.left_out)
            elif identity in places:
                yield Outcome(row, SKIPPED, f"its code comes at {places[identity]} already")
            else:
                places[identity] = row.place
                yield self._checked(row)

    def outcomes(self, planned: Sequence[Outcome], api: Api | None) -> Iterator[Outcome]:
        """What becomes of rows: those that are VALID are sent, chunk by chunk, unless there is no
        API. Raises BenchError where the service takes none at all."""
        yield from (each for each in planned if api is None or each.kind != VALID)
        if api is not None:
            valid = [each.row for each in planned if each.kind == VALID]
            for chunk in batches(valid, self._bytes, CHUNK, MAX_BYTES - ENVELOPE):
                yield from self._create(api, chunk)

    def _create(self, api: Api, rows: list[Row]) -> Iterator[Outcome]:
        busy: list[Outcome] = []
        for _ in api.patience.tries():
            items = api.create([self._body(row) for row in rows])
            if len(items) != len(rows):
                raise BenchError(f"the API answered {len(items)} of {len(rows)} links")
            outcomes = [_outcome(row, item) for row, item in zip(rows, items, strict=True)]
            yield from (each for each in outcomes if each.kind != FAILED)
            busy = [each for each in outcomes if each.kind == FAILED]
            rows = [each.row for each in busy]
            if not rows:
                return
        yield from busy

    def _bytes(self, row: Row) -> int:
        """What of a request a row takes, with the comma behind it."""
        return len(encoded(self._body(row))) + 1

    def _body(self, row: Row) -> dict[str, Any]:
        link = dict(row.link)
        there = link.pop("domain", None)
        key = f"import:{self.source}:{there or ''}:{link['alias']}"
        here = there if self.domain is None else self.domain
        named = {} if here in (None, OWN_DOMAIN) else {"domain": here}
        return {**link, **named, "idempotency_key": key}

    def _checked(self, row: Row) -> Outcome:
        body = self._body(row)
        try:
            codes.alias(body["alias"])
            targets.target(body["long_url"])
            BulkItem.model_validate_json(json.dumps(body))
        except ValidationError as error:
            return Outcome(row, INVALID, _first_fault(error))
        except Rejected as error:
            return Outcome(row, INVALID, f"{error.field} {error.reason}")
        expires_at = body["expires_at"]
        if expires_at is not None and to_millis(expires_at) <= self.now:
            return Outcome(row, SKIPPED, f"expired {expires_at}")
        return Outcome(row, VALID)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _outcome(row: Row, item: Mapping[str, Any]) -> Outcome:
    status, problem = item["status"], item.get("problem", {})
    if status in (200, 201):
        kind = CREATED if status == 201 and not item.get("repeated") else EXISTING
        return Outcome(row, kind, short_url=item["link"]["short_url"])
    name = str(problem.get("type", "")).rpartition(":")[2]
    # 202: it was accepted into a queue; asked again, it is there.
    if status == 202 or status in AGAIN or name == "conflict":
        return Outcome(row, FAILED, _reason(problem))
    kinds = {"alias_taken": TAKEN, "idempotency_key_reused": CHANGED}
    return Outcome(row, kinds.get(name, INVALID), _reason(problem))


def _reason(problem: Mapping[str, Any]) -> str:
    named = [f"{each['field']} {each['reason']}" for each in problem.get("errors", ())]
    return "; ".join(named) or str(problem.get("detail", "no reason given"))
