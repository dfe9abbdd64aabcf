"""What a limit allows: six algorithms, each as a decision and as the update that carries it out.

A decision is a function of a bucket's state, the time and the cost. A bucket stands in a table
whose updates cannot compare what they compute, so an algorithm says of the state that it knows
which of its branches applies, and gives an update that the table refuses where another does.
Whoever is refused learns the state, and decides again. Pure; times are nanoseconds of the epoch.

An adjustment is a function of the state as well, and is written over exactly what it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

Name = Literal[
    "token_bucket",
    "leaky_bucket",
    "fixed_window",
    "sliding_window",
    "sliding_log",
    "concurrency",
]
BUCKETS = ("token_bucket", "leaky_bucket")
Item = Mapping[str, Mapping[str, Any]]

SECOND = 1_000_000_000
MAX_LOG = 100
"""Entries of a sliding log: each costs ten bytes of an item that is written whole."""
ENTRY = 10
MOST = 2**16 - 1
"""What an entry can tell was taken. More of one charge would refuse nothing more, since it is above
any limit of a log already."""
MAX_SLOTS = 100
SLOT = 8
"""Bytes of a slot's id."""
NO_SLOT = bytes(SLOT)


class Verdict(NamedTuple):
    """What is decided. `remaining` is what could be taken right after; `wait` how long until as
    much as was asked for could be, none where it is allowed; `reset` until nothing counts any more;
    `delay` how long who is allowed has to hold back, in a queue alone."""

    allowed: bool
    remaining: int
    wait: int
    reset: int
    delay: int = 0


class Update(NamedTuple):
    """A part of an UpdateItem: its condition, what it sets and what it adds, by placeholders."""

    condition: str
    sets: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, Any]] = {}

    @property
    def assigns(self) -> bool:
        """Whether what it leads to is known, whatever was there."""
        return not self.adds and all(each.rpartition(" ")[2].startswith(":") for each in self.sets)


