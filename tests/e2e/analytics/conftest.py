"""A real Chromium without a window, and what it must never do: fail silently or ask elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.e2e.analytics.stub import NOW, Stub

FAULTS = ("error", "warning")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    # Its event loop runs as long as it does: no other package's tests may find it.
    # Of a machine that does other things too; nothing waits so long that goes well.
    expect.set_options(timeout=20_000)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium: install one (apt-get install chromium), or name it in CHROMIUM")
    browser = playwright.chromium.launch(
        executable_path=path,
        args=["--no-sandbox"],
        # Playwright turns off what one of the tests is about.
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as stub:
        yield stub


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What pages said on their consoles and whom they asked besides 127.0.0.1. A test that means
    to hear something takes it out."""
    heard: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda line: heard.extend([line.text] * (line.type in FAULTS)))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda asked: heard.extend([asked.url] * abroad(asked.url)))

    context.on("page", watch)
    return heard


def abroad(url: str) -> bool:
    return urlsplit(url).hostname not in ("127.0.0.1", None)


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Iterator[Page]:
    """A page at the time of the stub's numbers; nothing may complain to the end."""
    page = context.new_page()
    page.clock.install(time=NOW)
    yield page
    assert complaints == []
