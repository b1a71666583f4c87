"""Base classes of the errors that this package raises."""

from __future__ import annotations


class AhsSegError(Exception):
    """Base class of every error that this package raises on purpose; the message says what to do.

    Errors caused by an invalid value are also a `ValueError`, those of missing files also an `OSError`.
    """


class SampleError(AhsSegError, ValueError):
    """An image or a label map cannot be used. Runs over many images report this one and continue with the others."""


class CheckpointError(AhsSegError, ValueError):
    """A checkpoint or model directory cannot be used; the message names the file and says what to do."""


class MissingPackageError(AhsSegError, ImportError):
    """An optional package is not installed; the message names the extra to install."""
