"""``|``, ``&``, `into`, `together` and `each`: what they give, and what they refuse."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import Never, assert_type
from vocabulary import (
    NotFound,
    Page,
    Summary,
    Unparsable,
    counted,
    fetch,
    half,
    html,
    lang,
    links,
    report,
    score,
    words,
)

from stageflow import Parallel, Pipeline, Stage, identity, lift

# | : then
assert_type(fetch, Stage[str, Page, NotFound])
assert_type(fetch | words, Pipeline[str, int, NotFound])
assert_type(fetch | links, Pipeline[str, list[str], NotFound | Unparsable])
assert_type((fetch | words) | half, Pipeline[str, int, NotFound])
assert_type(fetch | (words | half), Pipeline[str, int, NotFound])
assert_type(identity(str) | fetch, Pipeline[str, Page, NotFound])
assert_type(fetch | identity(Page), Pipeline[str, Page, NotFound])
fetch | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
words | words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
fetch | half  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
counted | lang  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
identity(int) | fetch  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
fetch | 3  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]

# & : branches on the same input, flat
assert_type(words & lang, Parallel[Page, int, bytes, Never])
assert_type(words & html, Parallel[Page, int, str, NotFound])
assert_type(words & lang & links, Parallel[Page, int, bytes, list[str], Unparsable])
assert_type(words & (lang & links), Parallel[Page, int, bytes, list[str], Unparsable])
assert_type(fetch | (words & lang), Pipeline[str, tuple[int, bytes], NotFound])
whole: Pipeline[str, str] = fetch | (links & words & lang) | report
assert_type((words & lang & identity(Page)) | score, Pipeline[Page, float, Unparsable])
fetch & words  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
fetch | (links & words) | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
fetch | (words & links & lang) | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
fetch | (links & words & lang & html) | report  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
half | (words & lang)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
(words & lang) | half  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
as_stage: Stage[Page, tuple[int, bytes]] = words & lang  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# together and into
assert_type((words & lang).together(), Pipeline[Page, tuple[int, bytes], Never])
assert_type((words & lang).into(Summary), Pipeline[Page, Summary, Never])
assert_type(fetch | (words & lang).into(Summary), Pipeline[str, Summary, NotFound])
assert_type((words & lang).into(lambda count, code: count + len(code)), Pipeline[Page, int, Never])
(words & lang).into(Page)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
(lang & words).into(Summary)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
(words & lang & links).into(Summary)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
words.into(Summary)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

# each
assert_type(fetch.each(), Pipeline[Sequence[str], tuple[Page, ...], NotFound])
assert_type(counted.each(limit=8), Pipeline[Sequence[str], tuple[int, ...], NotFound])
assert_type((words & lang).together().each(), Pipeline[Sequence[Page], tuple[tuple[int, bytes], ...], Never])
assert_type(fetch | links | fetch.named("again").each(), Pipeline[str, tuple[Page, ...], NotFound | Unparsable])
fetch | words.each()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
counted.each(limit="8")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# lift
@lift(name="size", thread=True)
def size(text: str) -> int:
    """A lifted function, with options."""
    return len(text)


assert_type(size, Stage[str, int, Never])
