"""What the page says when the service is locked, overloaded, not ready or slow, or a part of the page is missing."""

from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.page import NO_DIGIT, ONE, PHONE, SEVEN, SLOW_ANSWERS, OpenPage, draw
from tests.support.serving import serving

KEY = "a-key-of-at-least-16"
# Keeps what is said above every view after each change of it.
RECORD_SERVICE = """() => {
  const it = document.getElementById("service");
  window.said = [];
  new MutationObserver(() => said.push(it.textContent)).observe(it, { childList: true });
}"""


def test_the_page_asks_for_a_key_says_when_it_is_wrong_and_keeps_it_for_the_tab(open_page: OpenPage, home: Path) -> None:
    # The page closes before the service, whose end it would log.
    with serving(home, API_KEYS=KEY) as server, closing(open_page(url=server.url, expected="401")) as page:
        expect(page.locator("#service")).to_have_text("This service needs an API key.")
        page.get_by_label("API key").fill("a-key-that-no-header-takes-ключ")
        page.keyboard.press("Enter")
        expect(page.locator("#key:invalid")).to_be_focused()
        page.get_by_label("API key").fill("another-key-than-it-has")
        page.keyboard.press("Enter")
        expect(page.locator("#service")).to_have_text("The service does not accept this API key.")
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#service")).to_be_empty()
        expect(page.locator("#key-form")).to_be_hidden()
        draw(page, SEVEN)
        expect(page.locator("#digit")).to_have_text("7")
        page.reload()
        expect(page.locator("#digit")).to_have_text("7")
        assert KEY not in page.url
        assert page.evaluate("localStorage.length") == 0


def test_where_the_browser_blocks_storage_the_key_is_kept_for_the_page(open_page: OpenPage, home: Path) -> None:
    with serving(home, API_KEYS=KEY) as server, closing(open_page(url=server.url, expected="401")) as page:
        expect(page.locator("#service")).to_have_text("This service needs an API key.")
        page.evaluate(
            """() => Object.defineProperty(window, "sessionStorage", { get() { throw new DOMException("blocked"); } })"""
        )
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#service")).to_be_empty()
        draw(page, SEVEN)
        expect(page.locator("#digit")).to_have_text("7")


def test_an_overloaded_service_is_asked_again_after_as_long_as_it_says(open_page: OpenPage) -> None:
    page = open_page(expected="429")
    expect(page.locator("#samples button")).to_have_count(20)
    asked = []

    def overloaded_twice(route: Route) -> None:
        asked.append(route.request)
        sentence = {"error": "Overloaded: the queue is full; retry after 1 s."}
        route.fulfill(status=429, headers={"retry-after": "1"}, json=sentence) if len(asked) <= 2 else route.continue_()

    page.route("**/predict", overloaded_twice)
    page.locator("#samples button").first.click()
    expect(page.locator("#service")).to_contain_text("Overloaded: the queue is full; retry after 1 s.")
    expect(page.locator("#digit")).to_have_text("0")
    assert len(asked) >= 3
    expect(page.locator("#service")).to_be_empty()


def test_while_the_service_is_overloaded_one_sentence_stands_and_is_spoken_once(open_page: OpenPage) -> None:
    page = open_page(expected="429")
    expect(page.locator("#samples button")).to_have_count(20)
    page.evaluate(RECORD_SERVICE)
    sentence = {"error": "Overloaded: the queue is full; retry after 1 s."}
    page.route("**/predict", lambda route: route.fulfill(status=429, headers={"retry-after": "1"}, json=sentence))
    page.locator("#samples button").first.click()
    before = page.locator("#pad").bounding_box()
    expect(page.locator("#service")).to_contain_text("Overloaded")
    assert page.locator("#pad").bounding_box() == before  # a pen that draws stays where it is
    page.wait_for_timeout(4500)  # two looks at which version is served, and four tries
    page.unroute("**/predict")
    expect(page.locator("#digit")).to_have_text("0")
    expect(page.locator("#service")).to_be_empty()
    assert len(page.evaluate("said")) == 2


def test_a_service_that_is_not_ready_is_told_apart_from_one_that_is_gone(open_page: OpenPage) -> None:
    page = open_page(expected="503")
    page.route("**/model", lambda route: route.fulfill(status=503))
    expect(page.locator("#service")).to_contain_text("The service cannot answer now: the service answered 503.")
    page.unroute("**/model")
    expect(page.locator("#service")).to_be_empty()


