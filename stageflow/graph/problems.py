"""The texts of what is wrong with a pipeline: what, where, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at what was meant, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def no_stage() -> str:
    return "The pipeline has no stage. Add one: Pipeline.of(str).with_stage(fetch), or fetch | report."


def blank_name(shape: str) -> str:
    return f'A stage has the blank name {shape!r}. Give it a name to be found by: .named("fetch").'


def name_of_an_item(name: str) -> str:
    return f'A stage is called "{name}", and so may be an item of an .each. Give one of them another name.'


def duplicate_name(name: str) -> str:
    return f'Two stages are called "{name}". Give one of them another name: .named("{name}_2").'


def duplicate_composite(name: str) -> str:
    return (
        f'Two composed stages are called "{name}" after what is inside them. '
        f'Give one of them a name of its own: .named("{name}_2").'
    )


def duplicate_handle(name: str) -> str:
    return (
        f'Stage "{name}" occurs twice in one pipeline, so inputs[{name}] could mean either. '
        f'Use {name}.named("{name}_2") in one of the places.'
    )


def unknown(follower: str, followed: str, known: Iterable[str]) -> str:
    return (
        f'Stage "{follower}" follows "{followed}", which is not in the pipeline.{nearest(followed, known)}'
        f" Add it with .with_stage, or correct the name."
    )


def itself(name: str) -> str:
    return f'Stage "{name}" follows itself, so it could never start. Take it out of what it follows.'


def cycle(path: tuple[str, ...]) -> str:
    arrow = " -> ".join(f'"{name}"' for name in path)
    return f"These stages wait for one another, so none could start: {arrow}. Take one of the arrows away."


def same_parent(follower: str, followed: str) -> str:
    return f'Stage "{follower}" names "{followed}" twice in what it follows. Name it once.'


def impossible_read(reader: str, read: str, *, known: bool) -> str:
    if not known:
        return (
            f'Stage "{reader}" declares that it reads "{read}", which is not in the pipeline. Add "{read}" before it.'
        )
    return (
        f'Stage "{reader}" declares that it reads "{read}", which it does not follow. '
        f'Put "{reader}" after "{read}", or take it out of reads=.'
    )


def absorbed_read(reader: str, read: str) -> str:
    return (
        f'Stage "{reader}" declares that it reads "{read}", whose output may be missing: its absence is absorbed. '
        "Read the handle of what absorbs it: the stage made by .optional(), .recover(), .settled(), .each() or route()."
    )


def not_returned(output: str) -> str:
    return f'The pipeline returns "{output}", which is not in it. Add it with .with_stage, or return a stage it has.'


def not_replaced(name: str) -> str:
    return f'Stage "{name}" is to be replaced, but is not in the pipeline. Give .replacing() a stage that is.'


def disjoint(follower: str, wants: str, followed: str, gives: str) -> str:
    return f'Stage "{follower}" takes {wants}, but "{followed}", which it follows, gives {gives}. Correct either.'


def read_of_none(reader: str, read: str, known: Iterable[str]) -> str:
    return (
        f'Stage "{reader}" reads "{read}", which is not in this pipeline.{nearest(read, known)} '
        "Read a stage of the pipeline that this stage follows."
    )


def read_of_many(reader: str, read: str) -> str:
    return (
        f'Stage "{reader}" reads "{read}", which is in several named pipelines, so it could mean any of them. '
        f'Read one by its full name: inputs["<pipeline>.{read}"].'
    )


def read_of_no_ancestor(reader: str, read: str) -> str:
    return (
        f'Stage "{reader}" reads "{read}", which it does not follow, so it may not have finished. '
        f'Put "{reader}" after "{read}": {read} | {reader}, or after=(..., {read}).'
    )


def read_of_absent(reader: str, read: str, *, per_item: bool) -> str:
    if per_item:
        return (
            f'Stage "{reader}" reads "{read}", which ran once per item. '
            "Read the handle of its .each(), which has the output of every item."
        )
    return (
        f'Stage "{reader}" reads "{read}", which gave no output: it was skipped, or it failed and that was absorbed. '
        "Read the handle of what absorbed it: the stage made by .optional(), .recover(), .settled() or route()."
    )


def look_at_none(read: str, known: Iterable[str]) -> str:
    return f'No stage "{read}" is in this pipeline, or several are.{nearest(read, known)}'


def look_at_absent(read: str) -> str:
    return f'Stage "{read}" gave no output, or one per item: see report.stages for how it went.'


def look_at_copied(read: str) -> str:
    return (
        f'These outputs are a copy, which has nothing for the handle "{read}": it gave no output, or one per item, or '
        "another handle of that name gave something else. Read it before it is copied, or by its name."
    )


def no_tuple(follower: str, wants: str, followed: str, count: int) -> str:
    return (
        f'Stage "{follower}" takes {wants}, but it follows {count} stages ({followed}), so it gets a tuple of {count}. '
        "Take such a tuple, or follow fewer stages."
    )


def no_case(label: str) -> str:
    return f"{label} has no case. Add one: .case(key, stage)."


def case_twice(label: str, key: object) -> str:
    return f"{label} has two cases for {key!r}. Take one away."


def missing_cases(label: str, keys: Iterable[object]) -> str:
    listed = ", ".join(repr(key) for key in keys)
    return f"{label} has no case for {listed}. Add .case(...) for each, or end it with .otherwise(stage)."


def foreign_case(label: str, key: object, known: Iterable[object]) -> str:
    listed = ", ".join(repr(value) for value in known)
    return f"{label} has a case for {key!r}, which its selector never gives: it gives {listed}. Take it away."


def unknown_cases(label: str, gives: str | None) -> str:
    why = "does not say what it gives" if gives is None else f"gives {gives}, whose cases are not known"
    return (
        f"{label} is to be exhaustive, but its selector {why}. "
        "Annotate it with a Literal, an Enum or bool, or end the route with .otherwise(stage)."
    )


def no_interceptor(given: object) -> str:
    return f".using needs an interceptor, such as TimeoutInterceptor(2.0), and was given {given!r}."


def async_condition(predicate: object) -> str:
    name = getattr(predicate, "__name__", repr(predicate))
    return (
        f'.when needs a plain function that gives a bool, and "{name}" is async, so that it would always hold. '
        "Take async away, or return skip(...) in the stage."
    )


def handler_not_async(handler: object, gave: object) -> str:
    name = getattr(handler, "__name__", repr(handler))
    return f'.recover needs an async function, and "{name}" gave {gave!r}. Write async def.'


def no_stage_to_compose(given: object) -> str:
    return f"{given!r} is no stage. Decorate a function with @lift, or with @stage where it takes StageInputs."


def lifted_generator(name: str) -> str:
    return f'@lift needs a function that returns its value, and "{name}" yields. Return a tuple or a list.'
