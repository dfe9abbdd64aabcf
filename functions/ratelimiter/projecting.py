"""The projector of this capability's views, as its two functions use it."""

from __future__ import annotations

from functions.edge.projection import Projection, Settings
from functions.edge.runtime import Runtime
from functions.kernel.projector import Kind
from functions.ratelimiter import decider, keys, upstreams
from functions.ratelimiter.decider import DECIDER
from functions.ratelimiter.keys import KEYS
from functions.ratelimiter.upstreams import UPSTREAMS
from functions.ratelimiter.views import KEYS_VIEW, UPSTREAMS_VIEW

KINDS = {
    decider.KIND: Kind(DECIDER),
    keys.KIND: Kind(KEYS, [KEYS_VIEW]),
    upstreams.KIND: Kind(UPSTREAMS, [UPSTREAMS_VIEW]),
}
"""Every kind of stream in the event table."""


def projection(runtime: Runtime, config: Settings) -> Projection:
    """Wires it in a given runtime."""
    return Projection.of(runtime, config, KINDS)
