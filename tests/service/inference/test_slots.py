"""The room that one request has in the queue: bounded, waited for, given back."""

import asyncio

import pytest

from service.inference.admission import Admission, DeadlineError, QueueFullError, expire
from tests.support.engines import SECONDS, run


def test_no_more_are_admitted_than_there_is_room_for() -> None:
    async def scenario() -> None:
        admission = Admission(2, 100)
        admitted = []

        async def wait(number: int) -> None:
            with admission.slot() as slot:
                await slot.wait(1, SECONDS)
                admitted.append(number)
                await asyncio.sleep(0.01)

        with admission.slot() as slot:
            slot.resize(2)
            tasks = [asyncio.create_task(wait(number)) for number in range(5)]
            await asyncio.sleep(0.01)
            assert admitted == []
        await asyncio.sleep(0)
        assert admitted == [0, 1]
        await asyncio.gather(*tasks)
        assert admitted == [0, 1, 2, 3, 4]
        assert admission.queued_images == 0

    run(scenario)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_queue_is_bounded_in_images(beyond: int) -> None:
    async def scenario() -> None:
        admission = Admission(10, 20)
        with admission.slot() as nine, admission.slot() as others:
            nine.resize(9)
            if beyond:
                with pytest.raises(QueueFullError):
                    others.resize(12)
            else:
                others.resize(11)
        assert admission.queued_images == 0

    run(scenario)


def test_images_that_are_computed_give_their_room_back_once() -> None:
    async def scenario() -> None:
        admission = Admission(10, 20)
        with admission.slot() as slot:
            slot.resize(10)
            slot.release(4)
            assert admission.queued_images == 6
            slot.release(6)
            slot.release(6)
            assert admission.queued_images == 0
        assert admission.queued_images == 0

    run(scenario)


def test_one_image_more_than_fits_is_refused_also_to_a_request_that_has_some() -> None:
    async def scenario() -> None:
        admission = Admission(10, 20)
        with admission.slot() as slot:
            slot.resize(20)
            with pytest.raises(QueueFullError):
                slot.resize(21)
            assert admission.queued_images == 20

    run(scenario)


def test_a_request_that_has_the_images_it_was_admitted_for_is_not_refused() -> None:
    async def scenario() -> None:
        admission = Admission(10, 20)
        with admission.slot() as slot:
            await slot.wait(30, SECONDS)
            slot.resize(30)
            assert admission.queued_images == 30

    run(scenario)


def test_one_whose_time_is_over_in_the_turn_in_which_there_is_room_is_told_so() -> None:
    async def scenario() -> None:
        admission = Admission(2, 4)
        with admission.slot() as queued, admission.slot() as late:
            queued.resize(2)
            waiting = asyncio.create_task(late.wait(1, SECONDS))
            await asyncio.sleep(0)
            expire(late.turn)
            queued.resize(0)
            with pytest.raises(DeadlineError):
                await waiting
        assert admission.has_room()

    run(scenario)


def test_those_whose_time_is_over_while_nothing_moves_do_not_pile_up() -> None:
    async def scenario() -> None:
        admission = Admission(2, 4)
        with admission.slot() as queued:
            queued.resize(2)
            for _ in range(3):
                with admission.slot() as late, pytest.raises(DeadlineError):
                    await late.wait(1, 0.01)
            assert not admission._waiting

    run(scenario)
