"""The points of the perceptron: added, moved, given another class and removed, by pointer, touch and keyboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.page import PHONE, OpenPage


def places(page: Page) -> list[str]:
    """Return where the points are and which class they have."""
    labels = page.locator(".point").evaluate_all("them => them.map((it) => it.ariaLabel)")
    return [re.sub(r"[,;] (answered|press).*", "", label).replace(" is of class ", ":") for label in labels]


def on_plane(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where on the screen the point (x, y) is."""
    box = page.locator("#plane").bounding_box()
    assert box
    return box["x"] + (x + 0.3) / 1.6 * box["width"], box["y"] + (1.3 - y) / 1.6 * box["height"]


def drag(page: Page, *way: tuple[float, float]) -> None:
    page.mouse.move(*on_plane(page, *way[0]))
    page.mouse.down()
    for place in way[1:]:
        page.mouse.move(*on_plane(page, *place), steps=4)
    page.mouse.up()


def about(place: str) -> tuple[float, ...]:
    return tuple(float(number) for number in re.findall(r"-?[\d.]+", place.split(":")[0]))


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    page = open_page("#perceptron?target=0110")
    expect(page.locator(".point")).to_have_count(4)
    return page


def test_a_point_is_dragged_and_the_training_is_that_of_where_it_is(page: Page) -> None:
    drag(page, (1, 1), (0.5, 0.6), (0.25, 0.7))
    moved = places(page)
    assert moved[:3] == ["(0, 0):0", "(0, 1):1", "(1, 0):1"]
    assert about(moved[3]) == pytest.approx((0.25, 0.7), abs=0.02)
    assert moved[3].endswith(":0")  # the click that ends a drag changes no class
    expect(page.locator("#never")).to_be_hidden()
    expect(page.locator("#own")).to_have_text("or your own")
    drag(page, (*about(moved[3]),), (-2, 3))  # pyright: ignore[reportArgumentType]
    assert places(page)[3] == "(-0.2, 1.2):0"


def test_the_plane_takes_new_points_up_to_twenty_and_all_are_in_the_address(page: Page, open_page: OpenPage) -> None:
    page.mouse.click(*on_plane(page, 0.5, 0.2))
    assert about(places(page)[4]) == pytest.approx((0.5, 0.2), abs=0.02)
    page.locator(".point").nth(4).click()
    assert places(page)[4].endswith(":0")
    page.get_by_role("button", name="Step").click()
    other = open_page(page.url.rsplit("/", 1)[1])
    expect(other.locator("#epoch")).to_have_text("1")
    assert places(other) == places(page)
    assert other.locator("#formula").text_content() == page.locator("#formula").text_content()
    for _ in range(15):
        page.get_by_role("button", name="Add a point").click()
    expect(page.locator(".point")).to_have_count(20)
    expect(page.get_by_role("button", name="Add a point")).to_be_disabled()
    assert len(set(places(page))) == 20
    page.get_by_role("button", name="XOR").click()
    assert places(page) == ["(0, 0):0", "(0, 1):1", "(1, 0):1", "(1, 1):0"]


def test_points_are_added_moved_changed_and_removed_by_keyboard_and_told(page: Page) -> None:
    page.get_by_role("button", name="Add a point").focus()
    page.keyboard.press("Enter")
    added = page.locator(".point").nth(4)
    expect(added).to_be_focused()
    x, y = about(places(page)[4])
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert about(places(page)[4]) == pytest.approx((x + 0.1, y - 0.05))
    expect(added).to_be_focused()
    expect(page.locator("#training")).to_contain_text(f"({x + 0.1:.2g}, {y - 0.05:.2g}) is of class 1")
    page.keyboard.press("Enter")
    assert places(page)[4].endswith(":0")
    page.keyboard.press("Delete")
    expect(page.locator(".point")).to_have_count(4)
    expect(page.locator(".point").nth(3)).to_be_focused()
    for _ in range(3):
        page.get_by_role("button", name="Remove the last").click()
    assert places(page) == ["(0, 0):0"]
    expect(page.get_by_role("button", name="Remove the last")).to_be_disabled()


def test_a_finger_drags_points_presses_them_and_adds_some(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=0001", size=PHONE, has_touch=True, is_mobile=True)
    page.locator("#square").scroll_into_view_if_needed()
    page.locator(".point").nth(0).tap()
    assert places(page)[0] == "(0, 0):1"
    page.touchscreen.tap(*on_plane(page, 0.5, 0.5))
    expect(page.locator(".point")).to_have_count(5)
    finger = page.context.new_cdp_session(page)
    for kind, way in (("touchStart", (0, 0)), ("touchMove", (0.1, 0.2)), ("touchMove", (0.3, 0.4)), ("touchEnd", None)):
        x, y = on_plane(page, *way) if way else (0, 0)
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}] if way else []})
    expect(page.locator(".point").nth(0)).to_have_accessible_name(re.compile(r"^\(0\.(29|3|31), 0\.(39|4|41)\) is of class 1"))


def test_with_points_of_ones_own_the_hidden_two_learn_the_ones_on_their_side(open_page: OpenPage) -> None:
    page = open_page("#perceptron?target=01010&points=0_0_0.1_0.6_0.6_0.1_0.9_0.8_1.1_0.3&hidden=1&epoch=9999")
    expect(page.locator("#state")).to_contain_text("nothing is wrong")
    expect(page.locator(".point.wrong")).to_have_count(0)
    expect(page.get_by_role("button", name="Step")).to_be_disabled()


@pytest.mark.parametrize("points", ["1_2_3", "a_b", "", "0_0_1_1", "_".join(["0"] * 42)])
def test_an_address_with_other_points_than_classes_starts_at_the_start(open_page: OpenPage, points: str) -> None:
    page = open_page(f"#perceptron?target=010&points={points}")
    expect(page.locator(".point")).to_have_count(4)
    expect(page.get_by_role("button", name="AND", exact=True)).to_have_attribute("aria-pressed", "true")
