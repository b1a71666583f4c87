"""Findings about a dataset that keep classes from being learned, each in one line: given, allowed, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ahs_seg.data.label_statistics import LabelStatistics

MIN_BORDER: Final = 500
"""Border pixels below which nothing is said about blur."""
MAX_BLURRED: Final = 0.2
"""Share of blurred border pixels above which label maps count as blurred; see `border_pixels`."""
LISTED: Final = 8


@dataclass(frozen=True, slots=True)
class DataFinding:
    """One finding about a dataset: nothing can be learned after an error, something is lost after a warning."""

    level: Literal["error", "warning"]
    code: str
    data: str
    given: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.data}: {self.given}; {self.allowed}. {self.remedy} [{self.code}]"


def findings_of(found: LabelStatistics) -> Iterator[DataFinding]:
    """Findings about one dataset."""
    yield from _unusable(found)
    if len(found.faults) == found.read:
        return
    explained = False
    for finding in (*_black_and_white(found), *_shifted(found), *_unnamed(found), *_nothing_labelled(found)):
        explained = True
        yield finding
    yield from _blurred(found)
    if not explained:
        yield from _without_pixels(found)


def findings_between(training: LabelStatistics, validation: LabelStatistics) -> Iterator[DataFinding]:
    """Findings about two datasets whose label maps are files: other class lists, classes in one of them only."""
    if not (training.values and validation.values):
        return
    if training.classes != validation.classes:
        yield from _other_classes(training, validation)
        return
    if not (training.complete and validation.complete):
        return
    classes = list(zip(training.classes, training.pixels, validation.pixels, strict=True))
    unlearned = [name for name, learned, judged in classes if judged and not learned]
    unjudged = [name for name, learned, judged in classes if learned and not judged]
    if unlearned:
        yield DataFinding(
            "warning",
            "only-in-validation",
            validation.title,
            f"labels {_some(unlearned)}, which no label map of {training.title} shows",
            "what is judged should be in both",
            "Move some of these images to the training, or check that both were exported with the same values.",
        )
    if unjudged:
        yield DataFinding(
            "warning",
            "only-in-training",
            validation.title,
            f"never shows {_some(unjudged)}, which {training.title} does",
            "a class without a pixel has no score",
            "Move some of these images to the validation, or check that both were exported with the same values.",
        )


def _unusable(found: LabelStatistics) -> Iterator[DataFinding]:
    if found.layout:
        yield DataFinding(
            "warning",
            "layout",
            found.title,
            f"{len(found.layout):,} problems of the folder, the first: {found.layout[0]}",
            "each image has one label map of its name",
            "Mend or remove them; `ahs-seg train` refuses such a folder.",
        )
    if found.faults:
        everything = len(found.faults) == found.read
        yield DataFinding(
            "error" if everything else "warning",
            "unusable",
            found.title,
            f"{len(found.faults):,} of {found.read:,} samples read cannot be used, the first: {found.faults[0]}",
            "each needs a readable image and a label map of its size",
            "Mend or remove them; `ahs-seg train` refuses a folder with such files, Python leaves them out, as it does "
            "with other data.",
        )


def _black_and_white(found: LabelStatistics) -> Iterator[DataFinding]:
    """Masks of 0 and 255, of which the default reads 255 as no class."""
    if (
        found.offset != 0
        or set(found.values) != {0, 255}
        or found.ignore is not None
        or found.outside
        or len(found.classes) > 2
    ):
        return
    first, last = found.classes[0], found.classes[-1]
    read = f"0 is read as {first!r} and 255 as no class"
    if first == last:
        yield DataFinding(
            "warning", "black-and-white", found.title, f"label maps hold only 0 and 255 ({found.extent})", read,
            f"If 255 is {first!r}, invert them (255 - mask).",
        )  # fmt: skip
    else:
        yield DataFinding(
            "error", "black-and-white", found.title,
            f"label maps hold only 0 and 255 ({found.extent}), but there are two classes",
            f"{read}, so that {last!r} has no pixel",
            f"Save {last!r} as 1 (mask // 255); if 255 does mean no class, say so with ignore=255.",
        )  # fmt: skip


def _shifted(found: LabelStatistics) -> Iterator[DataFinding]:
    """Masks whose smallest value is 1, while the first name is label 0."""
    classes, named = len(found.classes), [value for value in found.values if value not in (255, 65535, found.ignore)]
    if found.offset != 0 or not named or min(named) != 1 or found.pixels[0]:
        return
    remedy = f"If 1 is {found.classes[0]!r} and 0 means no class, set data.offset=1."
    given = f"labels start at 1 and end at {max(named)} ({found.extent}), with {classes} class{'es' * (classes != 1)}"
    allowed = f"the first name, {found.classes[0]!r}, is label 0"
    if max(named) == classes:
        yield DataFinding("error", "starts-at-1", found.title, given, f"{allowed}, the last {classes - 1}", remedy)
    elif max(named) < classes and found.complete:
        yield DataFinding("warning", "starts-at-1", found.title, given, f"{allowed} and has no pixel", remedy)


def _unnamed(found: LabelStatistics) -> Iterator[DataFinding]:
    classes, first = len(found.classes), found.offset or 0
    if found.outside and not (min(found.outside) == max(found.outside) == classes and any(_shifted(found))):
        yield DataFinding(
            "error",
            "no-name",
            found.title,
            f"{len(found.outside)} labels have no name: {_some(found.outside)} ({found.extent})",
            f"{classes} class{'es are' if classes != 1 else ' is'} {first}..{first + classes - 1}",
            f"Give the whole class list, the first name being label {first}. "
            + "If 0 means no class and 1 is the first name, set data.offset=1; " * (first == 0)
            + f"{'if another' if first == 0 else 'If a'} label means no class, set data.ignore to it."
            if found.values
            else "Pixels without a class are `ahs_seg.IGNORE`, not a number of your own.",
        )


def _nothing_labelled(found: LabelStatistics) -> Iterator[DataFinding]:
    if not any(found.pixels) and not found.outside:
        values = f", which hold {_some(found.values)}" if found.values else ""
        yield DataFinding(
            "error",
            "nothing-labelled",
            found.title,
            f"no pixel has a class ({found.extent}{values})",
            f"class k is stored as k, 0..{len(found.classes) - 1}",
            "Export the labels as class indices, and check which value means no class (ignore).",
        )


def _blurred(found: LabelStatistics) -> Iterator[DataFinding]:
    if found.border >= MIN_BORDER and found.blurred > MAX_BLURRED * found.border:
        held = f" ({len(found.values)} different values, {found.extent})" if found.values else f" ({found.extent})"
        yield DataFinding(
            "error" if found.outside else "warning",
            "lossy",
            found.title,
            f"{found.blurred / found.border:.0%} of the pixels at borders look compressed or blurred{held}",
            "a label map changes from one class to the next in one step",
            "Export the masks again as PNG, without smooth edges, and resize them with nearest neighbours only.",
        )


def _without_pixels(found: LabelStatistics) -> Iterator[DataFinding]:
    missing = [name for name, pixels in zip(found.classes, found.pixels, strict=True) if not pixels]
    if missing and found.complete:
        number = f"{len(missing)} of {len(found.classes)} classes {'has' if len(missing) == 1 else 'have'}"
        yield DataFinding(
            "warning",
            "class-without-pixel",
            found.title,
            f"{number} no pixel: {_some(missing)} ({found.extent})",
            "a class is learned from its labelled pixels",
            "Label some, or check the order and the spelling of the class list.",
        )


def _other_classes(training: LabelStatistics, validation: LabelStatistics) -> Iterator[DataFinding]:
    if sorted(training.classes) == sorted(validation.classes):
        index = next(k for k, name in enumerate(training.classes) if name != validation.classes[k])
        given = f"the same classes in another order: label {index} is {validation.classes[index]!r} here and "
        given += f"{training.classes[index]!r} in {training.title}"
    else:
        only = [name for name in validation.classes if name not in training.classes]
        less = [name for name in training.classes if name not in validation.classes]
        parts = [f"it adds {_some(only)}"] * bool(only) + [f"it lacks {_some(less)}"] * bool(less)
        given = f"another class list than {training.title}: " + " and ".join(parts)
    yield DataFinding(
        "warning",
        "other-classes",
        validation.title,
        given,
        "each dataset is read by its own list",
        "Check that each list belongs to its masks; give both the same list unless other words are to be judged.",
    )


def _some(values: Sequence[object] | dict[int, int]) -> str:
    shown = list(values)[:LISTED]
    return ", ".join(map(str, shown)) + (f" and {len(values) - LISTED} more" if len(values) > LISTED else "")
