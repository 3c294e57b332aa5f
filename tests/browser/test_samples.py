"""What the page makes of samples of metrics."""

import pytest
from playwright.sync_api import Page

from tests.support.page import OpenPage


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("#model")  # of the same origin


def quantile(page: Page, buckets: list, share: float) -> float | None:
    return page.evaluate("async given => (await import('/web/samples.js')).quantile(...given)", [buckets, share])


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.1, 0.4),  # 4 of the 10 up to 1
        (0.25, 1),
        (0.5, 1.5),  # 20 of 40 are the 10 up to 1 and half of the 20 up to 2
        (0.99, 2),  # beyond the last bound there is nothing to go by
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket_as_prometheus_does(page: Page, share: float, expected: float) -> None:
    assert quantile(page, [["1.0", 10], ["2.0", 30], ["+Inf", 40]], share) == pytest.approx(expected)


def test_of_nothing_there_is_no_quantile(page: Page) -> None:
    assert quantile(page, [["1.0", 0], ["+Inf", 0]], 0.5) is None
    assert quantile(page, [], 0.5) is None
