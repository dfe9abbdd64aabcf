"""AWS clients: made on first use, shared by the container, from botocore alone."""

from __future__ import annotations

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
    return _session().create_client(service, config=CONFIG)
