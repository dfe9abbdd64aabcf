"""AWS clients: made on first use, shared by the container, from botocore alone."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
)


@cache
def _session() -> Any:
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """The container's client of a service; region and endpoint come from the environment."""
    # A client allocates its whole service model, all of it to stay: collecting meanwhile, and
    # looking through it again later, is work for nothing.
    gc.disable()
    try:
        return _session().create_client(service, config=CONFIG)
    finally:
        gc.freeze()
        gc.enable()
