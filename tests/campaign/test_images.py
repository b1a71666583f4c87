"""Damaged images through the runner: each is segmented or named as failed, the others come out as without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.driver import Limits, command, judge
from tests.campaign.images import mutated
from tests.campaign.models import WORDS, photographs
from tests.campaign.outputs import contents, failures_of, leftovers, unaccounted, unreadable
from tests.campaign.record import Part

FORMATS = ("png", "overlay", "coco", "yolo", "npz", "geotiff", "labelstudio", "cvat")
TILED = ("png", "overlay", "geotiff")
INTACT = 4
PEAK_MIB = 4096
"""What decoding an image of the largest allowed size takes; a header that lies may claim it."""


def run_over(part: Part, name: str, folder: Path, model: Path, *options: str) -> dict[str, bytes]:
    """The results of a run over `inside/images`; whatever is wrong with it is noted."""
    words = ["segment", "images", "--classes", WORDS, "--model", str(model), "-o", "out", "--json", *options]
    found = judge(name, folder, command, *words, limits=Limits(seconds=180, peak_mib=PEAK_MIB))
    inputs = sorted((folder / "inside" / "images").iterdir())
    output, lost = folder / "inside" / "out", [f"the run ends: {found.message}"]
    if found.kind in ("done", "partial"):
        given = [path.relative_to(folder / "inside") for path in inputs]
        lost = [*unaccounted(given, output, failures_of(folder)), *unreadable(output), *leftovers(output)]
    part.add(found, lost, cases=len(inputs))
    return contents(output)


def judged(part: Part, tmp_path: Path, model: Path, *, seed: int, count: int, size: int, share: int = 0) -> None:
    """Run over `count` damaged images, `size` at a time, beside the same intact ones, in changing formats."""
    files = list(mutated(seed + 1000 * share, count))
    for number, begin in enumerate(range(0, count, size), start=share):
        tiled = number % 4 == 3
        formats = TILED if tiled else FORMATS if number % 3 == 0 else (FORMATS[number % 8], FORMATS[(number + 3) % 8])
        options = [word for each in formats for word in ("--format", each)] + ["--tile"] * tiled
        results = []
        for name, chosen in (("intact", []), ("damaged", files[begin : begin + size])):
            folder = tmp_path / f"{name}-{number}"
            photographs(folder / "inside" / "images", INTACT)
            for file, content in chosen:
                (folder / "inside" / "images" / file).write_bytes(content)
            results.append(run_over(part, f"{name} images, part {number}", folder, model, *options))
        alone, beside = results
        single = {key: value for key, value in alone.items() if key.startswith("intact")}
        part.faults += [f"part {number}: {key} differs" for key, value in single.items() if beside.get(key) != value]


@pytest.mark.xdist_group("campaign")
def test_some_damaged_images(part: Part, tmp_path: Path, model: Path, seed: int) -> None:
    judged(part, tmp_path, model, seed=seed, count=12, size=12)
    assert part.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
def test_a_thousand_damaged_images(part: Part, tmp_path: Path, model: Path, seed: int, share: int) -> None:
    judged(part, tmp_path, model, seed=seed, count=250, size=50, share=share)
    part.write("damaged images", share)
    assert part.faults == []
