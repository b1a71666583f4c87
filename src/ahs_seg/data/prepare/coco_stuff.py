"""Preparation of COCO-Stuff-171, validation and training splits.

Source: CAT-Seg, datasets/prepare_coco_stuff.py. The 171 of 182 category ids that are used become 0..170 in ascending
order: 80 things, then 91 kinds of stuff. Everything else is ignored.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import UInt16

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.jobs import PrepareJob
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.sources import ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids
from ahs_seg.io.images import read_labels

CocoSplit = Literal["train2017", "val2017"]

_IMAGES: Final = {  # sizes and checksums: TensorFlow Datasets, url_checksums/coco.txt
    "train2017": (19336861798, "sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929"),
    "val2017": (815585330, "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"),
}


def sources(split: CocoSplit) -> tuple[ArchiveSource, ...]:
    """Archives of the images and annotations of one split."""
    size, checksum = _IMAGES[split]
    return (
        ArchiveSource(
            file=f"{split}.zip",
            members={f"{split}/": f"coco-stuff/images/{split}"},
            max_bytes=2 * size,
            page="https://cocodataset.org/#download",
            url=f"http://images.cocodataset.org/zips/{split}.zip",
            size=size,
            checksum=checksum,
        ),
        ArchiveSource(
            file="stuffthingmaps_trainval2017.zip",
            members={f"{split}/": f"coco-stuff/annotations/{split}"},
            max_bytes=size,
            endings=(".png",),
            page="https://github.com/nightrome/cocostuff",
            url="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip",
        ),
    )


def convert(path: Path) -> UInt16[np.ndarray, "H W"]:
    """Label map converted from one annotation file."""
    return convert_ids(read_labels(path), "coco-stuff-171", 255)


def list_jobs(split: CocoSplit, root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per annotation of the split."""
    paths = sorted((root / "coco-stuff/annotations" / split).glob("*.png"))
    return [PrepareJob(path.stem, partial(convert, path)) for path in paths], {}


def _preparation(name: str, split: CocoSplit) -> Preparation:
    return Preparation(find_spec(name), sources(split), partial(list_jobs, split))


COCO_STUFF_171: Final = _preparation("coco-stuff-171", "val2017")
COCO_STUFF_171_TRAIN: Final = _preparation("coco-stuff-171-train", "train2017")
