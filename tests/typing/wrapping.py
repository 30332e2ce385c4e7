"""`settled`, `optional`, `recover`, `when`, `using`, `named` and `replacing`: how they change a stage's types."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

from collections.abc import Sequence

from returns.result import Failure, Result, Success
from typing_extensions import Never, assert_type, override
from vocabulary import Denied, Guard, NotFound, Page, Unparsable, counted, fetch, half, lang, links, pdf, words

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    CorrelationIds,
    LoggingInterceptor,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Stage,
    StageExecutionError,
    StageInputs,
    StageOutput,
    StageResult,
    StageTimeoutError,
    TimeoutInterceptor,
    lift,
    ok,
    stage,
)

Item = Success[Page] | Failure[NotFound | StageExecutionError]

# settled: a failure becomes a value, and no failure is left
assert_type(fetch.settled(), Pipeline[str, Item, Never])
assert_type(fetch.settled().each(limit=20), Pipeline[Sequence[str], tuple[Item, ...], Never])
surely: Pipeline[str, Item, Never] = fetch.settled()
fetch.settled() | words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
still_a_page: Pipeline[str, Page, Never] = fetch.settled()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


@lift
def tally(items: Sequence[Item]) -> int:
    """Takes each item's own outcome apart."""
    found = 0
    for item in items:
        match item:
            case Success(page):
                assert_type(page, Page)
                found += 1
            case Failure(error):
                assert_type(error, NotFound | StageExecutionError)
    return found


assert_type(fetch.settled().each() | tally, Pipeline[Sequence[str], int, Never])
fetch.each() | tally  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]

# optional: None stands for a skip
assert_type(links.optional(), Pipeline[Page, list[str] | None, Unparsable])
assert_type(links.optional().each(), Pipeline[Sequence[Page], tuple[list[str] | None, ...], Unparsable])


@lift
def joined(found: list[str]) -> str:
    """Takes no None."""
    return " ".join(found)


assert_type(links | joined, Pipeline[Page, str, Unparsable])
links.optional() | joined  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


# recover: the handler takes every failure in the type
async def nothing(error: NotFound) -> Result[StageOutput[None], Never]:
    """Handles what `fetch` may fail with."""
    return ok(None)


async def lost(error: NotFound) -> Result[StageOutput[int], Unparsable]:
    """Handles it, and may fail in its turn."""
    return ok(len(error.message))


async def needs_unparsable(error: Unparsable) -> Result[StageOutput[None], Never]:
    """Handles something else."""
    return ok(None)


async def plain(error: NotFound) -> int:
    """Gives no Result."""
    return len(error.message)


assert_type(counted.recover(nothing), Pipeline[str, int | None, Never])
assert_type(counted.recover(lost), Pipeline[str, int, Unparsable])
counted.recover(needs_unparsable)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
(fetch | links).recover(nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
counted.recover(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# when: a predicate of the stage's own inputs
assert_type(fetch.when(lambda inputs: inputs.value != ""), Pipeline[str, Page, NotFound])
assert_type(fetch.when(lambda inputs: bool(inputs.value)).optional(), Pipeline[str, Page | None, NotFound])
words.when(lambda inputs: inputs.value > 3)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownLambdaType]
words.when(lambda inputs: inputs.value.text)  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]

# using: an interceptor adds its error, or none
assert_type(fetch.using(TimeoutInterceptor(2.0)), Pipeline[str, Page, NotFound | StageTimeoutError])
assert_type(fetch.using(RetryInterceptor(attempts=2)), Pipeline[str, Page, NotFound])
assert_type(fetch.using(Guard()).using(LoggingInterceptor()), Pipeline[str, Page, NotFound | Denied])
unwatched: Pipeline[str, Page, NotFound] = fetch.using(Guard())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
fetch.using(Guard)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TimeoutInterceptor("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@TimeoutInterceptor(3.0)
@CircuitBreakerInterceptor(failures=5)
@LoggingInterceptor()
@stage
async def guarded(inputs: StageInputs[Page]) -> Result[StageOutput[int], Unparsable]:
    """An interceptor is a decorator."""
    return ok(len(inputs.value.text))


assert_type(guarded, Stage[Page, int, Unparsable | CircuitOpenError | StageTimeoutError])


@Guard()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def not_a_stage(text: str) -> int:
    """A plain function is to be lifted first."""
    return len(text)


# named: the same types
assert_type(fetch.named("first"), Stage[str, Page, NotFound])
assert_type(counted.named("first"), Pipeline[str, int, NotFound])
fetch.named(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# replacing: the stub fits where the stage was
@lift
async def three(page: Page) -> int:
    """Stands in for `words`."""
    return 3


assert_type(counted.replacing(words).by(three), Pipeline[str, int, NotFound])
assert_type(fetch.replacing(fetch).by(fetch.named("other")), Stage[str, Page, NotFound])
counted.replacing(words).by(lang)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
counted.replacing(words).by(half)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
counted.replacing(words).by(pdf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# run_started: nothing, or ids for the run to carry
class Tenants(BaseInterceptor[Never]):
    """An interceptor that gives a run its tenant."""

    @override
    def run_started(self, context: PipelineContext, /) -> CorrelationIds:
        """Gives ids."""
        return CorrelationIds(extra={"tenant": "acme"})


class Watches(BaseInterceptor[Never]):
    """An interceptor that only watches."""

    @override
    def run_started(self, context: PipelineContext, /) -> None:
        """Gives nothing."""


class Odd(BaseInterceptor[Never]):
    """An interceptor that gives what no run can carry."""

    @override
    def run_started(self, context: PipelineContext, /) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gives a text."""
        return "acme"


def tries_of(record: StageResult) -> tuple[StageResult, ...]:
    """Attempts are records themselves."""
    wrong: tuple[str, ...] = record.tries  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    return record.tries if wrong else ()
