"""Errors that concern a whole dataset; `SampleError` concerns a single image."""

from __future__ import annotations

from ahs_seg.errors import AhsSegError


class PrepareError(AhsSegError, ValueError):
    """Error for a dataset that cannot be prepared; the message says what is missing or wrong, and what to do."""


class MissingSourceError(PrepareError):
    """Error for missing source files; the message says which, where to get them, and where to put them."""
