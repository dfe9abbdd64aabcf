"""The dashboard in a real browser, before canned answers of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.e2e.analytics.stub import EMPTY_SITE, NOW, PASSWORD, SITE, TOP, Stub

STATS = f"/v1/stats/{SITE}"
SERIOUS = ("serious", "critical")
REFUSED = "Failed to load resource: the server responded with a status of"


def visit(page: Page, stub: Stub, query: str = "") -> None:
    """Opens the page and logs in."""
    page.goto(f"{stub.url}/static/dashboard.html{query}")
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    settled(page)


def settled(page: Page) -> None:
    """Waits until nothing is under way."""
    expect(page.locator("#login")).to_be_hidden()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    expect(page.locator(".bone:visible")).to_have_count(0)


def panel(page: Page, name: str) -> Locator:
    return page.locator(".panel").filter(has=page.get_by_role("tablist", name=name))


def row(page: Page, where: str, name: str) -> Locator:
    return panel(page, where).get_by_role("button", name=name, exact=True)


def asked(stub: Stub, path: str = STATS) -> dict[str, list[str]]:
    """The query of the newest request for the series."""
    return [each.query for each in stub.of(path) if "by" not in each.query][-1]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def undeclared(complaints: list[str]) -> None:
    """Takes out that lists were asked for which are not counted together with a filter."""
    assert {line[: len(REFUSED) + 4] for line in complaints} == {f"{REFUSED} 422"}
    complaints.clear()


def inked(page: Page) -> bool:
    """Whether anything is drawn in the chart."""
    return bool(
        page.locator("#chart canvas").evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean)"
        )
    )


# ---- In and out ---------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_the_right_one_opens(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    page.goto(f"{stub.url}/static/dashboard.html")
    expect(page.get_by_label("User")).to_be_focused()
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("User or password is wrong.")
    assert complaints.pop().startswith(f"{REFUSED} 400")
    assert stub.of("/v1/sites") == []
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    settled(page)
    expect(page.get_by_label("Site", exact=True)).to_have_value(SITE)


def test_a_token_is_in_no_url_and_gone_after_logging_out(page: Page, stub: Stub) -> None:
    visit(page, stub)
    page.reload()
    settled(page)
    assert all(stub.token not in json.dumps([each.path, each.query]) for each in stub.heard)
    assert stub.token not in page.url
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("User")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_label("User")).to_be_visible()


def test_a_first_login_asks_for_a_password_of_ones_own(page: Page, stub: Stub) -> None:
    page.goto(f"{stub.url}/static/dashboard.html")
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password", exact=True).fill("temporary")
    page.keyboard.press("Enter")
    expect(page.get_by_label("New password")).to_be_focused()
    page.keyboard.type("my very own")
    page.keyboard.press("Enter")
    settled(page)
    answers = [json.loads(each.body) for each in stub.of("/idp")]
    assert answers[-1]["ChallengeResponses"] == {"USERNAME": "ada", "NEW_PASSWORD": "my very own"}


def test_a_token_that_ran_out_is_renewed_without_a_word(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    visit(page, stub)
    stub.tokens += 1
    page.get_by_label("Period", exact=True).select_option("7d")
    expect(page.locator("#chips")).to_be_hidden()
    stub.until(lambda: stub.of(STATS)[-1].headers["authorization"].endswith(".2"))
    settled(page)
    assert {line[: len(REFUSED)] for line in complaints} == {REFUSED}
    complaints.clear()
    renewals = [each for each in stub.of("/idp") if "REFRESH_TOKEN_AUTH" in each.body]
    assert len(renewals) == 1


def test_another_issuer_logs_in_by_a_code_that_only_this_tab_can_redeem(page: Page) -> None:
    with Stub(oidc=True) as stub:
        page.goto(f"{stub.url}/static/dashboard.html?period=7d")
        page.get_by_role("button", name="Log in").click()
        settled(page)
        expect(page.get_by_label("Period", exact=True)).to_have_value("7d")
        assert "code" not in page.url
        assert "state" not in page.url
        assert len(stub.of("/oidc/token")) == 1


# ---- Numbers ------------------------------------------------------------------------------------


def test_the_series_is_drawn_and_told_in_a_table(page: Page, stub: Stub) -> None:
    visit(page, stub)
    assert asked(stub) == {
        "from": ["2026-10-22"],
        "to": ["2026-11-20"],
        "interval": ["day"],
        "compare": ["previous"],
    }
    assert inked(page)
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(30)
    expect(rows.first).to_contain_text("Thu, 22 Oct 2026")
    expect(rows.last).to_contain_text("(so far)")
    days = page.locator("#table td:nth-child(2)").all_inner_texts()
    total = page.locator("#tiles [data-measure=visitors] [title]").get_attribute("title") or ""
    assert sum(map(number, days)) == number(total) > 10_000
    page.get_by_role("button", name="Table", exact=True).click()
    expect(page.locator("#chart")).to_be_hidden()
    expect(page.get_by_role("table", name="The chart's numbers")).to_be_in_viewport()


def test_a_tile_chooses_what_is_drawn_and_a_pointer_reads_it(page: Page, stub: Stub) -> None:
    visit(page, stub)
    page.get_by_role("button", name=re.compile("^Page views")).click()
    settled(page)
    expect(page.locator("#legend li").first).to_have_text("Page views")
    page.locator("#chart .u-over").hover(position={"x": 300, "y": 80})
    expect(page.locator(".tip")).to_contain_text("Page views")
    assert "measure=pageviews" in page.url


def test_a_period_is_compared_with_the_one_before_or_with_none(page: Page, stub: Stub) -> None:
    visit(page, stub)
    expect(page.locator(".delta")).to_have_count(3)
    expect(page.locator(".delta").first).to_contain_text(re.compile(r"up \d+ percent, from [\d,]+"))
    expect(page.locator("#legend")).to_contain_text("Previous period")
    page.get_by_label("Compare with", exact=True).select_option("year")
    settled(page)
    assert asked(stub)["compare"] == ["year"]
    page.get_by_label("Compare with", exact=True).select_option("")
    settled(page)
    assert "compare" not in asked(stub)
    expect(page.locator(".delta")).to_have_count(0)


def test_dates_of_ones_own_and_intervals_that_fit_them(page: Page, stub: Stub) -> None:
    visit(page, stub)
    page.get_by_label("Period", exact=True).select_option("custom")
    page.get_by_label("From").fill("2026-11-19")
    settled(page)
    page.get_by_label("To", exact=True).fill("2026-11-20")
    settled(page)
    assert asked(stub)["interval"] == ["hour"]
    expect(page.locator("#interval option")).to_have_text(["Hours", "Five minutes"])
    page.get_by_label("Interval").select_option("5m")
    settled(page)
    assert "compare" not in asked(stub)
    expect(page.get_by_label("Compare with", exact=True)).to_be_disabled()
    page.get_by_label("Period", exact=True).select_option("12m")
    settled(page)
    assert (asked(stub)["interval"], asked(stub)["from"]) == (["month"], ["2025-12-01"])
    page.go_back()
    expect(page.get_by_label("Period", exact=True)).to_have_value("custom")
    settled(page)


def test_a_click_on_a_value_filters_by_it_and_a_chip_takes_it_back(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    visit(page, stub)
    before = page.locator("#tiles").inner_text()
    row(page, "Countries", "Germany").click()
    settled(page)
    chip = page.get_by_role("button", name="Remove filter Country: Germany")
    expect(chip).to_be_focused()
    assert asked(stub)["filter"] == ["country:DE"]
    assert page.locator("#tiles").inner_text() != before
    expect(row(page, "Countries", "Germany")).to_have_attribute("aria-pressed", "true")
    row(page, "Devices", "Mobile").click()
    settled(page)
    assert asked(stub)["filter"] == ["country:DE", "device:mobile"]
    page.reload()
    settled(page)
    expect(page.locator(".chip")).to_have_count(2)
    chip.click()
    settled(page)
    assert asked(stub)["filter"] == ["device:mobile"]
    page.locator(".chip").click()
    settled(page)
    assert page.locator("#tiles").inner_text() == before
    undeclared(complaints)


def test_what_is_not_counted_together_says_so(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    visit(page, stub, "?filter=country:DE")
    expect(panel(page, "Referrers")).to_contain_text("Referrers are not kept for this filter")
    expect(panel(page, "Referrers")).to_contain_text("country and device are counted together")
    expect(row(page, "Pages", "/pricing")).to_be_visible()
    undeclared(complaints)


def test_other_lists_of_a_panel_are_a_tab_away(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    visit(page, stub)
    events = panel(page, "Events")
    expect(events.get_by_role("button", name="pageview", exact=True)).to_have_count(0)
    events.get_by_role("tab", name="Goals").click()
    settled(page)
    expect(events.get_by_role("row", name="signup")).to_contain_text("6.1%")
    events.get_by_role("tab", name="plan").click()
    settled(page)
    events.get_by_role("button", name="pro", exact=True).click()
    settled(page)
    assert asked(stub)["filter"] == ["prop:plan:pro"]
    undeclared(complaints)


def test_a_goals_rate_is_of_all_visitors_though_one_goal_is_chosen(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    visit(page, stub, "?filter=goal:signup")
    events = panel(page, "Events")
    events.get_by_role("tab", name="Goals").click()
    settled(page)
    expect(events.get_by_role("row", name="pricing-seen")).to_contain_text("17%")
    undeclared(complaints)


def test_page_views_take_no_place_among_the_events(
    page: Page, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [(f"event-{number}", 0.05 - number / 1000) for number in range(9)]
    monkeypatch.setitem(TOP, "name", [("pageview", 1.0), *own])
    visit(page, stub)
    events = panel(page, "Events")
    expect(events.locator("tbody tr")).to_have_count(8)
    events.get_by_role("button", name="Show more").click()
    expect(events.get_by_role("button", name="event-8")).to_be_visible()


def test_a_long_list_shows_more_when_asked_to(page: Page, stub: Stub) -> None:
    visit(page, stub)
    pages = panel(page, "Pages")
    expect(pages.locator("tbody tr")).to_have_count(8)
    pages.get_by_role("button", name="Show more").click()
    expect(pages.get_by_role("button", name="/careers")).to_be_visible()
    settled(page)
    pages.get_by_role("button", name="Show fewer").click()
    expect(pages.locator("tbody tr")).to_have_count(8)


def test_who_is_there_now_is_counted_on(page: Page, stub: Stub) -> None:
    visit(page, stub)
    count = page.locator("#live-count")
    expect(count).to_have_text("23 visitors right now")
    expect(count).to_have_attribute("aria-live", "polite")
    expect(page.locator("#live-bars i")).to_have_count(30)
    stub.live = 1
    page.clock.fast_forward(10_000)
    expect(count).to_have_text("1 visitor right now")


def test_a_short_links_numbers(page: Page, stub: Stub) -> None:
    visit(page, stub)
    page.get_by_label("Short link").fill(f"{stub.url}/launch")
    page.keyboard.press("Enter")
    expect(page.locator("#tiles")).to_contain_text("Bots")
    settled(page)
    assert "link=launch" in page.url
    expect(page.locator("#tiles [data-measure=clicks]")).to_contain_text("2,625")
    expect(page.locator("#table tbody tr")).to_have_count(30)
    expect(page.locator(".panel h2")).to_have_text(["Referrers", "Countries", "Devices"])
    expect(page.locator("#live")).to_be_hidden()
    page.get_by_role("button", name="Remove filter Short link: /launch").click()
    expect(page.locator("#live")).to_be_visible()
    settled(page)


def test_a_link_that_is_not_ones_own(page: Page, stub: Stub, complaints: list[str]) -> None:
    visit(page, stub, "?link=theirs")
    expect(page.locator("#problem")).to_contain_text("nothing of that name, or it is not yours")
    assert complaints.pop().startswith(f"{REFUSED} 404")


# ---- Nothing, not yet, and not now --------------------------------------------------------------


def test_a_new_site_is_shown_its_snippet(page: Page, stub: Stub) -> None:
    visit(page, stub, f"?site={EMPTY_SITE}")
    expect(page.get_by_role("heading", name="Waiting for the first visit")).to_be_visible()
    tag = f'<script defer data-site="{EMPTY_SITE}" src="{stub.url}/static/track.js"></script>'
    expect(page.get_by_label("The snippet")).to_have_text(tag)


def test_a_period_without_visits_says_so(page: Page, stub: Stub) -> None:
    stub.share = 0
    visit(page, stub)
    expect(page.locator("#chart")).to_contain_text("Nothing was counted in this period.")
    expect(panel(page, "Pages")).to_contain_text("No pages yet")


def test_who_has_no_site_can_make_one(page: Page, stub: Stub) -> None:
    stub.sites = []
    visit(page, stub)
    page.get_by_label("Name").fill("Mine")
    page.get_by_label("Address").fill("https://mine.example/path")
    page.get_by_role("button", name="Add site").click()
    expect(page.get_by_role("heading", name="Waiting for the first visit")).to_be_visible()
    [made] = [json.loads(each.body) for each in stub.of("/v1/sites") if each.method == "POST"]
    assert made == {
        "name": "Mine",
        "origins": ["https://mine.example"],
        "timezone": "Europe/Berlin",
    }


def test_what_is_under_way_looks_like_it(page: Page, stub: Stub) -> None:
    stub.gate.clear()
    page.goto(f"{stub.url}/static/dashboard.html")
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".overview")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#chart .bone")).to_be_visible()
    stub.gate.set()
    settled(page)
    assert inked(page)


def test_what_failed_can_be_tried_again(page: Page, stub: Stub, complaints: list[str]) -> None:
    stub.broken[STATS] = 500
    page.goto(f"{stub.url}/static/dashboard.html")
    page.get_by_label("User").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("The API is having a bad day.")
    expect(page.locator("#numbers")).to_be_hidden()
    stub.broken.clear()
    complaints.clear()
    page.get_by_role("button", name="Try again").click()
    settled(page)
    expect(page.locator("#problem")).to_be_hidden()
    assert inked(page)


def test_one_list_that_failed_leaves_the_others(
    page: Page, stub: Stub, complaints: list[str]
) -> None:
    failing = re.compile(r"by=country")
    page.route(failing, lambda route: route.abort())
    visit(page, stub)
    countries = panel(page, "Countries")
    expect(countries).to_contain_text("This list could not be loaded")
    expect(row(page, "Pages", "/pricing")).to_be_visible()
    page.unroute(failing)
    complaints.clear()
    countries.get_by_role("button", name="Try again").click()
    expect(row(page, "Countries", "Germany")).to_be_visible()
    settled(page)


# ---- For everybody ------------------------------------------------------------------------------


def focused(page: Page) -> str:
    named = "(e => e.getAttribute('aria-label') || e.innerText || e.id)(document.activeElement)"
    return str(page.evaluate(named))


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until something of that name has the focus, which must be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            break
    assert focused(page).startswith(name)
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_an_answer_that_nobody_waits_for_any_more_shows_nothing(page: Page, stub: Stub) -> None:
    visit(page, stub)
    before = len(stub.of(STATS))
    stub.body.clear()
    with page.expect_response(lambda answer: STATS in answer.url):
        page.get_by_label("Period", exact=True).select_option("7d")
    page.get_by_label("Period", exact=True).select_option("30d")
    stub.until(lambda: len(stub.of(STATS)) >= before + 2)
    stub.body.set()
    settled(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("[data-measure=visitors]")).to_be_visible()


def test_a_list_is_busy_until_the_one_that_was_chosen_last_is_there(page: Page, stub: Stub) -> None:
    visit(page, stub)
    events = panel(page, "Events")
    held: list[Route] = []
    page.route(re.compile("by=prop"), lambda route: held.append(route))
    stub.gate.clear()
    with page.expect_response(re.compile("by=goal")) as earlier:
        events.get_by_role("tab", name="Goals").click()
        with page.expect_request(re.compile("by=prop")):
            events.get_by_role("tab", name="plan").click()
        stub.gate.set()
    earlier.value.finished()
    page.evaluate("fetch('dashboard.css').then(() => null)")
    expect(events).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    settled(page)
    expect(events.get_by_role("button", name="pro", exact=True)).to_be_visible()


def test_a_keyboard_is_enough(page: Page, stub: Stub, complaints: list[str]) -> None:
    page.goto(f"{stub.url}/static/dashboard.html")
    expect(page.get_by_label("User")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the numbers")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    tab_to(page, "Page views")
    page.keyboard.press("Enter")
    settled(page)
    expect(page.locator("[data-measure=pageviews]")).to_be_focused()
    tab_to(page, "Chart")
    page.keyboard.press("End")
    expect(page.locator("#point")).to_contain_text("Fri, 20 Nov 2026 · so far: Page views")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#point")).to_contain_text("Thu, 19 Nov 2026: Page views")
    tab_to(page, "Referrers")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Sources")).to_have_attribute("aria-selected", "true")
    settled(page)
    tab_to(page, "Germany")
    page.keyboard.press("Enter")
    settled(page)
    assert focused(page) == "Remove filter Country: Germany"
    page.keyboard.press("Enter")
    settled(page)
    expect(page.locator("#chips")).to_be_hidden()
    undeclared(complaints)


@pytest.fixture(params=["light", "dark"])
def plain(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page in one of two colour schemes, into which a checker may be put."""
    context = browser.new_context(
        locale="en-GB", color_scheme=request.param, bypass_csp=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.clock.install(time=NOW)
    yield page
    context.close()


@pytest.mark.parametrize("query", ["", "?link=launch", f"?site={EMPTY_SITE}", "?filter=country:DE"])
def test_no_rule_of_accessibility_is_broken_seriously(plain: Page, stub: Stub, query: str) -> None:
    visit(plain, stub, query)
    assert serious(plain) == []


def test_the_login_is_for_everybody_too(plain: Page, stub: Stub) -> None:
    plain.goto(f"{stub.url}/static/dashboard.html")
    expect(plain.get_by_label("User")).to_be_visible()
    assert serious(plain) == []


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response
    assert len(found["passes"]) > 10
    return [
        f"{each['id']}: {[node['html'] for node in each['nodes']]}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]


def test_it_is_dark_where_everything_else_is(page: Page, stub: Stub) -> None:
    visit(page, stub)
    look = "getComputedStyle(document.body).backgroundColor"
    drawn = "document.querySelector('#chart canvas').toDataURL()"
    assert page.evaluate(look) == "rgb(246, 247, 249)"
    light = page.evaluate(drawn)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(look) == "rgb(15, 17, 22)"
    # Scripts hear of it with the next frame.
    page.wait_for_function(f"light => {drawn} !== light", arg=light)


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_nothing_sticks_out_at_any_width(page: Page, stub: Stub, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    visit(page, stub)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_page_of_another_site_may_not_frame_it(
    context: BrowserContext, page: Page, stub: Stub, complaints: list[str]
) -> None:
    icon = '<link rel="icon" href="data:,">'
    stub.html["/frame"] = f'{icon}<iframe src="{stub.url}/static/dashboard.html"></iframe>'
    with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
        page.goto(f"{stub.url}/frame")
    expect(page.frame_locator("iframe").locator("#login-form")).to_have_count(0)
    assert any("frame-ancestors" in line for line in complaints)
    complaints.clear()
