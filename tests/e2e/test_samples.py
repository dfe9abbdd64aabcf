"""The artifacts that `sam build` makes, run as Lambda runs them, on the samples in events/."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

import pytest

from infra.local.emulator import ROOT
from infra.local.endpoint import LocalError, variables
from infra.local.sample import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Stack

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux", reason="the runtime interface emulator is a Linux program"
)


def test_built_redirect_answers_its_sample(stack: Stack, built: Path) -> None:
    event = json.loads((ROOT / "events/shortener/redirect.unknown.json").read_text())
    environment = stack.environment("ShortenerRedirect") | variables(stack.endpoint)

    answer = invoke("ShortenerRedirect", event, built, environment)

    assert answer is not None
    assert answer["statusCode"] == 404


def test_handler_that_cannot_start_is_an_error(built: Path) -> None:
    with pytest.raises(LocalError, match="ShortenerRedirect"):
        invoke("ShortenerRedirect", {}, built, {"PYTHONPATH": "/nowhere"})


def test_unknown_function_is_an_error(built: Path) -> None:
    with pytest.raises(LocalError, match="no function Nonesuch"):
        invoke("Nonesuch", {}, built, {})
