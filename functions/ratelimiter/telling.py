"""What a denial tells the other capabilities: contracts/ratelimiter/RequestsDenied.v1.json.

An address goes no further than here, nor any other name: of who was denied there is a keyed digest,
another one each day, and no path. Who has to know asks GET /v1/denials, which forgets.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from functions.edge.secrets import Secrets
from functions.edge.topic import Topic
from functions.kernel.envelope import Envelope
from functions.ratelimiter.denials import Denial
from functions.ratelimiter.tallies import day_of

TYPE = "RequestsDenied"


class Telling:
    """Tells the topic of denials."""

    def __init__(self, topic: Topic, secrets: Secrets) -> None:
        self._topic = topic
        self._secrets = secrets

    def tell(self, denials: Sequence[Denial]) -> None:
        """Publishes an envelope for each. Raises what the topic and the secret raise."""
        self._topic.publish([self._envelope(each) for each in denials])

    def _envelope(self, denial: Denial) -> Envelope:
        data = {
            "rule": denial.rule,
            "kind": denial.kind,
            "identity": self._digest(denial),
            "method": denial.method,
            "denied": denial.denied,
            "shadow": denial.shadow,
        }
        return Envelope(
            id=denial.id,
            type=TYPE,
            schema=1,
            # A sample never changes: a stream of one event, whose state it is.
            stream=f"denial#{denial.tenant}#{denial.id}",
            version=1,
            time=denial.at,
            tenant=denial.tenant,
            data={name: value for name, value in data.items() if value is not None},
        )

    def _digest(self, denial: Denial) -> str | None:
        """Sixteen hex digits for an identity, of a tenant and a day of UTC."""
        if denial.identity is None:
            return None
        key = self._secrets.key(f"denials/{day_of(denial.at)}")
        told = f"{denial.tenant} {denial.kind} {denial.identity}".encode()
        return hmac.digest(key, told, hashlib.sha256)[:8].hex()
