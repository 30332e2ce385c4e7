"""One of each mistake that a wiring can have; what the checkers print of each is kept in ``tests/golden/typing``."""

# ruff: noqa: T201

from __future__ import annotations

from returns.result import Result
from typing_extensions import Never
from vocabulary import (
    CLOCK,
    Guard,
    NotFound,
    Page,
    Unparsable,
    counted,
    fetch,
    format_of,
    half,
    lang,
    links,
    pdf,
    report,
    score,
    words,
)

from stageflow import (
    Completed,
    Failed,
    Pipeline,
    PipelineRegistry,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    fail,
    ok,
    route,
    stage,
)

skips_a_step = fetch | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
one_branch_short = fetch | (links & words) | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
wrong_order = fetch | (words & links & lang) | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
different_inputs = fetch & words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
int_into_page = words | words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
page_halved = fetch | half  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
root_needs_page = Pipeline.of(str).with_stage(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
parent_is_str = Pipeline.of(str).with_stage(fetch).with_stage(pdf, after=words)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
parents_swapped = Pipeline.of(str).with_stage(fetch).with_stage(score, after=(lang, words, fetch))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
a_parent_short = Pipeline.of(str).with_stage(fetch).with_stage(score, after=(words, lang))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
unknown_case = route(format_of).case("doc", pdf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
case_of_another_input = route(format_of).case("pdf", fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fan_in_shape = (words & lang).into(Page)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
as_int: Stage[str, int] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
infallible: Stage[str, Page, Never] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
branches_are_no_stage: Stage[Page, tuple[int, bytes]] = words & lang  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def needs_unparsable(error: Unparsable) -> Result[StageOutput[None], Never]:
    """Handles what does not happen."""
    return ok(None)


unhandled = counted.recover(needs_unparsable)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@stage
async def wrong_value(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Gives another value than it says."""
    return ok("text")  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]


@stage
async def wrong_error(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Fails otherwise than it says."""
    return fail(Unparsable("x"))  # type: ignore[arg-type]  # pyright: ignore[reportReturnType]


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def not_a_result(inputs: StageInputs[str]) -> int:
    """Gives no Result."""
    return 3


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def not_async(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Is not async."""
    return ok(3)


@stage
async def wrong_port(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Takes a port for another type."""
    now: int = inputs.ports[CLOCK].now()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    return ok(now)


@stage
async def wrong_read(inputs: StageInputs[str]) -> Result[StageOutput[int], NotFound]:
    """Takes an output for another type."""
    page: int = inputs[fetch]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    return ok(page)


class HttpError(StageError):
    """An error with a field."""

    status: int


field_missing = HttpError("gone")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
no_such_field = Unparsable("x", column=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wrong_stub = counted.replacing(words).by(lang)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fallible_stub = counted.replacing(words).by(pdf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
guarded: Pipeline[str, int, NotFound] = counted.using(Guard())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
unguarded: Runner[Never] = Runner().using(Guard())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
wrong_registered = PipelineRegistry().get("count", input=str, output=int) | lang  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]


async def wrong_input() -> None:
    """Runs on another type of value."""
    await counted.run(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def wrong_input_of_a_runner() -> None:
    """The same, with a runner."""
    await Runner().run(counted, 3)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]


async def forgets_failure() -> int:  # type: ignore[return]  # pyright: ignore[reportReturnType]
    """Leaves outcomes out."""
    match await counted.run("x"):  # type: ignore[exhaustive-match]  # pyright: ignore[reportMatchNotExhaustive]
        case Completed(value):
            return value
        case Skipped():
            return 0


async def wrong_error_attribute() -> None:
    """Takes an error for another."""
    outcome = await counted.run("x")
    if isinstance(outcome, Failed):
        print(outcome.error.status)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
