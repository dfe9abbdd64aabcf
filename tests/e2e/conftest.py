"""The whole template on an emulator of the tests' own, and what `sam build` makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.artifacts import BUILT_BY_SAM
from infra.local.emulator import ROOT
from tests.support.deployed import Stack, deployed

__all__ = ["Stack"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that all end-to-end tests share: each test makes users and links of its own."""
    with deployed(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def built() -> Path:
    """The root template that `sam build` wrote, beside its artifacts."""
    subprocess.run(["make", "--silent", "build", ".venv-lambda/ready"], cwd=ROOT, check=True)
    return BUILT_BY_SAM
