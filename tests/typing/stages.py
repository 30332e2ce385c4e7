"""Inside a stage: `ok`, `skip`, `cancel` and `fail`, `sealed`, inputs, ports, and errors with fields."""

# ruff: noqa: T201
# pyright: reportUnusedExpression=false

from __future__ import annotations

from returns.result import Failure, Result, Success
from typing_extensions import Never, assert_type
from vocabulary import CLOCK, Clock, Denied, NotFound, Page, Unparsable, fetch, html, words

from stageflow import Stage, StageError, StageInputs, StageOutput, cancel, fail, ok, sealed, skip, stage

assert_type(ok(3), Result[StageOutput[int], Never])
assert_type(skip("why"), Result[StageOutput[Never], Never])
assert_type(cancel("why"), Result[StageOutput[Never], Never])
assert_type(fail(NotFound("gone")), Result[Never, NotFound])
assert_type(fail("gone"), Result[Never, StageError])
skip()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
cancel(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fail(ValueError("gone"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


@stage
async def all_ways(inputs: StageInputs[int]) -> Result[StageOutput[str], NotFound | Unparsable]:
    """Everything a stage may give."""
    match inputs.value:
        case 0:
            return skip("nothing to do")
        case 1:
            return cancel("enough")
        case 2:
            return fail(NotFound("gone"))
        case 3:
            return fail(Unparsable("torn", line=3))
        case _:
            return ok("text")


assert_type(all_ways, Stage[int, str, NotFound | Unparsable])


@stage
async def wrong_value(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Gives something else than it says."""
    return ok("text")  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]


@stage
async def wrong_error(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Fails with something else than it says."""
    return fail(Unparsable("x"))  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]


@stage
async def unnamed_error(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """A failure of words alone is a StageError."""
    return fail("x")  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def not_a_result(inputs: StageInputs[str]) -> int:
    """Gives no Result."""
    return 3


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def not_async(inputs: StageInputs[str]) -> Result[StageOutput[int], Never]:
    """Is not async."""
    return ok(3)


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def no_inputs(text: str) -> Result[StageOutput[int], Never]:
    """Takes a value: that is for lift."""
    return ok(len(text))


@stage  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
async def foreign_error(inputs: StageInputs[str]) -> Result[StageOutput[int], ValueError]:
    """Fails with what is no StageError."""
    return Failure(ValueError(inputs.value))


@stage(reads=(fetch,), requires=(CLOCK,))
async def reads(inputs: StageInputs[int]) -> Result[StageOutput[float], Never]:
    """Inputs have the types of their handles and keys."""
    assert_type(inputs.value, int)
    assert_type(inputs[fetch], Page)
    assert_type(inputs[words], int)
    assert_type(inputs["words"], object)
    assert_type(inputs.ports[CLOCK], Clock)
    assert_type(inputs.ports[CLOCK].now(), float)
    count: str = inputs[words]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    now: str = inputs.ports[CLOCK].now()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    text: str = inputs.value  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    named: int = inputs["words"]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    inputs.value = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    inputs.ports["clock"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    inputs[3]  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    print(count, now, text, named)
    return ok(inputs.ports[CLOCK].now())


stage(reads=("fetch",))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
stage(requires=("clock",))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def called(inputs: StageInputs[Page]) -> str:
    """A stage is called as a function in a test; its result, sealed, is matched exhaustively and exactly."""
    result = await html(inputs)
    assert_type(result, Result[StageOutput[str], NotFound])
    match sealed(result):
        case Success(output):
            assert_type(output, StageOutput[str])
            return output.data
        case Failure(error):
            assert_type(error, NotFound)
            return error.message


async def half_called(inputs: StageInputs[Page]) -> str:  # type: ignore[return]  # pyright: ignore[reportReturnType]
    """A case is missing."""
    match sealed(await html(inputs)):  # type: ignore[exhaustive-match]  # pyright: ignore[reportMatchNotExhaustive]
        case Success(output):
            return output.data


async def called_wrongly(page: Page) -> None:
    """A stage takes inputs, not the bare value."""
    await html(page)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fetch(StageInputs(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class HttpError(StageError):
    """An error with fields of its own, declared as on a dataclass."""

    url: str
    status: int = 500


gone = HttpError("gone", url="https://a", status=410)
assert_type(gone.url, str)
assert_type(gone.status, int)
assert_type(gone.message, str)
HttpError("gone")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
HttpError("gone", url=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
HttpError("gone", url="https://a", code=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Unparsable("torn", line="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Denied("no", "anonymous")  # type: ignore[arg-type,call-arg]  # pyright: ignore[reportCallIssue]
gone.status = 404  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
print(gone.reason)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
