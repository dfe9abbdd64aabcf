"""Given events, when a command comes, then events or a refusal: the three lines of a decider test.

given(DECIDER, Created(...)).when(Rename("x")).then(Renamed("x"))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from functions.kernel.decider import Decider
from functions.kernel.errors import Gone, Rejected


@dataclass(frozen=True)
class Given:
    """A stream's state before the command."""

    decider: Decider[Any, Any, Any]
    state: Any

    def when(self, command: Any) -> When:
        return When(self.decider, self.state, command)


@dataclass(frozen=True)
class When:
    """A command on that state, not yet decided."""

    decider: Decider[Any, Any, Any]
    state: Any
    command: Any

    def then(self, *events: Any) -> None:
        """It leads to exactly these events, and the state can take them."""
        decided = tuple(self.decider.decide(self.command, self.state))
        assert decided == events
        self.decider.fold(self.state, decided)

    def rejected(self, field: str = "") -> None:
        """A rule refuses it and names `field`."""
        with pytest.raises(Rejected) as refusal:
            self.decider.decide(self.command, self.state)
        assert refusal.value.field == field

    def gone(self) -> None:
        """The resource is no more."""
        with pytest.raises(Gone):
            self.decider.decide(self.command, self.state)


def given(decider: Decider[Any, Any, Any], *events: Any) -> Given:
    """The state that `events` lead to."""
    return Given(decider, decider.fold(decider.initial, events))
