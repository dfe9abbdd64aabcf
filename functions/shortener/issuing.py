"""Giving out codes: which one a new link gets, and when an existing link is the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from functions.kernel.commands import Commands, Context
from functions.kernel.errors import AlreadyExists, Conflict
from functions.kernel.store import load
from functions.shortener import codes, targets
from functions.shortener.decider import DEFAULT_DOMAIN, CreateLink, Link, stream_id
from functions.shortener.events import Terms
from functions.shortener.strategies import Strategy

TRIES = 8
"""Derived codes tried, the first half at the first length, the others a letter longer; where a code
is taken in 1 % of cases, eight in a row are not chance. A URL that its owner retargeted eight times
gets fresh codes from then on."""


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
    """Creates links. `secret` gives the key that codes derive from, `strategy` fresh codes."""

    def __init__(
        self,
        commands: Commands[Link | None],
        secret: Callable[[], bytes],
        strategy: Strategy,
    ) -> None:
        self._commands = commands
        self._secret = secret
        self._strategy = strategy

    def issue(self, wish: Wish, context: Context) -> Issued:
        """A link as wished. Raises AlreadyExists for a taken alias, and what `create` raises.

        Until it is called again `tried` is the code that was tried last.
        """
        self.tried: str | None = None
        if wish.alias is not None:
            return self._create(wish.alias, wish, context, 0)
        wish = replace(wish, dedupe=wish.dedupe and self._strategy.dedupes)
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
            yield from self._derived("url", *owner, url)
        if wish.key is not None:
            yield from self._derived("key", *owner, wish.key)
        yield from self._strategy.candidates()

    def _derived(self, *parts: str) -> Iterator[str]:
        # By the number alone, not by what a container has seen: all try the same codes in order.
        for number in range(TRIES):
            length = codes.LENGTH + number // (TRIES // 2)
            yield codes.derived(self._secret(), *parts, number, length=length)

    def _create(self, code: str, wish: Wish, context: Context, taken: int) -> Issued:
        self.tried = code
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
        asked = all(getattr(link, name) == value for name, value in wish.required.items())
        fits = asked and link.max_clicks is None and link.password is None
        if not (same and fits and link.live(context.now)):
            return None
        return Issued(link, current.version, created=False, conflicts=taken)
