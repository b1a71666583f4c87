"""Errors of command-line options."""

from __future__ import annotations

from ahs_seg.errors import AhsSegError


class OptionError(AhsSegError, ValueError):
    """Options cannot be combined, or an option is missing; the message says what to give."""
