"""Model directories on this machine: those in the cache, and those of the runs in a folder."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ahs_seg.checkpoints.model_dir import CONFIG, MODEL_TYPE, ModelDescription, read_description
from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import CheckpointError
from ahs_seg.io.cache_folder import cache_folder

MODEL: Final = "model"
"""The folder of a run in which its model lies."""
_RUNS: Final = ("runs", "quickstart", "models")


@dataclass(frozen=True)
class LocalModel:
    """A model on this machine: the name that `from_pretrained` takes, its directory, size, and what it says of itself.

    `fault` says why it cannot be used; None: its description can be read.
    """

    name: str
    directory: Path
    megabytes: float
    description: ModelDescription | None = None
    fault: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All values as plain types for JSON."""
        told = self.description
        training = None if told is None else told.origin
        return {
            "name": self.name,
            "directory": str(self.directory),
            "megabytes": round(self.megabytes, 1),
            "method": None if told is None else told.method.name,
            "backbone": None if told is None else told.method.backbone.source,
            "knows": None if training is None else training.kind,
            "trained_on": None if training is None else training.data,
            "classes_in_training": None if told is None else len(told.trained_on),
            "fault": self.fault,
        }


def model_directory(path: Path) -> Path:
    """The model directory at a path: itself, or the one in a run directory (`runs/s3`, `quickstart`).

    Raises:
        CheckpointError: there are several, which the message names.
    """
    if (path / CONFIG).exists() or not path.is_dir():
        return path
    found = _below(path)
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise CheckpointError(f"{path} has {len(found)} models: {names}. Give one of them.")
    return found[0] if found else path


def local_models(root: Path = Path()) -> list[LocalModel]:
    """The models in the cache, and those in `runs`, `quickstart` and `models` below `root`, in this order."""
    cached = cache_folder() / "models"
    entries = sorted(cached.iterdir()) if cached.is_dir() else []
    found = [
        _described(path.name.replace("--", "/"), path)
        for path in entries
        if path.is_dir() and not path.name.startswith(".")
    ]
    for folder in _RUNS:
        found += [_described(str(path), path) for path in _below(root / folder)]
    return found


def _below(folder: Path) -> list[Path]:
    """Model directories directly below a folder, in its `model`, or in that of a run below it."""
    places = (folder / MODEL, *folder.glob("*"), *folder.glob(f"*/{MODEL}"))
    return sorted({path for path in places if _is_model(path)})


def _is_model(path: Path) -> bool:
    try:
        return read_mapping(path / CONFIG).get("model_type") == MODEL_TYPE
    except (OSError, DocumentError):
        return False


def _described(name: str, path: Path) -> LocalModel:
    size = sum(map(_bytes_of, path.rglob("*"))) / 1e6
    try:
        return LocalModel(name, path, size, read_description(path))
    except CheckpointError as error:
        return LocalModel(name, path, size, fault=str(error))


def _bytes_of(path: Path) -> int:
    """Size of a file; 0 for a folder, and for what is gone meanwhile or cannot be reached."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
