"""Preparation of ADE20K-847: the full ADE20K (2021_17_01) with the 847 classes of MaskFormer.

Source: CAT-Seg, datasets/prepare_ade20k_full.py (from Mask2Former). The object index of a pixel is
floor(R / 10) * 256 + G of `<name>_seg.png`; objects that are not among the 847, and 0 (nothing), are ignored. Where the
shorter side exceeds 512 pixels, image and objects are resized to 512 exactly as OpenCV does; all images are saved again
as JPEG (quality 75, as in the original), because published scores use that size. This is the only dataset whose images
are rewritten.

The pickled index is read without executing it. Only validation images are prepared, as in the original.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.data.prepare.jobs import PrepareJob
from ahs_seg.data.prepare.pickles import read_pickled_mapping, texts_of
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.resize import shrink_bilinear, shrink_nearest, shrunk_size
from ahs_seg.data.prepare.safe_names import name_problem
from ahs_seg.data.prepare.sources import GB, ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids
from ahs_seg.errors import SampleError
from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.images import MAX_PIXELS, read_image
from ahs_seg.io.pillow_files import check_cost, decoding, identified, opened

_SPEC: Final = find_spec("ade20k-847")
_INDEX: Final = "ADE20K_2021_17_01/index_ade20k.pkl"
_SHORT_SIDE: Final = 512

_PAGE: Final = "https://groups.csail.mit.edu/vision/datasets/ADE20K/request_data/ (after registration)"
SOURCE: Final = ArchiveSource(
    file="ADE20K_2021_17_01.zip",
    members={
        "ADE20K_2021_17_01/images/ADE/validation/": "ADE20K_2021_17_01/images/ADE/validation",
        _INDEX: _INDEX,
    },
    max_bytes=8 * GB,
    endings=(".jpg", "_seg.png"),
    page=_PAGE,
)


def objects_of(segmentation: UInt8[np.ndarray, "H W 3"]) -> UInt16[np.ndarray, "H W"]:
    """Object index of every pixel, 1-based; 0 is no object."""
    red, green = segmentation[..., 0].astype(np.uint16), segmentation[..., 1]
    return red // 10 * 256 + green


def convert(source: Path, target: Path) -> UInt16[np.ndarray, "h w"]:
    """Label map of the image `source`; the image itself is saved to `target` at the same size.

    Raises:
        SampleError: the image or its annotation is missing or damaged, or their sizes differ.
    """
    pixels = _stored_pixels(source)
    objects = objects_of(read_image(source.with_name(f"{source.stem}_seg.png")))
    if pixels.shape[:2] != objects.shape:
        raise SampleError(f"{source}: image and annotation differ in size; unpack the archive again.")
    height, width = objects.shape
    size = shrunk_size(height, width, _SHORT_SIDE)
    if size != (height, width):
        pixels, objects = shrink_bilinear(pixels, *size), shrink_nearest(objects, *size)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    write_bytes(target, buffer.getvalue())
    return convert_ids(objects, "ade20k-847", 65535)


def list_jobs(root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per validation image in the index of the release."""
    path = root / _INDEX
    index = read_pickled_mapping(path)
    folders, files = (texts_of(index, key, path) for key in ("folder", "filename"))
    if len(folders) != len(files):
        raise PrepareError(f"{path}: {len(folders)} folders for {len(files)} files; fetch it again.")
    jobs = []
    for folder, file in zip(folders, files, strict=True):
        if not file.startswith("ADE_val_"):
            continue
        place = PurePosixPath(folder, file)
        if (problem := name_problem(str(place))) or len(PurePosixPath(file).parts) != 1:
            reason = problem or "leads outside of the dataset"
            raise PrepareError(f"{path}: refused, its entry {str(place)[:200]!r} {reason}.")
        source = root / place
        jobs.append(PrepareJob(source.stem, partial(convert, source, _SPEC.image_path(root, source.stem))))
    return jobs, {}


def _stored_pixels(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Image pixels as stored, without EXIF rotation: the annotations and the original script ignore EXIF as well."""
    name = str(path)
    with opened(path, name) as file, identified(file, name, ("JPEG",)) as image:
        check_cost(image, name, MAX_PIXELS)
        with decoding(name):
            return np.array(image.convert("RGB"))


ADE20K_847: Final = Preparation(_SPEC, (SOURCE,), list_jobs)
