"""Rules: which limits a request comes under, and whose bucket each of them is of. Pure.

A request comes under every rule that fits it, not under the first alone: ten a second and a hundred
a minute are two rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from functions.edge.limits.algorithms import BUCKETS, NO_SLOT, SECOND, Limit, Name
from functions.edge.limits.buckets import DEADLINE_MS
from functions.edge.limits.lists import Entry, Listed, same

MAX_IDENTITY = 512
"""Characters of an identity, beyond which nobody's name goes."""
PATTERNS = 4_000
"""Patterns that a container keeps taken apart: of eleven rules that is a fifth of a check."""
_SLASHES = re.compile("/+")


class Rule(NamedTuple):
    """One limit, and for what. Empty `methods` are all of them; of the `identifiers` the first that
    a request has is whose bucket it is; `closed` refuses what cannot be counted; a `shadow` is
    counted and refuses nobody. `window` is in seconds; `deadline` is how many milliseconds the
    table has to answer. A container may take `lease` tokens ahead; the limit is counted in so many
    `shards`, in one place if none."""

    name: str
    endpoint: str
    limit: int
    window: int
    methods: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ("user", "ip")
    tier: str | None = None
    algorithm: Name = "token_bucket"
    burst: int = 0
    cost: int = 1
    closed: bool = False
    deadline: int = DEADLINE_MS
    shadow: bool = False
    lease: int = 0
    shards: int = 0

    @property
    def counted(self) -> Limit:
        """The limit as its bucket knows it. Another algorithm or window begins anew, and so does
        another amount or burst of a bucket, whose time to be full says nothing of other ones: who
        used up a limit would wait the longer the higher it becomes. Else another amount goes on
        with what was taken."""
        burst = self.burst or self.limit
        name = f"{self.name}|{self.algorithm}|{self.window}"
        if self.algorithm in BUCKETS:
            name += f"|{self.limit}|{burst}"
        id = blake2b(name.encode(), digest_size=6).hexdigest()
        return Limit(id, self.algorithm, self.limit, self.window * SECOND, burst)

    def share(self, shard: int) -> Limit:
        """What of the limit one of its shards counts: in sum they are exactly the limit."""
        whole = self.counted
        amount, burst = (
            every // self.shards + (shard < every % self.shards)
            for every in (whole.amount, whole.burst)
        )
        return whole._replace(amount=amount, burst=burst)

    @property
    def at_once(self) -> int:
        """The most that a request may ever cost."""
        return self.counted.at_once // max(1, self.shards)

    @property
    def holds(self) -> bool:
        """Whether it counts what is in flight, rather than what was taken."""
        return self.algorithm == "concurrency"

    @property
    def remembers(self) -> int:
        """Seconds after which nothing counts any more, rounded up."""
        shards = max(1, self.shards)
        most = -(-self.burst // shards)
        return max(2 * self.window, -(-most * self.window // (self.limit // shards)))

    def identifier(self, asked: Asked) -> str | None:
        """The kind of the request's identity that is counted, None where it has none of them."""
        return next((kind for kind in self.identifiers if kind in asked.identities), None)


class Asked(NamedTuple):
    """A request as rules see it: `identities` by kind, such as user or ip, `cost` in tokens. Where
    an ip among them stands for a network, `address` is the whole one. While it is in flight it is
    known by its `slot`, which is nobody else's."""

    endpoint: str
    method: str
    identities: Mapping[str, str]
    tier: str = "free"
    cost: int = 1
    address: str | None = None
    slot: bytes = NO_SLOT


class Rulebook(NamedTuple):
    """All that holds at one time: the rules, and whom they do not concern."""

    rules: tuple[Rule, ...] = ()
    allow: Listed = Listed()
    deny: Listed = Listed()

    def standing(self, asked: Asked) -> Literal["denied", "allowed"] | None:
        """What a request is whatever the rules say; None where they decide. Who stands on both
        lists is denied."""
        if self.deny.has(asked.identities, asked.address):
            return "denied"
        return "allowed" if self.allow.has(asked.identities, asked.address) else None


def encode(book: Rulebook) -> str:
    """A rulebook as text; the same gives the same."""
    data: dict[str, Any] = {"rules": [_data(rule) for rule in book.rules]}
    for name, listed in (("allow", book.allow), ("deny", book.deny)):
        if listed.entries:
            data[name] = listed.entries
    return json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def decode(text: str) -> Rulebook:
    """The rulebook that was encoded. Before there were lists it was a list of the rules alone."""
    data = json.loads(text)
    if isinstance(data, list):
        data = {"rules": data}
    allow, deny = (Listed.of(Entry(*each) for each in data.get(k, ())) for k in ("allow", "deny"))
    return Rulebook(tuple(map(_rule, data["rules"])), allow, deny)


def fitting(rules: Iterable[Rule], asked: Asked) -> list[tuple[Rule, str]]:
    """The rules that a request comes under, each with the kind of the identity that it counts."""
    segments = _segments(asked.endpoint)
    found = []
    for rule in rules:
        if _fits(rule, asked) and _matches(rule.endpoint, segments):
            kind = rule.identifier(asked)
            if kind is not None:
                found.append((rule, kind))
    return found


def matchable(pattern: str) -> bool:
    """Whether each star of a pattern says something: it is a whole segment, or the last one's ** is
    what may follow."""
    wanted, _ = _wanted(pattern)
    return all(segment == "*" or "*" not in segment for segment in wanted)


def bucket(scope: str, kind: str, identity: str, *apart: str) -> str:
    """The key of an identity's bucket: of one length, and telling nobody's name."""
    parts = [scope, kind, same(identity), *apart]
    return sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _data(rule: Rule) -> dict[str, object]:
    return {k: v for k, v in rule._asdict().items() if v != _DEFAULTS.get(k)}


def _rule(data: Mapping[str, object]) -> Rule:
    known = {name: data[name] for name in Rule._fields if name in data}
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    return Rule(**frozen)  # type: ignore[arg-type]


def _fits(rule: Rule, asked: Asked) -> bool:
    return (not rule.methods or asked.method.upper() in rule.methods) and (
        rule.tier is None or rule.tier == asked.tier
    )


def _matches(pattern: str, segments: list[str]) -> bool:
    """Segment by segment, so in linear time: * is any one, ** at the end whatever follows."""
    wanted, more = _wanted(pattern)
    if len(segments) < len(wanted) or (len(segments) > len(wanted) and not more):
        return False
    return all(want in ("*", segment) for want, segment in zip(wanted, segments, strict=False))


@lru_cache(PATTERNS)
def _wanted(pattern: str) -> tuple[list[str], bool]:
    """A pattern's segments, and whether more may follow."""
    wanted = _segments(pattern)
    more = wanted[-1:] == ["**"]
    return (wanted[:-1] if more else wanted), more


def _segments(path: str) -> list[str]:
    """A path without what makes two spellings of one: escapes, case, empty and dot segments."""
    plain = path.partition("?")[0]
    for _ in range(2):
        plain = unquote(plain)
    found: list[str] = []
    for segment in _SLASHES.split(plain.replace("\\", "/").casefold()):
        if segment == "..":
            del found[-1:]
        elif segment not in ("", "."):
            found.append(segment)
    return found


_DEFAULTS = Rule._field_defaults
