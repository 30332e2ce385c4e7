"""Making a stage of a function: one that speaks Result, or a plain one that is lifted."""

from __future__ import annotations

import asyncio
import copyreg
import inspect
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from importlib import import_module
from types import CodeType, FunctionType
from typing import TypeVar, cast

from returns.result import Failure, Result, Success

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import AnyPortKey
from stageflow.core.output import ok
from stageflow.core.stage import Shape, StageHandle, StageKind
from stageflow.errors import StageError, StageExecutionError
from stageflow.graph import problems as say
from stageflow.graph.execution.once import only_once
from stageflow.graph.shape import Call, Given, Leaf, Named
from stageflow.graph.stepping import outlasting
from stageflow.graph.wrapping import Wrapped
from stageflow.placement import Placement

_T = TypeVar("_T")


def leaf(
    function: object,
    name: str | None = None,
    kind: StageKind = StageKind.TRANSFORM,
    requires: tuple[AnyPortKey, ...] = (),
    reads: tuple[Shape, ...] = (),
    once: bool = False,  # noqa: FBT001, FBT002  (pickle gives it so)
    placement: Placement | None = None,
) -> Leaf:
    """The stage that an async function of `StageInputs` is.

    Raises:
        TypeError: it is not async, or does not take exactly the inputs.
    """
    called = _named(function) if name is None else name
    if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))):  # noqa: B004  (an object may be async to call)
        raise TypeError(
            f'@stage needs an async function, and "{called}" is not. '
            "Write async def, or use @lift for a plain function of the value."
        )
    if not _takes_one(function):
        raise TypeError(
            f'Stage "{called}" takes {_signature(function)}. A stage takes exactly its inputs: '
            f"async def {called}(inputs: StageInputs[...]) -> Result[StageOutput[...], ...]."
        )
    call = cast("Call", function)
    call = only_once(call) if once else call
    return Leaf(called, call, kind, requires, reads, function, once=once, placement=placement)


def lifted_leaf(
    function: object,
    name: str | None = None,
    kind: StageKind = StageKind.TRANSFORM,
    *,
    thread: bool = False,
    once: bool = False,
    placement: Placement | None = None,
) -> Leaf:
    """The stage that a plain function of a value is.

    Raises:
        TypeError: it cannot be called with one value, or is a generator.
    """
    called = _named(function) if name is None else name
    if isinstance(function, StageHandle):
        raise TypeError(f'"{function.name}" is a stage already: take @lift away. It runs and composes as it is.')
    if not callable(function):
        raise TypeError(f'@lift makes a stage of a function of one value, and "{called}" is none: it is {function!r}.')
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(say.lifted_generator(called))
    if not _takes_one(function):
        raise TypeError(
            f'@lift needs a function of one value, and "{called}" takes {_signature(function)}. '
            "Take a tuple or a dataclass where there are several values."
        )
    plain = cast("Callable[[object], object]", function)
    asynchronous = inspect.iscoroutinefunction(plain)
    if thread and asynchronous:
        raise TypeError(f'thread=True is for blocking functions, and "{called}" is async. Take thread=True away.')
    call = _lifted_async(cast("Callable[[object], Awaitable[object]]", plain), called)
    if not asynchronous:
        call = _lifted_thread(plain, called) if thread else _lifted_sync(plain, called)
    call = only_once(call) if once else call
    return Leaf(called, call, kind, (), (), function, lifted=True, thread=thread, once=once, placement=placement)


def located(module: str, qualname: str) -> Leaf:
    """The stage at a module's name; what a pickled stage comes back through."""
    found: object = import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    kind = type(found).__name__
    shape = found.shape if isinstance(found, StageHandle) else found
    while isinstance(shape, Wrapped | Named):
        shape = shape.inner
    if not isinstance(shape, Leaf):
        raise TypeError(f"{module}.{qualname} is no stage of one function by now: it is a {kind}.")
    return shape


