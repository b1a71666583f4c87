"""Models by name: local directories, repositories of the hub, and published checkpoints, imported once and cached."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from huggingface_hub import cached_assets_path, constants
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # public, but not in its `__all__`

from ahs_seg.checkpoints.hub import fetch_model
from ahs_seg.checkpoints.importing.run import import_checkpoint, published
from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import HubName, RepositoryKind, fetch
from ahs_seg.vocabulary.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownCheckpoint:
    """Location of a checkpoint published by the authors of a method, and the vocabulary of its training."""

    method: Literal["cat_seg", "h_clip", "ebseg"]
    repository: str
    filename: str
    repository_kind: RepositoryKind = "model"
    vocabulary: str = "coco-stuff-171"

    def description(self) -> ModelDescription:
        """The description of the published method, with the class names of the training."""
        trained_on = tuple(Vocabulary.known(self.vocabulary).labels)
        return published(self.method).replace(trained_on=trained_on)


KNOWN_CHECKPOINTS: Final = {
    "cat-seg-vitb": KnownCheckpoint("cat_seg", "hamacojr/CAT-Seg-weights", "model_base.pth", "space"),
    "cat-seg-vitl": KnownCheckpoint("cat_seg", "hamacojr/CAT-Seg-weights", "model_large.pth", "space"),
    "ebseg-vitb": KnownCheckpoint("ebseg", "slonetime/EBSeg", "EBSeg_base.pth"),
    "ebseg-vitl": KnownCheckpoint("ebseg", "slonetime/EBSeg", "EBSeg_large.pth"),
}
"""Published checkpoints by name; the repositories are those in the authors' README."""


def find_model(source: Path | str, *, tokenizer: Path | None = None, endpoint: str | None = None) -> Path:
    """The path of a model directory, from a local path, the name of a known checkpoint, or `owner/name` on the hub.

    Names may end in `@revision`, a branch, a tag or a commit; without it, the newest commit is used.

    A known checkpoint is downloaded and imported at the first use, with CLIP's tokenizer unless one is given; later
    uses need no network. It is stored beside the hub's cache (in `assets/ahs-seg` of `HF_HOME`).

    Raises:
        CheckpointError: `source` is none of these, or cannot be downloaded or imported.
    """
    path = Path(source)
    if path.exists():
        return path
    name = HubName.parse(str(source))
    if name is not None and name.repository in KNOWN_CHECKPOINTS:
        return _imported(name, KNOWN_CHECKPOINTS[name.repository], tokenizer, endpoint)
    if name is not None and "/" in name.repository:
        return fetch_model(str(name), endpoint=endpoint)
    raise CheckpointError(
        f"{str(source)!r} is not a model directory, not a known checkpoint ({', '.join(KNOWN_CHECKPOINTS)}) and not "
        "an owner/name or owner/name@revision of the hub. Check the path or the name."
    )


def find_known(name: str) -> KnownCheckpoint | None:
    """The known checkpoint of this name, which may end in `@revision`; None: there is none."""
    parsed = HubName.parse(name)
    return None if parsed is None else KNOWN_CHECKPOINTS.get(parsed.repository)


def fetch_known(name: str, *, endpoint: str | None = None) -> Path:
    """Path of the file of a known checkpoint as published by its authors, downloaded if needed.

    `name` may end in `@revision`, with a branch, a tag or a commit of the authors' repository.
    """
    parsed = HubName.parse(name)
    assert parsed is not None
    known = KNOWN_CHECKPOINTS[parsed.repository]
    remedy = f"then `ahs-seg import {known.filename} --as {known.method} -o DIRECTORY` and use that directory"
    source = HubName(known.repository, parsed.revision)
    return fetch(source, known.filename, kind=known.repository_kind, remedy=remedy, endpoint=endpoint)


def _imported(name: HubName, known: KnownCheckpoint, tokenizer: Path | None, endpoint: str | None) -> Path:
    description = known.description()
    version = f"imported-{description.format}"
    folder = cached_assets_path("ahs-seg", version, "models", assets_dir=constants.HF_ASSETS_CACHE)
    target = folder / str(name).replace("/", "--")
    with WeakFileLock(folder / f".{target.name}.lock"):  # another process may be importing the same
        if not target.exists():
            checkpoint = fetch_known(str(name), endpoint=endpoint)
            report = import_checkpoint(
                checkpoint, known.method, target, description=description, tokenizer=tokenizer, endpoint=endpoint
            )
            logger.info("%s\nstored in %s", report, target)
    return target
