"""Text embeddings on disk, in immutable files whose names are the hashes of their contents."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.digest import file_digest

logger = logging.getLogger(__name__)


class TextStore:
    """Text embeddings in a directory, with a folder for each `model`; the directory may be deleted at any time.

    Each write adds one file, atomically, and no file is changed afterwards. The name of a file is the hash of its
    content, by which a damaged file is detected, reported and removed. Several processes may share a directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._places: dict[str, dict[str, Path]] = {}
        self._seen: set[Path] = set()

    def read(self, model: str, texts: Iterable[str]) -> dict[str, Tensor]:
        """The stored embeddings for `model`; texts without one are left out of the result."""
        places = self._refresh(model)
        wanted: dict[Path, list[str]] = {}
        for text in texts:
            if text in places:
                wanted.setdefault(places[text], []).append(text)
        found: dict[str, Tensor] = {}
        for path, members in wanted.items():
            stored = _load(path)
            found |= {text: stored[text] for text in members if text in stored}
        return found

    def write(self, model: str, embeddings: Mapping[str, Tensor]) -> None:
        """Store embeddings for `model`; if the directory is not writable, log a warning and store nothing."""
        tensors = {"embeddings": torch.stack(list(embeddings.values())).cpu().float()}
        content = save(tensors, {"texts": json.dumps(list(embeddings))})
        folder = self.directory / model
        path = folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
        try:
            write_bytes(path, content)
        except OSError as error:
            logger.warning("text embeddings cannot be stored in %s: %s", folder, error)
            return
        self._seen.add(path)
        self._places.setdefault(model, {}).update(dict.fromkeys(embeddings, path))

    def _refresh(self, model: str) -> dict[str, Path]:
        places = self._places.setdefault(model, {})
        for path in sorted(set((self.directory / model).glob("*.safetensors")) - self._seen):
            self._seen.add(path)
            places.update(dict.fromkeys(_load(path), path))
        return places


def _load(path: Path) -> dict[str, Tensor]:
    """The texts and embeddings of one file; empty if it is missing or damaged (a damaged file is removed)."""
    try:
        if file_digest(path) != path.stem:
            logger.warning("%s is damaged; its text embeddings are computed again", path)
            path.unlink()
            return {}
        with safe_open(path, "pt") as tensors:
            return dict(zip(json.loads(tensors.metadata()["texts"]), tensors.get_tensor("embeddings"), strict=True))
    except FileNotFoundError:
        return {}
