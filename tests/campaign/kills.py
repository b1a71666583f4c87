"""Runs that are killed: what each does, and what it must leave whole."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ahs_seg.checkpoints import load_model, save_model
from ahs_seg.cli.ending import status_of
from ahs_seg.experiments.quickstart import Sizes, quickstart
from tests.campaign import archives, checkpoints
from tests.campaign.driver import Verdict, command
from tests.campaign.models import WORDS, photographs
from tests.campaign.outputs import stable, unreadable
from tests.support.command_line import MICRO
from tests.support.miniature import ade150
from tests.support.official import byte_tokenizer_file

SHORT = [*MICRO[1:], "training.steps=8", "training.batch_size=1", "training.names_per_step=3", "training.log_every=1"]
SUITE = Path(__file__).parents[1] / "support" / "tiny_suite.yaml"


@dataclass(frozen=True)
class Operation:
    """A command that writes to `output`, and how often it is killed.

    `again` are its words when it was interrupted, `whole` are folders below `output` that are complete or absent at
    every moment. `starts` is the program that the command runs by itself; what that does is not watched.
    """

    name: str
    kills: int
    prepare: Callable[[Path], object]
    words: tuple[str, ...]
    again: tuple[str, ...]
    call: Callable[..., object] = command
    output: str = "out"
    whole: tuple[str, ...] = ()
    starts: str | None = None

    def allowed(self, verdict: Verdict) -> Verdict:
        """The verdict without the start of the command's own program."""
        foreign = [event for event in verdict.events if self.starts is None or self.starts not in event]
        return replace(verdict, events=tuple(foreign))

    def furnish(self, folder: Path) -> None:
        """Put what the command needs into the folder of a case."""
        (folder / "inside" / "tmp").mkdir(parents=True)
        self.prepare(folder / "inside")

    def half_written(self, inside: Path, finished: dict[str, Any]) -> Iterator[str]:
        """What a reader would find incomplete after a kill; `finished` are the results of a run that was not killed."""
        output = inside / self.output
        if output.is_dir():
            yield from unreadable(output)
        for name in self.whole:
            folder = output / name
            wanted = {key for key in finished if key.startswith(f"{name}/")}
            if folder.exists() and (missing := wanted - stable(output).keys()):
                yield f"{self.output}/{name} is there without {', '.join(sorted(missing))}"


def operations(model: Path) -> list[Operation]:
    """All runs that are killed, with the number of kills of each."""
    where, formats = ("--model", str(model), "-o", "out"), ("png", "coco", "npz", "cvat")
    segment = ("segment", "images", "--classes", WORDS, *where, *(f"--format={each}" for each in formats))
    train = ("train", "quickstart/cat_seg", *SHORT, "-o", "out")
    data = ("--data", "world-20", "--count", "12", "--journal", "journal")
    evaluate = ("evaluate", str(model), *data, "-o", "out/report.json")
    prepare = ("data", "prepare", "ade20k-150", "--root", ".", "--workers", "1")
    ablate = ("ablate", "--suite", str(SUITE), "--rows", "attention", "--seeds", "0", "-o", "out")
    convert = ("import", "a.pth", "--as", "clip", "--tokenizer", "tokenizer.json", "-o", "out/model")
    return [
        Operation("segment", 45, _images, segment, (*segment, "--resume")),
        Operation("train", 40, _nothing, train, (*train, "--resume"), whole=("model",)),
        Operation("evaluate", 30, _nothing, evaluate, evaluate),
        Operation("prepare", 30, _archive, prepare, prepare, output=archives.STEM),
        Operation("ablate", 6, _nothing, ablate, ablate, starts="ahs_seg.experiments.ablation.worker"),
        Operation("quickstart", 8, _nothing, (), (), call=small_quickstart, whole=("run-cat_seg-seed0/model",)),
        Operation("import", 25, _checkpoint, convert, convert, whole=("model",)),
        Operation("replace a model", 30, _two(model), (), (), call=replace_model, whole=("model",)),
    ]


def small_quickstart() -> None:
    """The quickstart, as short as it can be; it ends as the command does."""
    sizes = Sizes(scenes=1, others=1, calibration=1)
    sys.exit(status_of(lambda: quickstart("cat_seg", Path("out"), sizes=sizes, overrides=SHORT)))


def replace_model() -> None:
    """Put one model and another in turn in the place that readers look at; the last is the first."""
    (description, first), (_, second) = load_model("first"), load_model("second")
    for number in range(20):
        save_model(second if number % 2 == 0 else first, description, "out/model")


def _nothing(inside: Path) -> None:
    """There is nothing to prepare."""


def _images(inside: Path) -> None:
    photographs(inside / "images", 24)


def _archive(inside: Path) -> None:
    root = ade150(inside / "tmp" / "benchmark", count=60)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    (inside / f"{archives.STEM}.zip").write_bytes(archives.as_zip(files))
    shutil.rmtree(root)


def _checkpoint(inside: Path) -> None:
    (inside / "a.pth").write_bytes(checkpoints.bases()["zip.pth"])
    byte_tokenizer_file(inside)


def _two(model: Path) -> Callable[[Path], object]:
    def prepare(inside: Path) -> None:
        for name in ("first", "out/model"):
            shutil.copytree(model, inside / name)
        description, other = load_model(model)
        assert isinstance(other, nn.Module)
        with torch.no_grad():
            for value in other.parameters():
                value.add_(1)
        save_model(other, description, inside / "second")

    return prepare
