"""What operations cost, and what each function touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

from botocore.awsrequest import AWSResponse

from tests.support.access import Access
from tests.support.capacity import CapacityGauge
from tests.support.wire import Call, Send

DOLLARS_PER_MILLION: Mapping[str, float] = {
    "wcu": 0.625,
    "rcu": 0.125,
    "http": 1.00,
    # A request, and 20 ms of 512 MB on arm64: an allowance, no measurement.
    "lambda": 0.20 + 0.13,
    "sqs": 0.40,
    "sns": 0.50,
    "secretsmanager": 5.00,
    "s3:write": 5.00,
    "s3:read": 0.40,
}
"""us-east-1, on demand; AWS price lists of each service, November 2026."""

PAYLOAD = 64 * 1024
"""Bytes of payload that SQS and SNS bill as one request, a batch as a whole (Amazon SQS pricing,
Amazon SNS pricing); that SNS hands messages to SQS costs nothing."""
LIMITS = "Limits"
"""The table of the guard's buckets, by its logical name."""
S3_REQUESTS = {
    "PutObject": "s3:write",
    "ListObjectsV2": "s3:write",
    "CreateMultipartUpload": "s3:write",
    "UploadPart": "s3:write",
    "CompleteMultipartUpload": "s3:write",
    "GetObject": "s3:read",
    "HeadObject": "s3:read",
}
"""What S3 bills a request as (Amazon S3 pricing); deletions cost nothing."""


@dataclass
class Bill:
    """One operation's calls in the order they were sent, and the requests AWS bills by number.

    Units are AWS capacity units. A call that the backend never saw is listed and costs nothing.
    What the guard of our routes calls is on a bill of its own, `guard`.
    """

    name: str
    calls: list[Call] = field(default_factory=list)
    edge_requests: Counter[str] = field(default_factory=Counter)
    guard: Bill | None = None

    @property
    def by_operation(self) -> Counter[str]:
        """Sends by name, the SDK's repeats included: {"dynamodb:PutItem": 1}."""
        return Counter(call.name for call in self.calls)

    @property
    def rcu(self) -> float:
        return sum(call.rcu for call in self.calls)

    @property
    def wcu(self) -> float:
        """Write units, those of indexes included."""
        return sum(call.wcu for call in self.calls) + self.index_wcu

    @property
    def index_wcu(self) -> float:
        """Write units of global secondary indexes alone."""
        return sum(call.index_wcu for call in self.calls)

    @property
    def requests(self) -> Counter[str]:
        """Billed requests: "http" and "lambda", and what went to services other than DynamoDB."""
        counted = Counter(self.edge_requests)
        for call in self.calls:
            if not call.reached or call.service == "dynamodb":
                continue
            if call.service != "s3":
                counted[call.service] += _billed_requests(call)
            elif call.operation in S3_REQUESTS:
                counted[S3_REQUESTS[call.operation]] += 1
        return counted

    def dollars_per_million(self, *kinds: str) -> float:
        """Dollars for a million such operations; of some `kinds` of DOLLARS_PER_MILLION alone, if
        any are named. Raises KeyError for a service without a price."""
        quantities = {"rcu": self.rcu, "wcu": self.wcu, **self.requests}
        return sum(
            quantity * DOLLARS_PER_MILLION[kind]
            for kind, quantity in quantities.items()
            if not kinds or kind in kinds
        )


class Meter:
    """A layer of the wire, the one next to the backend.

    Units are worked out only while an operation is open, since that takes reads of its own.
    """

    def __init__(self, bare_client: Callable[[str], Any]) -> None:
        self.calls: list[Call] = []
        self._bare_client = bare_client
        self._open: list[Bill] = []

    def __call__(self, call: Call, send: Send) -> AWSResponse:
        call.reached = True
        if call.service != "dynamodb" or not self._open:
            return send()
        response, units = self._gauge.measure(call, send)
        call.rcu, call.wcu, call.index_wcu = units.rcu, units.wcu, units.index_wcu
        return response

    def record(self, call: Call) -> None:
        """Notes a call as it sets out."""
        self.calls.append(call)
        guarding = any(resource == LIMITS for _, resource in call.accesses)
        for bill in self._open:
            (bill.guard if guarding and bill.guard else bill).calls.append(call)

    def request(self, kind: str) -> None:
        """Notes a request to the edge, which no client sends: "http" or "lambda"."""
        for bill in self._open:
            bill.edge_requests[kind] += 1

    @contextmanager
    def operation(self, name: str) -> Iterator[Bill]:
        """Bills what happens inside; operations may nest, and then both are billed."""
        bill = Bill(name, guard=Bill("guard"))
        self._open.append(bill)
        try:
            yield bill
        finally:
            # By identity: two bills of the same content are equal.
            self._open = [other for other in self._open if other is not bill]

    def touched(self, function: str) -> set[Access]:
        """Every (action, resource) that a function has used since the stack began."""
        return {
            access for call in self.calls if call.function == function for access in call.accesses
        }

    @cached_property
    def _gauge(self) -> CapacityGauge:
        return CapacityGauge(self._bare_client("dynamodb"))


def _billed_requests(call: Call) -> int:
    content = _CONTENT.get(call.service)
    if content is None:
        return 1
    entries = next((call.params[name] for name in _ENTRIES if name in call.params), [call.params])
    size = sum(len(entry.get(content, "").encode()) for entry in entries)
    return max(1, ceil(size / PAYLOAD))


_CONTENT = {"sqs": "MessageBody", "sns": "Message"}
_ENTRIES = ("Entries", "PublishBatchRequestEntries")
