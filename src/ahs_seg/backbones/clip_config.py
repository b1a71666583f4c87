"""Configuration of a CLIP backbone: a name on the hub, a local directory, or the packaged tiny CLIP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoTokenizer, CLIPConfig
from transformers.initialization import no_init_weights
from transformers.utils import logging as transformers_logging

from ahs_seg.backbones.base import Backbone, BackboneError
from ahs_seg.backbones.clip import CLIP_MEAN, CLIP_STD, ClipBackbone, StemmedClipModel
from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.config import Config, Side
from ahs_seg.io.atomic import replacing_directory

TINY = "tiny"


class ClipConfig(Config):
    """A CLIP from the Hugging Face hub ("openai/clip-vit-base-patch16"), a local directory, or the package ("tiny").

    `resolution` is the side, in pixels, to which methods resize images (None: the resolution of the pre-training).
    """

    name: Literal["clip"] = "clip"
    source: str = "openai/clip-vit-base-patch16"
    resolution: Side | None = None

    def build(self) -> ClipBackbone:
        """The backbone with its pre-trained weights.

        Raises:
            BackboneError: `source` is neither a directory, nor a name that can be loaded from the hub, nor "tiny".
        """
        source = self._resolve()
        try:
            with _quiet():
                model = StemmedClipModel.from_pretrained(source, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise BackboneError(
                f"cannot load a CLIP from {self.source!r}: {error}\n"
                "Give a directory in the format of transformers, a CLIP on the hub such as "
                f"'openai/clip-vit-base-patch16', or {TINY!r}."
            ) from error
        return self._wrap(model, source)

    def build_empty(self) -> ClipBackbone:
        """The backbone with uninitialised weights; only configuration and tokenizer are loaded."""
        source = self._resolve()
        with no_init_weights():  # initialising them would take longer than loading the real ones
            return self._wrap(StemmedClipModel(CLIPConfig.from_pretrained(source)), source)

    def _resolve(self) -> str:
        return str(files("ahs_seg") / "assets" / "tiny_clip") if self.source == TINY else self.source

    def _wrap(self, model: StemmedClipModel, source: str) -> ClipBackbone:
        mean, std = _read_statistics(Path(source))
        tokenizer = load_tokenizer(source, context=model.config.text_config.max_position_embeddings)
        resolution = self.resolution or model.config.vision_config.image_size
        return ClipBackbone(model.eval(), tokenizer, resolution=resolution, mean=mean, std=std)


def load_tokenizer(source: str, *, context: int) -> ClipTokenizer:
    """The tokenizer of a CLIP, from `tokenizer.json` of a directory or by its name on the hub."""
    path = Path(source) / "tokenizer.json"
    local = path.is_file()
    core = Tokenizer.from_file(str(path)) if local else AutoTokenizer.from_pretrained(source).backend_tokenizer
    start, end = (core.token_to_id(word) for word in ("<|startoftext|>", "<|endoftext|>"))
    if start is None or end is None:
        raise BackboneError(f"the tokenizer of {source!r} has no <|startoftext|> and <|endoftext|>; it is not CLIP's")
    return ClipTokenizer(core, context=context, start=start, end=end)


def save_clip(state: Mapping[str, Tensor], backbone: Backbone, directory: Path) -> None:
    """Write a CLIP in the format of `transformers`; `ClipConfig(source=directory)` loads it.

    The weights are those of `state`; configuration, tokenizer and image statistics are those of `backbone`. The
    directory is written completely or not at all.
    """
    with replacing_directory(directory) as draft:
        backbone.save_description(draft)
        tensors = {key: value.detach().contiguous() for key, value in state.items()}
        save_file(tensors, draft / "model.safetensors", metadata={"format": "pt"})


def _read_statistics(directory: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    path = directory / "preprocessor_config.json"
    if not path.is_file():
        return CLIP_MEAN, CLIP_STD
    values = json.loads(path.read_text(encoding="utf-8"))
    return tuple(values["image_mean"]), tuple(values["image_std"])


class _quiet:  # noqa: N801  # reads as a statement: with _quiet()
    """Context manager that disables the progress bars of `transformers`, which would overwrite ours."""

    def __enter__(self) -> None:
        transformers_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        transformers_logging.enable_progress_bar()
