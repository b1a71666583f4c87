"""Models by name: local directories, repositories of the hub, published checkpoints, and training-free segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ahs_seg.checkpoints.acquire import imported
from ahs_seg.checkpoints.hub import fetch_model
from ahs_seg.checkpoints.known import KNOWN_CHECKPOINTS
from ahs_seg.checkpoints.local import model_directory
from ahs_seg.checkpoints.model_dir import ModelDescription, load_model
from ahs_seg.checkpoints.training_free import PREFIX, clip_of, open_training_free
from ahs_seg.errors import CheckpointError
from ahs_seg.io.hub import HubName
from ahs_seg.methods import BaseMethodConfig, Method
from ahs_seg.tuners import TunerConfig


def find_model(source: Path | str) -> Path:
    """The path of a model directory, from a local path, the name of a known checkpoint, or `owner/name` on the hub.

    A local path may be that of a run (`runs/s3`, `quickstart`), which contains the model directory. Names may end in
    `@revision`, a branch, a tag or a commit; without it, the newest commit is used.

    A known checkpoint is downloaded and imported at the first use; later uses need no network
    (`checkpoints.acquire.imported`).

    Raises:
        CheckpointError: `source` is none of these, or cannot be downloaded or imported.
    """
    path = Path(source)
    if (clip := clip_of(source)) is not None:
        raise CheckpointError(
            f"{str(source)!r} is a CLIP, and a model directory is needed here. Write that of its training-free "
            f"segmentation with `ahs-seg import {PREFIX}{clip} -o DIRECTORY` and give the directory."
        )
    if path.exists():
        return model_directory(path)
    name = HubName.parse(str(source))
    if name is not None and name.repository in KNOWN_CHECKPOINTS:
        return imported(name)
    if name is not None and "/" in name.repository:
        return fetch_model(name)
    raise CheckpointError(
        f"{str(source)!r} is not a model directory, not a known checkpoint ({', '.join(KNOWN_CHECKPOINTS)}) and not "
        f"an owner/name or owner/name@revision of the hub; {PREFIX}owner/name is training-free segmentation with a "
        "CLIP. Check the path or the name; `ahs-seg models` lists what is known and what is here."
    )


def open_model(
    source: Path | str, *, methods: Sequence[type[BaseMethodConfig]] = (), tuners: Sequence[type[TunerConfig]] = ()
) -> tuple[ModelDescription, Method]:
    """The description and the method (in evaluation mode, on the CPU) of any source that `Segmenter` takes.

    Besides those of `find_model`, these are `clip:owner/name` and the directory of a CLIP: training-free segmentation.
    `methods` and `tuners` as in `load_model`.

    Raises:
        CheckpointError: `source` is none of these, or cannot be downloaded or read.
        BackboneError: there is no such CLIP.
    """
    if (clip := clip_of(source)) is not None:
        return open_training_free(clip)
    return load_model(find_model(source), methods=methods, tuners=tuners)
