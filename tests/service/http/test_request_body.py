"""What bodies may take together, and for how long a large one that does not come is believed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Message, Receive

from service.errors import ApiError
from service.http.request_body import BodyReader

KIB = 1024
LARGE = 100 * KIB
MAX_PENDING_BODY_BYTES = 400 * KIB


def body_reader(seconds: float = 10) -> BodyReader:
    return BodyReader(200 * KIB, MAX_PENDING_BODY_BYTES, seconds)


def sending(*chunks: bytes | float) -> Receive:
    """Return what a client sends: chunks, and between them pauses in seconds."""

    async def messages() -> AsyncIterator[Message]:
        left = len([each for each in chunks if isinstance(each, bytes)])
        for each in chunks:
            if isinstance(each, bytes):
                left -= 1
                yield {"type": "http.request", "body": each, "more_body": left > 0}
            else:
                await asyncio.sleep(each)

    return aiter(messages()).__anext__


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_body_comes_whole_from_its_chunks() -> None:
    async def scenario() -> None:
        with body_reader().place(6) as place:
            assert await body_reader().read(sending(b"ab", b"cd", b"ef"), place) == b"abcdef"

    run(scenario)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_body_may_have_its_limit_announced_or_not(beyond: int) -> None:
    size = 200 * KIB + beyond

    async def announced() -> None:
        with body_reader().place(size):
            pass

    async def in_chunks() -> None:
        with body_reader().place(None) as place:
            await body_reader().read(sending(bytes(KIB), bytes(size - KIB)), place)

    for scenario in (announced, in_chunks):
        if beyond > 0:
            with pytest.raises(ApiError) as refusal:
                run(scenario)
            assert refusal.value.status == 413
        else:
            run(scenario)


def test_large_bodies_are_refused_where_they_do_not_fit_and_small_ones_are_not() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.place(LARGE), bodies.place(LARGE), bodies.place(LARGE):
            with bodies.place(LARGE):
                for announced in (LARGE, 64 * KIB + 1):
                    with pytest.raises(ApiError, match="409,600 bytes are pending") as refusal:
                        bodies.place(announced)
                    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (429, "1")
                with bodies.place(64 * KIB), bodies.place(0):
                    pass
            with bodies.place(LARGE):
                pass

    run(scenario)


def test_small_bodies_are_bounded_too() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        places = [bodies.place(50 * KIB).__enter__() for _ in range(100)]  # none of them has sent anything
        for place in places[:8]:
            place.grow(50 * KIB)
        with pytest.raises(ApiError):
            bodies.place(50 * KIB)
        for place in places:
            place.__exit__()
        bodies.place(50 * KIB)

    run(scenario)


def test_bodies_in_chunks_are_counted_as_they_come() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.place(150 * KIB), bodies.place(150 * KIB), bodies.place(None) as place:
            with pytest.raises(ApiError) as refusal:
                await bodies.read(sending(bytes(LARGE), b"a", b"b"), place)
            assert refusal.value.status == 429
        with bodies.place(200 * KIB), bodies.place(200 * KIB):
            pass

    run(scenario)


def test_what_was_announced_and_does_not_come_shuts_nobody_out_for_long() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.place(200 * KIB) as slow, bodies.place(200 * KIB):
            slow.grow(KIB)
            with pytest.raises(ApiError):
                bodies.place(LARGE)
            await asyncio.sleep(1.2)
            with bodies.place(LARGE):
                assert slow.taken == KIB
        with bodies.place(200 * KIB), bodies.place(200 * KIB):
            pass

    run(scenario)


def test_a_body_that_is_not_complete_in_time_is_a_408() -> None:
    async def scenario() -> None:
        with body_reader().place(2) as place, pytest.raises(ApiError, match=r"not complete after 0\.05 s") as refusal:
            await body_reader(0.05).read(sending(b"a", 5.0, b"b"), place)
        assert refusal.value.status == 408

    run(scenario)