def test_a_module_that_does_not_load_is_said(open_page: OpenPage) -> None:
    page = open_page(expected="ERR_")
    expect(page.locator("#loading")).to_have_count(0)
    page.route("**/web/batch.js", lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("A part of this page has not loaded.")).to_be_visible()


HIDDEN_WORK = """() => {
  window.hiddenWork = 0;
  const isHidden = (it) => it.closest("main > section")?.hidden;
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    if (isHidden(this.canvas)) hiddenWork++;
    return put.apply(this, given);
  };
  const count = (records) => records.forEach((it) => { if (isHidden(it.target.parentElement ?? it.target)) hiddenWork++; });
  new MutationObserver(count).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def test_what_is_hidden_does_nothing_while_a_digit_is_drawn(page: Page) -> None:
    expect(page.locator("#samples button")).to_have_count(20)
    page.evaluate(HIDDEN_WORK)
    draw(page, SEVEN)
    expect(page.locator("#digit")).to_have_text("7")
    assert page.evaluate("hiddenWork") == 0
    page.evaluate("location.hash = '#templates'")
    expect(page.locator("#template-list li.best b")).to_have_text("7")


def test_an_answer_to_what_was_cleared_is_not_shown_under_what_is_drawn_next(page: Page) -> None:
    expect(page.locator("#samples button")).to_have_count(20)
    page.evaluate(SLOW_ANSWERS, 1000)
    digits = watched(page)
    draw(page, SEVEN)
    page.get_by_role("button", name="Clear").click()
    draw(page, ONE)
    expect(page.locator("#digit")).to_have_text("1")
    assert "7" not in page.evaluate(digits)


def watched(page: Page) -> str:
    """Note from now on each digit that is answered; return an expression for them."""
    page.evaluate("""() => {
      const digit = document.getElementById("digit");
      window.digits = [];
      new MutationObserver(() => digits.push(digit.textContent)).observe(digit, { childList: true });
    }""")
    return "digits"


def test_probabilities_leave_when_the_answer_to_what_is_drawn_by_now_is_long_in_coming(page: Page) -> None:
    draw(page, ONE)
    expect(page.locator("#digit")).to_have_text("1")
    page.evaluate(SLOW_ANSWERS, 2500)
    draw(page, NO_DIGIT)
    expect(page.locator("#sure")).to_have_text("Reading …")
    expect(page.locator("#bars .value").first).to_have_text("–")
    expect(page.locator("#digit")).not_to_have_text("–")


@pytest.mark.parametrize("size", [(320, 568), (390, 664), (640, 400), (1280, 720)])
def test_the_answer_is_in_view_beside_or_above_the_paper(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = open_page(size=size)
    answer, paper = page.locator("#verdict").bounding_box(), page.locator("#pad").bounding_box()
    assert answer
    assert paper
    assert answer["y"] + answer["height"] <= size[1]
    is_beside = answer["x"] >= paper["x"] + paper["width"]
    assert is_beside or answer["y"] + answer["height"] <= paper["y"]
    assert is_beside or paper["y"] + paper["height"] <= size[1]


def test_a_tapped_sample_is_answered_in_view(open_page: OpenPage) -> None:
    page = open_page(size=PHONE, has_touch=True)
    page.locator("#samples button").last.scroll_into_view_if_needed()
    page.locator("#samples button").last.tap()
    expect(page.locator("#digit")).to_have_text("9")
    expect(page.locator("#digit")).to_be_in_viewport(ratio=1)
    page.wait_for_timeout(100)
    expect(page.locator("#samples button").last).to_be_in_viewport()


def test_on_a_phone_no_link_is_cut_off_and_the_learning_curve_can_be_read(open_page: OpenPage) -> None:
    page = open_page("#model", size=PHONE)
    assert page.locator("nav").evaluate("nav => nav.scrollWidth <= nav.clientWidth")
    curve = page.locator("#learning_curve").bounding_box()
    assert curve
    assert curve["width"] >= 600
    assert page.locator("#learning_curve").evaluate("curve => getComputedStyle(curve.parentElement).overflowX") == "auto"
