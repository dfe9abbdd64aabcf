"""Capabilities by convention: package `functions.<name>`, resources `<Name>Project`, `<Name>Retry`.

A capability has `projecting.py` with Settings and `projection`, `decider.py` with DECIDER,
DEFAULT_DOMAIN and `stream_id`, and `views.py` with VIEWS.
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
from functions.kernel.projector import Projector
from functions.kernel.quarantine import Quarantine
from functions.kernel.store import DEFAULT_TENANT
from functions.kernel.views import View, ViewTable
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

    def view(self, name: str) -> View[Any]:
        """A view by name. Raises BenchError."""
        for view in self.views:
            if view.name == name:
                return view
        known = ", ".join(view.name for view in self.views)
        raise BenchError(f"{self.name} has no view {name!r}; it has: {known}")

    def stream_id(self, text: str) -> str:
        """A stream id as it stands, or that of the resource that `text` names."""
        if "#" in text:
            return text
        decider = self._module("decider")
        made: str = decider.stream_id(getattr(decider, "DEFAULT_DOMAIN", DEFAULT_TENANT), text)
        return made

    @property
    def decider(self) -> Decider[Any, Any, Any]:
        decider: Decider[Any, Any, Any] = self._module("decider").DECIDER
        return decider

    @property
    def views(self) -> Sequence[View[Any]]:
        views: Sequence[View[Any]] = self._module("views").VIEWS
        return views

    @property
    def store(self) -> DynamoStore:
        store: DynamoStore = self._projection.store
        return store

    @property
    def table(self) -> ViewTable:
        table: ViewTable = self._projection.table
        return table

    @property
    def projector(self) -> Projector[Any]:
        projector: Projector[Any] = self._projection.projector
        return projector

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
