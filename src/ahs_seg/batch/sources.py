"""Input files of a batch run: files, folders, glob patterns and videos, each with a name for its results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Final

from ahs_seg.data.folder import IMAGE_SUFFIXES
from ahs_seg.errors import AhsSegError

VIDEO_SUFFIXES: Final = frozenset([".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".ts"])
SUFFIXES: Final = IMAGE_SUFFIXES | VIDEO_SUFFIXES


class BatchError(AhsSegError, ValueError):
    """Inputs, options or engine do not allow a batch run."""


class MissingInputError(AhsSegError, FileNotFoundError):
    """Inputs do not exist, or contain no image."""


@dataclass(frozen=True, slots=True)
class InputSource:
    """An image or video file, and the name of its results: a relative path without extension, separated by `/`."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its extension."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def list_sources(inputs: Iterable[Path | str | InputSource], *, output: Path | None = None) -> list[InputSource]:
    """List all images and videos in files, folders (recursively) and glob patterns such as `photos/**/*.jpg`.

    A file is listed once. Hidden files and files in `output` are left out of folders and patterns. Names are relative
    to the folder, or to the part of a pattern before its first wildcard; images whose names differ only in the
    extension keep it (`a.jpg` and `a.png` give `a_jpg` and `a_png`).

    Raises:
        MissingInputError: an input does not exist, or there is nothing to segment.
        BatchError: files of several folders would have results of the same name.
    """
    given = list(inputs)
    own = None if output is None else output.resolve()
    found: dict[Path, InputSource] = {}
    for item in given:
        for source in [item] if isinstance(item, InputSource) else _of(str(item), own):
            found.setdefault(source.path.resolve(), source)
    if not found:
        raise MissingInputError(
            f"no images in {', '.join(map(str, given))}; supported extensions: {', '.join(sorted(SUFFIXES))}"
        )
    return _with_unique_names(list(found.values()))


def _of(item: str, output: Path | None) -> Iterator[InputSource]:
    path = Path(item)
    if path.is_dir():
        yield from _below(path, sorted(path.rglob("*")), output)
    elif path.exists():
        yield InputSource(path, path.stem)
    elif has_magic(item):
        matches = sorted(Path(match) for match in glob(item, recursive=True))  # noqa: PTH207  # `**` as in shells
        yield from _below(_fixed_part(path), matches, output)
    else:
        raise MissingInputError(f"{item}: no such file or folder")


def _below(folder: Path, paths: Sequence[Path], output: Path | None) -> Iterator[InputSource]:
    for path in paths:
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        own = output is not None and path.resolve().is_relative_to(output)
        if path.suffix.lower() in SUFFIXES and not hidden and not own and path.is_file():
            yield InputSource(path, inside.with_suffix("").as_posix())


def _fixed_part(pattern: Path) -> Path:
    """Folder part of a pattern before its first wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _with_unique_names(sources: list[InputSource]) -> list[InputSource]:
    shared = _groups(sources)
    named = [
        replace(source, name=_with_extension(source)) if len(shared[source.name.casefold()]) > 1 else source
        for source in sources
    ]
    for group in _groups(named).values():
        if len(group) > 1:
            raise BatchError(
                f"{' and '.join(str(source.path) for source in group)} would both be written as {group[0].name!r}. "
                "Give the folder above them, or segment them into two output folders."
            )
    return named


def _groups(sources: Sequence[InputSource]) -> dict[str, list[InputSource]]:
    """Sources grouped by case-folded name, since some file systems ignore case."""
    groups: defaultdict[str, list[InputSource]] = defaultdict(list)
    for source in sources:
        groups[source.name.casefold()].append(source)
    return groups


def _with_extension(source: InputSource) -> str:
    return str(PurePosixPath(f"{source.name}_{source.path.suffix[1:]}"))
