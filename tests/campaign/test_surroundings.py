"""A run on a machine that fails it ends with a message, loses nothing that was done, and can go on later."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.campaign.driver import Limits, command, judge
from tests.campaign.kills import Operation, operations
from tests.campaign.models import photographs
from tests.campaign.outputs import differences, stable, unreadable
from tests.campaign.record import Part
from tests.campaign.surroundings import can_mount, disk, interrupted, remount, robbed, unheard, without_unicode

PLAIN = ("segment", "images", "--classes", "ciel é, 砂, disk", "--model", "model", "-o", "out")
WORDS = (*PLAIN, "--format", "png", "--format", "coco", "--format", "npz")
COUNT = 8
USUAL = Limits()
SURROUNDINGS: Mapping[str, tuple[Limits, Callable[..., object], tuple[str, ...]]] = {
    "no home": (Limits(environment={"HOME": None}), command, ()),
    "a home that is not there": (Limits(environment={"HOME": "/nowhere", "TMPDIR": "/nowhere"}), command, ()),
    "64 open files": (Limits(more={"RLIMIT_NOFILE": 64}), command, ()),
    "files of at most 700 bytes": (Limits(more={"RLIMIT_FSIZE": 700}), command, ()),
    "ASCII alone": (USUAL, without_unicode, ()),
    "nobody reads": (USUAL, unheard, ()),
    "interrupted": (USUAL, interrupted, ()),
    "the output vanishes": (USUAL, robbed, ("out",)),
    "the images vanish": (USUAL, robbed, ("images",)),
    "the model vanishes": (USUAL, robbed, ("model",)),
}


def furnished(folder: Path, model: Path) -> None:
    """Put a model and a few images into the folder of a case, one of them with a name in several scripts."""
    inside = folder / "inside"
    shutil.copytree(model, inside / "model", dirs_exist_ok=True)
    images = photographs(inside / "images", COUNT)
    images[0].rename(images[0].with_name("ä ö 猫.png"))


def whole_run(folder: Path, model: Path) -> dict[str, object]:
    """The results of the same run in usual surroundings."""
    furnished(folder, model)
    assert judge("whole", folder, command, *WORDS).kind == "done"
    return stable(folder / "inside" / "out")


def survived(part: Part, folder: Path, model: Path, name: str, finished: dict[str, object]) -> None:
    """A run in these surroundings, then its resumption in usual ones, which must end as if nothing had happened."""
    limits, call, first = SURROUNDINGS[name]
    furnished(folder, model)
    part.add(judge(name, folder, call, *first, *WORDS, limits=limits), unreadable(folder / "inside" / "out"))
    furnished(folder, model)
    again = judge(f"{name}, resumed", folder, command, *WORDS, "--resume")
    part.add(again, differences(stable(folder / "inside" / "out"), finished, again.kind))


@pytest.mark.xdist_group("campaign")
def test_a_full_disk_and_few_files_lose_nothing(part: Part, tmp_path: Path, model: Path) -> None:
    finished = whole_run(tmp_path / "whole", model)
    for name in ("64 open files", "files of at most 700 bytes"):
        survived(part, tmp_path / name, model, name, finished)
    assert part.faults == []


@pytest.mark.slow
def test_machines_that_fail_a_run(part: Part, tmp_path: Path, model: Path) -> None:
    finished = whole_run(tmp_path / "whole", model)
    for name in SURROUNDINGS:
        survived(part, tmp_path / name, model, name, finished)
    part.write("surroundings")
    assert part.faults == []


@pytest.mark.slow
def test_disks_that_fill_up(part: Part, tmp_path: Path, model: Path) -> None:
    if not can_mount(tmp_path / "try"):
        pytest.skip("mounting a small disk needs root")
    for operation in operations(model):
        if operation.name not in ("ablate", "replace a model"):
            filled(part, tmp_path / operation.name, operation)
    part.write("full disks")
    assert part.faults == []


def filled(part: Part, folder: Path, operation: Operation) -> None:
    """Run on disks that are too small, and on one that cannot be written; then on one that is large enough."""
    whole = folder / "whole"
    whole.mkdir(parents=True)
    operation.furnish(whole)
    judge("whole", whole, operation.call, *operation.words)
    finished = stable(whole / "inside" / operation.output)
    output = folder / "cut" / "inside" / operation.output
    operation.furnish(folder / "cut")
    with ExitStack() as stack:
        stack.enter_context(disk(output, "4k"))
        for size in ("4k", "40k", "300k", "3m"):
            remount(output, f"size={size}")
            found = judge(f"{operation.name} on {size}", folder / "cut", operation.call, *operation.again)
            part.add(found, operation.half_written(folder / "cut" / "inside", finished))
        remount(output, "ro")
        part.add(judge(f"{operation.name}, read-only", folder / "cut", operation.call, *operation.again))
        remount(output, "rw,size=200m")
        again = judge(f"{operation.name} on a large disk", folder / "cut", operation.call, *operation.again)
        part.add(again, differences(stable(output), finished, again.kind))
