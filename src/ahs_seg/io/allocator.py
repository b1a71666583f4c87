"""The C allocator of this process: memory that is freed and taken again at once need not go back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_SET_BY_USER: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
_NEEDED: Final = ("gnu_get_libc_version", "mallopt", "malloc_trim")
_TRIM, _TOP_PAD, _MMAP = -1, -2, -3
"""Parameters of `mallopt`: free memory at the top that is given back, memory that is taken in advance, and the size of
a block that has pages of its own, which are given back when it is freed."""
_KEEPING: Final = {_TRIM: -1, _TOP_PAD: 64 * 2**20, _MMAP: 256 * 2**20}
"""Give nothing back below 256 MiB."""
_USUAL: Final = {_TRIM: 16 * 2**20, _TOP_PAD: 128 * 2**10, _MMAP: 8 * 2**20}
"""What glibc comes to by itself in a process that frees blocks of 8 MiB (documentation of `mallopt`); with more, a
buffer that grows step by step leaves more holes behind."""


@contextmanager
def keeping_freed_memory() -> Iterator[bool]:
    """Context in which glibc keeps freed memory of this process for the next allocation; whether it does.

    A training step makes and frees the same tensors again and again. By default glibc gives those of more than 32 MiB,
    and what is free at the end of its heap, back to the system, which then has to map and clear the pages anew. On
    exit all free memory is given back. Nothing changes where another allocator is used, or the environment has
    settings for this one.
    """
    library = None if any(os.environ.get(name) for name in _SET_BY_USER) else _glibc()
    kept = library is not None and all(library.mallopt(key, value) for key, value in _KEEPING.items())
    try:
        yield kept
    finally:
        if library is not None:
            for key, value in _USUAL.items():
                library.mallopt(key, value)
            library.malloc_trim(0)


def _glibc() -> Any:
    """The C library of this process if it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if all(hasattr(library, name) for name in _NEEDED) else None
