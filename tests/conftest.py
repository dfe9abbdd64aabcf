"""What every test gets: no AWS account, no network unless it is end to end, a fresh stack."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import interleave

if TYPE_CHECKING:
    from tests.support.pump import Stack

HERE = Path(__file__).parent
OFFLINE = ("architecture", "integration", "simulation", "unit")
"""Folders of tests that must not open a socket."""

# Whoever runs the tests may have an account, and no test may reach it.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-costs", action="store_true", help="write docs/costs.md anew")
    parser.addoption("--write-openapi", action="store_true", help="write docs/openapi.json anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # A test that runs a server of its own says so, and reaches nobody else.
        local = item.get_closest_marker("allow_hosts") is not None
        if item.path.relative_to(HERE).parts[0] in OFFLINE and not local:
            item.add_marker("disable_socket")


def pytest_runtest_setup(item: pytest.Item) -> None:
    interleave.latest.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and interleave.latest:
        turns = f"replay(scenario, {interleave.latest!r})"
        report.sections.append(("Schedule of the newest run", turns))
    return report


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The whole template on moto, new for each test."""
    from tests.support.pump import Stack

    with Stack([HERE.parent / "template.yaml"]) as stack:
        yield stack
