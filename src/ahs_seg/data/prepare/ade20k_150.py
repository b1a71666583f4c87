"""Preparation of ADE20K-150, the scene-parsing challenge of 2016.

Source: CAT-Seg, datasets/prepare_ade20k_150.py. Label = value - 1; 0 ("other") is ignored. Only the validation split is
converted, as in the original. Values above 150, which the original passes on as invalid labels, are errors here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt16

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.jobs import PrepareJob
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.sources import GB, ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids
from ahs_seg.errors import SampleError
from ahs_seg.io.images import read_labels

_ANNOTATIONS: Final = "ADEChallengeData2016/annotations/validation"

SOURCE: Final = ArchiveSource(
    file="ADEChallengeData2016.zip",
    members={f"{folder}/": folder for folder in ("ADEChallengeData2016/images/validation", _ANNOTATIONS)},
    max_bytes=1 * GB,
    page="http://sceneparsing.csail.mit.edu",
    url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
    checksum="sha1:219e1696abb36c8ba3a3afe7fb2f4b4606a897c7",  # GluonCV, scripts/datasets/ade20k.py
)


def convert(path: Path) -> UInt16[np.ndarray, "H W"]:
    """Label map converted from one annotation file."""
    raw = read_labels(path)
    if raw.max() > 150:
        raise SampleError(f"{path}: value {raw.max()}; the annotations of this dataset have values 0..150.")
    return convert_ids(raw, "ade20k-150", 255)


def list_jobs(root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per annotation of the validation split."""
    paths = sorted((root / _ANNOTATIONS).glob("ADE_val_*.png"))
    return [PrepareJob(path.stem, partial(convert, path)) for path in paths], {}


ADE20K_150: Final = Preparation(find_spec("ade20k-150"), (SOURCE,), list_jobs)
