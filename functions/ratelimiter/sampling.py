"""Denials leave a check as samples: of each identity and rule the first at once, the others as a
number, once a minute at most and in one message with whatever else is due.

Nobody imports this before somebody is denied.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.limits.limiter import Decision
from functions.edge.limits.lists import Listed, same
from functions.edge.limits.rules import Asked
from functions.edge.log import LogLine
from functions.edge.runtime import Runtime
from functions.kernel.backoff import Pause
from functions.ratelimiter.denials import Denial, encode, nameless

SILENT_MS = 60_000
"""How long after a sample no other of the same identity and rule is sent."""
REMEMBERED = 10_000
"""Identities and rules that a container counts at a time, some 10 MB."""
TOGETHER = 20
"""Samples of others that one message takes along. With a sample for each rule that refuses, of
which there are a hundred at most, it stays below 1 MiB (Amazon SQS quotas)."""
MAX_ENDPOINT = 200
PAUSE_MS, MAX_PAUSE_MS = 1_000, 8_000
"""For so long after failed sends no other is tried: whoever is denied does not wait for a queue
that is down."""
DENY_LIST = "(deny list)"
"""What stands for a rule where it is the list that refuses: no rule has such a name."""
NAMED = ("user", "ip", "tenant")
"""Kinds of identity that may be told. Others, such as keys and cookies, open doors."""

Key = tuple[str, str, str, str, bool]
"""Tenant, rule, kind, identity, and whether it was a shadow."""


class Refusal(NamedTuple):
    """A rule that refused a request, or would have, and the kind of identity that it counts."""

    rule: str
    kind: str
    shadow: bool = False


class _Counted(NamedTuple):
    """What was denied since the sample at `since`, with the last of it; None for nothing."""

    since: int
    rest: Denial | None = None


class Sampler:
    """What one container has to tell, and what it has told within the minute."""

    def __init__(self, runtime: Runtime) -> None:
        self._now = runtime.now
        self._entropy = runtime.entropy
        self._counted: OrderedDict[Key, _Counted] = OrderedDict()

    def take(self, tenant: str, asked: Asked, refusals: Iterable[Refusal]) -> list[Denial]:
        """Counts what was refused; the samples to send."""
        now = self._now()
        samples = self._due(now)
        for each in refusals:
            denial = self._denial(tenant, asked, each, now)
            key = _key(denial)
            if key in samples:
                samples[key] = _added(samples[key], denial)
            elif key in self._counted:
                since, rest = self._counted[key]
                self._counted[key] = _Counted(since, _added(rest, denial))
            else:
                self._counted[key] = _Counted(now)
                samples[key] = denial
        while len(self._counted) > REMEMBERED:
            key, (_, rest) = self._counted.popitem(last=False)
            if rest is not None:
                samples[key] = rest
        return list(samples.values())

    def _due(self, now: int) -> dict[Key, Denial]:
        """What was counted in minutes that are over, the oldest first."""
        due: dict[Key, Denial] = {}
        while self._counted and len(due) < TOGETHER:
            key, (since, rest) = next(iter(self._counted.items()))
            # A clock may step back.
            if 0 <= now - since < SILENT_MS:
                break
            del self._counted[key]
            if rest is not None:
                due[key] = rest
                self._counted[key] = _Counted(now)
        return due

    def _denial(self, tenant: str, asked: Asked, refusal: Refusal, now: int) -> Denial:
        return Denial(
            id=self._entropy(12).hex(),
            tenant=tenant,
            rule=refusal.rule,
            kind=refusal.kind,
            at=now,
            denied=1,
            method=asked.method,
            identity=_told(refusal.kind, asked.identities[refusal.kind]),
            endpoint=_clean(asked.endpoint.partition("?")[0])[:MAX_ENDPOINT],
            shadow=refusal.shadow,
        )


class Denials:
    """Sends samples to the queue; those that cannot be sent go nameless into the log line, from
    where they can be sent later."""

    def __init__(self, runtime: Runtime, queue_url: str) -> None:
        self._client = runtime.client
        self._url = queue_url
        self._sampler = Sampler(runtime)
        self._pause = Pause(PAUSE_MS, MAX_PAUSE_MS, runtime.now, runtime.backoff().jitter)

    def tell(self, tenant: str, asked: Asked, refusals: Sequence[Refusal], log: LogLine) -> None:
        """Counts what was refused of a request, and sends what is due: one message, or none. Never
        raises for a queue that fails."""
        samples = self._sampler.take(tenant, asked, refusals)
        if samples and not (self._pause.over and self._sent(samples)):
            log.add(lost_samples=encode(map(nameless, samples)))
            log.count("lost_denials", sum(sample.denied for sample in samples))

    def _sent(self, samples: Sequence[Denial]) -> bool:
        body = json.dumps(encode(samples), separators=(",", ":"), ensure_ascii=False)
        try:
            self._client("sqs").send_message(QueueUrl=self._url, MessageBody=body)
        except (BotoCoreError, ClientError):
            self._pause.failed()
            return False
        self._pause.succeeded()
        return True


def refusals(asked: Asked, deny: Listed, decisions: Iterable[Decision]) -> list[Refusal]:
    """What refuses: the deny list, and rules, shadows included. What could not be counted is no
    denial."""
    listed = [
        Refusal(DENY_LIST, kind)
        for kind, identity in asked.identities.items()
        if deny.has({kind: identity}, asked.address if kind == "ip" else None)
    ]
    return listed + [
        Refusal(each.rule.name, kind, each.rule.shadow)
        for each in decisions
        if each.verdict is not None and not each.verdict.allowed
        if (kind := each.rule.identifier(asked))
    ]


def _key(denial: Denial) -> Key:
    return denial.tenant, denial.rule, denial.kind, denial.identity or "", denial.shadow


def _added(before: Denial | None, denial: Denial) -> Denial:
    return denial if before is None else denial._replace(denied=before.denied + denial.denied)


def _told(kind: str, identity: str) -> str:
    text = _clean(same(identity))
    return text if kind in NAMED else f"sha256:{sha256(text.encode()).hexdigest()[:16]}"


def _clean(text: str) -> str:
    # Halves of surrogate pairs, which no queue takes.
    return text.encode(errors="replace").decode()
