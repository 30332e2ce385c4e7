"""Making stages of functions: `stage`, `lift`, `identity`, and how they come back from a pickle."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading

import pytest
from returns.result import Failure, Success

from stageflow import (
    Completed,
    Failed,
    PortKey,
    Stage,
    StageError,
    StageExecutionError,
    StageHandle,
    StageInputs,
    StageKind,
    identity,
    lift,
    ok,
    stage,
)
from stageflow.graph.leaf import located, location

GREETING: PortKey[str] = PortKey("greeting")


class ParseError(StageError):
    line: int


@stage
async def echo(inputs: StageInputs[str]):
    return ok(inputs.value)


@lift
def parsed(text: str):
    return Success(int(text)) if text.isdigit() else Failure(ParseError("no number", line=1))


@lift
async def parsed_async(text: str):
    return Success(int(text)) if text.isdigit() else Failure(ParseError("no number", line=1))


@lift(thread=True)
def parsed_in_thread(text: str):
    return Success(int(text)) if text.isdigit() else Failure(ParseError("no number", line=1))


def bare(text: str) -> int:
    return len(text)


async def plain(inputs: StageInputs[str]):
    return ok(inputs.value)


class Scale:
    """A function that is an object, and one of its methods."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, number: int) -> int:
        return number * self.by

    async def staged(self, inputs: StageInputs[int]):
        return ok(inputs.value * self.by)


class AsyncScale(Scale):
    async def __call__(self, inputs: StageInputs[int]):  # type: ignore[override]
        return ok(inputs.value * self.by)


def test_a_stage_takes_its_functions_name_and_the_kind_transform() -> None:
    assert isinstance(echo, Stage)
    assert isinstance(echo, StageHandle)
    assert (echo.name, echo.kind, repr(echo)) == ("echo", StageKind.TRANSFORM, "<Stage 'echo'>")


def test_a_stage_may_be_given_name_kind_ports_and_reads() -> None:
    made = stage(name="other", kind=StageKind.GUARD, requires=[GREETING], reads=[echo])(plain)
    assert (made.name, made.kind) == ("other", StageKind.GUARD)
    assert (made.shape.requires, made.shape.reads) == ((GREETING,), (echo.shape,))


def test_handles_are_the_same_key_where_their_stage_is() -> None:
    assert echo == echo  # noqa: PLR0124
    assert echo != stage(plain)
    assert len({echo, echo, parsed}) == 2


@pytest.mark.parametrize(
    ("made", "value", "expected"),
    [
        (lift(bare), "abc", 3),
        (lift(len), "abc", 3),
        (lift(int), "3", 3),
        (lift(str.upper), "abc", "ABC"),
        (lift(functools.partial(max, 5)), 3, 5),
        (lift(Scale(2)), 3, 6),
        (lift(lambda value, more=1: value + more), 3, 4),
        (lift(lambda *values: values), 3, (3,)),
        (stage(Scale(2).staged), 3, 6),
        (stage(AsyncScale(2)), 3, 6),
        (lift(thread=True)(bare), "abc", 3),
        (parsed, "3", 3),
        (parsed_async, "3", 3),
        (parsed_in_thread, "3", 3),
    ],
)
async def test_functions_of_every_sort_become_stages(made, value, expected) -> None:
    outcome = await made.run(value)
    assert isinstance(outcome, Completed)
    assert outcome.value == expected


def test_the_name_of_a_function_without_one_is_that_of_what_it_calls_or_of_its_type() -> None:
    assert lift(functools.partial(bare)).name == "bare"
    assert lift(Scale(2)).name == "Scale"
    assert lift(name="scaled", kind=StageKind.WORK)(Scale(2)).name == "scaled"
    assert lift(name="scaled", kind=StageKind.WORK)(Scale(2)).kind is StageKind.WORK


async def test_a_plain_function_that_gives_an_awaitable_is_awaited() -> None:
    async def later(text: str) -> int:
        return len(text)

    outcome = await lift(lambda text: later(text)).run("abc")  # noqa: PLW0108  (a sync function of an async one)
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


