"""What importing each handler costs, beside a bare botocore DynamoDB client."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from statistics import median

from tests.support.handlers import handler_modules

BARE = "import botocore.session as s; s.get_session().create_client('dynamodb')"
LIST = "; import sys; print(*sys.modules)"


def start(module: str) -> str:
    """A program that does what a cold start of this handler does before its first call."""
    return f"import {module}; from functions.edge.clients import client; client('dynamodb')"


def programs() -> dict[str, str]:
    """The bare client and every handler, by short name."""
    handlers = {name: start(name) for name in handler_modules()}
    return {"bare botocore client": BARE, **handlers}


@cache
def modules(program: str) -> frozenset[str]:
    """The modules that a program has imported at its end."""
    return frozenset(_run(program + LIST).stdout.split())


def rounds(runs: int) -> Iterator[dict[str, float]]:
    """CPU seconds (user and system) of each program, all of them in every round."""
    for _ in range(runs):
        yield {name: _cpu(program) for name, program in programs().items()}


def ratios(samples: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Median CPU seconds and median ratio to the bare client of the same round."""
    return {
        name: (
            median(each[name] for each in samples),
            median(each[name] / each["bare botocore client"] for each in samples),
        )
        for name in programs()
    }


def _cpu(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": os.getcwd()},
    )
