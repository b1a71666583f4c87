"""Input files of a batch run: files, folders, glob patterns and videos, each with a name for its results."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import Final, overload

from ahs_seg.batch.naming import unique_names
from ahs_seg.errors import AhsSegError
from ahs_seg.io.folder_lock import FOLDER, holds_results
from ahs_seg.io.image_files import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from ahs_seg.io.image_sets import apart_from_results, fixed_part, is_hidden
from ahs_seg.io.overwrite import OutputFolder, OverwriteError, leads_outside
from ahs_seg.io.reach import exists, is_file, is_folder, is_link, resolved, why_unknown

VIDEO_SUFFIXES: Final = frozenset(
    [".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv"]
) | frozenset([".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".3g2", ".asf"])
SUFFIXES: Final = IMAGE_SUFFIXES | VIDEO_SUFFIXES

HIDDEN: Final = "hidden files (their names begin with a dot)"
RESULTS: Final = "folders with results of earlier runs, which are no inputs; give such a folder by itself"
LINKED: Final = "links to folders, which are not followed; name such a folder itself"
BROKEN: Final = "links that lead nowhere"


class BatchError(AhsSegError, ValueError):
    """Inputs, options or engine do not allow a batch run."""


class MissingInputError(AhsSegError, FileNotFoundError):
    """Inputs do not exist, or contain no image."""


@dataclass(frozen=True, slots=True)
class InputSource:
    """An image or video file, and the name of its results: a relative path without extension, separated by `/`.

    Raises:
        BatchError: the name leads outside of the folder of the results.
    """

    path: Path
    name: str

    def __post_init__(self) -> None:
        if leads_outside(self.name):
            raise BatchError(
                f"{self.path}: its results cannot be called {self.name!r}; a name is a relative path without '..'. "
                "Give another name, or rename the file."
            )

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its extension."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES

    @property
    def own_name(self) -> str:
        """The file's own name, with the folders of its results: the name of the image in annotation files."""
        return PurePosixPath(self.name).with_name(self.path.name).as_posix()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of the input folders that are not read: why, how many, and one of them."""

    reason: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.count} {self.reason}, e.g. {self.example}"


@dataclass(frozen=True)
class Sources(Sequence[InputSource]):
    """The inputs of a run in their order, and what was found beside them but is not read.

    `unreachable` are inputs that could not be fetched, each with the reason.
    """

    items: tuple[InputSource, ...]
    left_out: tuple[LeftOut, ...] = ()
    unreachable: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> InputSource: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[InputSource]: ...

    def __getitem__(self, index: int | slice) -> InputSource | Sequence[InputSource]:
        return self.items[index]


def list_sources(
    inputs: Path | str | InputSource | Iterable[Path | str | InputSource], *, output: Path | str | None = None
) -> Sources:
    """List all images and videos in files, folders (recursively) and glob patterns such as `photos/**/*.jpg`.

    `inputs` are one of these or several. A file is listed once. Hidden files, files in `output` and results of earlier
    runs are left out of folders and patterns, and of patterns that a shell has expanded (`photos/*`). Names are
    relative to the folder, or to the part of a pattern before its first wildcard; images whose names differ only in the
    extension keep it (`a.jpg` and `a.png` give `a_jpg` and `a_png`). Image files of formats that are not read, hidden
    ones, folders with results, and links that are not followed are counted in `left_out`.

    Raises:
        MissingInputError: an input does not exist, or there is nothing to segment.
        OverwriteError: `output` is or holds a folder of inputs, so that results would lie among them.
        BatchError: files of several folders have the same name.
    """
    given = [inputs] if isinstance(inputs, Path | str | InputSource) else list(inputs)
    search = _Search(OutputFolder(None if output is None else Path(output)))
    found: dict[Path, InputSource] = {}
    for item in search.without_results(given):
        for source in [item] if isinstance(item, InputSource) else search.find(str(item)):
            search.check(source.path)
            found.setdefault(resolved(source.path), source)
    left_out = (*(inputs.left_out if isinstance(inputs, Sources) else ()), *search.left_out())
    if not found:
        for folder in search.results:
            search.check(folder)
        raise MissingInputError(
            f"no images in {', '.join(map(str, given))}; supported extensions: {', '.join(sorted(SUFFIXES))}"
            + "".join(f"\nleft out: {one}" for one in left_out)
        )
    unreachable = inputs.unreachable if isinstance(inputs, Sources) else ()
    return Sources(tuple(_named(list(found.values()))), left_out, unreachable)


@dataclass
class _Search:
    """Search for images in files, folders and patterns, which counts what it leaves out."""

    output: OutputFolder
    results: list[Path] = field(default_factory=list)
    skipped: defaultdict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def find(self, item: str) -> Iterator[InputSource]:
        """Iterate over the images of one input."""
        path = Path(item)
        if self.output.is_at(path) and is_folder(path / FOLDER):
            self.results.append(path)  # results of an earlier run among inputs such as photos/*
        elif is_folder(path):
            yield from self._below(path, sorted(self._walk(path)))
        elif exists(path, unknown=True):
            yield InputSource(path, path.stem)  # reading it says why, if it cannot be reached
        elif has_magic(item):
            matches = sorted(Path(match) for match in glob(item, recursive=True))  # noqa: PTH207  # `**` as in shells
            yield from self._below(fixed_part(path), matches)
        else:
            raise MissingInputError(f"{item}: no such file or folder")

    def without_results(self, given: Sequence[Path | str | InputSource]) -> Iterator[Path | str | InputSource]:
        """The inputs but for folders with results if all that lies beside them is an input, as a shell expands `*`."""
        paths = {Path(item) for item in given if isinstance(item, Path | str)}
        for item in given:
            if isinstance(item, Path | str) and len(paths) > 1 and holds_results(folder := Path(item)):
                beside = {path for path in folder.parent.iterdir() if not path.name.startswith(".")}
                if beside <= paths and not self.output.is_at(folder):
                    self.skipped[RESULTS].append(folder)
                    continue
            yield item

    def check(self, path: Path) -> None:
        """Check that an image does not lie in the output folder."""
        if self.output.holds(path):
            folder = Path(self.output.path or "")
            free = (folder.parent if is_file(folder) else folder) / "segmented"
            raise OverwriteError(
                f"the output folder {folder} holds the images themselves ({path}); results would lie among them and "
                f"could replace them. Give a folder of its own, for example -o {free}."
            )

    def left_out(self) -> Iterator[LeftOut]:
        """What was left out, by reason."""
        for reason, paths in self.skipped.items():
            yield LeftOut(reason, len(set(paths)), str(paths[0]))

    def _walk(self, folder: Path) -> Iterator[Path]:
        def unreadable(error: OSError) -> None:
            self.skipped[f"folders that cannot be read ({error.strerror})"].append(Path(error.filename or folder))

        for root, folders, files in os.walk(folder, onerror=unreadable):
            for name in folders:
                path = Path(root, name)
                if is_link(path) and not name.startswith(".") and not self.output.is_at(path):
                    self.skipped[LINKED].append(path)
            folders[:] = [
                name for name in folders if not name.startswith(".") and not self.output.is_at(Path(root, name))
            ]
            yield from (Path(root, name) for name in files)

    def _below(self, folder: Path, paths: Sequence[Path]) -> Iterator[InputSource]:
        outside = not self.output.holds(folder)
        own, results = apart_from_results(paths, folder)
        if others := [one for one in results if not self.output.is_at(one)]:
            self.skipped[RESULTS] += others
        for path in own:
            suffix = path.suffix.lower()
            if outside and self.output.holds(path):
                continue  # a result of an earlier run
            if is_hidden(path, folder):
                if suffix in SUFFIXES and is_file(path):
                    self.skipped[HIDDEN].append(path)
            elif suffix in SUFFIXES and is_file(path):
                yield InputSource(path, _name_below(folder, path))
            elif suffix in SUFFIXES and (reason := why_unknown(path)):
                self.skipped[f"files that cannot be reached ({reason})"].append(path)
            elif suffix in SUFFIXES and is_link(path):
                self.skipped[BROKEN].append(path)
            elif suffix in UNREAD_SUFFIXES and is_file(path):
                self.skipped[f"{suffix} files, which are not read; {UNREAD_SUFFIXES[suffix]}"].append(path)


def _name_below(folder: Path, path: Path) -> str:
    """Name of the results of a file below a folder; the file's own if `..` after a wildcard leads out of the folder."""
    name = os.path.normpath(path.relative_to(folder).with_suffix(""))
    return path.stem if leads_outside(name) else Path(name).as_posix()


def _named(sources: list[InputSource]) -> list[InputSource]:
    own: dict[str, InputSource] = {}
    for source in sources:
        if (other := own.setdefault(source.own_name, source)) is not source:
            raise BatchError(
                f"{other.path} and {source.path} are both called {source.own_name!r}. "
                "Give the folder above them, or segment them into two output folders."
            )
    names = unique_names(
        [source.name for source in sources],
        [source.path.suffix for source in sources],
        [source.is_video for source in sources],
    )
    return [replace(source, name=name) for source, name in zip(sources, names, strict=True)]
