"""`make bench`: what a cold start and a warm call cost beside bare botocore, a check beside another
library's, and how long questions take on the emulator, on this machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.performance import cold_start, leases, limiting, queries, warm

RUNS = int(os.environ.get("RUNS", "30"))
T = TypeVar("T")


def _samples(rounds: Iterable[T], label: str) -> list[T]:
    return list(track(rounds, label, total=RUNS, console=Console(stderr=True)))


def main() -> None:
    """Measures and prints the tables."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"medians of {RUNS} interleaved rounds"
    )
    cold = Table("cold start", "CPU s", "ratio", "modules")
    for name, (seconds, ratio) in cold_start.ratios(
        _samples(cold_start.rounds(RUNS), "cold starts")
    ).items():
        count = len(cold_start.modules(cold_start.programs()[name]))
        cold.add_row(name, f"{seconds:.3f}", f"{ratio:.2f}", str(count))
    console.print(cold)
    calls = Table("warm call", "handler ms", "bare ms", "ratio")
    for name, (ours, bare, ratio) in warm.ratios(_samples(warm.rounds(RUNS), "warm calls")).items():
        calls.add_row(name, f"{ours:.2f}", f"{bare:.2f}", f"{ratio:.2f}")
    console.print(calls)
    _limits(console)
    _leases(console)
    loaded, times = queries.measure()
    title = f"{queries.EVENTS:,} events in {loaded:,} rows"
    asked = Table(title, "p50 ms", "p99 ms")
    for question, p50, p99 in times:
        asked.add_row(question, f"{p50:.0f}", f"{p99:.0f}")
    console.print(asked)


def _leases(console: Console) -> None:
    p50, p99 = leases.warm()
    console.print(f"CPU us of a check that a lease serves: p50 {p50:.0f}, p99 {p99:.0f}")
    spared = Table("1,000 a second", "containers", "load", "calls", "WCU", "denied", "due")
    for way, containers, load, calls, units, denied, due in leases.spared():
        means = (f"{calls:.2f}", f"{units:.2f}", f"{denied:.2%}", f"{due:.2%}")
        spared.add_row(way, str(containers), f"{load:.1f}", *means)
    console.print(spared)


def _limits(console: Console) -> None:
    rows, left_out = limiting.measure(RUNS)
    checks = Table("CPU us of a check", "alone p50", "p99", "with the store's client p50", "p99")
    for name, *costs in rows:
        shown = [[f"{each:.0f}" for each in cost] if cost else ["", ""] for cost in costs]
        checks.add_row(name, *shown[0], *shown[1])
    console.print(checks)
    for line in left_out:
        console.print(line)


if __name__ == "__main__":
    main()
