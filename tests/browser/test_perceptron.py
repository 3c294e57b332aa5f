"""The view of the perceptron: it learns or never ends, and all of its state is in the address."""

import re
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models.perceptron import CORNERS, GATES, activation, fit
from tests.support.page import OpenPage
from tests.support.serving import free_port, serving

# Adds what is said to a screen reader to a list, and how often.
LISTEN = """() => {
  window.said = [];
  const listener = new MutationObserver((changes) => changes.forEach(({ target }) => window.said.push(target.textContent)));
  const regions = document.querySelectorAll("#view-perceptron [role=status]");
  for (const region of regions) listener.observe(region, { childList: true });
}"""
WRONG = "them => them.map((it) => it.classList.contains('wrong'))"


def finish(page: Page, epochs: int) -> None:
    """Step through the training, as a visitor who is in a hurry does."""
    for _ in range(epochs):
        page.get_by_role("button", name="Step").click()


def start(page: Page, seed: int) -> list[float]:
    """Return weights and bias that the page starts with."""
    return page.evaluate("async seed => (await import('/web/learning.js')).start(seed)", seed)


def classes(target: str) -> list[int]:
    return [1 if digit == "1" else -1 for digit in target]


@pytest.mark.parametrize("gate", ["AND", "OR"])
def test_and_and_or_end(open_page: OpenPage, gate: str) -> None:
    page = open_page("#perceptron")
    page.get_by_role("button", name=gate, exact=True).click()
    *_, last = fit(CORNERS, classes(GATES[gate]), 0.1, start(page, 0))
    finish(page, last.number)
    expect(page.locator("#epoch")).to_have_text(str(last.number))
    expect(page.locator("#state")).to_have_text("epochs, and nothing is wrong, so nothing moves any more.")
    expect(page.get_by_role("button", name="Step")).to_be_disabled()
    expect(page.locator(".point.wrong")).to_have_count(0)


def test_play_plays_to_the_end_and_reset_goes_back(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0111&rate=1")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#state")).to_contain_text("nothing is wrong")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#epoch")).to_have_text("0")


