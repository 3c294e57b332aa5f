"""The view of the perceptron: it learns or never ends, and all of its state is in the address."""

import re

import pytest
from playwright.sync_api import Page, expect

from models.perceptron import CORNERS, GATES, learn_gate, learn_gate_with_hidden_layer
from tests.support.page import OpenPage


def finish(page: Page, epochs: int) -> None:
    """Step through the training, as a visitor who is in a hurry does."""
    for _ in range(epochs):
        page.get_by_role("button", name="Step").click()


@pytest.mark.parametrize("gate", ["AND", "OR"])
def test_and_and_or_end(open_page: OpenPage, gate: str) -> None:
    page = open_page("#perceptron")
    page.get_by_role("button", name=gate, exact=True).click()
    last = learn_gate(GATES[gate]).epochs[-1].number
    finish(page, last)
    expect(page.locator("#epoch")).to_have_text(str(last))
    expect(page.locator("#state")).to_have_text("epochs, and nothing is wrong, so nothing moves any more.")
    expect(page.get_by_role("button", name="Step")).to_be_disabled()
    expect(page.locator(".corner.wrong")).to_have_count(0)


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
    expect(page.locator(".corner.wrong")).to_have_count(0)
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


@pytest.mark.parametrize("hidden", [False, True])
def test_the_page_marks_as_wrong_what_the_perceptron_gets_wrong(open_page: OpenPage, hidden: bool) -> None:
    page = open_page(f"#perceptron?target=0110&hidden={int(hidden)}&epoch=999")
    expect(page.locator("#state")).not_to_be_empty()
    if hidden:
        left, right, output = learn_gate_with_hidden_layer("0110")
        answers = [output.answer((left.answer(corner), right.answer(corner))) for corner in CORNERS]
    else:
        answers = [learn_gate("0110").answer(corner) for corner in CORNERS]
    wrong = [answer != (1 if digit == "1" else -1) for answer, digit in zip(answers, "0110", strict=True)]
    assert [
        "wrong" in (each or "") for each in page.locator(".corner").evaluate_all("them => them.map(it => it.className)")
    ] == wrong
