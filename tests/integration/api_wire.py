"""The HTTP API of the stack in process, as the bench reaches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import httpx

from functions.kernel.backoff import Backoff
from millrace.api import Api
from tests.integration.test_projection import OWNER
from tests.support.pump import Stack

Fault = httpx.Response | Exception


@dataclass
class Wire(httpx.BaseTransport):
    """Takes requests to the stack. `lost` are what the client gets instead of the next answers,
    `unheard` instead of the next requests."""

    stack: Stack
    lost: list[Fault] = field(default_factory=list)
    unheard: list[Fault] = field(default_factory=list)
    requests: int = 0
    claims: Mapping[str, str | None] = field(default_factory=dict)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.unheard:
            return _given(self.unheard.pop(0))
        answer = self.stack.request(
            request.method,
            request.url.raw_path.decode(),
            user=OWNER,
            claims=self.claims,
            body=request.read() or None,
            headers={"content-type": "application/json"},
        )
        if self.lost:
            return _given(self.lost.pop(0))
        return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))

    def api(
        self,
        url: str | None,
        token: str | None,
        user: str,
        claims: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Api:
        self.claims = {f"custom:{name}": value for name, value in claims.items()}
        client = httpx.Client(base_url="https://api.test", transport=self)
        return Api(client, Backoff(attempts=4, sleep=lambda _: None))


def _given(fault: Fault) -> httpx.Response:
    if isinstance(fault, Exception):
        raise fault
    return fault
