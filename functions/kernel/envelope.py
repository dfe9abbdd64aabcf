"""Domain events: what capabilities tell each other of their resources.

An envelope carries the resource's full public state, so that a consumer that keeps the newest of
each stream needs nothing else, and may get them twice or in any order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from functions.kernel.codec import Data, to_json
from functions.kernel.errors import Unreadable
from functions.kernel.store import Stream
from functions.kernel.views import View, ViewTable

MAX_VERSION = 10**9
"""More events than a stream can come to: at a thousand writes a second, eleven days of them."""


class Public(NamedTuple):
    """What one commit tells the other capabilities: a type with its schema, and the state."""

    type: str
    data: Data
    schema: int = 1


class Envelope(NamedTuple):
    """One domain event as it travels. `time` is the commit's recorded time in epoch milliseconds,
    `version` what the commit led to, `id` the same in every repeat."""

    id: str
    type: str
    schema: int
    stream: str
    version: int
    time: int
    tenant: str
    data: Data
    correlation: str | None = None
    causation: str | None = None

    @property
    def place(self) -> int:
        """Its place among all that is told under the stream's name, by time and then by version:
        times never decrease along a stream, and one that begins anew when its name is free again
        begins later than the former ended."""
        return self.time * MAX_VERSION + self.version

    def text(self) -> str:
        """The message; fields that are None are left out."""
        return to_json({name: value for name, value in self._asdict().items() if value is not None})

    @classmethod
    def of(cls, body: Any) -> Envelope:
        """From a message's JSON; unknown fields are tolerated. Raises Unreadable."""
        if not isinstance(body, dict):
            raise Unreadable("a message that is no envelope")
        fields = {name: body[name] for name in cls._fields if body.get(name) is not None}
        for name, kind in _KINDS.items():
            # True is an int to isinstance.
            if type(fields.get(name, "" if name in _OPTIONAL else None)) is not kind:
                raise Unreadable(f"an envelope whose {name} is none")
        if not 0 < fields["version"] < MAX_VERSION or fields["time"] < 0:
            raise Unreadable("an envelope whose version or time is none")
        return cls(**fields)


_KINDS = {
    **dict.fromkeys(("id", "type", "stream", "tenant", "correlation", "causation"), str),
    **dict.fromkeys(("schema", "version", "time"), int),
    "data": dict,
}
_OPTIONAL = ("correlation", "causation")


def keep(table: ViewTable, view: View[Data], envelope: Envelope) -> bool:
    """Writes a stream's row as an envelope tells it, unless a newer one was there; says whether it
    was written. The row's `v` is the envelope's place."""
    told = Stream(
        id=envelope.stream,
        state=envelope.data,
        version=envelope.version,
        at=envelope.time,
        tenant=envelope.tenant,
    )
    return table.put(view, envelope.stream, envelope.place, view.render(told))
