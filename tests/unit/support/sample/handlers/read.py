"""Gives back the event it was sent."""

from __future__ import annotations

from typing import Any

from functions.edge.runtime import Event, Handler, Runtime


def build(runtime: Runtime) -> Handler:
    def handler(event: Event, context: Any) -> Any:
        return event

    return handler
