"""A CLIP in the format of `transformers` on disk, whole or changed in one place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from ahs_seg.backbones.clip_config import save_clip
from tests.support.builders import random_backbone

Change = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]


def clip_directory(directory: Path) -> Path:
    """A small CLIP of random weights."""
    backbone = random_backbone(depth=1, text_depth=1)
    save_clip(backbone.network_state(), backbone, directory)
    return directory


def change_weights(directory: Path, change: Change) -> Path:
    """Write the weights again as `change` returns them."""
    path = directory / "model.safetensors"
    save_file({key: value.contiguous() for key, value in change(load_file(path)).items()}, path)
    return directory


def change_json(path: Path, **values: Any) -> None:
    """Set values of a JSON file; keys with a `__` are those of an inner mapping."""
    content = json.loads(path.read_text())
    for key, value in values.items():
        *outer, last = key.split("__")
        inner = content
        for name in outer:
            inner = inner[name]
        inner[last] = value
    path.write_text(json.dumps(content))