@pytest.mark.parametrize("made", [parsed, parsed_async, parsed_in_thread])
async def test_a_lifted_failure_is_the_stages_own_error(made) -> None:
    outcome = await made.run("x")
    assert isinstance(outcome, Failed)
    assert outcome.error == ParseError("no number", line=1)


@pytest.mark.parametrize("thread", [False, True])
async def test_what_a_lifted_function_raises_is_a_defect(thread) -> None:
    outcome = await lift(thread=thread)(lambda text: int(text)).run("x")  # noqa: PLW0108  (int alone is a class)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert isinstance(outcome.error.__cause__, ValueError)


async def test_a_failure_of_an_exception_is_a_defect_with_that_cause() -> None:
    cause = ValueError("bad digit")
    outcome = await lift(name="parse")(lambda text: Failure(cause)).run("x")
    assert isinstance(outcome, Failed)
    assert outcome.error.__cause__ is cause
    assert outcome.error.stage == "parse"


async def test_a_failure_of_no_exception_at_all_is_a_defect_too() -> None:
    outcome = await lift(name="parse")(lambda text: Failure("bad digit")).run("x")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert "'bad digit'" in outcome.error.message


async def test_a_blocking_function_runs_in_a_thread_of_its_own_with_the_stages_context() -> None:
    threads = await lift(thread=True)(lambda _: threading.get_ident()).run("x")
    assert isinstance(threads, Completed)
    assert threads.value != threading.get_ident()


async def test_a_cancelled_run_waits_for_its_thread() -> None:
    entered, leave, left = threading.Event(), threading.Event(), []

    def block(_: object) -> None:
        entered.set()
        leave.wait(10)
        left.append(True)

    loop = asyncio.get_running_loop()
    task = loop.create_task(lift(thread=True)(block).run("x"))
    await loop.run_in_executor(None, entered.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left == [True]


async def test_a_thread_that_raises_while_its_run_is_cancelled_is_not_reported_as_lost() -> None:
    entered, leave = threading.Event(), threading.Event()

    def block(_: object) -> None:
        entered.set()
        leave.wait(10)
        raise ValueError("too late")

    loop = asyncio.get_running_loop()
    task = loop.create_task(lift(thread=True)(block).run("x"))
    await loop.run_in_executor(None, entered.wait, 10)
    task.cancel()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_identity_gives_what_it_gets() -> None:
    outcome = await (identity(str) | lift(len)).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3
    assert identity(str).name == "identity"
    assert identity(str).kind is StageKind.TRANSFORM


@pytest.mark.parametrize(
    "made",
    [echo, parsed, parsed_async, parsed_in_thread, lift(bare), lift(name="other", thread=True)(bare), stage(plain)],
    ids=lambda made: made.name,
)
async def test_a_stage_of_an_importable_function_comes_back_from_a_pickle(made) -> None:
    other = pickle.loads(pickle.dumps(made))
    assert (other.name, other.kind) == (made.name, made.kind)
    given, expected = await other.run("3"), await made.run("3")
    assert given.value == expected.value


def test_a_decorated_stage_comes_back_as_the_very_stage_so_that_its_handle_is_good() -> None:
    assert pickle.loads(pickle.dumps(echo)).shape is echo.shape
    assert location(echo.shape) == (__name__, "echo")
    assert located(__name__, "echo") is echo.shape


def test_a_stage_in_interceptors_is_found_by_its_functions_name_too() -> None:
    assert located(__name__, "wrapped") is wrapped.shape.inner.inner


def test_a_stage_of_a_local_function_does_not_pickle() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        pickle.dumps(lift(lambda value: value))


def test_a_place_that_is_no_stage_by_now_says_so() -> None:
    with pytest.raises(TypeError, match=r"bare is no stage of one function by now"):
        located(__name__, "bare")
    assert location(lift(functools.partial(bare)).shape) is None


wrapped = echo.named("inner").when(lambda inputs: True)


@pytest.mark.parametrize("made", [stage, lift])
def test_the_decorators_take_a_function_by_position_alone(made) -> None:
    with pytest.raises(TypeError):
        made(function=bare)
