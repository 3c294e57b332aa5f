"""Which media type an `Accept` chooses: RFC 9110, section 12.5.1."""

import timeit

import pytest

from service.protocols.accept import preferred

JSON, BYTES = "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (BYTES, BYTES),
        # The highest quality, in whatever order.
        (f"{JSON};q=0.5, {BYTES}", BYTES),
        (f"{BYTES}, {JSON};q=0.5", BYTES),
        (f"{BYTES};q=0.5, {JSON}", JSON),
        (f"{BYTES};q=0.501, {JSON};q=0.5", BYTES),
        # Wildcards count, and the most specific range decides.
        (f"*/*;q=0.9, {BYTES};q=0.1", JSON),
        (f"application/*;q=0.9, {BYTES};q=0.1", JSON),
        (f"{JSON};q=0.1, */*;q=0.9", BYTES),
        (f"{JSON};q=0.1, application/*;q=0.9", BYTES),
        (f"application/*;q=0.1, */*;q=0.9, {BYTES};q=0.5", BYTES),
        (f"*/*;q=0.9, application/*;q=0, {BYTES};q=0.1", BYTES),
        ("application/*", JSON),
        ("text/*, application/*;q=0.1", JSON),
        # 0 excludes.
        (f"{JSON};q=0, */*", BYTES),
        (f"{JSON};q=0.000, application/*;q=0.1", BYTES),
        (f"{BYTES};q=0", JSON),
        (f"{BYTES};q=0, */*;q=0.1", JSON),
        # The same quality: what is named, then what is offered first.
        (f"{BYTES}, */*", BYTES),
        (f"{BYTES}, application/*", BYTES),
        (f"{BYTES}, {JSON}", JSON),
        (f"{JSON}, {BYTES}", JSON),
        # Of one range that is repeated, the highest quality counts.
        (f"{BYTES};q=0.5, {BYTES};q=0.1, {JSON};q=0.4", BYTES),
        (f"{BYTES};q = 0.1, {JSON};q=0.4", JSON),
        # Nothing that is offered is acceptable.
        ("text/html", JSON),
        ("text/*, image/png", JSON),
        ("*/*;q=0", JSON),
        (f"{JSON};q=0, {BYTES};q=0", JSON),
        (f"{JSON};q=0", JSON),
        # What browsers send.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", JSON),
        ("application/json, text/plain, */*", JSON),
    ],
)
def test_the_type_of_the_highest_quality_is_chosen(accept: str, chosen: str) -> None:
    assert preferred(accept, (JSON, BYTES)) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        "APPLICATION/Octet-Stream",
        f"  {BYTES}  ",
        f"{BYTES};version=1",
        f'{BYTES};note="a, {JSON};q=1"',
        f'{BYTES};note="a\\", {JSON};q=1"',
        f"{BYTES} ; Q=0.5, {JSON};q=0.4",
        f"{JSON};q=0.4\t,\t{BYTES}\t;\tq=0.5",
        f"{BYTES};version=1;q=0.5;later=2, {JSON};q=0.4",
        f"{BYTES};q=0.1;version=1, {BYTES};q=0.5, {JSON};q=0.4",
        f"{BYTES};q=1., {JSON};q=0.9",
        f"{BYTES};q=.2, {JSON};q=.1",
    ],
)
def test_case_white_space_and_other_parameters_make_no_difference(accept: str) -> None:
    assert preferred(accept, (JSON, BYTES)) == BYTES


@pytest.mark.parametrize(
    "malformed",
    [
        ",",
        ";",
        "=",
        ",;=",
        "q=1",
        ";q=1",
        "*",
        "/",
        "\xff",
        "octet-stream",
        *(f"{BYTES};q={q}" for q in ("nan", "1e9", "-1", "x", "7", "1.1", ".", "")),
    ],
)
def test_what_is_malformed_is_passed_over(malformed: str) -> None:
    assert preferred(malformed, (JSON, BYTES)) == JSON
    for accept in (f"{malformed}, {BYTES};q=0.2, {JSON};q=0.1", f"{BYTES};q=0.2, {JSON};q=0.1, {malformed}"):
        assert preferred(accept, (JSON, BYTES)) == BYTES


@pytest.mark.parametrize("piece", ["a,", ";q=", '"', '"\\', "*/*;q=0.1,", '"\\",'])
def test_a_long_header_takes_as_much_longer_as_it_is(piece: str) -> None:
    def seconds(size: int) -> float:
        accept = (piece * size)[:size]
        return min(timeit.repeat(lambda: preferred(accept, (JSON, BYTES)), number=1, repeat=5))

    assert seconds(2**16) < 80 * seconds(2**12)  # 16 times as long; searching again from each quote would take 256 times
