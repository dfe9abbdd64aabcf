"""One JSON line per invocation, which is also the metric (CloudWatch embedded metric format)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from functions.edge.runtime import Runtime

NAMESPACE = "Millrace"


class LogLine:
    """What one invocation has to say; written once, at its end.

    Never put personal data, secrets, request bodies or query strings into it.
    """

    def __init__(self, runtime: Runtime, capability: str, request_id: str) -> None:
        self._runtime = runtime
        self._started = runtime.now()
        self.correlation = request_id
        self.failed = False
        self._fields: dict[str, Any] = {"capability": capability, "request_id": request_id}
        self._metrics: dict[str, int] = {}

    def add(self, **fields: Any) -> None:
        """Adds fields to the line."""
        self._fields.update(fields)

    def count(self, metric: str, by: int = 1) -> None:
        """Adds to a metric of this invocation; one that stays at nought is not sent."""
        if by:
            self._metrics[metric] = self._metrics.get(metric, 0) + by

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Writes the line at the end of what is inside: `failed` if it raises or says so."""
        try:
            yield
        except BaseException:
            self.failed = True
            raise
        finally:
            self.write("failed" if self.failed else "ok")

    def write(self, outcome: str) -> None:
        """Writes the line: outcome, duration in milliseconds, fields, and metrics if any."""
        now = self._runtime.now()
        line = {
            **self._fields,
            "correlation_id": self.correlation,
            "outcome": outcome,
            "duration_ms": now - self._started,
            **self._metrics,
        }
        if self._metrics:
            line["_aws"] = {
                "Timestamp": now,
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["capability"]],
                        "Metrics": [{"Name": name, "Unit": "Count"} for name in self._metrics],
                    }
                ],
            }
        self._runtime.write(json.dumps(line, separators=(",", ":")))
