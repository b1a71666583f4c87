"""The checks of types and shapes that tests put around every function of the package.

jaxtyping's import hook decorates every function with `jaxtyping.jaxtyped`, which checks the arguments of a call twice
and binds them to names each time. `checked` takes its place: one check by beartype, compiled at the first call, since
most functions are not called by the tests of one process; and a store of the sizes of axes only where a signature
has some.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import jaxtyping
from beartype import beartype

_SHAPED: Final = re.compile(r"\b(Bool|Float|Int|Num|Shaped|UInt8)\d*\[")


def check_package(name: str) -> None:
    """Check types and shapes in all modules of a package that are imported from now on."""
    jaxtyping.jaxtyped = checked  # the hook writes this name into every module
    jaxtyping.install_import_hook(name, None)


def checked(target: Any = None, *, typechecker: object = None) -> Any:
    """A function with its checks, a dataclass whose fields are checked when it is made, or another class as it is."""
    del typechecker  # it is always beartype
    if target is None:
        return checked
    if not inspect.isclass(target):
        return _checked(target)
    if dataclasses.is_dataclass(target) and not hasattr(target.__init__, "__wrapped__"):
        target.__init__ = _checked(target.__init__)
    return target


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    shaped = any(_SHAPED.search(str(hint)) for hint in function.__annotations__.values())
    compiled: Callable[..., Any] | None = None

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal compiled
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*arguments, **options)
        if compiled is None:
            compiled = beartype(function)
        if not shaped:
            return compiled(*arguments, **options)
        with _CONTEXT:
            return compiled(*arguments, **options)

    return call


_CONTEXT: Final = jaxtyping.jaxtyped("context")
"""Has no state of its own: each entry puts a new store of sizes on a stack."""
