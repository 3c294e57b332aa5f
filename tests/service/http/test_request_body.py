"""What bodies may take together, and for how long a large one that does not arrive is believed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Message, Receive

from service.errors import ApiError
from service.http.request_body import BodyReader, ByteBudget

KIB = 1024
LARGE = 100 * KIB
MAX_PENDING_BODY_BYTES = 400 * KIB


def body_reader(seconds: float = 10) -> BodyReader:
    return BodyReader(200 * KIB, ByteBudget(MAX_PENDING_BODY_BYTES), seconds)


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


def test_a_body_is_put_together_from_its_chunks() -> None:
    async def scenario() -> None:
        with body_reader().reserve(6) as reservation:
            assert await body_reader().read(sending(b"ab", b"cd", b"ef"), reservation) == b"abcdef"

    run(scenario)


def test_a_body_in_one_piece_is_not_copied() -> None:
    async def scenario() -> None:
        piece = bytes(KIB)
        with body_reader().reserve(KIB) as reservation:
            assert await body_reader().read(sending(piece), reservation) is piece

    run(scenario)


def test_a_message_without_body_and_more_body_ends_an_empty_body_as_asgi_has_it() -> None:
    async def messages() -> AsyncIterator[Message]:
        yield {"type": "http.request"}

    async def scenario() -> None:
        with body_reader().reserve(None) as reservation:
            assert await body_reader().read(aiter(messages()).__anext__, reservation) == b""

    run(scenario)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_body_may_have_its_limit_announced_or_not(beyond: int) -> None:
    size = 200 * KIB + beyond

    async def announced() -> None:
        with body_reader().reserve(size):
            pass

    async def in_chunks() -> None:
        with body_reader().reserve(None) as reservation:
            await body_reader().read(sending(bytes(KIB), bytes(size - KIB)), reservation)

    for scenario in (announced, in_chunks):
        if beyond > 0:
            with pytest.raises(ApiError) as refusal:
                run(scenario)
            assert (refusal.value.status, refusal.value.reason) == (413, "too_many_bytes")
            sentence = "the body has 204,801 bytes or more; send at most 204,800, in several requests."
            assert str(refusal.value) == sentence
        else:
            run(scenario)


def test_large_bodies_are_refused_where_they_do_not_fit_and_small_ones_are_not() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(LARGE), bodies.reserve(LARGE), bodies.reserve(LARGE):
            with bodies.reserve(LARGE):
                for announced in (LARGE, 64 * KIB + 1):
                    with pytest.raises(ApiError, match="409,600 bytes are pending") as refusal:
                        bodies.reserve(announced)
                    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (429, "1")
                with bodies.reserve(64 * KIB), bodies.reserve(0):
                    pass
            with bodies.reserve(LARGE):
                pass

    run(scenario)


def test_small_bodies_are_bounded_too() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        reservations = [bodies.reserve(50 * KIB).__enter__() for _ in range(100)]  # none of them has sent anything
        for reservation in reservations[:8]:
            reservation.add(50 * KIB)
        with pytest.raises(ApiError):
            bodies.reserve(50 * KIB)
        for reservation in reservations:
            reservation.__exit__()
        bodies.reserve(50 * KIB)

    run(scenario)


@pytest.mark.parametrize("announced", [None, 0, 50 * KIB])
def test_a_small_body_and_one_in_chunks_take_nothing_before_they_arrive(announced: int | None) -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(announced) as reservation:
            assert bodies.pending_bytes == 0
            reservation.add(KIB)
            assert bodies.pending_bytes == KIB
        assert bodies.pending_bytes == 0

    run(scenario)


def test_bodies_in_chunks_may_take_all_that_is_left_but_not_a_byte_more() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(200 * KIB), bodies.reserve(LARGE), bodies.reserve(None) as reservation:
            assert len(await bodies.read(sending(bytes(LARGE), b""), reservation)) == LARGE
            with bodies.reserve(None) as another, pytest.raises(ApiError, match="409,600 bytes are pending"):
                await bodies.read(sending(b"a", b""), another)

    run(scenario)


def test_bodies_in_chunks_are_counted_as_they_arrive() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(150 * KIB), bodies.reserve(150 * KIB), bodies.reserve(None) as reservation:
            with pytest.raises(ApiError) as refusal:
                await bodies.read(sending(bytes(LARGE), b"a", b"b"), reservation)
            assert refusal.value.status == 429
        with bodies.reserve(200 * KIB), bodies.reserve(200 * KIB):
            pass

    run(scenario)


def test_what_was_announced_and_does_not_arrive_does_not_shut_others_out_for_long() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(200 * KIB) as slow, bodies.reserve(200 * KIB):
            slow.add(KIB)
            with pytest.raises(ApiError):
                bodies.reserve(LARGE)
            await asyncio.sleep(1.2)
            with bodies.reserve(LARGE):
                assert slow.reserved == KIB
        with bodies.reserve(200 * KIB), bodies.reserve(200 * KIB):
            pass

    run(scenario)


def test_a_body_that_is_there_is_read_without_a_timer() -> None:
    reading = body_reader().read(sending(b"ab"), body_reader().reserve(2))
    with pytest.raises(StopIteration) as returned:
        reading.send(None)  # outside of an event loop, where no timer could be set
    assert returned.value.value == b"ab"


def test_a_body_is_waited_for_until_its_client_leaves() -> None:
    async def scenario() -> None:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        with body_reader().reserve(6) as reservation:
            reading = asyncio.create_task(body_reader().read(messages.get, reservation))
            for more_body in (True, False):
                await asyncio.sleep(0.01)
                messages.put_nowait({"type": "http.request", "body": b"abc", "more_body": more_body})
            assert await reading == b"abcabc"
            messages.put_nowait({"type": "http.disconnect"})
            with pytest.raises(ApiError) as refusal:
                await body_reader().read(messages.get, reservation)
            assert (refusal.value.status, refusal.value.reason) == (499, "client_left")
            assert str(refusal.value) == "the client left before its body was complete."

    run(scenario)


def test_a_body_in_chunks_that_is_complete_is_not_refused_any_more() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(200 * KIB), bodies.reserve(190 * KIB), bodies.reserve(None) as reservation:
            assert len(await bodies.read(sending(bytes(LARGE)), reservation)) == LARGE

    run(scenario)


@pytest.mark.parametrize("received", [0, KIB])
def test_of_a_large_body_that_is_refused_nothing_stays_pending(received: int) -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(LARGE) as reservation:
            reservation.add(received)
            assert bodies.pending_bytes == LARGE
        assert bodies.pending_bytes == 0
        await asyncio.sleep(1.2)  # longer than what is announced counts
        assert bodies.pending_bytes == 0

    run(scenario)


def test_what_is_made_of_a_body_counts_in_its_place_until_the_answer_is_sent() -> None:
    async def scenario() -> None:
        bodies = body_reader()
        with bodies.reserve(LARGE) as reservation:
            assert await bodies.read(sending(bytes(LARGE)), reservation)
            reservation.resize(4 * LARGE)
            await asyncio.sleep(1.2)
            assert bodies.pending_bytes == 4 * LARGE
            with pytest.raises(ApiError):
                bodies.reserve(LARGE)
        assert bodies.pending_bytes == 0

    run(scenario)


def test_a_body_that_is_not_complete_in_time_is_a_408() -> None:
    async def scenario() -> None:
        with body_reader().reserve(2) as reservation, pytest.raises(ApiError) as refusal:
            await body_reader(0.05).read(sending(b"a", 5.0, b"b"), reservation)
        assert (refusal.value.status, refusal.value.reason) == (408, "slow_body")
        assert str(refusal.value) == "the body was not complete after 0.05 s; send it faster or in smaller requests."
        assert refusal.value.headers == {"Connection": "close"}

    run(scenario)
