"""A decider: how one kind of stream turns commands and state into events. Pure.

After Jeremie Chassaing's functional event sourcing decider: decide, evolve, initial state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from functions.kernel.codec import Data, EventCodec

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E")


def _no_upgrade(state: Data, schema: int) -> Data:
    raise LookupError(f"no upgrade from state schema {schema}")


def _everyone(state: Any, actor: str) -> bool:
    return True


def _never(state: Any) -> bool:
    return False


@dataclass(frozen=True)
class Decider(Generic[C, S, E]):
    """The rules of one kind of stream.

    `decide(command, state)` gives the events, or raises Rejected or Gone. `evolve(state, event)`
    gives the next state and must know every event. `snapshot_every` is in commits: 1 puts the
    state into every commit after the first. `upgrade(state, schema)` lifts a stored state of an
    older schema to `state_schema`, so that no deploy refolds histories. `visible(state, actor)`
    says whether an actor may know of the stream at all; it is asked before anything else.
    `buried(state)` says whether the stream ended for good: the commit that ends it carries the
    state, whatever `snapshot_every` is, so that a purge can leave it alone.
    """

    state: type
    initial: S
    decide: Callable[[C, S], Sequence[E]]
    evolve: Callable[[S, E], S]
    events: EventCodec
    snapshot_every: int = 16
    state_schema: int = 1
    upgrade: Callable[[Data, int], Data] = _no_upgrade
    visible: Callable[[S, str], bool] = _everyone
    buried: Callable[[S], bool] = _never

    def fold(self, state: S, events: Sequence[E]) -> S:
        """The state after `events`."""
        for event in events:
            state = self.evolve(state, event)
        return state
