"""The check of types and shapes that the import hook of `conftest.py` puts around every function of the package."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from beartype import beartype


def at_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the check of beartype, which is compiled when the function is called for the first time.

    Most functions are not called by the tests of one process, and compiling the checks of all takes seconds.
    """
    checked: Callable[..., Any] | None = None

    @wraps(function)
    def compiled(*arguments: Any, **options: Any) -> Any:
        nonlocal checked
        __tracebackhide__ = True
        if checked is None:
            checked = beartype(function)
        return checked(*arguments, **options)

    return compiled
