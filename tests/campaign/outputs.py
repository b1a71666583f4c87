"""What must hold of the results of a run over files: every input is accounted for, every file can be read again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import yaml
from PIL import Image
from safetensors.numpy import load_file

VOLATILE: Final = frozenset({"seconds", "minutes", "provenance", "date", "command", "images_per_second"})
"""Keys and columns that differ between two runs of the same thing."""

GROWING: Final = frozenset({".csv", ".log", ".jsonl", ".txt"})
"""Files that grow line by line while a run goes on; everything else is whole whenever it is there."""

CACHES: Final = (".cache", ".config")
"""Folders that matplotlib makes in the home folder of a process."""


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
        hidden = any(part.startswith(".") for part in path.relative_to(output).parts)
        if path.is_file() and not hidden and path.suffix not in GROWING and "tfevents" not in path.name:
            try:
                _read(path)
            except Exception as error:  # noqa: BLE001  # every way to be unreadable is a fault
                yield f"{path.relative_to(output)}: {type(error).__name__}: {error}"


def stable(output: Path) -> dict[str, Any]:
    """What two runs of the same thing have in common: all files by name, without times, dates, logs and journals."""
    found: dict[str, Any] = {}
    for name, content in contents(output).items():
        parts = Path(name).parts
        if (
            any(part.startswith(".") for part in parts)
            or name.endswith((".html", ".log", ".jsonl", "log.txt"))
            or "events" in name
        ):
            continue
        if name.endswith(".json"):
            found[name] = _timeless(json.loads(content))
        elif name.endswith(".csv"):
            found[name] = [
                {key: value for key, value in row.items() if key not in VOLATILE}
                for row in csv.DictReader(content.decode().splitlines())
            ]
        elif name.endswith(".md"):
            found[name] = re.sub(rb"\| \d+ s \|", b"|  |", content)
        else:
            found[name] = content
    return found


def _timeless(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _timeless(value) for key, value in node.items() if key not in VOLATILE}
    return [_timeless(each) for each in node] if isinstance(node, list) else node


def differences(resumed: dict[str, Any], finished: dict[str, Any], kind: str) -> list[str]:
    """How the results of a resumed run differ from those of a whole one; `kind` is how it ended."""
    names = sorted(name for name in resumed.keys() | finished.keys() if resumed.get(name) != finished.get(name))
    return [*(f"{name} differs" for name in names), *([] if kind == "done" else [f"ends as {kind}"])]


def leftovers(output: Path) -> list[str]:
    """Drafts that a finished run has not removed."""
    hidden = (path for path in output.rglob(".*") if path.name not in (".ahs-seg", ".parts", *CACHES))
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
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix == ".yaml":
        yaml.safe_load(path.read_text(encoding="utf-8"))
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    elif path.suffix == ".xml":
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
    else:
        path.read_bytes()
