"""A lane that becomes full by time, not by number, and empty again."""

import asyncio
import threading

import pytest

from service.images.decode_pool import DecodePool


def test_it_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    async def scenario() -> None:
        lane = DecodePool(1)
        assert await lane.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await lane.run(divmod, 7, 0)

    asyncio.run(scenario())


def test_it_is_full_while_someone_has_waited_for_too_long() -> None:
    go_on = threading.Event()

    async def scenario() -> None:
        lane = DecodePool(0.2)
        first = [asyncio.create_task(lane.run(go_on.wait, 30)) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert not lane.is_full()  # all four have begun
        later = [asyncio.create_task(lane.run(int)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert not lane.is_full()
        await asyncio.sleep(0.3)
        assert lane.is_full()
        go_on.set()
        await asyncio.gather(*first, *later)
        assert not lane.is_full()

    asyncio.run(scenario())


def test_who_leaves_while_waiting_makes_it_no_fuller() -> None:
    go_on = threading.Event()

    async def scenario() -> None:
        lane = DecodePool(0.05)
        first = [asyncio.create_task(lane.run(go_on.wait, 30)) for _ in range(4)]
        await asyncio.sleep(0)
        leaving = asyncio.create_task(lane.run(int))
        await asyncio.sleep(0.2)
        assert lane.is_full()
        leaving.cancel()
        await asyncio.sleep(0)
        assert not lane.is_full()
        go_on.set()
        await asyncio.gather(*first)

    asyncio.run(scenario())
