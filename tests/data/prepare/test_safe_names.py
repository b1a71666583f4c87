from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahs_seg.data.prepare.safe_names import name_problem, same_file_key


@pytest.mark.parametrize("name", ["a.png", "a/b/c d.png", "...", "a..b", "\u00e9/\u732b.png", "-rf", "~/a"])
def test_ordinary_names_are_allowed(name):
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        *((name, "leads outside") for name in ("/a", "../a", "a/..", "a\\b", "C:a", "a\0b", "a:b")),
        *((name, "has an empty part") for name in ("", "a//b", "a/", "a/./b", ".")),
        *((name, "cannot be printed") for name in ("a\x1b[2J", "a\nb", "a\x85b", "a\udcffb", "a\x7f")),
        *((name, "is too long") for name in ("a" * 201, "\u732b" * 70, "a/" * 256 + "a")),
    ],
)
def test_others_are_named(name, problem):
    assert problem in name_problem(name)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "/", "\\", "C:", "\0", "~"]), max_size=5).map("/".join))
def test_an_allowed_name_stays_below_its_folder(name):
    if not name_problem(name):
        path = PurePosixPath("/folder") / name
        assert path.is_relative_to("/folder")
        assert path != PurePosixPath("/folder")
        assert ".." not in path.parts


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/B.png", "A/b.PNG"), ("\u00c9", "e\u0301"), ("a./b ", "a/b"), ("stra\u00dfe", "STRASSE"), ("\u212a", "k")],
)
def test_names_that_a_file_system_confuses_have_one_key(one, other):
    assert same_file_key(PurePosixPath(one)) == same_file_key(PurePosixPath(other))
    assert same_file_key(PurePosixPath("a")) != same_file_key(PurePosixPath("b"))
