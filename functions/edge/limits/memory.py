"""Buckets in memory: of one container, as long as it lives. They cost no call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from functions.edge.limits.algorithms import Verdict, algorithm
from functions.edge.limits.buckets import REMEMBERED, Group

Key = tuple[str, str]
"""A bucket's and a limit's."""


class Memory:
    """The newest used buckets, so many of them, by the same algorithms as those of a table."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._states: OrderedDict[Key, Any] = OrderedDict()

    def take(self, groups: Sequence[Group], now: int) -> list[Verdict]:
        """As Buckets.take, without a table. Nothing is taken ahead of who costs no call."""
        verdicts, after = self._decided(groups, now)
        if all(verdict.allowed for verdict in verdicts):
            self._remember(after)
        return verdicts

    def refuses(self, group: Group, now: int) -> bool:
        """As Buckets.refuses."""
        verdicts, _ = self._decided([group], now)
        return not all(verdict.allowed for verdict in verdicts)

    def _decided(self, groups: Sequence[Group], now: int) -> tuple[list[Verdict], dict[Key, Any]]:
        verdicts, after = [], {}
        for group in groups:
            for taking in group.takings:
                key = (group.key, taking.limit.id)
                counter = algorithm(taking.limit, taking.slot)
                verdict, after[key] = counter.decide(self._states.get(key), now, taking.cost)
                verdicts.append(verdict)
        return verdicts, after

    def _remember(self, states: dict[Key, Any]) -> None:
        for key, state in states.items():
            self._states[key] = state
            self._states.move_to_end(key)
        while len(self._states) > self._remembered:
            self._states.popitem(last=False)
