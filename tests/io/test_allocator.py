"""Freed memory stays with the process where that is asked for, and only there."""

import resource
import sys
from pathlib import Path

import pytest

from ahs_seg.io.allocator import keeping_freed_memory

SIDE = 64 * 2**20
"""Bytes of a block that glibc maps and unmaps by itself; it has 16,384 pages."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")


def pages_mapped() -> int:
    """Pages that the system maps for a block when it is made for the second time."""
    found = 0
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray(SIDE)  # PyTorch's blocks are aligned, for which glibc may need one more of them first
        found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return found


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("plain")
def test_a_block_that_is_made_again_needs_no_new_pages() -> None:
    with keeping_freed_memory() as kept:
        if not kept:
            pytest.skip("this C library is not glibc")
        assert pages_mapped() < 100
    assert pages_mapped() > 1_000  # with huge pages there are fewer of them


@pytest.mark.usefixtures("plain")
def test_free_memory_is_given_back_at_the_end() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()

    with keeping_freed_memory() as kept:
        if not kept:
            pytest.skip("this C library is not glibc")
        pages_mapped()
        inside = resident()
    assert inside - resident() > SIDE // 2


def test_settings_of_the_environment_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    with keeping_freed_memory() as kept:
        assert not kept
        assert pages_mapped() > 1_000