def test_xor_never_ends_the_page_says_why_and_a_hidden_layer_solves_it(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110&epoch=200")
    expect(page.locator("#epoch")).to_have_text("200")
    expect(page.locator("#state")).to_contain_text("still wrong")
    expect(page.get_by_text("It never ends, because no line can do this.")).to_be_visible()
    page.get_by_role("button", name="Add a hidden layer of two").click()
    expect(page.locator("#state")).to_contain_text("nothing is wrong")
    expect(page.locator(".point.wrong")).to_have_count(0)
    expect(page.locator("#plane .line")).to_have_count(2)
    expect(page.locator("#never")).to_be_hidden()
    assert "hidden=1" in page.url


def test_a_point_changes_its_class_when_it_is_clicked(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0001")
    corner = page.get_by_role("button", name=re.compile(r"^\(0, 0\) is of class 0"))
    corner.click()
    expect(page.get_by_role("button", name=re.compile(r"^\(0, 0\) is of class 1"))).to_be_visible()
    expect(page.locator("#never")).to_be_visible()  # equality is XOR's opposite
    expect(page.locator("#own")).to_have_text("or your own")
    assert "target=1001" in page.url


def test_all_of_its_state_is_in_the_address(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0001")
    page.get_by_role("button", name="XOR").click()
    page.get_by_label("Learning rate").select_option("0.5")
    page.get_by_role("button", name="Another start").click()
    page.get_by_label("hidden layer of two").check()
    finish(page, 3)
    expect(page.locator("#epoch")).to_have_text("3")
    other = open_page(page.url.rsplit("/", 1)[1])
    expect(other.locator("#epoch")).to_have_text("3")
    shown = ("#formula", "#state", "#gates")
    assert [other.locator(each).text_content() for each in shown] == [page.locator(each).text_content() for each in shown]
    assert other.get_by_label("hidden layer of two").is_checked()
    assert other.get_by_label("Learning rate").input_value() == "0.5"
    assert "seed=1" in other.url


def test_an_address_of_no_such_state_starts_at_the_start(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=2&rate=99&seed=x&epoch=-5")
    expect(page.locator("#epoch")).to_have_text("0")
    expect(page.get_by_role("button", name="AND", exact=True)).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("epoch", [3, 999])
def test_the_page_marks_as_wrong_what_the_perceptron_gets_wrong(open_page: OpenPage, epoch: int) -> None:
    page = open_page(f"#perceptron?target=0110&epoch={epoch}")
    expect(page.locator("#state")).not_to_be_empty()
    (unit,) = islice(fit(CORNERS, classes("0110"), 0.1, start(page, 0)), epoch, epoch + 1)
    expected = [
        activation(corner, unit.weights, unit.bias) != label for corner, label in zip(CORNERS, classes("0110"), strict=True)
    ]
    assert page.locator(".point").evaluate_all(WRONG) == expected
    assert any(expected)


def test_what_is_shown_after_an_outage_is_of_what_was_chosen_meanwhile(open_page: OpenPage, home: Path) -> None:
    port = free_port()
    with serving(home, port=port) as server:
        page = open_page("#perceptron?target=0001&rate=1&speed=60", url=server.url, expected="ERR_")
        expect(page.locator("#formula")).not_to_be_empty()
    expect(page.locator("#service")).to_contain_text("does not answer")
    page.get_by_role("button", name="XOR").click()
    with serving(home, port=port):
        expect(page.locator("#service")).to_be_empty()
        page.get_by_role("button", name="Play").click()
        page.wait_for_timeout(2000)
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.locator("#state")).to_contain_text("wrong.")


def test_leaving_the_view_and_its_own_link_keep_what_is_shown(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110&hidden=1&rate=0.5&seed=4&epoch=5")
    expect(page.locator("#epoch")).to_have_text("5")
    address, formula = page.url, page.locator("#formula").text_content()
    link = page.get_by_role("link", name="Perceptron", exact=True)
    link.click()
    expect(page).to_have_url(address)
    page.get_by_role("link", name="Draw", exact=True).click()
    link.click()
    expect(page).to_have_url(address)
    assert page.locator("#formula").text_content() == formula
    assert page.get_by_label("hidden layer of two").is_checked()


def test_what_never_ends_may_be_stepped_on_for_ever(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110&epoch=199")
    finish(page, 3)
    expect(page.locator("#epoch")).to_have_text("202")
    expect(page.get_by_text("It never ends")).to_be_visible()
    expect(page.get_by_role("button", name="Step")).to_be_enabled()


def test_a_screen_reader_hears_where_a_training_has_come_to_and_not_each_epoch_of_it(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110&speed=60")
    expect(page.locator("#formula")).not_to_be_empty()
    page.evaluate(LISTEN)
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(1000)
    assert page.evaluate("window.said") == []
    page.get_by_role("button", name="Pause").click()
    epoch = page.locator("#epoch").text_content()
    assert re.fullmatch(rf"{epoch} epochs, \d answers? (is|are) wrong\.", page.evaluate("window.said.at(-1)"))


def test_the_ring_around_a_point_has_a_legend(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110")
    expect(page.get_by_text("A ring: answered wrongly.")).to_be_visible()


def test_the_speed_is_that_chosen_and_in_the_address(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110")
    page.get_by_label("Speed").select_option("fast")
    assert "speed=60" in page.url
    assert open_page(page.url.rsplit("/", 1)[1]).get_by_label("Speed").input_value() == "60"


def test_the_lines_of_two_hidden_units_are_told_apart(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0110&hidden=1&epoch=999")
    dashes = page.locator("#plane .line").evaluate_all("them => them.map((it) => getComputedStyle(it).strokeDasharray)")
    assert len(set(dashes)) == 2
    names = page.locator("#plane text").all_text_contents()
    assert {"h₁", "h₂"} < set(names)
    for name in ("h₁", "h₂"):
        expect(page.locator("#formula")).to_contain_text(f"{name} = 1 where")
