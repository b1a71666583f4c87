"""TIFF files that GDAL writes: a file that is not whole is an error, which GDAL does not always raise.

When the disk is full, GDAL fails with an error of its own that does not say so, or, if only the blocks of its cache are
left to write, not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ahs_seg.errors import SampleError

FULL_BYTES: Final = 2**20
"""With less free space than this, the disk is taken as full if a file could not be written."""


class IncompleteFileError(SampleError):
    """A file could not be written as a whole, although the disk is not full."""


@contextmanager
def whole_tiff(draft: Path, path: Path) -> Iterator[None]:
    """Context in which GDAL opens, writes and closes `draft`, the draft of `path`.

    Raises:
        OSError: the disk is full.
        IncompleteFileError: not all blocks are in the file.
    """
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        _raise_if_full(draft, path)
        raise IncompleteFileError(f"{path}: cannot be written ({error}).") from error
    if not _is_whole(draft):
        _raise_if_full(draft, path)
        raise IncompleteFileError(f"{path}: was not written as a whole. Check the disk and segment the image again.")


def _raise_if_full(draft: Path, path: Path) -> None:
    if shutil.disk_usage(draft.parent).free < FULL_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _is_whole(path: Path) -> bool:
    """Whether all blocks of the first band lie within the file."""
    import rasterio

    size = path.stat().st_size
    with rasterio.open(path) as dataset:
        for (row, column), _ in dataset.block_windows(1):
            offset, length = (
                dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")
            )
            if offset is None or int(offset) + int(length) > size:
                return False
    return True
