"""A concurrency limit on a stage: `LimitInterceptor`, and the places it gives out."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stageflow import Cancelled, Completed, Failed, LimitInterceptor, Runner, StageInputs, fail, lift, ok, stage
from stageflow.graph.execution.places import Lent, Places


class Gate:
    """A stage that waits until the test opens it, and counts how many are inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.order: list[str] = []
        self.open = asyncio.Event()

    async def __call__(self, inputs: StageInputs[str]):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.order.append(inputs.value)
        await self.open.wait()
        self.inside -= 1
        return ok(inputs.value)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_so_many_run_at_once_across_runs_first_come_first_served() -> None:
    gate = Gate()
    limited = stage(name="gate")(gate).using(LimitInterceptor(2))
    async with Runner() as runner:
        handles = [runner.start(limited, str(number)) for number in range(5)]
        await turns()
        assert gate.inside == 2
        gate.open.set()
        outcomes = [await handle for handle in handles]
    assert [outcome.value for outcome in outcomes] == ["0", "1", "2", "3", "4"]
    assert (gate.most, gate.order) == (2, ["0", "1", "2", "3", "4"])


async def test_a_place_comes_back_from_a_stage_that_fails_or_raises() -> None:
    refuse = stage(name="refuse")(_refuse).using(LimitInterceptor(1))
    explode = lift(int).using(LimitInterceptor(1))
    for limited in (refuse, explode):
        for _ in range(3):
            assert isinstance(await limited.run("x"), Failed)


async def _refuse(inputs: StageInputs[str]):
    return fail("no")


async def test_who_is_cancelled_while_it_waits_takes_no_place_along() -> None:
    gate = Gate()
    limited = stage(name="gate")(gate).using(LimitInterceptor(1))
    async with Runner() as runner:
        first, second, third = (runner.start(limited, text) for text in ("first", "second", "third"))
        await turns()
        second.cancel("enough")
        assert isinstance(await second, Cancelled)
        gate.open.set()
        assert isinstance(await first, Completed)
        assert isinstance(await third, Completed)
    assert gate.order == ["first", "third"]


async def test_called_directly_it_limits_too() -> None:
    gate = Gate()
    limited = stage(name="gate")(gate).using(LimitInterceptor(1))
    calls = [asyncio.ensure_future(limited(StageInputs(text))) for text in ("a", "b")]
    await turns()
    assert gate.inside == 1
    gate.open.set()
    assert await asyncio.gather(*calls) == [ok("a"), ok("b")]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit) -> None:
    with pytest.raises(ValueError, match="needs a limit of at least 1"):
        LimitInterceptor(limit)


def test_it_is_a_value() -> None:
    assert LimitInterceptor(2) == LimitInterceptor(2)
    assert LimitInterceptor(2) != LimitInterceptor(3)
    assert hash(LimitInterceptor(2)) == hash(LimitInterceptor(2))
    assert pickle.loads(pickle.dumps(LimitInterceptor(2))) == LimitInterceptor(2)
    with pytest.raises(FrozenInstanceError):
        LimitInterceptor(2).limit = 3  # type: ignore[misc]


async def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    places, got = Places(1), []

    async def ask(name: str) -> None:
        place = await places.take()
        got.append(name)
        place.give_back()

    first = places.try_take()
    assert first is places
    assert places.try_take() is None
    waiting = [asyncio.ensure_future(ask(name)) for name in "abc"]
    await turns()
    first.give_back()
    assert places.try_take() is None
    await asyncio.gather(*waiting)
    assert got == ["a", "b", "c"]
    assert places.try_take() is places


async def test_a_place_granted_and_cancelled_in_one_turn_goes_to_the_next() -> None:
    places = Places(1)
    first = places.try_take()
    granted, after = asyncio.ensure_future(places.take()), asyncio.ensure_future(places.take())
    await turns()
    first.give_back()
    granted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await granted
    assert await after is places


async def test_a_lent_place_goes_to_one_borrower_and_others_take_one_of_the_runners() -> None:
    runners = Places(2)
    lent = Lent(runners.try_take() or runners)
    assert lent.top is runners
    assert lent.try_take() is lent
    assert lent.try_take() is runners
    assert lent.try_take() is None
    lent.give_back()
    assert lent.try_take() is lent


async def test_who_waits_for_a_lent_place_gets_it_in_turn() -> None:
    lent = Lent(Places(1).try_take() or Places(1))
    place = lent.try_take()
    first, second = asyncio.ensure_future(lent.take()), asyncio.ensure_future(lent.take())
    await turns()
    lent.give_back()
    await turns()
    assert place is lent
    assert (first.done(), second.done()) == (True, False)
    lent.give_back()
    assert await second is lent


async def test_a_lent_place_granted_and_cancelled_in_one_turn_goes_to_the_next() -> None:
    lent = Lent(Places(1).try_take() or Places(1))
    lent.try_take()
    granted, after = asyncio.ensure_future(lent.take()), asyncio.ensure_future(lent.take())
    await turns()
    lent.give_back()
    granted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await granted
    assert await after is lent


async def test_a_place_that_is_given_up_for_a_while_is_the_runners_until_it_is_taken_again() -> None:
    runners = Places(1)
    lent = Lent(runners.try_take() or runners)
    lent.try_take()
    lent.step_aside()
    assert runners.try_take() is runners
    back = asyncio.ensure_future(lent.come_back())
    await turns()
    assert not back.done()
    runners.give_back()
    await back
    assert lent.try_take() is lent


async def test_a_borrower_of_a_place_given_up_takes_one_of_the_runners_which_is_the_lenders_again() -> None:
    runners = Places(1)
    lent = Lent(runners.try_take() or runners)
    lent.try_take()
    lent.step_aside()
    assert lent.try_take() is None
    assert await lent.take() is lent
    assert runners.try_take() is None


async def test_once_the_lender_has_ended_who_waited_looks_elsewhere() -> None:
    runners = Places(1)
    lent = Lent(runners.try_take() or runners)
    lent.try_take()
    waiting = asyncio.ensure_future(lent.take())
    await turns()
    lent.close()
    assert await waiting is runners
    assert lent.try_take() is None
    runners.give_back()
    assert lent.try_take() is runners


def test_a_limit_is_counted_on_one_event_loop_at_a_time() -> None:
    places = Places(2)

    async def take() -> object:
        return places.try_take()

    async def take_on_another_loop() -> object:
        return await asyncio.to_thread(asyncio.run, take())

    async def both() -> None:
        assert await take() is places
        with pytest.raises(RuntimeError, match="in use on another event loop"):
            await take_on_another_loop()
        places.give_back()
        assert await take_on_another_loop() is places

    asyncio.run(both())
    assert asyncio.run(take()) is places  # what a loop that is gone had taken is free again
