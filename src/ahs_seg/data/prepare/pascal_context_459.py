"""Preparation of PASCAL-Context-459: all classes, from one MATLAB file per image.

Source: CAT-Seg, datasets/prepare_pascal_context_459.py, with its list of 5,104 validation images; images without a
file are left out, as in the original. Label = LabelMap - 1. A LabelMap value of 0, which means no class, silently wraps
to 65535 in the original; here it becomes the ignore value that the original declares (459) but never writes. Values
above 459 are errors. If `labels.txt` of the release exists, its names must equal our vocabulary in the same order.
"""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
import scipy.io
from jaxtyping import UInt16

from ahs_seg.data.catalog import find_spec
from ahs_seg.data.prepare.errors import PrepareError
from ahs_seg.data.prepare.jobs import PrepareJob
from ahs_seg.data.prepare.pascal_context import FOLDER, IMAGES
from ahs_seg.data.prepare.preparation import Preparation
from ahs_seg.data.prepare.sources import GB, ArchiveSource
from ahs_seg.data.prepare.tables import convert_ids, read_ids
from ahs_seg.errors import SampleError

_SPEC: Final = find_spec("pascal-context-459")
_IGNORED: Final = _SPEC.ignore[0]
MAX_MATLAB_BYTES: Final = 64 * 2**20
"""Most bytes of a MATLAB file after decompression; those of the release have less than 2 MB."""
_NUMBERS: Final = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "single", "double")
_COMPRESSED: Final = 15

SOURCE: Final = ArchiveSource(
    file="trainval.tar.gz",
    members={"trainval/": f"{FOLDER}/trainval"},
    max_bytes=8 * GB,
    endings=(".mat",),
    page="https://cs.stanford.edu/~roozbeh/pascal-context/",
    url="https://roozbehm.info/pascal-context/trainval.tar.gz",
)


def convert(path: Path) -> UInt16[np.ndarray, "H W"]:
    """Label map converted from one MATLAB file.

    Raises:
        SampleError: the file is damaged, or contains no LabelMap with values 0..459.
    """
    try:
        _check_size(path)
        # A cell array or structure is not opened: scipy reads what is nested in it by recursion, without a bound.
        kinds = [kind for name, _, kind in scipy.io.whosmat(path) if name == "LabelMap"]
        if kind := next((kind for kind in kinds if kind not in _NUMBERS), ""):
            raise SampleError(f"{path}: its LabelMap is of the MATLAB class {kind}; expected is a map of numbers.")
        raw = np.asarray(scipy.io.loadmat(path, variable_names=["LabelMap"])["LabelMap"])
    except SampleError:
        raise
    except Exception as error:  # noqa: BLE001  # scipy raises whatever it meets in a file that is damaged or another
        raise SampleError(f"{path}: no LabelMap can be read ({error!r}); unpack the archive again.") from None
    if raw.ndim != 2 or raw.dtype.kind not in "ui" or not raw.size or raw.min() < 0 or raw.max() > _IGNORED:
        raise SampleError(f"{path}: its LabelMap is not a map of values 0..459; unpack the archive again.")
    return convert_ids(raw.astype(np.uint16), "pascal-context-459", _IGNORED)


def _check_size(path: Path) -> None:
    """Check what the file and its compressed variables (format 5) have in bytes, without keeping any."""
    left = MAX_MATLAB_BYTES - path.stat().st_size
    content = path.read_bytes() if left >= 0 else b""
    order: Literal["little", "big"] = "big" if content[126:128] == b"MI" else "little"
    place = 128
    while left >= 0 and place + 8 <= len(content):
        kind, size = (int.from_bytes(content[k : k + 4], order) for k in (place, place + 4))
        packed, place = content[place + 8 : place + 8 + size], place + 8 + size
        if kind != _COMPRESSED:
            continue
        decoder = zlib.decompressobj()
        while packed and not decoder.eof and left >= 0:
            left -= len(decoder.decompress(packed, 2**20))
            packed = decoder.unconsumed_tail
    if left < 0:
        raise SampleError(f"{path}: more than {MAX_MATLAB_BYTES:,} bytes; unpack the archive again.")


def list_jobs(root: Path) -> tuple[list[PrepareJob], dict[str, str]]:
    """One job per image of the official list that has a MATLAB file, and the reason for every other image."""
    check_names(root / FOLDER / "labels.txt")
    jobs, left_out = [], {}
    for name in read_ids("pascal-context-459-val"):
        path = root / FOLDER / "trainval" / f"{name}.mat"
        if path.exists():
            jobs.append(PrepareJob(name, partial(convert, path)))
        else:
            left_out[name] = f"no {path.name} in {path.parent}"
    return jobs, left_out


def check_names(path: Path) -> None:
    """Check that the names in `labels.txt` ("1: accordion", one per line), if it exists, equal the vocabulary.

    Raises:
        PrepareError: names or numbers differ.
    """
    if not path.exists():
        return
    lines = [line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = {number.strip(): name.strip() for number, _, name in lines}
    for number, label in enumerate(_SPEC.words().labels, start=1):
        if (name := found.get(str(number))) != label:
            raise PrepareError(f"{path}: class {number} is {name!r} there, expected is {label!r}. Fetch it again.")


PASCAL_CONTEXT_459: Final = Preparation(_SPEC, (IMAGES, SOURCE), list_jobs)