class Limit(NamedTuple):
    """At most `amount` in any `window`; what a token bucket allows at once is its `burst`. `id` is
    short and a name that no other limit of a bucket has."""

    id: str
    algorithm: Name
    amount: int
    window: int
    burst: int

    @property
    def at_once(self) -> int:
        """The most that can be taken at one time, ever."""
        return self.burst if self.algorithm in BUCKETS else self.amount

    @property
    def interval(self) -> int:
        """Nanoseconds in which one more can be taken, rounded up."""
        return -(-self.window // self.amount)


class Algorithm(Protocol):
    """One way to count. States are the algorithm's own, None where a bucket is new."""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that its states are kept in."""

    def state(self, item: Item) -> Any:
        """The state in a bucket's item."""

    def decide(self, state: Any, now: int, cost: int) -> tuple[Verdict, Any]:
        """What is decided, and the state after it: the same if it is refused."""

    def update(self, state: Any, now: int, cost: int) -> Update:
        """What takes the cost, where that is allowed in this state."""

    def taken(self, state: Any, now: int, cost: int) -> Verdict:
        """What is said to who took the cost, told from the state after that."""

    def adjusted(self, state: Any, now: int, cost: int) -> Any:
        """The state once a cost is charged, however little is left, or where it is negative given
        back, as far as that much counts still: the same where nothing does."""

    def kept(self, state: Any) -> dict[str, dict[str, Any]]:
        """The attributes that a state is read from."""


def algorithm(limit: Limit, slot: bytes = NO_SLOT) -> Algorithm:
    """How a limit counts; what is taken of one that counts what is in flight is known by `slot`."""
    match limit.algorithm:
        case "token_bucket":
            return TokenBucket(limit)
        case "leaky_bucket":
            return TokenBucket(limit, queues=True)
        case "fixed_window":
            return FixedWindow(limit)
        case "sliding_window":
            return SlidingWindow(limit)
        case "sliding_log":
            return SlidingLog(limit)
        case "concurrency":
            return Concurrency(limit, slot)


def replacing(item: Item, kept: Item) -> Update:
    """What writes attributes over exactly what an item had of them."""
    conditions, sets, values = [], [], {}
    for name, value in kept.items():
        sets.append(f"{name} = :{name}")
        values[f":{name}"] = value
        if name in item:
            conditions.append(f"{name} = :{name}was")
            values[f":{name}was"] = item[name]
        else:
            conditions.append(f"attribute_not_exists({name})")
    return Update(" AND ".join(conditions), sets=tuple(sets), values=values)


class TokenBucket:
    """A bucket of `burst` tokens that fills evenly, `amount` in a window.

    The generic cell rate algorithm (ITU-T I.371, annex A, the virtual scheduling form): all that is
    kept is the theoretical arrival time, when the bucket will be full again. The interval of a
    token is rounded up, so a bucket never fills faster than it says.

    As a queue, tokens are places: who is allowed waits until those before are through.
    """

    def __init__(self, limit: Limit, queues: bool = False) -> None:
        self._interval = limit.interval
        self._depth = limit.burst * self._interval
        self._queues = queues
        self._full = f"t_{limit.id}"
        self.names = (self._full,)

    def state(self, item: Item) -> int | None:
        """When the bucket will be full."""
        return int(item[self._full]["N"]) if self._full in item else None

    def decide(self, state: int | None, now: int, cost: int) -> tuple[Verdict, int | None]:
        """See Algorithm."""
        full = max(state or 0, now)
        after = full + cost * self._interval
        wait = after - now - self._depth
        if wait > 0:
            return Verdict(False, self._left(full, now), wait, full - now), state
        return self.taken(after, now, cost), after

    def update(self, state: int | None, now: int, cost: int) -> Update:
        """See Algorithm. Full and not full are two branches: no update knows a maximum."""
        taken = cost * self._interval
        name = self._full
        if state is None or state <= now:
            return Update(
                f"(attribute_not_exists({name}) OR {name} <= :{name}now)",
                sets=(f"{name} = :{name}then",),
                values={f":{name}now": _n(now), f":{name}then": _n(now + taken)},
            )
        return Update(
            f"{name} BETWEEN :{name}low AND :{name}most",
            adds=(f"{name} :{name}more",),
            values={
                f":{name}low": _n(now + 1),
                f":{name}most": _n(now + self._depth - taken),
                f":{name}more": _n(taken),
            },
        )

    def taken(self, state: int | None, now: int, cost: int) -> Verdict:
        """See Algorithm."""
        full = state or now
        delay = max(0, full - cost * self._interval - now) if self._queues else 0
        return Verdict(True, self._left(full, now), 0, full - now, delay)

    def adjusted(self, state: int | None, now: int, cost: int) -> int | None:
        """See Algorithm. Who is charged beyond the depth waits until that is filled as well."""
        full = max(state or 0, now)
        after = max(now, full + cost * self._interval)
        return state if after == full else after

    def kept(self, state: int) -> dict[str, dict[str, Any]]:
        """See Algorithm."""
        return {self._full: _n(state)}

    def _left(self, full: int, now: int) -> int:
        return max(0, (now + self._depth - full) // self._interval)


class Window(NamedTuple):
    """What was taken in a window, counted from the epoch, and in the one before."""

    number: int
    taken: int
    before: int = 0


class FixedWindow:
    """So much from one full window of the clock to the next: twice of it where two meet."""

    def __init__(self, limit: Limit) -> None:
        self._amount, self._window = limit.amount, limit.window
        self._number, self._taken = self.names = f"w_{limit.id}", f"n_{limit.id}"

    def state(self, item: Item) -> Window | None:
        """The newest window."""
        if self._number not in item:
            return None
        return Window(int(item[self._number]["N"]), int(item[self._taken]["N"]))

    def decide(self, state: Window | None, now: int, cost: int) -> tuple[Verdict, Window | None]:
        """See Algorithm."""
        here = self._here(state, now)
        ends = (here.number + 1) * self._window - now
        if here.taken + cost > self._amount:
            return Verdict(False, max(0, self._amount - here.taken), ends, ends), state
        after = here._replace(taken=here.taken + cost)
        return self.taken(after, now, cost), after

    def taken(self, state: Window | None, now: int, cost: int) -> Verdict:
        """See Algorithm."""
        here = self._here(state, now)
        left = max(0, self._amount - here.taken)
        return Verdict(True, left, 0, (here.number + 1) * self._window - now)

    def update(self, state: Window | None, now: int, cost: int) -> Update:
        """See Algorithm."""
        here, number, taken = self._here(state, now), self._number, self._taken
        values = {f":{number}": _n(here.number), f":{taken}": _n(cost)}
        if state is None or state.number < here.number:
            return Update(
                f"(attribute_not_exists({number}) OR {number} < :{number})",
                sets=(f"{number} = :{number}", f"{taken} = :{taken}"),
                values=values,
            )
        return Update(
            f"({number} = :{number} AND {taken} <= :{taken}most)",
            adds=(f"{taken} :{taken}",),
            values={**values, f":{taken}most": _n(self._amount - cost)},
        )

    def adjusted(self, state: Window | None, now: int, cost: int) -> Window | None:
        """See Algorithm."""
        return _adjusted(state, self._here(state, now), cost)

    def kept(self, state: Window) -> dict[str, dict[str, Any]]:
        """See Algorithm."""
        return {self._number: _n(state.number), self._taken: _n(state.taken)}

    def _here(self, state: Window | None, now: int) -> Window:
        # A clock that is behind counts in the window that others are in.
        number = now // self._window
        return state if state is not None and state.number >= number else Window(number, 0)


class SlidingWindow:
    """Two fixed windows, the older counted by the share of it that is less than a window ago.

    That is right as far as it was taken evenly, and at most `amount` by that count.
    """

    def __init__(self, limit: Limit) -> None:
        self._amount, self._window = limit.amount, limit.window
        self._number, self._taken = f"w_{limit.id}", f"n_{limit.id}"
        self._before = f"p_{limit.id}"
        self.names = (self._number, self._taken, self._before)

    def state(self, item: Item) -> Window | None:
        """The newest two windows."""
        if self._number not in item:
            return None
        return Window(*(int(item[name]["N"]) for name in self.names))

    def decide(self, state: Window | None, now: int, cost: int) -> tuple[Verdict, Window | None]:
        """See Algorithm."""
        here = self._here(state, now)
        room = self._room(here, now)
        ends = (here.number + 1) * self._window - now
        if cost > room:
            reset = ends + (self._window if here.taken else 0)
            return Verdict(False, max(0, room), self._wait(here, now, cost), reset), state
        after = here._replace(taken=here.taken + cost)
        return self.taken(after, now, cost), after

    def taken(self, state: Window | None, now: int, cost: int) -> Verdict:
        """See Algorithm."""
        here = self._here(state, now)
        ends = (here.number + 1) * self._window - now
        reset = ends + (self._window if here.taken else 0)
        return Verdict(True, max(0, self._room(here, now)), 0, reset)

    def update(self, state: Window | None, now: int, cost: int) -> Update:
        """See Algorithm."""
        here = self._here(state, now)
        number, taken, before = self._number, self._taken, self._before
        values = {f":{number}": _n(here.number), f":{taken}": _n(cost)}
        if state is not None and state.number == here.number:
            most = self._room(here._replace(taken=0), now) - cost
            return Update(
                f"({number} = :{number} AND {before} = :{before} AND {taken} <= :{taken}most)",
                adds=(f"{taken} :{taken}",),
                values={**values, f":{before}": _n(here.before), f":{taken}most": _n(most)},
            )
        values[f":{number}old"] = _n(here.number - 1)
        sets = (f"{number} = :{number}", f"{taken} = :{taken}")
        if state is not None and state.number == here.number - 1:
            most = (self._amount - cost) * self._window // self._overlap(here, now)
            return Update(
                f"({number} = :{number}old AND {taken} <= :{taken}most)",
                sets=(*sets, f"{before} = {taken}"),
                values={**values, f":{taken}most": _n(most)},
            )
        return Update(
            f"(attribute_not_exists({number}) OR {number} < :{number}old)",
            sets=(*sets, f"{before} = :{before}"),
            values={**values, f":{before}": _n(0)},
        )

    def adjusted(self, state: Window | None, now: int, cost: int) -> Window | None:
        """See Algorithm. Of the window before nothing is given back: it is over."""
        return _adjusted(state, self._here(state, now), cost)

    def kept(self, state: Window) -> dict[str, dict[str, Any]]:
        """See Algorithm."""
        return {name: _n(number) for name, number in zip(self.names, state, strict=True)}

    def _here(self, state: Window | None, now: int) -> Window:
        number = now // self._window
        if state is None or state.number < number - 1:
            return Window(number, 0)
        return state if state.number >= number else Window(number, 0, state.taken)

    def _overlap(self, here: Window, now: int) -> int:
        """Of the window before, how long is less than a window ago."""
        return min(self._window, (here.number + 1) * self._window - now)

    def _room(self, here: Window, now: int) -> int:
        older = -(-here.before * self._overlap(here, now) // self._window)
        return self._amount - here.taken - older

    def _wait(self, here: Window, now: int, cost: int) -> int:
        ends = (here.number + 1) * self._window - now
        if here.taken + cost <= self._amount:
            # Until little enough of the window before is left.
            spare = (self._amount - here.taken - cost) * self._window // here.before
            return ends - spare
        # Until little enough is left of this one, in the next.
        spare = max(0, self._amount - cost) * self._window // here.taken
        return ends + self._window - spare


def _adjusted(state: Window | None, here: Window, cost: int) -> Window | None:
    after = here._replace(taken=max(0, here.taken + cost))
    return state if after == here else after


class Log(NamedTuple):
    """When what was taken, oldest first, and what tells this from how it was written before."""

    version: int
    entries: tuple[tuple[int, int], ...]


class SlidingLog:
    """Every time that something was taken, so that what counts is exactly what is in the window."""

    def __init__(self, limit: Limit) -> None:
        self._amount, self._window = limit.amount, limit.window
        self._version, self._entries = self.names = f"v_{limit.id}", f"l_{limit.id}"

    def state(self, item: Item) -> Log | None:
        """What is written down."""
        if self._version not in item:
            return None
        rows = _rows(item[self._entries]["B"], ENTRY)
        entries = ((int.from_bytes(row[:8]), int.from_bytes(row[8:])) for row in rows)
        return Log(int(item[self._version]["N"]), tuple(entries))

    def decide(self, state: Log | None, now: int, cost: int) -> tuple[Verdict, Log | None]:
        """See Algorithm."""
        log = state or Log(0, ())
        counting = self._counting(log, now)
        lacking = cost - self._room(counting)
        if lacking > 0:
            wait = self._wait(counting, now, lacking)
            return Verdict(False, self._left(counting), wait, self._reset(counting, now)), state
        entries = (*counting, self._entry(counting, now, cost))
        after = Log(_next(log.version, now), entries)
        return self.taken(after, now, cost), after

    def taken(self, state: Log | None, now: int, cost: int) -> Verdict:
        """See Algorithm."""
        counting = self._counting(state or Log(0, ()), now)
        return Verdict(True, self._left(counting), 0, self._reset(counting, now))

    def update(self, state: Log | None, now: int, cost: int) -> Update:
        """See Algorithm."""
        _, after = self.decide(state, now, cost)
        assert after is not None, "what is not allowed has no update"
        return _over(self._version, state.version if state else None, self.kept(after))

    def adjusted(self, state: Log | None, now: int, cost: int) -> Log | None:
        """See Algorithm. The newest is given back first."""
        log = state or Log(0, ())
        counting = self._counting(log, now)
        if cost > 0:
            # Those before the newest hundred decide nothing: these are no less than any limit.
            after = [*counting, self._entry(counting, now, min(cost, MOST))][-MAX_LOG:]
        else:
            after = _without(counting, min(-cost, MOST))
        return state if after == counting else Log(_next(log.version, now), tuple(after))

    def kept(self, state: Log) -> dict[str, dict[str, Any]]:
        """See Algorithm."""
        content = b"".join(at.to_bytes(8) + taken.to_bytes(2) for at, taken in state.entries)
        return {self._version: _n(state.version), self._entries: {"B": content}}

    def _entry(self, counting: list[tuple[int, int]], now: int, cost: int) -> tuple[int, int]:
        # A clock that is behind writes no entry before the last one.
        return (max(now, counting[-1][0]) if counting else now, cost)

    def _counting(self, log: Log, now: int) -> list[tuple[int, int]]:
        return [entry for entry in log.entries if entry[0] > now - self._window]

    def _room(self, counting: list[tuple[int, int]]) -> int:
        return self._amount - sum(taken for _, taken in counting)

    def _left(self, counting: list[tuple[int, int]]) -> int:
        return max(0, self._room(counting))

    def _reset(self, counting: list[tuple[int, int]], now: int) -> int:
        return counting[-1][0] + self._window - now if counting else 0

    def _wait(self, counting: list[tuple[int, int]], now: int, lacking: int) -> int:
        for at, taken in counting:
            lacking -= taken
            if lacking <= 0:
                return at + self._window - now
        return self._window


def _without(entries: list[tuple[int, int]], back: int) -> list[tuple[int, int]]:
    """Entries without so much of the newest."""
    left = list(entries)
    while back and left:
        at, taken = left.pop()
        if taken > back:
            left.append((at, taken - back))
        back = max(0, back - taken)
    return left


class Slots(NamedTuple):
    """When each slot that is taken frees itself, with its id, the soonest first, and what tells
    this from how it was written before."""

    version: int
    entries: tuple[tuple[int, bytes], ...]


class Concurrency:
    """At most `amount` in flight: who takes is known by a slot, and gives it back. A slot frees
    itself after a window, since its holder may have died."""

    def __init__(self, limit: Limit, slot: bytes) -> None:
        self._amount, self._window, self._slot = limit.amount, limit.window, slot
        self._version, self._entries = self.names = f"v_{limit.id}", f"h_{limit.id}"

    def state(self, item: Item) -> Slots | None:
        """The slots that were taken."""
        if self._version not in item:
            return None
        rows = _rows(item[self._entries]["B"], 8 + SLOT)
        entries = ((int.from_bytes(row[:8]), row[8:]) for row in rows)
        return Slots(int(item[self._version]["N"]), tuple(entries))

    def decide(self, state: Slots | None, now: int, cost: int) -> tuple[Verdict, Slots | None]:
        """See Algorithm. The wait is until enough slots have freed themselves, at the latest."""
        held = self._held(state, now)
        lacking = cost - self._room(held)
        if lacking > 0:
            left, wait = max(0, self._room(held)), held[lacking - 1][0] - now
            return Verdict(False, left, wait, held[-1][0] - now), state
        taken = [(now + self._window, self._slot)] * cost
        version = _next(state.version if state else 0, now)
        after = Slots(version, tuple(sorted([*held, *taken])))
        return self.taken(after, now, cost), after

    def taken(self, state: Slots | None, now: int, cost: int) -> Verdict:
        """See Algorithm."""
        held = self._held(state, now)
        return Verdict(True, max(0, self._room(held)), 0, held[-1][0] - now if held else 0)

    def update(self, state: Slots | None, now: int, cost: int) -> Update:
        """See Algorithm."""
        _, after = self.decide(state, now, cost)
        assert after is not None, "what is not allowed has no update"
        return _over(self._version, state.version if state else None, self.kept(after))

    def adjusted(self, state: Slots | None, now: int, cost: int) -> Slots | None:
        """See Algorithm. All that is known by the slot is given back, whatever the cost."""
        held = self._held(state, now)
        after = [entry for entry in held if entry[1] != self._slot]
        if state is None or len(after) == len(held):
            return state
        return Slots(_next(state.version, now), tuple(after))

    def kept(self, state: Slots) -> dict[str, dict[str, Any]]:
        """See Algorithm."""
        content = b"".join(until.to_bytes(8) + slot for until, slot in state.entries)
        return {self._version: _n(state.version), self._entries: {"B": content}}

    def _held(self, state: Slots | None, now: int) -> list[tuple[int, bytes]]:
        return [entry for entry in state.entries if entry[0] > now] if state else []

    def _room(self, held: list[tuple[int, bytes]]) -> int:
        return self._amount - len(held)


def _next(version: int, now: int) -> int:
    # From the clock, since what has gone and begun anew is another one.
    return max(version + 1, now)


def _rows(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def _over(name: str, version: int | None, kept: dict[str, dict[str, Any]]) -> Update:
    """What writes attributes over the version that was read; None where there was none."""
    sets = tuple(f"{each} = :{each}" for each in kept)
    values = {f":{each}": value for each, value in kept.items()}
    if version is None:
        return Update(f"attribute_not_exists({name})", sets=sets, values=values)
    return Update(f"{name} = :{name}old", sets=sets, values={**values, f":{name}old": _n(version)})


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
