"""Errors of options that do not go together."""

from __future__ import annotations

from ahs_seg.errors import AhsSegError


class OptionError(AhsSegError, ValueError):
    """Options of a command that do not go together, or one that is missing; the message says what to give."""
