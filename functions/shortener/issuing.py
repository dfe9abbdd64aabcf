"""Giving out codes: which one a new link gets, and when an existing link is the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from functions.kernel.commands import Commands, Context
from functions.kernel.errors import AlreadyExists, Conflict
from functions.kernel.store import load
from functions.shortener import codes, targets
from functions.shortener.decider import DEFAULT_DOMAIN, CreateLink, Link, stream_id
from functions.shortener.events import Terms

TRIES = 8
"""Codes tried per way of making one. A random code is taken in under 1 % of cases, so eight in a
row are not chance; a URL that its owner retargeted eight times gets random codes from then on."""


@dataclass(frozen=True)
class Wish:
    """The link that a caller asks for. `key` is its idempotency key; `required` holds what an
    existing link must have to be the answer."""

    terms: Terms
    domain: str = DEFAULT_DOMAIN
    alias: str | None = None
    dedupe: bool = True
    key: str | None = None
    required: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Issued:
    """The answer to a wish; not `created` when the caller had such a link already, `repeated` when
    this very command created it before."""

    link: Link
    version: int
    created: bool
    conflicts: int
    repeated: bool = False


class Issuer:
    """Creates links. `secret` gives the key that codes derive from, and is asked once."""

    def __init__(
        self,
        commands: Commands[Link | None],
        secret: Callable[[], bytes],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._commands = commands
        self._secret = secret
        self._entropy = entropy

    def issue(self, wish: Wish, context: Context) -> Issued:
        """A link as wished. Raises AlreadyExists for a taken alias, and what `create` raises."""
        if wish.alias is not None:
            return self._create(wish.alias, wish, context, 0)
        for taken, code in enumerate(self._candidates(wish, context)):
            try:
                return self._create(code, wish, context, taken)
            except AlreadyExists:
                if wish.dedupe and (found := self._existing(code, wish, context, taken)):
                    return found
        raise Conflict("no free code")

    def _candidates(self, wish: Wish, context: Context) -> Iterator[str]:
        owner = (context.tenant or "", wish.domain, context.actor)
        if wish.dedupe:
            url = targets.identity(wish.terms.long_url)
            for number in range(TRIES):
                yield codes.derived(self._secret(), "url", *owner, url, number)
        if wish.key is not None:
            for number in range(TRIES):
                yield codes.derived(self._secret(), "key", *owner, wish.key, number)
        for _ in range(TRIES):
            yield codes.random(self._entropy)

    def _create(self, code: str, wish: Wish, context: Context, taken: int) -> Issued:
        command = CreateLink(
            domain=wish.domain,
            code=code,
            owner=context.actor,
            terms=wish.terms,
            now=context.now,
        )
        outcome = self._commands.create(stream_id(wish.domain, code), command, context)
        assert outcome.state is not None
        return Issued(
            outcome.state, outcome.version, True, conflicts=taken, repeated=outcome.repeated
        )

    def _existing(self, code: str, wish: Wish, context: Context, taken: int) -> Issued | None:
        current = load(self._commands.store, self._commands.decider, stream_id(wish.domain, code))
        link = current.state
        if link is None or current.tenant != context.tenant or link.owner != context.actor:
            return None
        same = targets.identity(link.long_url) == targets.identity(wish.terms.long_url)
        fits = all(getattr(link, name) == value for name, value in wish.required.items())
        if not (same and fits and link.live(context.now)):
            return None
        return Issued(link, current.version, created=False, conflicts=taken)
