"""Base classes of the errors that this package raises."""

from __future__ import annotations

import errno
from collections.abc import Iterator


class AhsSegError(Exception):
    """Base class of every error that this package raises on purpose; the message says what to do.

    Errors caused by an invalid value are also a `ValueError`, those of missing files also an `OSError`.
    """


class SampleError(AhsSegError, ValueError):
    """An image or a label map cannot be used. Runs over many images report this one and continue with the others."""


class CheckpointError(AhsSegError, ValueError):
    """A checkpoint or model directory cannot be used; the message names the file and says what to do."""


class RunEndedError(AhsSegError, RuntimeError):
    """A run over many items cannot go on, e.g. because its output folder is gone; what is done stays done."""


class RunInterrupted(KeyboardInterrupt):  # no error: nothing that handles errors may catch it
    """Ctrl-C ended a run that can go on; the message says what is done, and how to go on."""


class MissingPackageError(AhsSegError, ImportError):
    """An optional package is not installed; the message names the extra to install."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("No space left on device", "Disk quota exceeded")
"""Words of the system in errors of libraries that are no `OSError`, such as those of safetensors."""


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk or quota is the cause of an error."""
    return any(
        (isinstance(one, OSError) and one.errno in _FULL) or any(words in str(one) for words in _FULL_WORDS)
        for one in chain_of(error)
    )


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that caused it, or in whose handling it was raised."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
