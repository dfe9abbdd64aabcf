"""Capabilities by convention: package `functions.<name>`, resources `<Name>Project`, `<Name>Retry`.

A capability has `projecting.py` with KINDS, Settings and `projection`, where any kind is public
PublisherSettings and `publisher` as well, and `decider.py` with `stream_id`, of an id, or of a
domain and an id where there is a DEFAULT_DOMAIN.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import functions
from functions.edge.settings import settings
from functions.kernel.decider import Decider
from functions.kernel.dynamo import DynamoStore
from functions.kernel.projector import Kinds, Projector
from functions.kernel.publisher import Publisher
from functions.kernel.quarantine import Quarantine
from functions.kernel.readers import Reader
from functions.kernel.store import kind_of
from functions.kernel.views import ViewTable
from millrace.deployment import Deployment
from millrace.errors import BenchError


@dataclass(frozen=True)
class Capability:
    """One capability on one deployment, wired as its own projector is."""

    name: str
    deployment: Deployment

    def logical(self, part: str) -> str:
        """The logical id of one of its resources: part "Sweep" of shortener is ShortenerSweep."""
        return "".join(word.capitalize() for word in self.name.split("_")) + part

    def view(self, name: str) -> str:
        """The name of a view that it has. Raises BenchError."""
        known = sorted({view.name for kind in self.kinds.values() for view in kind.views})
        if name not in known:
            raise BenchError(f"{self.name} has no view {name!r}; it has: {', '.join(known)}")
        return name

    def stream_id(self, text: str) -> str:
        """A stream id as it stands, or that of the resource that `text` names."""
        if "#" in text:
            return text
        decider = self._module("decider")
        domain = getattr(decider, "DEFAULT_DOMAIN", None)
        made: str = decider.stream_id(*filter(None, [domain]), text)
        return made

    def decider(self, stream: str) -> Decider[Any, Any, Any]:
        """The rules of a stream. Raises BenchError for a kind that it has not."""
        kind = kind_of(stream)
        if kind not in self.kinds:
            raise BenchError(f"{self.name} has no streams of the kind {kind!r}")
        return self.kinds[kind].decider

    @property
    def kinds(self) -> Kinds:
        kinds: Kinds = self._module("projecting").KINDS
        return kinds

    @property
    def store(self) -> DynamoStore:
        store: DynamoStore = self._projection.store
        return store

    @property
    def table(self) -> ViewTable:
        table: ViewTable = self._projection.table
        return table

    @property
    def projector(self) -> Projector:
        projector: Projector = self._projection.projector
        return projector

    @property
    def public(self) -> set[str]:
        """The kinds of streams of which anything is told to other capabilities."""
        return {name for name, kind in self.kinds.items() if kind.public}

    @cached_property
    def publisher(self) -> Publisher:
        """For a capability that publishes."""
        projecting = self._module("projecting")
        runtime = self.deployment.runtime(self.logical("Publish"))
        made: Publisher = projecting.publisher(
            runtime, settings(projecting.PublisherSettings, runtime.env)
        )
        return made

    @property
    def readers(self) -> Sequence[Reader]:
        """Who reads the stream of its events."""
        return [self.projector.renewed(), *([self.publisher] if self.public else [])]

    @property
    def quarantine(self) -> Quarantine:
        quarantine: Quarantine = self._projection.quarantine
        return quarantine

    @cached_property
    def _projection(self) -> Any:
        projecting = self._module("projecting")
        runtime = self.deployment.runtime(self.logical("Project"))
        return projecting.projection(runtime, settings(projecting.Settings, runtime.env))

    def _module(self, part: str) -> Any:
        return importlib.import_module(f"functions.{self.name}.{part}")


def names() -> list[str]:
    """Every capability that there is code for."""
    [root] = functions.__path__
    return sorted(path.parent.name for path in Path(root).glob("*/projecting.py"))


def find(name: str, deployment: Deployment) -> Capability:
    """A capability by name. Raises BenchError."""
    if name not in names():
        raise BenchError(f"there is no capability {name!r}; there are: {', '.join(names())}")
    return Capability(name, deployment)
