"""Background threads for reading and writing, with a bounded number of items in flight."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    """Marks the end of a queue, with the error that ended it, if any."""

    error: BaseException | None


class Background(Generic[T]):
    """Iterates over items in a background thread that produces at most `ahead` items in advance.

    An error in the thread is raised in the consumer. Leaving the `with` block stops the thread, whether or not all
    items were consumed.
    """

    def __init__(self, items: Iterator[T], *, ahead: int) -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ahs-seg-ahead", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._taken()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _taken(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _run(self) -> None:
        end = _End(None)
        try:
            for item in self._items:
                self._put(item)
                if self._stop.is_set():
                    break
        except BaseException as error:  # noqa: BLE001  # raised again in the consumer
            end = _End(error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        self._put(end)

    def _put(self, item: T | _End) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=_POLL_SECONDS)
                return


class Writers:
    """Thread pool for writing results; `submit` blocks while `behind` items are unfinished.

    The first error is raised by the next `submit`, or on leaving the `with` block, which waits for all items.
    """

    def __init__(self, *, workers: int, behind: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ahs-seg-write")
        self._free = threading.BoundedSemaphore(behind)
        self._error: BaseException | None = None

    def __enter__(self) -> Writers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            self._check()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` in one of the threads."""
        self._free.acquire()
        self._check()
        self._pool.submit(work).add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        if not future.cancelled() and self._error is None:
            self._error = future.exception()
        self._free.release()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
