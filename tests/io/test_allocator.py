"""Freed memory stays with the process where that is asked for, and only there; in processes without a history."""

import json
import os
import subprocess
import sys

import pytest

SIDE = 64 * 2**20
"""Bytes of a block that glibc maps and unmaps by itself; it has 16,384 pages."""
SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
SCRIPT = f"""
import json, resource
from pathlib import Path
from ahs_seg.io.allocator import keeping_freed_memory

def mapped():  # pages that the system maps for a block when it is made for the second time
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        bytearray({SIDE})
        found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return found

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

before = mapped()
with keeping_freed_memory() as kept:
    inside, held = mapped(), resident()
given_back = held - resident()
print(json.dumps([kept, before, inside, mapped(), given_back]))
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")


def measured(**settings: str) -> tuple[bool, int, int, int, int]:
    """Whether memory is kept, pages mapped before, inside and after the context, and bytes given back at its end."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    kept, before, inside, after, given_back = json.loads(done.stdout)
    return kept, before, inside, after, given_back


def test_a_block_that_is_made_again_needs_no_new_pages_until_all_is_given_back() -> None:
    kept, before, inside, after, given_back = measured()
    if not kept:
        pytest.skip("this C library is not glibc")
    assert inside < 100 < 1_000 < min(before, after)  # with huge pages there are fewer of them
    assert given_back > SIDE // 2


def test_settings_of_the_environment_hold() -> None:
    kept, _, inside, _, given_back = measured(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept
    assert inside > 1_000
    assert given_back < SIDE // 2
