"""The checks of types and shapes that tests put around every function of the package.

jaxtyping's import hook decorates every function with `jaxtyping.jaxtyped`, which checks the arguments of a call twice
and binds them to names each time. `checked` takes its place: one check by beartype, compiled at the first call, since
most functions are not called by the tests of one process; and a store of the sizes of axes only where a signature
has some.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

import jaxtyping
from beartype import beartype


def check_package(name: str) -> None:
    """Check types and shapes in all modules of a package that are imported from now on."""
    vars(jaxtyping)["jaxtyped"] = checked  # the hook writes this name into every module
    jaxtyping.install_import_hook(name, None)


def checked(target: Any = None, *, typechecker: object = None) -> Any:
    """A function with its checks, a dataclass whose fields are checked when it is made, or another class as it is."""
    del typechecker  # it is always beartype
    if target is None:
        return checked
    if not inspect.isclass(target):
        return _checked(target)
    if dataclasses.is_dataclass(target) and not hasattr(target.__init__, "__wrapped__"):
        setattr(target, "__init__", _checked(target.__init__, target.__mro__))  # noqa: B010  # mypy knows no other way
    return target


@contextmanager
def unchecked() -> Iterator[None]:
    """Context without the checks: for a tracer, which passes symbols in place of integers, and for bad input."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def _checked(function: Callable[..., Any], classes: tuple[type, ...] = ()) -> Callable[..., Any]:
    """The function with its checks; the arguments of the constructor of a dataclass are the fields of `classes`."""
    compiled: Callable[..., Any] | None = None
    shaped = False

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal compiled, shaped
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*arguments, **options)
        if compiled is None:
            hints = _hints(function, classes)
            compiled, shaped = _compiled(function, hints), any(map(_has_axes, hints.values()))
        if not shaped:
            return compiled(*arguments, **options)
        with _CONTEXT:
            return compiled(*arguments, **options)

    return call


def _hints(function: Callable[..., Any], classes: tuple[type, ...]) -> dict[str, Any]:
    """What the hints of a function stand for."""
    names = {name: vars(sys.modules[one.__module__]) for one in reversed(classes) for name in _fields(one)}
    return {name: _hint(hint, names.get(name, function.__globals__)) for name, hint in function.__annotations__.items()}


def _compiled(function: Callable[..., Any], hints: dict[str, Any]) -> Callable[..., Any]:
    written, function.__annotations__ = function.__annotations__, hints
    try:
        return beartype(function)
    finally:
        function.__annotations__ = written


def _fields(one: type) -> Iterable[str]:
    return inspect.get_annotations(one)


def _hint(hint: object, names: dict[str, Any]) -> Any:
    """What a hint stands for; anything, if it has names that only the type checker imports."""
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, names)  # the source of the package
    except NameError:
        return Any


def _has_axes(hint: Any) -> bool:
    """Whether a hint is an array with axes, or contains one."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_axes, typing.get_args(hint)))


_CONTEXT: Final = jaxtyping.jaxtyped("context")
"""Has no state of its own: each entry puts a new store of sizes on a stack."""
