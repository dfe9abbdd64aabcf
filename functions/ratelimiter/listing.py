"""What is asked of GET /v1/denials, and how a row is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from functions.edge.identity import network_of
from functions.edge.limits.lists import same
from functions.edge.limits.rules import MAX_IDENTITY
from functions.edge.validation import Query, to_text
from functions.kernel.codec import to_json
from functions.ratelimiter.schemas import Identifier
from functions.ratelimiter.tallies import Tally

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def to_day(value: object) -> str:
    """A day as it is written. Raises ValueError."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise ValueError("not a day, such as 2030-01-31")


def to_network(address: str) -> str:
    """Whose bucket an address is. Raises ValueError."""
    if (network := network_of(address)) is None:
        raise ValueError("not an IP address")
    return network


Name = Annotated[str, Field(min_length=1, max_length=MAX_IDENTITY)]


class DenialsQuery(Query):
    """Query of GET /v1/denials: of a `day` of UTC, else today, at most `limit` rows from the
    highest on, going on after `cursor`; of one rule, one kind of identity, one user, or the network
    that an address counts as."""

    day: Annotated[str, BeforeValidator(to_day)] | None = None
    rule: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    kind: Identifier | None = None
    user: Annotated[Name, AfterValidator(same)] | None = None
    ip: Annotated[Name, AfterValidator(to_network)] | None = None
    sort: Literal["last_at", "denied"] = "last_at"
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=512)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(self._kinds) > 1:
            raise ValueError("kind, user and ip name more than one kind of identity")
        return self

    @property
    def _kinds(self) -> set[str]:
        named = (("user", self.user), ("ip", self.ip), (self.kind, self.kind))
        return {kind for kind, name in named if kind and name}

    @property
    def asked(self) -> str:
        """What a cursor is good for."""
        return to_json(self.model_dump(exclude={"limit", "cursor"}))

    @property
    def filter(self) -> Callable[[Tally], bool] | None:
        """Whether a row is asked for; None where all are."""
        rule, kinds, name = self.rule, self._kinds, self.user or self.ip
        if rule is None and not kinds:
            return None
        return lambda tally: (
            rule in (None, tally.rule) and kinds <= {tally.kind} and name in (None, tally.identity)
        )


def tally_body(tally: Tally) -> dict[str, Any]:
    """A row as it is shown."""
    return {
        **tally._asdict(),
        "first_at": to_text(tally.first_at),
        "last_at": to_text(tally.last_at),
    }
