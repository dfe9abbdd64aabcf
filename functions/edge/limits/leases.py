"""Leases: tokens that a container takes ahead, to serve checks without a call.

A lease is taken in the update that a check makes anyway, and lives for LEASE_LIFE. What was not
spent goes back in the container's next update of that bucket, or, where nobody asks for it there
any more, in an update of its own; as far as it has not refilled meanwhile.

**The bound.** In any stretch (s, t] no more is admitted than burst + rate x (t - s + LEASE_LIFE).
Nothing returned: what is spent in (s, t] was taken in (s - LEASE_LIFE, t], and takes obey the
bucket. With returns, let k tokens be taken at a, the cost of that check among them, and x of them
returned at r. Compare a bucket of which k - x were taken at a and to which nothing is returned:
what is spent is within what is taken there, and plain takes obey it. It is full no sooner than
a + (k - x) intervals. Up to r the two differ by x intervals, and each take moves both alike, unless
it finds the compared one full: it begins at its own time there, and what had overflowed is not
counted. The other one's return would count it. So nothing may be returned that lets the compared
one be full before r: a + (k - x) intervals >= r, that is

    x = min(unspent, k - ceil((r - a) / interval))

and from r on the two are one. Of what others do meanwhile it asks only that they take: so the same
can be said of the earliest return, then of the next, until none is left. Clocks that are each off
by up to d, steadily while a lease lives, add 2d to the stretch; the time that an update is under
way counts as part of d.

**Once.** A return that is carried out twice gives tokens to nobody's cost. So an update is sent
once, as Buckets demands, and where no answer comes the lease is given up, returned or not. (A
condition would not tell a repetition: whoever takes as much as was just returned restores all that
the bucket knows.)

**Denials** are the store's. What a lease cannot pay is asked there, with what is left given back.
So that little lies in leases while others are refused, one is half of what the container was asked
for lately, so that it is spent before it ends, and at most half of what then remains.

What is said to remain counts others' leases as taken, spent or not, and the own as not taken. It is
as of the last update, at most LEASE_LIFE ago, filled since; what others took since is not known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from math import exp
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from functions.edge.limits.algorithms import SECOND, Limit, TokenBucket, Update, Verdict
from functions.edge.limits.buckets import Buckets, Busy, Group, Taking
from functions.edge.limits.memory import Memory

LEASE_LIFE = SECOND
LEAST = 2
"""Tokens of a lease that is worth its while."""
HELD = 10_000
"""Leases that a container has at once; what was left of the oldest then refills by itself."""


class Exchange(TokenBucket):
    """A token bucket whose update returns up to `back` tokens of a lease, takes a cost, and takes
    up to `most` tokens ahead. `ahead` is what the newest update takes so."""

    def __init__(self, limit: Limit, most: int = 0, back: int = 0) -> None:
        super().__init__(limit)
        self._most, self._back = most, back
        self.ahead = 0

    def decide(self, state: int | None, now: int, cost: int) -> tuple[Verdict, int | None]:
        """See Algorithm."""
        self.ahead = 0
        verdict, after = super().decide(self._returned(state, now), now, cost)
        if not verdict.allowed:
            # Nothing is returned now, and by then what was to be may have refilled.
            unreturned, _ = super().decide(state, now, cost)
            return verdict._replace(wait=unreturned.wait), state
        assert after is not None, "what was taken from has a state"
        return verdict, after + self._ahead_of(verdict, cost) * self._interval

    def update(self, state: int | None, now: int, cost: int) -> Update:
        """See Algorithm."""
        verdict, _ = self.decide(state, now, cost)
        self.ahead = self._ahead_of(verdict, cost)
        back = ((state or 0) - (self._returned(state, now) or 0)) // self._interval
        return super().update(state, now, cost + self.ahead - back)

    def taken(self, state: int | None, now: int, cost: int) -> Verdict:
        """See Algorithm: as if nothing was taken ahead."""
        assert state is not None, "what was taken from has a state"
        return super().taken(state - self.ahead * self._interval, now, cost)

    def _ahead_of(self, verdict: Verdict, cost: int) -> int:
        ahead = min(self._most, verdict.remaining // 2)
        return ahead if ahead >= cost else 0

    def _returned(self, state: int | None, now: int) -> int | None:
        """The state after the return, which lets a bucket be full at most."""
        if state is None or state <= now:
            return state
        return state - min(self._back, (state - now) // self._interval) * self._interval


class _Place(NamedTuple):
    """What a lease is of. An edited limit, or another size of its leases, is another."""

    key: str
    limit: Limit
    size: int


class _Lease(NamedTuple):
    """`tokens` that were taken in one update, some of them unspent. `full` is when the bucket would
    be full had it lost only what was spent; `asked` is what was lately asked for."""

    bucket: TokenBucket
    interval: int
    gone_at: int
    taken_at: int
    tokens: int
    unspent: int
    full: int
    asked_at: int
    asked: float

    def pays(self, cost: int, now: int) -> bool:
        """Whether it still can. One from the future never does: clocks step back."""
        return cost <= self.unspent and 0 <= now - self.taken_at < LEASE_LIFE

    def idle(self, now: int) -> bool:
        """Whether nobody asks for it any more."""
        return not 0 <= now - self.asked_at < LEASE_LIFE

    def demand(self, cost: int, now: int) -> float:
        """What was asked for lately, this cost included: an exponentially weighted sum, so about
        what is asked for in a LEASE_LIFE."""
        passed = now - self.asked_at
        return cost + self.asked * exp(-passed / LEASE_LIFE) if passed >= 0 else cost

    def asking(self, cost: int, now: int) -> _Lease:
        """The lease after it was asked for."""
        return self._replace(asked=self.demand(cost, now), asked_at=now)

    def returnable(self, now: int) -> int:
        """What of it has not refilled by itself; see above."""
        passed = now - self.taken_at
        if passed < 0:
            return 0
        return max(0, min(self.unspent, self.tokens - -(-passed // self.interval)))

    def spent(self, cost: int, now: int) -> _Lease:
        """The lease after it has paid."""
        full = self.full + cost * self.interval
        return self.asking(cost, now)._replace(unspent=self.unspent - cost, full=full)

    def verdict(self, now: int, cost: int) -> Verdict:
        """What is said to who was served from it."""
        return self.bucket.taken(max(self.full, now), now, cost)


class Leases:
    """Buckets, with what one container has taken ahead of them."""

    def __init__(self, buckets: Buckets | Memory) -> None:
        self._buckets = buckets
        self._held: OrderedDict[_Place, _Lease] = OrderedDict()
        """The one that was not asked for longest comes first."""

    def take(self, groups: Sequence[Group], now: int) -> list[Verdict]:
        """As Buckets.take. Where there is one group, and all of its takings lease, from what was
        taken ahead if that is enough; else by one update, which also returns what was left.

        One lease that nobody asks for any more is returned by an update of its own.
        """
        if len(groups) == 1 and all(taking.lease for taking in groups[0].takings):
            verdicts = self._leased(groups[0], now)
        else:
            verdicts = self._buckets.take(groups, now)
        self._return_idle(now)
        return verdicts

    def _leased(self, group: Group, now: int) -> list[Verdict]:
        places = [_Place(group.key, each.limit, each.lease) for each in group.takings]
        costs = [taking.cost for taking in group.takings]
        held = [self._held.get(place) for place in places]
        paying = [
            lease.spent(cost, now)
            for lease, cost in zip(held, costs, strict=True)
            if lease is not None and lease.pays(cost, now)
        ]
        if len(paying) < len(places):
            return self._exchanged(group, places, held, now)
        for place, lease in zip(places, paying, strict=True):
            self._keep(place, lease)
        return [lease.verdict(now, cost) for lease, cost in zip(paying, costs, strict=True)]

    def _exchanged(
        self, group: Group, places: list[_Place], held: list[_Lease | None], now: int
    ) -> list[Verdict]:
        # Where no answer comes, nobody knows what was returned.
        for place in places:
            self._held.pop(place, None)
        old = [
            lease.asking(taking.cost, now) if lease else None
            for lease, taking in zip(held, group.takings, strict=True)
        ]
        exchanges = [_exchange(place, lease, now) for place, lease in zip(places, old, strict=True)]
        verdicts = self._exchange(group, exchanges, now)
        parts = zip(places, group.takings, old, exchanges, verdicts, strict=True)
        taken = all(verdict.allowed for verdict in verdicts)
        for place, taking, lease, exchange, verdict in parts:
            if taken:
                self._keep(place, _anew(taking, lease, exchange.ahead, verdict, group.gone_at, now))
            elif lease:
                # Nothing was returned.
                self._keep(place, lease)
        return verdicts

    def _exchange(self, group: Group, exchanges: Sequence[Exchange], now: int) -> list[Verdict]:
        pairs = zip(group.takings, exchanges, strict=True)
        takings = [taking._replace(counter=exchange) for taking, exchange in pairs]
        return self._buckets.take([group._replace(takings=takings)], now)

    def _keep(self, place: _Place, lease: _Lease) -> None:
        self._held[place] = lease
        self._held.move_to_end(place)
        if len(self._held) > HELD:
            self._held.popitem(last=False)

    def _return_idle(self, now: int) -> None:
        while self._held:
            place, lease = next(iter(self._held.items()))
            if not lease.idle(now):
                return
            del self._held[place]
            if back := lease.returnable(now):
                counter = Exchange(place.limit, back=back)
                gone_at = lease.gone_at - (lease.taken_at - now) // SECOND
                group = Group(place.key, [Taking(place.limit, 0, counter=counter)], gone_at)
                # What is not returned refills by itself, and the check has its answer.
                with suppress(Busy, BotoCoreError, ClientError):
                    self._buckets.take([group], now)
                return


def _exchange(place: _Place, lease: _Lease | None, now: int) -> Exchange:
    if lease is None:
        return Exchange(place.limit)
    wanted = min(place.size, int(lease.asked / 2))
    return Exchange(place.limit, wanted if wanted >= LEAST else 0, lease.returnable(now))


def _anew(
    taking: Taking, old: _Lease | None, ahead: int, verdict: Verdict, gone_at: int, now: int
) -> _Lease:
    return _Lease(
        TokenBucket(taking.limit),
        taking.limit.interval,
        gone_at,
        taken_at=now,
        tokens=taking.cost + ahead,
        unspent=ahead,
        full=now + verdict.reset,
        asked_at=now,
        asked=old.asked if old else taking.cost,
    )
