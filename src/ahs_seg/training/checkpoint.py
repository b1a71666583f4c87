"""Training checkpoints on disk: written atomically, verified by digest when read, without executable content.

A checkpoint is a directory `step-00001000` with `tensors.safetensors` and `state.json`. It gets its name when complete
(see `ahs_seg.io.atomic`), and holds SHA-256 digests of its content, so that damage is detected.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ahs_seg.documents import DocumentError, read_mapping
from ahs_seg.errors import AhsSegError
from ahs_seg.io.atomic import replacing_directory, write_text
from ahs_seg.io.digest import file_digest

TENSORS, STATE = "tensors.safetensors", "state.json"
_PREFIX = "step-"


class TrainingCheckpointError(AhsSegError, ValueError):
    """A checkpoint that is damaged, or does not fit what it is loaded into."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after `step` steps: tensors and plain values; `score` is that of an evaluation at this step."""

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, JsonValue]
    score: float | None = None


def write(root: Path, checkpoint: Checkpoint) -> Path:
    """Save a checkpoint below `root`, replacing one of the same step, and return its path."""
    target = root / f"{_PREFIX}{checkpoint.step:08d}"
    with replacing_directory(target) as draft:
        save_file(dict(checkpoint.tensors), draft / TENSORS)
        content: dict[str, JsonValue] = {
            "step": checkpoint.step,
            "score": checkpoint.score,
            "tensors_sha256": file_digest(draft / TENSORS),
            "state": dict(checkpoint.state),
        }
        document = {"sha256": _digest_json(content), "content": content}
        write_text(draft / STATE, json.dumps(document, indent=1))
    return target


def read(path: Path) -> Checkpoint:
    """Load the checkpoint in a directory and verify its digests.

    Raises:
        TrainingCheckpointError: it is incomplete or damaged; the message says which file and how.
    """
    content = _read_content(path)
    try:
        # Read, not memory-mapped: the verified bytes are the bytes used, even if the file changes afterwards.
        data = (path / TENSORS).read_bytes()
        if hashlib.sha256(data).hexdigest() != content["tensors_sha256"]:
            raise TrainingCheckpointError(
                f"{path / TENSORS}: damaged (its content does not match the digest in {STATE})"
            )
        tensors = load(data)
    except (OSError, SafetensorError) as error:
        raise TrainingCheckpointError(f"{path / TENSORS}: cannot be read: {error}") from None
    return Checkpoint(content["step"], tensors, content["state"], content["score"])  # type: ignore[arg-type]  # as written


def find(root: Path) -> list[Path]:
    """Paths of the finished checkpoints below `root`, oldest first; their content is not verified."""
    return sorted(path for path in root.glob(f"{_PREFIX}*") if path.is_dir())


def newest(root: Path) -> tuple[Path | None, list[str]]:
    """Path of the newest readable checkpoint, and an error message for each newer one that is damaged.

    Damaged ones are renamed to `damaged-step-...`: they no longer count as checkpoints, but are not deleted.
    """
    faults = []
    for path in reversed(find(root)):
        try:
            read(path)
        except TrainingCheckpointError as error:
            faults.append(str(error))
            aside = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        else:
            return path, faults
    return None, faults


def last(root: Path) -> Path | None:
    """Path of the newest finished checkpoint, without verifying it; None if there is none."""
    found = find(root)
    return found[-1] if found else None


def best(root: Path) -> Path | None:
    """Path of the checkpoint with the highest score (of equal scores, the oldest); None if none has a score."""
    ranked = _ranked(root)
    return ranked[0] if ranked else None


def prune(root: Path, *, keep_last: int, keep_best: int) -> None:
    """Remove unfinished checkpoints, and all but the newest and the best finished ones."""
    keep = {*find(root)[-keep_last:], *_ranked(root)[:keep_best]}
    for path in find(root):
        if path not in keep:
            _remove(path)
    for path in root.glob(f".{_PREFIX}*"):
        shutil.rmtree(path)


def _remove(path: Path) -> None:
    """Delete a checkpoint; it is renamed first, so that a partly deleted one is never taken for a finished one."""
    going = path.with_name(f".{path.name}.old")
    shutil.rmtree(going, ignore_errors=True)
    path.rename(going)
    shutil.rmtree(going)


def _ranked(root: Path) -> list[Path]:
    scores = {}
    for path in find(root):
        try:
            scores[path] = _read_content(path)["score"]
        except TrainingCheckpointError:
            continue  # `newest` and `read` report damage; here a damaged checkpoint is only left out of the ranking
    scored = [(path, score) for path, score in scores.items() if isinstance(score, float)]
    return [path for path, _ in sorted(scored, key=lambda pair: -pair[1])]


def _read_content(path: Path) -> dict[str, JsonValue]:
    file = path / STATE
    try:
        document = read_mapping(file)
    except OSError as error:
        raise TrainingCheckpointError(f"{file}: cannot be read: {error}") from None
    except DocumentError as error:
        raise TrainingCheckpointError(f"not the state of a checkpoint: {error}") from None
    if not isinstance(document.get("content"), dict):
        raise TrainingCheckpointError(f"{file}: not the state of a checkpoint")
    content: dict[str, JsonValue] = document["content"]
    if document.get("sha256") != _digest_json(content):
        raise TrainingCheckpointError(f"{file}: damaged (its content does not match its digest)")
    return content


def _digest_json(content: Mapping[str, JsonValue]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
