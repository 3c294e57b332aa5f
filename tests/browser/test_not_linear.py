"""What the page shows of a version that is not linear: evidence that the service computes, and no templates."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.page import PHONE, SEVEN, WHEN_PAINTED, OpenPage, draw, pixels_shown
from tests.support.serving import Server

SLANTED_ONE = [[(0.75, 0.15), (0.5, 0.5), (0.25, 0.85)]]


def explained(page: Page) -> list[list[int]]:
    """Return a list that each picture is added to whose evidence the page asks for."""
    asked = []
    page.on("request", lambda it: asked.append(json.loads(it.post_data or "")["images"][0]) if "explain" in it.url else None)
    return asked


def picture(page: Page, canvas: str) -> str:
    return page.locator(f"#{canvas}").evaluate("canvas => canvas.toDataURL()")


def test_the_service_explains_what_was_drawn_once_the_pen_rests(open_page: OpenPage, not_linear: Server) -> None:
    page = open_page(url=not_linear.url)
    blank, asked = picture(page, "evidence"), explained(page)
    draw(page, SEVEN)
    expect(page.locator("#sum")).to_have_text(re.compile(r"^7 has log-odds of \+\d+\.\d\.$"))
    assert asked[-1] == pixels_shown(page, "seen")
    assert len(asked) <= 3  # of 30 moves of the mouse
    body = json.dumps({"images": asked[-1:]}).encode()
    (evidence,) = not_linear.predict(body, query="?explain=true").json()["evidence"]
    expect(page.locator("#sum")).to_contain_text(f"{evidence['log_odds']:+.1f}")
    assert picture(page, "evidence") != blank
    expect(page.locator("#method")).to_contain_text("This is an estimate, by occlusion")
    expect(page.locator("#upright")).to_be_hidden()


def test_evidence_is_for_the_digit_answered_alone_and_goes_with_the_drawing(open_page: OpenPage, not_linear: Server) -> None:
    page = open_page(url=not_linear.url)
    blank = picture(page, "evidence")
    draw(page, SEVEN)
    expect(page.locator("#evidence-digit")).to_have_text(" 7")
    assert all(page.locator("#bars button").evaluate_all("them => them.map((it) => it.disabled)"))
    expect(page.locator("#bars .shown b")).to_have_text("7")
    page.get_by_role("button", name="Clear").click()
    assert picture(page, "evidence") == blank
    expect(page.locator("#sum")).to_be_empty()


def test_a_linear_version_is_not_asked_for_evidence(page: Page) -> None:
    asked = explained(page)
    draw(page, SEVEN)
    expect(page.locator("#sum")).to_contain_text("7 scores")
    page.wait_for_timeout(600)
    assert asked == []


def test_evidence_in_a_picture_made_upright_is_shown_with_that_picture(open_page: OpenPage, deskewed: Server) -> None:
    page = open_page(url=deskewed.url)
    draw(page, SLANTED_ONE)
    expect(page.locator("#sum")).to_contain_text("1 scores")
    sent = pixels_shown(page, "seen")
    (evidence,) = deskewed.predict(json.dumps({"images": [sent]}).encode(), query="?explain=true").json()["evidence"]
    np.testing.assert_allclose(pixels_shown(page, "upright"), evidence["picture"], atol=0.51)
    assert slant(evidence["picture"]) < 0.1 < slant(sent)
    total, *terms = (float(number) for number in re.findall(r"[+-]\d+\.\d", page.inner_text("#sum").replace("−", "-")))
    assert total == pytest.approx(evidence["logit"], abs=0.051)
    assert total == pytest.approx(sum(terms), abs=0.21)
    expect(page.locator("#method")).to_contain_text("This is exact, for the picture made upright")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#upright")).to_be_hidden()
    page.evaluate("location.hash = '#templates'")
    expect(page.locator("#no-templates")).to_contain_text("(deskew) has no templates")


def slant(image: Sequence[float]) -> float:
    """Return how far the ink (784) goes aside for each row further down."""
    ink = np.reshape(image, (28, 28))
    rows, columns = np.indices(ink.shape)
    rows, columns = (each - np.average(each, weights=ink) for each in (rows, columns))
    return abs(float((ink * rows * columns).sum() / (ink * rows**2).sum()))


def test_what_the_service_says_against_explaining_is_shown(open_page: OpenPage, not_linear: Server) -> None:
    page = open_page(url=not_linear.url, expected="429")
    overloaded = {"status": 429, "json": {"error": "Overloaded: the queue is full; retry after 1 s."}}
    page.route("**/predict?explain=true", lambda route: route.fulfill(**overloaded))
    draw(page, SEVEN)
    expect(page.locator("#sum")).to_have_text("No evidence: Overloaded: the queue is full; retry after 1 s.")


def test_in_place_of_templates_stand_a_sentence_and_what_training_drew(open_page: OpenPage, not_linear: Server) -> None:
    page = open_page("#templates", url=not_linear.url)
    expect(page.locator("#no-templates")).to_contain_text("has no templates: it is not linear in the pixels that it is sent")
    expect(page.locator("#template-list")).to_be_hidden()
    learned = page.locator("#weights")
    learned.evaluate(WHEN_PAINTED)
    asked = page.evaluate("performance.getEntriesByType('resource').map((it) => it.name)")
    assert any("model/pictures/weights.png" in name for name in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["#draw", "#templates"])
def test_axe_finds_nothing(open_page: OpenPage, not_linear: Server, view: str, scheme: str) -> None:
    page = open_page(url=not_linear.url, size=PHONE, color_scheme=scheme)
    draw(page, SEVEN)
    expect(page.locator("#sum")).not_to_be_empty()
    page.evaluate("view => { location.hash = view; }", view)
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
