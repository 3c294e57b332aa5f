"""What holds for every view: it is quick, small, accessible, keeps to its host, and lives through what the service does."""

import os
import re
import statistics
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.page import CUT_OFF, DESKTOP, PHONE, SEVEN, WHEN_PAINTED, OpenPage, draw
from tests.support.serving import Server, free_port, serving
from tests.support.training import idx_bytes, run_training
from training.data import Mnist

VIEWS = {
    "draw": "#draw",
    "templates": "#templates",
    "model": "#model",
    "batch": "#batch",
    "perceptron": "#perceptron?target=0110&epoch=14",
    "hidden": "#perceptron?target=0110&hidden=1&epoch=99",
    "points": "#perceptron?target=0110010&points=0_0_0_1_1_0_1_1_0.4_0.3_0.7_0.5_0.3_0.75&epoch=14",
    "live": "#live",
}


def show(page: Page, view: str, mnist: Mnist) -> None:
    """Go to a view with something to see in it: a drawing, answers."""
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    page.mouse.move(0, 0)
    page.evaluate("address => { location.hash = address; }", VIEWS[view])
    if view == "batch":
        content = idx_bytes(mnist.test.images[:1000].reshape(-1, 28, 28))
        file = {"name": "t10k-images", "mimeType": "application/octet-stream", "buffer": content}
        page.locator("#files").set_input_files([file])  # pyright: ignore[reportArgumentType]
        expect(page.locator("#progress")).to_contain_text("1,000 answered, ")
    if view == "model":
        page.locator("#learning_curve").evaluate(WHEN_PAINTED)
    if view in ("perceptron", "hidden", "points"):
        expect(page.locator("#formula")).not_to_be_empty()
    if view == "live":
        expect(page.locator("#versions tr")).not_to_have_count(0)
        expect(page.locator("#tile-rate polyline")).to_have_attribute("points", re.compile(" "))  # two spans, so a line
    page.evaluate("scrollTo(0, 0)")


# A window of 1,280 pixels at 200 % zoom has 640.
SCREENS = [
    (PHONE, "light"),
    (PHONE, "dark"),
    ((390, 664), "light"),
    ((640, 360), "dark"),
    ((1280, 720), "light"),
    (DESKTOP, "light"),
    (DESKTOP, "dark"),
]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_is_cut_off(open_page: OpenPage, knowing: Server, view: str, mnist: Mnist) -> None:
    page = open_page(url=knowing.url)
    show(page, view, mnist)
    for (width, height), scheme in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
        page.evaluate("scrollTo(0, 0)")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{view}-{scheme}-{width}.png", full_page=view != "batch")
        report = Axe().run(page)
        assert report.violations_count == 0, f"{width} pixels, {scheme}: {report.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []


def test_every_view_can_be_reached_and_used_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(6):  # the name of the page, and five links
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#perceptron"))
    for _ in range(7):  # the link to Live, four points, AND, OR
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="OR", exact=True)).to_have_attribute("aria-pressed", "true")
    focus = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focus == "solid"


def test_another_view_starts_at_its_top(open_page: OpenPage) -> None:
    page = open_page(size=PHONE)
    expect(page.locator("#samples button")).to_have_count(20)
    page.evaluate("scrollTo(0, 900)")
    page.evaluate("location.hash = '#templates'")
    expect(page.locator("#view-templates")).to_be_visible()
    assert page.evaluate("scrollY") == 0


def test_the_sample_and_its_evidence_are_reached_by_keyboard(page: Page) -> None:
    page.locator("#samples button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#digit")).to_have_text("0")
    page.locator("#bars button").nth(8).focus()
    expect(page.locator("#sum")).to_contain_text("8 scores")


def test_the_first_paint_is_quick_and_the_page_small(open_page: OpenPage) -> None:
    paints, sizes = [], []
    for _ in range(5):
        page = open_page()
        expect(page.locator("#samples button")).to_have_count(20)
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        entries = page.evaluate("performance.getEntries().map((it) => [it.name, it.encodedBodySize ?? 0])")
        sizes.append(sum(size for _, size in entries))
        page.close()
    best, median = min(paints), statistics.median(paints)
    print(f"first paint {best:.0f} ms at best, {median:.0f} ms in the median of five; {sizes[0] / 1000:.0f} kB with its data")
    assert min(paints) < 500
    assert max(sizes) < 150_000


def test_the_service_may_stop_and_start_and_the_page_says_so_and_comes_back(open_page: OpenPage, home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as server:
        page = open_page(url=server.url, expected="ERR_")
        draw(page, SEVEN)
        expect(page.locator("#digit")).to_have_text("7")
    expect(page.locator("#service")).to_contain_text("The service does not answer.")
    page.get_by_role("button", name="Clear").click()
    draw(page, [[(0.52, 0.2), (0.5, 0.5), (0.48, 0.8)]])
    page.evaluate("location.hash = '#perceptron'")
    with serving(home, port=port):
        expect(page.locator("#service")).to_be_empty()
        expect(page.locator("#formula")).not_to_be_empty()
        page.evaluate("location.hash = '#draw'")
        expect(page.locator("#digit")).to_have_text("1")


def test_the_page_changes_by_itself_when_another_version_is_served(open_page: OpenPage, home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as server:
        page = open_page("#model", url=server.url, expected="ERR_")
        page.evaluate("location.hash = '#draw'")
        draw(page, SEVEN)
        expect(page.locator("#digit")).to_have_text("7")
        before, bars = httpx.get(f"{server.url}/model").json()["version"], page.locator("#bars").text_content()
        expect(page.locator("#card-lead")).to_contain_text(before)
    assert run_training(home, "--quiet", "--recipe", "sgd", "--epochs", "2", "--force").returncode == 0
    with serving(home, port=port) as server:
        after = httpx.get(f"{server.url}/model").json()["version"]
        assert after != before
        expect(page.locator("#card-lead")).to_contain_text(after)
        expect(page.locator("#facts")).to_contain_text("sgd: plain gradient descent")
        expect(page.locator("#card-warning")).to_be_hidden()
        expect(page.locator("#bars")).not_to_have_text(bars or "")


def test_the_page_runs_under_a_policy_that_forbids_what_is_not_its_own(open_page: OpenPage, server: Server) -> None:
    page = open_page(expected="Content Security Policy")
    policy = httpx.get(server.url).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=web/icon.svg onload=\"window.ran = true\">')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
