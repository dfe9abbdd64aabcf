"""How far a capability's views and its publisher are behind its streams. Reads only; a scan of the
whole log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from functions.kernel.generations import GENERATIONS, Generations
from functions.kernel.publisher import PUBLISHED
from functions.kernel.store import kind_of
from functions.kernel.views import View
from millrace.capability import Capability
from millrace.redriving import length

SLICE = 1000
"""Commits per scan page."""


@dataclass(frozen=True)
class ViewLag:
    """One view: its live generation, the one being built, streams behind, and the recorded time
    (epoch milliseconds) and stream of the oldest commit that its rows do not show yet."""

    view: str
    generation: int
    building: int | None
    streams: int
    behind: int
    oldest: int | None
    oldest_stream: str | None


@dataclass(frozen=True)
class Lag:
    """Where a capability stands at `now`: its views, messages per queue, streams set aside."""

    now: int
    views: list[ViewLag]
    queues: dict[str, int]
    quarantined: int


def lag(capability: Capability) -> Lag:
    """Measures it."""
    deployment = capability.deployment
    marks = capability.table.mark(GENERATIONS)
    shown = [(name, view) for name, kind in capability.kinds.items() for view in kind.views]
    shown += [(name, PUBLISHED) for name in capability.public]
    standing = {view.name: Generations.of(marks, view.name) for _, view in shown}
    late: dict[str, dict[str, int]] = {view: {} for view in standing}
    streams = dict.fromkeys(standing, 0)
    previous: Mapping[str, int] = {}
    for heads in _pages(capability):
        for name, view in shown:
            own = {stream: head for stream, head in heads.items() if kind_of(stream) == name}
            # A long stream goes on from page to page.
            streams[view.name] += len(own.keys() - previous.keys())
            live = replace(view, generation=standing[view.name].live)
            late[view.name] |= _behind(capability, live, own)
        previous = heads
    sqs = deployment.client("sqs")
    queues = deployment.queues(capability.logical(""))
    return Lag(
        now=deployment.runtime(capability.logical("Project")).now(),
        views=[_view(name, standing[name], streams[name], late[name]) for name in late],
        queues={name: length(sqs, url) for name, url in queues.items()},
        quarantined=len(capability.quarantine.all()),
    )


def _pages(capability: Capability) -> Iterator[Mapping[str, int]]:
    position: Mapping[str, Any] | None = None
    while True:
        heads, position = capability.store.heads(position, SLICE)
        yield heads
        if position is None:
            return


def _behind(capability: Capability, view: View[Any], heads: Mapping[str, int]) -> dict[str, int]:
    """The recorded time of the first commit that each late stream's row does not show."""
    versions = capability.table.versions(view, list(heads))
    late = {stream: versions.get(stream, 0) for stream in heads}
    return {
        stream: commits[0].metadata.at
        for stream, version in late.items()
        if version < heads[stream]
        for commits, _ in [capability.store.forward(stream, after=version, limit=1)]
    }


def _view(name: str, standing: Generations, streams: int, late: Mapping[str, int]) -> ViewLag:
    oldest = min(late, key=lambda stream: (late[stream], stream), default=None)
    return ViewLag(
        view=name,
        generation=standing.live,
        building=standing.building,
        streams=streams,
        behind=len(late),
        oldest=None if oldest is None else late[oldest],
        oldest_stream=oldest,
    )
