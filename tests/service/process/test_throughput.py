"""When a request may be sent again, from what waits and how fast it left while there was no room."""

from types import SimpleNamespace

import pytest

from service.process.throughput import Throughput, whole_seconds


class Clock:
    seconds = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("service.process.throughput.time", SimpleNamespace(perf_counter=lambda: clock.seconds))
    return clock


def after(clock: Clock, throughput: Throughput, seconds: float, left: float) -> Throughput:
    """Return the same `throughput`, `seconds` later, in which so much has `left`."""
    clock.seconds += seconds
    throughput.left += left
    return throughput


def test_where_nothing_was_measured_it_is_one_second(clock: Clock) -> None:
    throughput = Throughput()
    throughput.left += 1000
    assert throughput.retry_seconds(10_000) == 1
    assert after(clock, throughput, 0.01, 1).retry_seconds(10_000) == 1  # by so little nothing is known


@pytest.mark.parametrize(("waiting", "seconds"), [(0, 1), (100, 1), (101, 2), (250, 3), (2900, 29), (1_000_000, 30)])
def test_it_is_what_waits_by_how_fast_it_leaves_rounded_up_from_1_to_30(clock: Clock, waiting: int, seconds: int) -> None:
    throughput = Throughput()
    throughput.retry_seconds(waiting)
    assert after(clock, throughput, 0.5, 50).retry_seconds(waiting) == seconds


def test_what_left_before_there_was_no_room_says_nothing(clock: Clock) -> None:
    throughput = Throughput()
    for _ in range(100):
        after(clock, throughput, 10, 1)  # an arrival in ten seconds, which leaves at once
    throughput.retry_seconds(100)
    assert after(clock, throughput, 1, 100).retry_seconds(300) == 3


def test_of_the_first_refusals_what_left_since_it_began_to_fill_is_all_that_is_known(clock: Clock) -> None:
    throughput = Throughput()
    throughput.begin()
    assert after(clock, throughput, 2, 100).retry_seconds(300) == 6
    clock.seconds += 10
    throughput.begin()
    assert after(clock, throughput, 2, 10).retry_seconds(300) == 6  # what was measured is better than that
    long = Throughput()
    long.begin()
    assert after(clock, long, 3600, 100).retry_seconds(300) == 1  # which may be slow arrivals


def test_the_rate_follows_what_changes_and_is_remembered_when_there_is_room_again(clock: Clock) -> None:
    throughput = Throughput()
    throughput.retry_seconds(100)
    for rate, seconds in ((100, 2), (20, 10), (200, 1)):
        told = [after(clock, throughput, 1, rate).retry_seconds(200) for _ in range(10)]
        assert told[-1] == seconds
    assert after(clock, throughput, 3600, 5).retry_seconds(2000) == 10


def test_where_nothing_leaves_any_more_it_is_30_seconds_but_not_at_once(clock: Clock) -> None:
    throughput = Throughput()
    throughput.retry_seconds(100)
    assert after(clock, throughput, 1, 0).retry_seconds(100) == 1
    assert after(clock, throughput, 2, 0).retry_seconds(100) == 30
    assert throughput.retry_seconds(0) == 1  # nothing waits
    assert after(clock, throughput, 0.5, 350).retry_seconds(100) == 1


def test_that_nothing_left_is_forgotten_once_something_has(clock: Clock) -> None:
    throughput = Throughput()
    throughput.retry_seconds(100)
    assert after(clock, throughput, 3, 0).retry_seconds(100) == 30
    assert after(clock, throughput, 10, 0).retry_seconds(100) == 30
    assert after(clock, throughput, 3600, 5000).retry_seconds(100) == 1


@pytest.mark.parametrize(("seconds", "told"), [(0, 1), (0.1, 1), (1, 1), (1.2, 2), (10, 10), (60, 30)])
def test_seconds_are_told_whole(seconds: float, told: int) -> None:
    assert whole_seconds(seconds) == told
