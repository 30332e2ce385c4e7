"""`Pipeline.of`, `with_stage`, `compose`, `returning`, `build` and `route`: wiring by handles and by names."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

from enum import Enum
from typing import Literal

from returns.result import Result
from typing_extensions import Never, assert_type
from vocabulary import (
    NotFound,
    Page,
    Unparsable,
    counted,
    fetch,
    format_of,
    html,
    lang,
    links,
    pdf,
    score,
    words,
)

from stageflow import (
    Pipeline,
    PipelineRegistry,
    PipelineValidationError,
    Stage,
    StageError,
    StageKind,
    StageOutputs,
    UnifiedStageGraph,
    UnifiedStageSpec,
    lift,
    route,
)


@lift
def two(value: tuple[Page, int]) -> str:
    """Follows two."""
    return value[0].url


@lift
def four(value: tuple[Page, int, bytes, int]) -> str:
    """Follows four."""
    return value[0].url


@lift
def five(value: tuple[Page, int, bytes, int, str]) -> str:
    """Follows five."""
    return value[0].url


@lift
def six(value: tuple[Page, int, bytes, int, str, list[str]]) -> float:
    """Follows six."""
    return float(len(value))


@lift
def seven(value: tuple[int, int, int, int, int, int, int]) -> float:
    """Follows more than handles can wire: group some with ``&`` or `into`."""
    return float(len(value))


# with_stage: on the pipeline's input, or after the handles of up to six others
start = Pipeline.of(str).with_stage(fetch)
assert_type(Pipeline.of(str), Pipeline[str, StageOutputs, Never])
assert_type(start, Pipeline[str, StageOutputs, NotFound])
assert_type(start.with_stage(words, after=fetch), Pipeline[str, StageOutputs, NotFound])
assert_type(start.with_stage(pdf, after=fetch), Pipeline[str, StageOutputs, NotFound | Unparsable])
branches = (
    start.with_stage(words, after=fetch)
    .with_stage(lang, after=fetch)
    .with_stage(pdf, after=fetch)
    .with_stage(html, after=fetch)
    .with_stage(links, after=fetch)
)
assert_type(branches.with_stage(two, after=(fetch, words)), Pipeline[str, StageOutputs, NotFound | Unparsable])
assert_type(branches.with_stage(score, after=(words, lang, fetch)), Pipeline[str, StageOutputs, NotFound | Unparsable])
assert_type(
    branches.with_stage(four, after=(fetch, words, lang, pdf)), Pipeline[str, StageOutputs, NotFound | Unparsable]
)
assert_type(
    branches.with_stage(five, after=(fetch, words, lang, pdf, html)),
    Pipeline[str, StageOutputs, NotFound | Unparsable],
)
assert_type(
    branches.with_stage(six, after=(fetch, words, lang, pdf, html, links)),
    Pipeline[str, StageOutputs, NotFound | Unparsable],
)
Pipeline.of(str).with_stage(words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
start.with_stage(pdf, after=words)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.with_stage(score, after=words)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.with_stage(score, after=(lang, words, fetch))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.with_stage(score, after=(words, lang))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.with_stage(two, after=(fetch, lang))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
branches.with_stage(four, after=(fetch, words, lang, html))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
branches.with_stage(five, after=(fetch, words, lang, pdf, links))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
branches.with_stage(six, after=(fetch, words, lang, pdf, links, html))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
branches.with_stage(seven, after=(words, words, words, words, words, words, words))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
start.with_stage(words, after="fetch")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# by names: checked at build
assert_type(
    Pipeline.of(str).with_stage("get", fetch).with_stage("count", words, StageKind.WORK, dependencies=("get",)),
    Pipeline[str, StageOutputs, NotFound],
)
assert_type(Pipeline.from_specs([UnifiedStageSpec("get", fetch)]), Pipeline[object, StageOutputs, StageError])
Pipeline.of(str).with_stage("get")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
Pipeline.of(str).with_stage("count", words, dependencies=(fetch,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
UnifiedStageSpec("get", "fetch")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# returning, compose, build
assert_type(branches.returning(words), Pipeline[str, int, NotFound | Unparsable])
assert_type(start.compose(Pipeline.of(str).with_stage(counted)), Pipeline[str, StageOutputs, NotFound])
assert_type(counted.build(), Result[UnifiedStageGraph[str, int, NotFound], PipelineValidationError])
branches.returning("words")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
numbers = Pipeline.of(int)
start.compose(numbers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
start.compose(fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
as_number: Pipeline[str, float, NotFound] = start.returning(fetch)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]


# route
class Form(Enum):
    """Cases of an enum."""

    SHORT = "short"
    LONG = "long"


@lift
def form_of(page: Page) -> Form:
    """A selector that gives an enum."""
    return Form.LONG if page.text else Form.SHORT


assert_type(
    route(format_of).case("pdf", pdf).case("html", html).exhaustive(), Pipeline[Page, int | str, Unparsable | NotFound]
)
assert_type(route(format_of).case("pdf", pdf).otherwise(words), Pipeline[Page, int, Unparsable])
assert_type(route(form_of).case(Form.LONG, lang).otherwise(words), Pipeline[Page, bytes | int, Never])
assert_type(fetch | route(form_of).case(Form.LONG, lang).otherwise(words), Pipeline[str, bytes | int, NotFound])
route(format_of).case("doc", pdf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
route(form_of).case("long", pdf)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
route(format_of).case("pdf", fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
route(format_of).case("pdf", pdf) | words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
route(format_of).otherwise(fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fetch | route(format_of)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]

# types that vary as they should, and that do not where they should not
wider: Stage[str, object] = fetch
any_failure: Stage[str, Page, StageError] = fetch
as_int: Stage[str, int] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
infallible: Stage[str, Page, Never] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
from_anything: Stage[object, Page] = fetch  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
literally: Stage[Page, Literal["pdf", "html"]] = format_of
only_pdf: Stage[Page, Literal["pdf"]] = format_of  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# registry
registry = PipelineRegistry()
registry.register("count", counted)
registry.register("later", lambda: counted)
assert_type(registry.get("count", input=str, output=int), Pipeline[str, int, StageError])
registry.get("count", input=str)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.get("count", input="str", output=int)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
registry.get("count", input=str, output=int) | lang  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
registry.register("count", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
