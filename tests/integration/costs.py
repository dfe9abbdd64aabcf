"""docs/costs.md: bills of operations, by capability, and what it costs when nobody calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.support.handlers import ROOT
from tests.support.meter import Bill
from tests.support.pump import Stack
from tests.support.template import Template

MONTHLY_DOLLARS = {
    "AWS::CloudWatch::Alarm": ("alarm", 0.10),
    "AWS::SecretsManager::Secret": ("secret", 0.40),
}
"""us-east-1; AWS price lists, November 2026."""

QUEUE_POLLS = 5 * 30 * 24 * 3600 / 20
"""An idle queue's receives a month, by its function's five pollers (Lambda documentation)."""


class Priced(NamedTuple):
    """One line of the page; dollars are per million operations."""

    operation: str
    calls: str
    rcu: float
    wcu: float
    dollars: float
    guard: str


def line(bill: Bill) -> Priced:
    """A bill as a line of the page."""
    dollars = round(bill.dollars_per_million(), 2)
    return Priced(bill.name, _calls(bill), bill.rcu, bill.wcu, dollars, _guard(bill))


def _guard(bill: Bill) -> str:
    if bill.guard is None or not bill.guard.calls:
        return ""
    return f"{_calls(bill.guard)}: {bill.guard.dollars_per_million():.2f}"


def _calls(bill: Bill) -> str:
    return " + ".join(
        f"{count} {name.partition(':')[2]}" for name, count in bill.by_operation.items()
    )


def page(capabilities: Mapping[str, Sequence[Priced]], stack: Stack) -> str:
    """docs/costs.md."""
    lines = [
        "# What everything costs",
        "",
        "Written by `make costs` from what the tests' meter counts; a test holds it to the truth.",
        "RCU and WCU are DynamoDB capacity units, indexes included, worked out from item sizes.",
        "Dollars are per million operations in us-east-1 on demand, with one HTTP API request and",
        "one Lambda invocation (20 ms at 512 MB, arm64) where there are such. Containers are warm:",
        "a cold one of a function that signs or derives also reads the secret once. What guards",
        "our routes has a column of its own: its calls, and dollars per million of them.",
    ]
    for capability, priced in capabilities.items():
        lines += ["", f"## {capability}", ""]
        lines += ["| Operation | AWS calls | RCU | WCU | $/million | guard |"]
        lines += ["|---|---|---:|---:|---:|---|"]
        lines += [
            f"| {operation} | {calls} | {rcu:g} | {wcu:g} | {dollars:.2f} | {guard} |"
            for operation, calls, rcu, wcu, dollars, guard in priced
        ]
    return "\n".join(lines + _idle(stack)) + "\n"


def _idle(stack: Stack) -> list[str]:
    counted = {
        kind: sum(len(each.names(kind)) for each in Template(ROOT / "template.yaml", {}).family())
        for kind in MONTHLY_DOLLARS
    }
    queues = sum(len(function.queues) for function in stack.functions.values())
    polls = queues * QUEUE_POLLS / 1e6 * 0.40
    lines = ["", "## When nobody calls", "", "| What | A month |", "|---|---:|"]
    total = polls
    for kind, (name, dollars) in MONTHLY_DOLLARS.items():
        total += counted[kind] * dollars
        lines.append(f"| {counted[kind]} x {name} | ${counted[kind] * dollars:.2f} |")
    lines.append(f"| polling {queues} x queue | ${polls:.2f} |")
    return [*lines, f"| together | ${total:.2f} |"]
