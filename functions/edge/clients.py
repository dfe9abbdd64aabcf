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


OWN = {"s3": CONFIG.merge(Config(signature_version="s3v4"))}
"""For who needs something else. botocore presigns for S3 by signature version 2 unless told, which
no bucket takes that was made since June 2020 (Amazon S3 User Guide, "Authenticating requests")."""

HURRIED = {
    "dynamodb": CONFIG.merge(
        Config(connect_timeout=0.5, read_timeout=0.5, retries={"total_max_attempts": 2})
    ),
    "sqs": CONFIG.merge(
        Config(connect_timeout=0.2, read_timeout=0.3, retries={"total_max_attempts": 1})
    ),
    "secretsmanager": CONFIG.merge(
        Config(connect_timeout=0.2, read_timeout=0.3, retries={"total_max_attempts": 1})
    ),
}
"""For who has a visitor waiting and another way out. Within a region all of these answer in
milliseconds; what has not come by now is better given up."""


def _within(seconds: float) -> Config:
    return Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})


@cache
def _session() -> Any:
    return botocore.session.get_session()


def client(service: str, deadline_ms: int = 0, region: str = "", hurried: bool = False) -> Any:
    """The container's client of a service; endpoint and region come from the environment, but for
    a region that is named. With a deadline it waits so long to connect, so long for an answer, and
    asks once."""
    return _made(service, deadline_ms, region, hurried)


@cache
def _made(service: str, deadline_ms: int, region: str, hurried: bool) -> Any:
    # A client allocates its whole service model, all of it to stay: collecting meanwhile, and
    # looking through it again later, is work for nothing.
    calm = OWN.get(service, CONFIG)
    config = HURRIED.get(service, calm) if hurried else calm
    if deadline_ms:
        config = calm.merge(_within(deadline_ms / 1000))
    gc.disable()
    try:
        return _session().create_client(service, region_name=region or None, config=config)
    finally:
        gc.freeze()
        gc.enable()
