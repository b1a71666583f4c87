"""What a user points at: files, folders, patterns and videos, each with the name that its results get."""

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
    """Inputs, options or an engine with which a batch cannot be run."""


class MissingInputError(AhsSegError, FileNotFoundError):
    """Inputs that do not exist, or that hold no image."""


@dataclass(frozen=True, slots=True)
class InputSource:
    """A picture or a video, and the name of its results: a relative path without ending, with `/` everywhere."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether its frames are segmented."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def list_sources(inputs: Iterable[Path | str | InputSource], *, output: Path | None = None) -> list[InputSource]:
    """All pictures and videos in files, folders (with what is below them) and patterns such as `photos/**/*.jpg`.

    A file counts once, however often it is named. Hidden files and what lies in `output` are left out of folders and
    patterns. Names are relative to the folder, or to the part of a pattern before its first wildcard; pictures whose
    names differ only in the ending keep it (`a.jpg` and `a.png` give `a_jpg` and `a_png`).

    Raises:
        MissingInputError: an input that does not exist, or nothing to segment.
        BatchError: files of several folders that would have the same results.
    """
    given = list(inputs)
    own = None if output is None else output.resolve()
    found: dict[Path, InputSource] = {}
    for item in given:
        for source in [item] if isinstance(item, InputSource) else _of(str(item), own):
            found.setdefault(source.path.resolve(), source)
    if not found:
        raise MissingInputError(
            f"no images in {', '.join(map(str, given))}; endings read: {', '.join(sorted(SUFFIXES))}"
        )
    return _told_apart(list(found.values()))


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
    """The folders of a pattern before its first wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _told_apart(sources: list[InputSource]) -> list[InputSource]:
    shared = _groups(sources)
    named = [
        replace(source, name=_with_ending(source)) if len(shared[source.name.casefold()]) > 1 else source
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
    """Sources by name; some file systems do not tell capitals apart."""
    groups: defaultdict[str, list[InputSource]] = defaultdict(list)
    for source in sources:
        groups[source.name.casefold()].append(source)
    return groups


def _with_ending(source: InputSource) -> str:
    return str(PurePosixPath(f"{source.name}_{source.path.suffix[1:]}"))
