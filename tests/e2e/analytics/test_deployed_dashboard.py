"""The dashboard as the deployed stack serves it, before numbers that real events made."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import BrowserContext, expect

from infra.local.users import PASSWORD
from tests.e2e.analytics.test_analytics import FIREFOX, client, make, track
from tests.e2e.conftest import Stack
from tests.e2e.eventually import eventually

OWNER = "shopkeeper"


def test_an_owner_logs_in_and_sees_a_visit_and_a_click(
    stack: Stack, context: BrowserContext, complaints: list[str]
) -> None:
    with client(stack, OWNER) as api:
        site = make(api)
        link = api.post("/v1/links", json={"long_url": "https://example.com/hats"}).json()
        httpx.get(link["short_url"], headers={"user-agent": FIREFOX}, timeout=30)
        track(stack, site, FIREFOX, {"page": "/hats"}, {"page": "/hats"}, {"page": "/shoes"})

        def counted() -> tuple[int, int]:
            rows = api.get(f"/v1/stats/{site}", params={"by": "page"}).json()["top"]["rows"]
            clicks = api.get(f"/v1/links/{link['code']}/stats").json()
            return sum(row["events"] for row in rows), clicks.get("clicks", 0)

        eventually(counted, (3, 1))
    page = context.new_page()
    dashboard = f"{stack.url}/static/dashboard.html".replace("localhost", "127.0.0.1")
    page.goto(f"{dashboard}?site={site}")
    page.get_by_label("User").fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name=re.compile("^Page views 3"))).to_be_visible()
    pages = page.locator(".panel").filter(has=page.get_by_role("tab", name="Pages"))
    expect(pages.get_by_role("button", name="/hats", exact=True)).to_be_visible()
    expect(page.locator("#live-count")).to_have_text("1 visitor right now")

    page.goto(f"{dashboard}?link={link['code']}")
    expect(page.locator("#tiles [data-measure=clicks]")).to_contain_text("1")
    assert complaints == []
