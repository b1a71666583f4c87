"""Preparation of PASCAL-VOC-20 and 20b: VOC 2012 with the masks of SegmentationClassAug.

Source: CAT-Seg, datasets/prepare_voc.py. 1..20 become 0..19, void (255) is ignored. Background (0) is ignored in VOC-20
and becomes label 20 in VOC-20b. A mask without any remaining label is left out, as in the original.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt16

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.data.prepare.jobs import PrepareJob
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.sources import GB, ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids
from ahs_seg.io.images import read_labels

_FOLDER: Final = "VOCdevkit/VOC2012"
_MASKS: Final = f"{_FOLDER}/SegmentationClassAug"
_LISTS: Final = f"{_FOLDER}/ImageSets/Segmentation"

SOURCES: Final = (
    ArchiveSource(
        file="VOCtrainval_11-May-2012.tar",
        members={
            "VOC2012/JPEGImages/": f"{_FOLDER}/JPEGImages",
            "VOC2012/ImageSets/Segmentation/": _LISTS,
        },
        max_bytes=4 * GB,
        page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        size=1999639040,
        checksum="md5:6cd6e144f989b92b3379bac3b3de84fd",  # torchvision, datasets/voc.py
    ),
    ArchiveSource(
        file="SegmentationClassAug.zip",
        members={"SegmentationClassAug/": _MASKS},
        max_bytes=1 * GB,
        endings=(".png",),
        page="https://www.dropbox.com/s/oeu149j8qtbs1x0/SegmentationClassAug.zip",
        url="https://www.dropbox.com/s/oeu149j8qtbs1x0/SegmentationClassAug.zip?dl=1",
    ),
)


def convert(path: Path, table: str) -> UInt16[np.ndarray, "H W"] | None:
    """Label map converted from one mask by the named table; `None` if every pixel is ignored."""
    labels = convert_ids(read_labels(path), table, 255)
    return labels if (labels != 255).any() else None


def list_jobs(table: str, root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per image of the validation list."""
    path = root / _LISTS / "val.txt"
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise PrepareError(f"{path}: the list of validation images cannot be read ({error}).") from None
    return [PrepareJob(name, partial(convert, root / _MASKS / f"{name}.png", table)) for name in names], {}


PASCAL_VOC_20: Final = Preparation(find_spec("pascal-voc-20"), SOURCES, partial(list_jobs, "pascal-voc-20"))
PASCAL_VOC_20B: Final = Preparation(find_spec("pascal-voc-20b"), SOURCES, partial(list_jobs, "pascal-voc-20b"))
