"""Text embeddings on disk: the results of whole computations, so that reading one changes no bit of any result."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ahs_seg.io.atomic import write_bytes
from ahs_seg.io.digest import weights_digest
from ahs_seg.io.provenance import processor

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 512 * 2**20
"""Size of a store of text embeddings unless another is given: 250,000 prompts of a ViT-B."""
_ENDING: Final = ".safetensors"
_KEPT_SHARE: Final = 0.9
_LARGEST_FILE: Final = 64 * 2**20


class TextStore:
    """Embeddings of batches of texts in a directory, up to `max_bytes`; the least recently used are removed.

    A file holds what one call of a text tower returned. Its name is the hash of everything that determines the values:
    the weights (`model`), all texts of the batch, the device, the number of threads, the processor and the version of
    PyTorch. So a result read from here has the bits that computing it again would have.

    Several processes may share a directory, and it may be deleted at any time. Files are written atomically, in folders
    that only this user may enter. A file that is damaged is removed, and a directory that cannot be used is reported
    once: both cost a computation.
    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._reported = False

    def read(self, model: str, texts: Sequence[str], device: torch.device) -> Float[Tensor, "n d"] | None:
        """The stored embeddings of a batch of texts, or None."""
        path = self._path(model, texts, device)
        try:
            found = _load(path, len(texts))
            if found is None:
                logger.warning("%s is damaged; its text embeddings are computed again", path)
                path.unlink(missing_ok=True)
            else:
                with suppress(OSError):  # removed meanwhile, or a system that cannot be written
                    os.utime(path)  # the least recently used are removed first
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._report(error)
            return None
        return found

    def write(self, model: str, texts: Sequence[str], device: torch.device, rows: Float[Tensor, "n d"]) -> None:
        """Store the embeddings of a batch of texts, if the directory can be written."""
        path = self._path(model, texts, device)
        content = save({"embeddings": rows.contiguous(), "digest": _digest(rows)})
        if len(content) > min(self.max_bytes, _LARGEST_FILE):
            return
        try:
            _make_private(self.directory)
            _make_private(path.parent)
            write_bytes(path, content)
            self._make_room()
        except OSError as error:
            self._report(error)

    def _path(self, model: str, texts: Sequence[str], device: torch.device) -> Path:
        key = json.dumps([_arithmetic(device), list(texts)])
        return self.directory / model / f"{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}{_ENDING}"

    def _make_room(self) -> None:
        """Remove the least recently used files if there is more than `max_bytes`."""
        known = []
        for path in self.directory.glob(f"*/*{_ENDING}"):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process has removed it
                continue
            known.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(size for _, size, _ in known) - self.max_bytes
        if excess <= 0:
            return
        excess += int((1 - _KEPT_SHARE) * self.max_bytes)
        for _, size, path in sorted(known)[:-1]:  # the newest is the one that was just written
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size

    def _report(self, error: OSError) -> None:
        if not self._reported:
            logger.warning(
                "text embeddings are not kept on disk (%s); they are computed again in the next run", _reason(error)
            )
        self._reported = True


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _make_private(folder: Path) -> None:
    """Make a folder that only this user may enter; one that is there must belong to this user."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to another user", str(folder))


def _load(path: Path, count: int) -> Tensor | None:
    """The embeddings of a file, or None if they are not as many as wanted, or not those that were written."""
    if path.stat().st_size > _LARGEST_FILE:
        return None
    try:
        tensors = load(path.read_bytes())
        rows, digest = tensors["embeddings"], tensors["digest"]
    except (SafetensorError, ValueError, KeyError):
        return None
    if rows.dtype != torch.float32 or rows.ndim != 2 or len(rows) != count:  # [n d]
        return None
    return rows if torch.equal(_digest(rows), digest) else None


def _digest(rows: Tensor) -> Tensor:
    return torch.tensor(list(bytes.fromhex(weights_digest([(str(tuple(rows.shape)), rows)]))), dtype=torch.uint8)


def _arithmetic(device: torch.device) -> list[str | int]:
    """What rounding depends on besides the numbers: software, and the order in which this machine sums."""
    software: list[str | int] = [torch.__version__, torch.get_float32_matmul_precision(), device.type]
    if device.type == "cuda":
        return [*software, torch.cuda.get_device_name(device), str(torch.backends.cuda.matmul.allow_tf32)]
    if device.type == "cpu":
        return [*software, _processor(), torch.get_num_threads()]
    return [*software, platform.machine()]


@cache
def _processor() -> str:
    return f"{platform.machine()} {processor()} {torch.backends.cpu.get_cpu_capability()}"
