"""The projector of this capability's views, as its two functions use it."""

from __future__ import annotations

from functions.analytics import decider, exports
from functions.analytics.decider import DECIDER
from functions.analytics.exports import EXPORTS
from functions.analytics.views import SITES
from functions.edge.projection import Projection, Settings
from functions.edge.runtime import Runtime
from functions.kernel.projector import Kind

KINDS = {decider.KIND: Kind(DECIDER, [SITES]), exports.KIND: Kind(EXPORTS)}
"""Every kind of stream in the event table."""


def projection(runtime: Runtime, config: Settings) -> Projection:
    """Wires it in a given runtime."""
    return Projection.of(runtime, config, KINDS)
