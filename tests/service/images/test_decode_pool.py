"""A pool that is full by time, not by number, and has room again."""

import asyncio
import threading

import pytest

from service.images.decode_pool import DecodePool


def test_it_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    async def scenario() -> None:
        pool = DecodePool(1)
        assert await pool.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 7, 0)

    asyncio.run(scenario())


def test_it_is_full_while_something_has_been_queued_for_too_long() -> None:
    go_on = threading.Event()

    async def scenario() -> None:
        pool = DecodePool(0.2)
        first = [asyncio.create_task(pool.run(go_on.wait, 30)) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert not pool.is_full()  # all four have begun
        later = [asyncio.create_task(pool.run(int)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert not pool.is_full()
        await asyncio.sleep(0.3)
        assert pool.is_full()
        go_on.set()
        await asyncio.gather(*first, *later)
        assert not pool.is_full()

    asyncio.run(scenario())


def test_what_is_cancelled_while_queued_does_not_count() -> None:
    go_on = threading.Event()

    async def scenario() -> None:
        pool = DecodePool(0.05)
        first = [asyncio.create_task(pool.run(go_on.wait, 30)) for _ in range(4)]
        await asyncio.sleep(0)
        leaving = asyncio.create_task(pool.run(int))
        await asyncio.sleep(0.2)
        assert pool.is_full()
        leaving.cancel()
        await asyncio.sleep(0)
        assert not pool.is_full()
        go_on.set()
        await asyncio.gather(*first)

    asyncio.run(scenario())
