"""Preparation in several processes."""

from __future__ import annotations

import pytest

from ahs_seg.data.prepare.index import index_path
from tests.support import miniature
from tests.support.miniature import NAME, SPEC, prepare, stored


@pytest.mark.slow
def test_two_processes_make_the_same_files(tmp_path):
    one, two = miniature.ade150(tmp_path / "one", count=20), miniature.ade150(tmp_path / "two", count=20)
    prepare(NAME, one)
    assert prepare(NAME, two, workers=2).made == 20
    assert stored(NAME, one) == stored(NAME, two)
    assert index_path(SPEC, one).read_bytes() == index_path(SPEC, two).read_bytes()