def location(of: Leaf) -> tuple[str, str] | None:
    """The module and name where a stage can be found again, or None for one that is not at its function's name."""
    module, qualname = getattr(of.function, "__module__", None), getattr(of.function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return None
    try:
        return (module, qualname) if located(module, qualname) is of else None
    except (AttributeError, ImportError, TypeError):
        return None


def _reduced(of: Leaf) -> tuple[Callable[..., Leaf], tuple[object, ...]]:  # type: ignore[explicit-any]  # of any arguments
    found = location(of)
    if found is not None:
        return (located, found)
    if of.lifted:
        return (_lifted_again, (of.function, of.name, of.kind, of.thread, of.once, of.placement))
    return (leaf, (of.function, of.name, of.kind, of.requires, of.reads, of.once, of.placement))


def _lifted_again(
    function: object,
    name: str,
    kind: StageKind,
    thread: bool,  # noqa: FBT001  (the same)
    once: bool,  # noqa: FBT001  (the same)
    placement: Placement | None,
) -> Leaf:
    return lifted_leaf(function, name, kind, thread=thread, once=once, placement=placement)


# A decorated function cannot be pickled by its name, where the stage stands: so a stage goes by its place.
copyreg.pickle(Leaf, _reduced)


def _lifted_sync(function: Callable[[object], object], name: str) -> Call:
    async def run_lifted(inputs: StageInputs[object]) -> Given:
        given = function(inputs.value)
        if hasattr(type(given), "__await__"):
            given = await cast("Awaitable[object]", given)
        return _given(cast("object", given), name) if isinstance(given, Result) else ok(given)

    return run_lifted


def _lifted_async(function: Callable[[object], Awaitable[object]], name: str) -> Call:
    async def run_lifted(inputs: StageInputs[object]) -> Given:
        given = await function(inputs.value)
        return _given(cast("object", given), name) if isinstance(given, Result) else ok(given)

    return run_lifted


def _lifted_thread(function: Callable[[object], object], name: str) -> Call:
    async def run_lifted(inputs: StageInputs[object]) -> Given:
        given = await in_thread(function, inputs.value)
        return _given(cast("object", given), name) if isinstance(given, Result) else ok(given)

    return run_lifted


async def in_thread(function: Callable[[object], _T], value: object) -> _T:
    """Runs a blocking function in a thread; where cancelled, waits until the thread has ended, since none can be."""
    context = copy_context()
    future = asyncio.get_running_loop().run_in_executor(None, lambda: context.run(function, value))
    cancelled = await outlasting(future)
    if cancelled is not None:
        future.exception()  # looked at, so that asyncio does not report it as lost
        raise cancelled
    return future.result()


def _given(result: object, name: str) -> Given:
    match cast("Success[object] | Failure[object]", result):
        case Success(value):
            return ok(value)
        case Failure(StageError() as error):
            return Failure(error)
        case Failure(BaseException() as error):
            escaped = f'Stage "{name}" failed with {type(error).__name__}, which is no StageError: {error}'
            defect = StageExecutionError(f"{escaped}. Give a StageError to have it in the type.", stage=name)
            defect.__cause__ = error
            return Failure(defect)
        case Failure(error):
            text = f'Stage "{name}" failed with {error!r}, which is no StageError.'
            return Failure(StageExecutionError(f"{text} Give a StageError to have it in the type.", stage=name))


def _named(function: object) -> str:
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _takes_one(function: object) -> bool:
    if type(function) is FunctionType:
        code: CodeType = function.__code__
        defaults, keywords = function.__defaults__ or (), function.__kwdefaults__ or {}
        needed, most = code.co_argcount - len(defaults), code.co_argcount
        enough = most >= 1 or bool(code.co_flags & inspect.CO_VARARGS)
        return needed <= 1 and enough and code.co_kwonlyargcount == len(keywords)
    try:
        inspect.signature(cast("Callable[[], object]", function)).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell its signature
        return True
    return True


def _signature(function: object) -> str:
    try:
        return str(inspect.signature(cast("Callable[[], object]", function)))
    except (TypeError, ValueError):
        return f"no value: it is {function!r}"
