"""Segmenting many files: one bad file costs itself, never the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ahs_seg.data.base import SampleError
from ahs_seg.data.folder import IMAGE_SUFFIXES
from ahs_seg.files import write_png
from ahs_seg.legend import segmented
from ahs_seg.progress import Track
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary import ClassSource, Vocabulary


@dataclass(frozen=True, slots=True)
class Summary:
    """How many files were segmented, and a line for each that was not."""

    done: int
    faults: tuple[str, ...]


def list_images(inputs: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Image files with the path, relative and without suffix, that their results get; folders are searched through.

    Raises:
        FileNotFoundError: an input that does not exist, or no image at all.
    """
    found: dict[Path, Path] = {}
    for path in inputs:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
            found.update({file: file.relative_to(path).with_suffix("") for file in inside})
        elif path.exists():
            found[path] = Path(path.stem)
        else:
            raise FileNotFoundError(f"{path}: no such file or folder")
    if not found:
        raise FileNotFoundError(f"no images in {', '.join(map(str, inputs))}; endings read: {sorted(IMAGE_SUFFIXES)}")
    return list(found.items())


def segment_files(
    segmenter: Segmenter,
    files: Sequence[tuple[Path, Path]],
    classes: ClassSource,
    output: Path,
    *,
    progress: bool = True,
) -> Summary:
    """Write `NAME.png` (label map), `NAME.json` (its names) and `NAME.overlay.png` for every file."""
    vocabulary = Vocabulary.parse(classes)
    segmenter.encode(vocabulary)
    faults = []
    track = Track("segmenting", shown=progress)
    for path, name in track(files):
        try:
            result = segmenter(path, vocabulary)
        except SampleError as error:
            faults.append(str(error))
            track.say(f"left out: {error}")
            continue
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        result.save(target.with_name(target.name + ".png"))
        picture = segmented(result.image, result.labels, result.classes)
        write_png(target.with_name(target.name + ".overlay.png"), picture)
    return Summary(len(files) - len(faults), tuple(faults))
