"""Summary of a batch run as text and as JSON: counts, class areas and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ahs_seg.batch.jobs import Done, Failed, SourceOutcome
from ahs_seg.batch.sources import LeftOut
from ahs_seg.io.outside_text import on_one_line
from ahs_seg.types import IGNORE


@dataclass(frozen=True, slots=True)
class ClassArea:
    """Area of one class over all images: pixels, share of all pixels in [0, 1], number of images with the class."""

    label: str
    pixels: int
    share: float
    images: int


@dataclass(slots=True)
class BatchSummary:
    """Counts of segmented, skipped (already done) and failed images, and the area of each class.

    `left_out` are files of the input folders that are not read; `notes` counts what was left out of images that are
    segmented, and why labels may mean little, with one of the images.
    """

    output: Path
    classes: list[str]
    done: int = 0
    skipped: int = 0
    failures: list[Failed] = field(default_factory=list)
    left_out: tuple[LeftOut, ...] = ()
    notes: dict[str, LeftOut] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    seconds: float = 0.0
    _pixels: Counter[int] = field(default_factory=Counter)
    _images: Counter[int] = field(default_factory=Counter)

    def add(self, outcome: SourceOutcome) -> None:
        """Add the outcome of one image."""
        if isinstance(outcome, Failed):
            self.failures.append(outcome)
        else:
            self.done += 1
            self._count(outcome)

    def add_skipped(self, earlier: Done) -> None:
        """Add an image that was done in an earlier run."""
        self.skipped += 1
        self._count(earlier)

    def so_far(self, total: int) -> str:
        """What is done of `total` images, and how to go on, for the message of a run that is interrupted."""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return (
            f"with {self.done + self.skipped} of {total} images done{failed}; their results are in {self.output}. The "
            "same command with --resume (in Python: resume=True) does the rest."
        )

    @property
    def rate(self) -> float:
        """Segmented images per second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def areas(self) -> list[ClassArea]:
        """Area of every class that occurs, largest first; unknown pixels are last."""
        total = sum(self._pixels.values())
        order = sorted(self._pixels, key=lambda label: (label == IGNORE, -self._pixels[label], label))
        return [
            ClassArea(self._label(index), self._pixels[index], self._pixels[index] / total, self._images[index])
            for index in order
        ]

    def to_dict(self) -> dict[str, Any]:
        """All values as plain types for JSON."""
        return {
            "output": str(self.output),
            "done": self.done,
            "skipped": self.skipped,
            "failed": len(self.failures),
            "failures": [asdict(one) for one in self.failures],
            "left_out": [asdict(one) for one in self.left_out],
            "notes": [asdict(one) for one in self.notes.values()],
            "classes": self.classes,
            "areas": [asdict(one) for one in self.areas],
            "files": [str(path) for path in self.files],
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.rate, 3),
        }

    def lines(self, *, most: int = 20) -> Sequence[str]:
        """Lines of text: counts, the `most` largest classes, first failures, what was left out, files written."""
        areas, width = self.areas[:most], max((len(area.label) for area in self.areas[:most]), default=0)
        total = self.done + self.skipped + len(self.failures)
        skipped = f", {self.skipped} already done" if self.skipped else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        lines = [f"{self.done} of {total} images segmented into {self.output}{skipped}{failed}"]
        lines += [f"  {area.label:<{width}}  {100 * area.share:5.1f} %  in {area.images} images" for area in areas]
        if len(self.areas) > most:
            lines.append(f"  and {len(self.areas) - most} more classes")
        lines += [f"failed: {on_one_line(one.reason)}" for one in self.failures[:most]]
        if len(self.failures) > most:
            lines.append(f"failed: {len(self.failures) - most} more")
        lines += [f"left out: {on_one_line(str(one))}" for one in self.left_out]
        lines += [on_one_line(f"note: {one.count} x {one.reason}, e.g. {one.example}") for one in self.notes.values()]
        return lines + [f"written: {on_one_line(str(path))}" for path in self.files]

    def _count(self, done: Done) -> None:
        self._pixels.update(done.pixels)
        for note in done.notes:
            earlier = self.notes.get(note, LeftOut(note, 0, done.path))
            self.notes[note] = replace(earlier, count=earlier.count + 1)
        self._images.update(label for label, pixels in done.pixels.items() if pixels)

    def _label(self, index: int) -> str:
        return "(unknown)" if index == IGNORE else self.classes[index]
