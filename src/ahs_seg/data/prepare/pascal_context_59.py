"""Preparation of PASCAL-Context-59: the most frequent classes, from the RLE masks of `trainval_merged.json`.

Source: CAT-Seg, datasets/prepare_pascal_context_59.py. The annotations of an image are painted in the order of the
file, later ones over earlier ones; the 59 ids become labels in ascending order; 0 (background) and all others are
ignored. The list of images is that of the JSON (phase "val"), not the list of PASCAL-Context-459.

The original fails on an image without annotations; here such an image gets a label map that is ignored everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from jaxtyping import UInt16

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.data.prepare.jobs import PrepareJob, image_size
from ahs_seg.data.prepare.pascal_context import FOLDER, IMAGES
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.sources import GB, ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids
from ahs_seg.documents import MAX_LARGE_DOCUMENT_BYTES, read_mapping
from ahs_seg.errors import SampleError
from ahs_seg.io.rle import decode_rle, shortened

_SPEC: Final = find_spec("pascal-context-59")
_ANNOTATIONS: Final = f"{FOLDER}/trainval_merged.json"

SOURCE: Final = ArchiveSource(
    file="trainval_merged.json",
    members={"trainval_merged.json": _ANNOTATIONS},
    max_bytes=2 * GB,
    page="https://cs.stanford.edu/~roozbeh/pascal-context/",
    url="https://codalabuser.blob.core.windows.net/public/trainval_merged.json",
)


def paint(image: Path, stated: tuple[int, int], annotations: list[dict[str, Any]]) -> UInt16[np.ndarray, "H W"]:
    """Label map of the size of an image, painted from RLE annotations; `stated` is its size in the annotations.

    Raises:
        SampleError: the image cannot be read or has another size than stated, a category is no number of 16 bits, or an
            RLE mask is damaged or has another size than the image.
    """
    size = image_size(image)
    if size != stated:
        raise SampleError(f"the image is {size[1]}x{size[0]}, its annotation {stated[1]}x{stated[0]}.")
    canvas = np.zeros(size, np.uint16)
    for annotation in annotations:
        category = annotation["category_id"]
        if not isinstance(category, int) or isinstance(category, bool) or not 0 <= category < 2**16:
            raise SampleError(f"an annotation with category_id {shortened(category)}; allowed are 0..{2**16 - 1}.")
        canvas[decode_rle(annotation["segmentation"], size)] = category
    return convert_ids(canvas, "pascal-context-59", 255)


def list_jobs(root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per validation image of the JSON file."""
    path = root / _ANNOTATIONS
    try:
        content = read_mapping(path, limit=MAX_LARGE_DOCUMENT_BYTES)
        images = {image["image_id"]: image for image in content["images"] if image["phase"] == "val"}
        annotations = defaultdict(list)
        for annotation in content["annos_segmentation"]:
            if annotation["image_id"] in images:
                wanted = {key: annotation[key] for key in ("category_id", "segmentation")}
                annotations[annotation["image_id"]].append(wanted)
        return [_job(root, image, annotations[key]) for key, image in images.items()], {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise PrepareError(f"{path}: not the annotations of PASCAL-Context ({error!r}); fetch it again.") from None


def _job(root: Path, image: dict[str, Any], annotations: list[dict[str, Any]]) -> PrepareJob:
    name = PurePosixPath(image["file_name"]).stem
    stated = int(image["height"]), int(image["width"])
    return PrepareJob(name, partial(paint, _SPEC.image_path(root, name), stated, annotations))


PASCAL_CONTEXT_59: Final = Preparation(_SPEC, (IMAGES, SOURCE), list_jobs)
