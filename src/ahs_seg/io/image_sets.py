"""Several images given as one value: a folder, a glob pattern, or an array or tensor with a batch axis."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from glob import glob, has_magic
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from ahs_seg.io.folder_lock import holds_results
from ahs_seg.io.http import is_url
from ahs_seg.io.image_files import IMAGE_SUFFIXES
from ahs_seg.io.images import ImageError, ImageSource
from ahs_seg.io.reach import exists, is_file, is_folder

_CHANNELS: Final = (1, 3, 4)
_BATCH_AXES: Final = 4


def images_of(source: ImageSource) -> list[ImageSource] | None:
    """The images that one value stands for, in the order of their names or of the batch; None: it is one image.

    A folder stands for the image files in it and in the folders below, a pattern such as `photos/**/*.jpg` for the
    files that match; hidden files are left out, and so are folders below with results of earlier runs. A file that
    cannot be reached counts, so that reading it says why.
    An array has the axes (b H W c) or (b c H W), a tensor (b c H W) or (b H W c); if both readings are possible, the
    first one is meant.

    Raises:
        ImageError: a folder or pattern gives no image, or a batch has no axis of 1, 3 or 4 channels.
    """
    if isinstance(source, str | Path) and not (isinstance(source, str) and is_url(source)):
        return _files(source)
    if isinstance(source, np.ndarray | Tensor) and source.ndim == _BATCH_AXES:
        return _split(source)
    return None


def _files(source: str | Path) -> list[ImageSource] | None:
    path = Path(source)
    if is_folder(path):
        found, below = list(path.rglob("*")), path
    elif has_magic(str(source)) and not exists(path, unknown=True):
        found = [Path(match) for match in glob(str(source), recursive=True)]  # noqa: PTH207  # `**` as in shells
        below = fixed_part(path)
    else:
        return None
    own, results = apart_from_results(found, below)
    images: list[ImageSource] = [one for one in sorted(own) if _is_image(one, below)]
    if not images:
        raise ImageError(
            f"{source}: no images; files with these extensions count: {', '.join(sorted(IMAGE_SUFFIXES))}"
            + "".join(f"\nleft out: {folder}, which holds results of an earlier run" for folder in results)
        )
    return images


def fixed_part(pattern: Path) -> Path:
    """Folder part of a pattern before its first wildcard."""
    parts = pattern.parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def is_hidden(path: Path, below: Path) -> bool:
    """Whether the name of a file, or of a folder on the way to it from the folder `below`, begins with a dot."""
    return any(part.startswith(".") and part != ".." for part in path.relative_to(below).parts)


def apart_from_results(paths: Iterable[Path], below: Path) -> tuple[list[Path], list[Path]]:
    """The paths that are no results of an earlier run, and the folders in which the others lie.

    All paths lie in the folder `below`, whose files count also if it is such a folder: somebody has named it.
    """

    @cache
    def results_at(folder: Path) -> Path | None:
        if folder == below:
            return None
        return results_at(folder.parent) or (folder if holds_results(folder) else None)

    places = {path: results_at(path.parent) for path in paths}
    folders = {place for place in places.values() if place is not None}
    return [path for path, place in places.items() if place is None], sorted(folders)


def _is_image(path: Path, below: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path, below) and is_file(path, unknown=True)


def _split(batch: Shaped[np.ndarray, "b _ _ _"] | Shaped[Tensor, "b _ _ _"]) -> list[ImageSource]:
    """The images of a batch, in the order of axes of a single image: arrays (H W c), tensors (c H W)."""
    usual = 1 if isinstance(batch, Tensor) else 3
    axis = next((axis for axis in (usual, 4 - usual) if batch.shape[axis] in _CHANNELS), None)
    if axis is None:
        raise ImageError(
            f"batch of shape {tuple(batch.shape)}; allowed are (b H W c) and (b c H W) with c 1, 3 or 4. "
            "For images with other channels, pass three of them as red, green and blue."
        )
    if axis != usual:
        order = (0, 3, 1, 2) if usual == 1 else (0, 2, 3, 1)
        batch = batch.permute(order) if isinstance(batch, Tensor) else batch.transpose(order)
    return list(batch)
