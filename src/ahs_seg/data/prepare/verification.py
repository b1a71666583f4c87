"""Verification of a prepared dataset: every file is read and compared with the index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ahs_seg.data.catalog import BenchmarkDataset, CatalogError, DatasetSpec, find_spec
from ahs_seg.data.prepare.index import Index, IndexEntry, checksum, index_path
from ahs_seg.data.prepare.jobs import inspect
from ahs_seg.data.prepare.parallel import run_parallel
from ahs_seg.io.failures import failure_of
from ahs_seg.io.images import read_image


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification: one line per fault with its file name, and notes that are not faults."""

    spec: DatasetSpec
    checked: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Result as text for the terminal."""
        found = f"{len(self.faults)} faults" if self.faults else "no faults"
        lines = [f"{self.spec.title}: {self.checked} images checked, {found}."]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), *(f"fault: {f}" for f in self.faults)])


def verify(name: str, root: Path, *, workers: int | None = None, progress: bool = True) -> Verification:
    """Verification of a prepared dataset, after reading every image and label map.

    Faults are files that are missing, truncated or changed since the index was written, labels outside of the
    vocabulary, different sizes, and label maps without an image. A tree without index (made by the original scripts) is
    read in the same way, but missing files cannot be detected.

    Raises:
        CatalogError: the benchmark is unknown, or none of its files are below the root.
        PrepareError: the index cannot be read.
    """
    spec = find_spec(name)
    index = Index.read(spec, root)
    there = set(spec.label_names(root))
    known: dict[str, IndexEntry] = index.files if index else {}
    names = sorted(there | known.keys())
    if not names:
        raise CatalogError(
            f"{spec.title}: nothing in {root / spec.labels}. Prepare it: ahs-seg data prepare {spec.name} --root {root}"
        )
    items = [_Item(spec, root, name, index is not None, known.get(name)) for name in names]
    results = run_parallel(_faults_of, items, description=f"verifying {spec.name}", workers=workers, progress=progress)
    faults = [fault for found in results for fault in found]
    if index:
        faults += [f"{file}: was faulty when it was prepared: {reason}" for file, reason in index.faulty.items()]
    return Verification(spec, len(names), tuple(faults), tuple(_notes(spec, root, index, len(names))))


class _Item(NamedTuple):
    spec: DatasetSpec
    root: Path
    name: str
    indexed: bool
    entry: IndexEntry | None


def _faults_of(item: _Item) -> list[str]:
    label, image = item.spec.label_path(item.root, item.name), item.spec.image_path(item.root, item.name)
    again = f"Prepare again: ahs-seg data prepare {item.spec.name}."
    if not label.exists():
        return [f"{label}: missing. {again}"]
    faults = []
    if item.entry is not None:
        if checksum(label.read_bytes()) != item.entry.checksum:
            faults.append(_changed(label, item.entry.label_bytes))
        if image.exists() and image.stat().st_size != item.entry.image_bytes:
            faults.append(_changed(image, item.entry.image_bytes))
    elif item.indexed:
        faults.append(f"{label}: not in the index; of another origin, or of a run that was cut off. {again}")
    try:
        inspect(item.spec, item.root, item.name)
        read_image(image)
    except Exception as error:  # noqa: BLE001  # this image is faulty, see `io.failures`
        faults.append(str(failure_of(error, image)))
    return faults


def _changed(path: Path, before: int) -> str:
    size = path.stat().st_size
    what = "cut short" if size < before else "changed"
    return f"{path}: {what} since it was prepared ({size} bytes, {before} then)."


def _notes(spec: DatasetSpec, root: Path, index: Index | None, count: int) -> list[str]:
    notes = []
    if index is None:
        notes.append(
            f"no index ({index_path(spec, root)}): made by other scripts; prepare writes one and keeps the files."
        )
    else:
        notes += [f"{name} is left out: {reason}" for name, reason in index.left_out.items()]
    if count != spec.count:
        notes.append(f"the official split has {spec.count} images, this one {count}.")
    return notes


def state(spec: DatasetSpec, root: Path) -> str:
    """Short description of how far a dataset is prepared; only the file lists and the index are read."""
    index = Index.read(spec, root)
    found = len(BenchmarkDataset(spec, root))
    if index is None:
        return f"{found} images, no index" if found else "not prepared"
    faulty = f", {len(index.faulty)} faulty" if index.faulty else ""
    missing = len(index.files) - found
    return f"prepared, {found} images{faulty}" + (f", {missing} missing" if missing > 0 else "")
