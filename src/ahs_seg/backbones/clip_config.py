"""Configuration of a backbone: a name on the hub, a local directory, or the packaged tiny CLIP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeVar

from safetensors.torch import save_file
from torch import Tensor

from ahs_seg.backbones.base import Backbone, BackboneError, DenseForm
from ahs_seg.backbones.clip_files import ClipFiles
from ahs_seg.backbones.dense_forms import CAT_SEG
from ahs_seg.backbones.kinds import KINDS
from ahs_seg.backbones.pretrained import CONFIG, read_settings
from ahs_seg.backbones.tokenizer_files import TOKENIZER
from ahs_seg.config import Config, ConfigError, Side
from ahs_seg.io.atomic import replacing_directory
from ahs_seg.io.overwrite import check_holds_none, check_replaceable

TINY = "tiny"
_WEIGHTS: Final = "model.safetensors"
_FILES: Final = (CONFIG, _WEIGHTS, TOKENIZER, "preprocessor_config.json")
"""The files that `save_clip` writes, for every kind of backbone."""

AnyBackbone = TypeVar("AnyBackbone", bound=Backbone)


class ClipConfig(Config):
    """A CLIP from the Hugging Face hub ("openai/clip-vit-base-patch16"), a local directory, or the package ("tiny").

    It may also be a SigLIP, SigLIP 2, MetaCLIP 2, Chinese-CLIP, AltCLIP or TIPSv2: the kind is read from the
    `config.json` of the source. A name on the hub may end in `@revision`, a branch, a tag or a commit.

    `resolution` is the side, in pixels, to which methods resize images (None: the resolution of the pre-training).
    `dense` is the form in which the last block gives dense features (`backbones.dense_forms`). None is the method's
    own: `cat_seg` for the cost family, for others see there. SigLIP and TIPSv2 have one form.
    """

    name: Literal["clip"] = "clip"
    source: str = "openai/clip-vit-base-patch16"
    resolution: Side | None = None
    dense: DenseForm | None = None

    def build(self) -> Backbone:
        """The backbone with its pre-trained weights.

        Raises:
            BackboneError: `source` is neither a directory, nor a name that can be loaded from the hub, nor "tiny"; or a
                weight is missing, which the message names.
        """
        try:
            return self.in_form(self.open().build(self.resolution))
        except BackboneError as error:
            raise BackboneError(
                f"cannot load a CLIP from {self.source!r}: {error}.\n"
                "Give a directory in the format of transformers, a CLIP or one of its relatives on the hub such as "
                f"'openai/clip-vit-base-patch16', or {TINY!r}."
            ) from None

    def build_empty(self) -> Backbone:
        """The backbone with uninitialised weights; only configuration and tokenizer are loaded."""
        return self.in_form(self.open().build_empty(self.resolution))

    def in_form(self, backbone: AnyBackbone, default: DenseForm = CAT_SEG) -> AnyBackbone:
        """The backbone itself, set to the dense form of this config, or to the `default` of the method.

        Raises:
            ConfigError: the config names a form, and the backbone has only one of its own.
        """
        if backbone.has_dense_forms:
            backbone.dense_form = self.dense or default
        elif self.dense is not None:
            raise ConfigError(
                f"method.backbone.dense is {self.dense}, but a backbone of the kind {backbone.kind} has one dense form "
                "of its own; leave method.backbone.dense out"
            )
        return backbone

    def open(self) -> ClipFiles:
        """The files of the backbone, of which all but the weights are read."""
        return ClipFiles.open(str(files("ahs_seg") / "assets" / "tiny_clip") if self.source == TINY else self.source)


def check_clip_place(directory: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Check that `save_clip` may write at a path: nothing is there, or what it has written.

    Raises:
        OverwriteError: a file or another directory is there, or one that holds an input or other files.
    """
    check_holds_none(directory, inputs)
    check_replaceable(directory, "a CLIP", alike=_is_clip, names=_FILES)


def _is_clip(directory: Path) -> bool:
    try:
        return read_settings(directory / CONFIG).get("model_type") in KINDS
    except BackboneError:
        return False


def save_clip(state: Mapping[str, Tensor], backbone: Backbone, directory: Path) -> None:
    """Write a CLIP in the format of `transformers`; `ClipConfig(source=directory)` loads it.

    The weights are those of `state`; configuration, tokenizer and image statistics are those of `backbone`. The
    directory is written completely or not at all.
    """
    with replacing_directory(directory) as draft:
        backbone.save_description(draft)
        tensors = {key: value.detach().contiguous() for key, value in state.items()}
        save_file(tensors, draft / _WEIGHTS, metadata={"format": "pt"})
