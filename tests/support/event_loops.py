"""Coroutines that tests wait for."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def result_of(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of a coroutine, run in a thread: the browser of other tests keeps a loop in the main thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
