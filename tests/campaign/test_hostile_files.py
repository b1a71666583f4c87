"""Hostile checkpoints, model directories, archives, yaml and JSON: nothing runs, nothing is written outside."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from tests.campaign.driver import command, judge
from tests.campaign.hostile import Templates
from tests.campaign.record import Part


def judged(part: Part, tmp_path: Path, model: Path, *, seed: int, count: int, share: int = 0, shares: int = 1) -> None:
    """Read one share of `count` hostile files, each in a process of its own, and forget its folder."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "cases").mkdir()
    cases = Templates(tmp_path / "templates", model).cases(seed, count)
    for case in itertools.islice(cases, share, None, shares):
        folder = tmp_path / "cases" / "case"
        (folder / "inside").mkdir(parents=True)
        case.write(folder / "inside")
        part.add(judge(case.name, folder, command, *case.words))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.xdist_group("campaign")
def test_some_hostile_files(part: Part, tmp_path: Path, model: Path, seed: int) -> None:
    judged(part, tmp_path, model, seed=seed, count=12)
    assert part.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
def test_four_hundred_hostile_files(part: Part, tmp_path: Path, model: Path, seed: int, share: int) -> None:
    judged(part, tmp_path, model, seed=seed, count=400, share=share, shares=4)
    part.write("hostile files", share)
    assert part.faults == []
