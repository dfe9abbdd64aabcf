"""The whole template on an emulator of the tests' own, and what `sam build` makes of it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.__main__ import this_machine
from infra.local.artifacts import BUILT_BY_SAM, build
from infra.local.deployment import deploy
from infra.local.emulator import ROOT, Emulator
from infra.local.endpoint import base_url, session
from infra.local.stack import function_environment, resources
from infra.local.users import Claims, token

if TYPE_CHECKING:
    from localstack_client.session import Session

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("e2e")
            # One emulator for all of them, however many processes run the tests.
            item.add_marker(pytest.mark.xdist_group("emulator"))


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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that all end-to-end tests share: each test makes users and links of its own."""
    port = _free_port()
    emulator = Emulator(port, tmp_path_factory.mktemp("emulator"))
    url = base_url(emulator.endpoint)
    emulator.start()
    try:
        template = build(tmp_path_factory.mktemp("build"))
        deploy(emulator.endpoint, template, {"PublicUrl": url, **this_machine()})
        yield Stack(port, emulator.endpoint, url)
    finally:
        emulator.stop()


@pytest.fixture(scope="session")
def built() -> Path:
    """The root template that `sam build` wrote, beside its artifacts."""
    subprocess.run(["make", "--silent", "build", ".venv-lambda/ready"], cwd=ROOT, check=True)
    return BUILT_BY_SAM


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
