"""The base of all errors of this package."""

from __future__ import annotations


class AhsSegError(Exception):
    """Base of every error that this package raises on purpose; the message says what to do.

    Errors caused by a bad value are also `ValueError`, those of files that are not there also `OSError`.
    """


class SampleError(AhsSegError, ValueError):
    """One image or label map that cannot be used. Only that item is lost: runs report it and continue."""


class MissingPackageError(AhsSegError, ImportError):
    """An optional package that is not installed; the message names the extra to install."""
