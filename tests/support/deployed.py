"""The whole template on an emulator of one's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from functions.edge.limits.rules import Rule, Rulebook, encode
from infra.local.__main__ import this_machine
from infra.local.artifacts import build
from infra.local.deployment import deploy
from infra.local.emulator import Emulator
from infra.local.endpoint import base_url, session
from infra.local.stack import function_environment, resources
from infra.local.users import Claims, token

if TYPE_CHECKING:
    from localstack_client.session import Session


GUARDED, AT_ONCE = "guarded", 3
GUARD_RULES = encode(
    Rulebook(
        (
            Rule("many", "/**", 1_000_000, 1, tier="free", identifiers=("user",)),
            Rule("few", "/**", AT_ONCE, 86_400, tier=GUARDED, closed=True, deadline=1000),
        )
    )
)
"""Every user's request is counted, and those of one tier's may ask three times."""


@dataclass(frozen=True)
class Stack:
    """The deployed template. `url` is the API's base, without a trailing slash."""

    port: int
    endpoint: str
    url: str

    def token(self, user: str = "demo", **claims: str) -> str:
        """An ID token for `user`; `claims` are tenant, tier and scopes."""
        return token(self.endpoint, user, Claims(**claims))

    @property
    def session(self) -> Session:
        """A boto3-like session for the emulator."""
        return session(self.endpoint)

    def physical_id(self, logical_id: str) -> str:
        """The name or URL that the emulator gave to a resource of any of the stacks."""
        return resources(self.endpoint)[logical_id]

    def environment(self, function: str) -> dict[str, str]:
        """The variables of a deployed function."""
        return function_environment(self.endpoint, function)


@contextmanager
def deployed(scratch: Path) -> Iterator[Stack]:
    """Starts an emulator on a free port, deploys what is on disk now, and ends it."""
    port = free_port()
    emulator = Emulator(port, scratch / "emulator")
    url = base_url(emulator.endpoint)
    emulator.start()
    try:
        template = build(scratch / "build")
        parameters = {
            "PublicUrl": url,
            "GuardRules": GUARD_RULES,
            # Upstreams of the gateway are servers of a test's own.
            "AllowPrivateUpstreams": "yes",
            **this_machine(),
        }
        deploy(emulator.endpoint, template, parameters)
        yield Stack(port, emulator.endpoint, url)
    finally:
        emulator.stop()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
