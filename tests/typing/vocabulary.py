"""The stages that the files of this folder compose; nothing here is run, and nothing here is wrong."""

# ruff: noqa: N818

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from returns.result import Result
from typing_extensions import Never, override

from stageflow import (
    BaseInterceptor,
    InterceptorContext,
    InterceptorResult,
    PortKey,
    StageError,
    StageInputs,
    StageOutput,
    fail,
    lift,
    ok,
    skip,
    stage,
)


@dataclass(frozen=True, slots=True)
class Page:
    """What `fetch` gives."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What `words` and `lang` give together."""

    count: int
    code: bytes


class NotFound(StageError):
    """There is no page."""


class Unparsable(StageError):
    """The page cannot be read."""

    line: int = 0


class Denied(StageError):
    """A `Guard` did not let a stage run."""

    who: str


class Clock(Protocol):
    """A capability that the host supplies."""

    def now(self) -> float:
        """The time in seconds."""
        ...


class FixedClock:
    """A clock that stands still."""

    def now(self) -> float:
        """The time in seconds."""
        return 1.0


CLOCK: PortKey[Clock] = PortKey("clock")


@stage(requires=(CLOCK,))
async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[Page], NotFound]:
    """A stage that may fail, and needs a port."""
    if not inputs.value:
        return fail(NotFound("no address"))
    return ok(Page(inputs.value, "text"))


@stage
async def links(inputs: StageInputs[Page]) -> Result[StageOutput[list[str]], Unparsable]:
    """A stage that may skip."""
    return ok(inputs.value.text.split()) if inputs.value.text else skip("nothing to link")


@lift
def words(page: Page) -> int:
    """A stage that cannot fail."""
    return len(page.text.split())


@lift
async def lang(page: Page) -> bytes:
    """Another, made of an async function."""
    return page.text[:2].encode()


@stage
async def report(inputs: StageInputs[tuple[list[str], int, bytes]]) -> Result[StageOutput[str], StageError]:
    """A stage that follows three."""
    found, count, code = inputs.value
    return ok(f"{found} {count} {code.decode()}")


@stage
async def score(inputs: StageInputs[tuple[int, bytes, Page]]) -> Result[StageOutput[float], Unparsable]:
    """Another, which wants its three in one order."""
    count, code, page = inputs.value
    return ok(count + len(code) + len(page.url) / 10)


@stage
async def format_of(inputs: StageInputs[Page]) -> Result[StageOutput[Literal["pdf", "html"]], Never]:
    """A selector."""
    return ok("pdf" if inputs.value.text == "pdf" else "html")


@stage
async def pdf(inputs: StageInputs[Page]) -> Result[StageOutput[int], Unparsable]:
    """A case."""
    return ok(len(inputs.value.url))


@stage
async def html(inputs: StageInputs[Page]) -> Result[StageOutput[str], NotFound]:
    """Another case."""
    return ok(inputs.value.url)


@lift
def half(number: int) -> int:
    """A stage on numbers."""
    return number // 2


class Guard(BaseInterceptor[Denied]):
    """An interceptor that adds an error."""

    @override
    async def before(self, context: InterceptorContext, /) -> InterceptorResult[Denied]:
        """Denies what is secret."""
        if context.value == "secret":
            return InterceptorResult.deny(Denied("not yours", who="anonymous"))
        return InterceptorResult.proceed()


counted = fetch | words
