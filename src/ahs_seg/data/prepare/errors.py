"""What goes wrong with a whole data set, as against `SampleError`, which costs one picture."""

from __future__ import annotations

from ahs_seg.errors import AhsSegError


class PrepareError(AhsSegError, ValueError):
    """A data set that cannot be prepared; the message says what is missing or wrong, and what to do."""


class MissingSourceError(PrepareError):
    """Files that a data set is made from are not there; the message says which, from where, and where to put them."""
