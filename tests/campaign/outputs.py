"""What must hold of the results of a run over files: every input is accounted for, every file can be read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image


def failures_of(folder: Path) -> list[str]:
    """The paths that a case printed as failed with `--json`."""
    text = (folder / "out.txt").read_text(encoding="utf-8", errors="surrogateescape")
    return [one["path"] for one in json.loads(text)["failures"]]


def unaccounted(inputs: Iterable[Path], output: Path, failures: Iterable[str]) -> list[str]:
    """Inputs that were neither segmented nor named as failed, or both; and names that were not given."""
    done = {record["path"] for path in sorted((output / ".ahs-seg").glob("done-*.jsonl")) for record in _lines(path)}
    failed, given = set(failures), {str(path) for path in inputs}
    faults = [f"{name} is neither segmented nor named as failed" for name in sorted(given - done - failed)]
    faults += [f"{name} is segmented and named as failed" for name in sorted(done & failed)]
    return faults + [f"{name} was not given" for name in sorted((done | failed) - given)]


def unreadable(output: Path) -> Iterator[str]:
    """Files of an output folder that are not whole."""
    for path in sorted(output.rglob("*")):
        if path.is_file() and not path.relative_to(output).parts[0].startswith(".ahs-seg"):
            try:
                _read(path)
            except Exception as error:  # noqa: BLE001  # every way to be unreadable is a fault
                yield f"{path.relative_to(output)}: {type(error).__name__}: {error}"


def leftovers(output: Path) -> list[str]:
    """Drafts that a finished run has not removed."""
    hidden = (path for path in output.rglob(".*") if path.name not in (".ahs-seg", ".parts"))
    return [f"left behind: {path.relative_to(output)}" for path in sorted(hidden)]


def contents(output: Path) -> dict[str, bytes]:
    """The results below a folder by name, without the journal."""
    paths = (path for path in output.rglob("*") if path.is_file() and ".ahs-seg" not in path.parts)
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in sorted(paths)}


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _read(path: Path) -> None:
    if path.suffix in (".png", ".tif"):
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            assert {name: arrays[name].shape for name in arrays}
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".xml":
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
    else:
        path.read_text(encoding="utf-8")
