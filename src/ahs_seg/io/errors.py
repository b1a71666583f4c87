"""Errors of reading and writing."""

from __future__ import annotations


class SampleError(ValueError):
    """One item that cannot be used. It costs its user that item: runs report it and go on."""
