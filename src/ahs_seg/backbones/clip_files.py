"""The files of one backbone: sizes, tokenizer, image statistics and weights; whatever they lack is an error."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from huggingface_hub.errors import StrictDataclassError
from pydantic import ConfigDict, Field, PositiveFloat

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.foreign_layouts import named_by_keys, named_by_type
from ahs_seg.backbones.image_statistics import Numbers, read_statistics
from ahs_seg.backbones.kinds import KINDS, Kind
from ahs_seg.backbones.pretrained import CONFIG, find_files, read_settings, stored_weights
from ahs_seg.backbones.tokenizer import TextTokenizer
from ahs_seg.backbones.two_towers import TwoTowerBackbone
from ahs_seg.config import Config, ConfigError, Layers, Side, Width
from ahs_seg.errors import CheckpointError
from ahs_seg.io.weight_files import StoredTensor, differences, fill, largest_index
from ahs_seg.io.wrappers import unwrap
from ahs_seg.modules.unfilled import shapes_only

logger = logging.getLogger(__name__)

TOWERS: Final = ("vision_model", "text_model")
_WITHOUT_VALUE: Final = re.compile(
    r"(vision_model|text_model)\.(roberta\.)?(embeddings\.(position_ids|token_type_ids)|pooler\.dense\.(weight|bias))$"
)
"""Keys of older files that no result depends on: numbers of positions, and a pooler that a BERT brought along."""
_UNBUILDABLE: Final = (
    StrictDataclassError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
)
_LARGEST_VOCABULARY: Final = 2**22


class _Lenient(Config):
    model_config = ConfigDict(extra="ignore")


class _Tower(_Lenient):
    """Sizes of a tower, checked before a network of that size is built; what is not given has the size of ViT-B/32."""

    hidden_size: Width | None = None
    intermediate_size: Width | None = None
    num_hidden_layers: Layers | None = None
    num_attention_heads: Width | None = None
    layer_norm_eps: PositiveFloat | None = None


class _ImageTower(_Tower):
    mlp_ratio: Annotated[float, Field(gt=0, le=64)] | None = None
    num_register_tokens: Annotated[int, Field(ge=0, le=1024)] | None = None
    image_size: Side | None = None
    patch_size: Side | None = None
    num_patches: Annotated[int, Field(ge=1, le=_LARGEST_VOCABULARY)] | None = None
    num_channels: Annotated[int, Field(ge=3, le=3)] | None = None


class _TextTower(_Tower):
    vocab_size: Annotated[int, Field(ge=1, le=_LARGEST_VOCABULARY)] | None = None
    max_position_embeddings: Width | None = None
    type_vocab_size: Width | None = None
    projection_size: Width | None = None
    project_dim: Width | None = None


@dataclass(frozen=True)
class ClipFiles:
    """A backbone that is not yet built: its directory, kind, sizes, tokenizer and image statistics."""

    directory: Path
    model_type: str
    config: Any
    tokenizer: TextTokenizer
    mean: Numbers
    std: Numbers

    @classmethod
    def open(cls, source: str) -> ClipFiles:
        """Everything but the weights, from a directory or from the hub (`owner/name@revision`).

        Raises:
            BackboneError: a file is missing or damaged, is of another kind of model, or has values that cannot work.
        """
        directory = find_files(source)
        values = read_settings(directory / CONFIG)
        model_type = values.get("model_type")
        if not isinstance(model_type, str) or model_type not in KINDS:
            raise BackboneError(f"{directory} {named_by_type(model_type)}")
        kind = KINDS[model_type]
        config = checked_config(values, source=str(directory / CONFIG), kind=kind)
        tokenizer = kind.tokenizer(directory, config.text_config)
        mean, std = read_statistics(directory, usual=kind.usual, title=kind.title)
        return cls(directory, model_type, config, tokenizer, mean, std)

    @property
    def kind(self) -> Kind:
        """The kind of network that the config names."""
        return KINDS[self.model_type]

    def build_empty(self, resolution: int | None) -> TwoTowerBackbone:
        """The backbone with uninitialised weights."""
        try:
            model = self.kind.build_empty(self.config)
            side = resolution or self.kind.backbone.native_resolution(self.config)
        except _UNBUILDABLE as error:
            raise BackboneError(
                f"{self.directory / CONFIG} has values that {_none(self.kind)} can have: {error}"
            ) from None
        return self.kind.backbone(model.eval(), self.tokenizer, resolution=side, mean=self.mean, std=self.std)

    def build(self, resolution: int | None) -> TwoTowerBackbone:
        """The backbone with the weights of the file, each of which is used.

        Raises:
            BackboneError: weights are missing, unexpected, of another shape or type, or not finite; they are named.
        """
        kind = self.kind
        stored = unwrap(
            {
                name: tensor
                for name, tensor in stored_weights(self.directory).items()
                if not _WITHOUT_VALUE.search(name)
            },
            lambda names: any(mark in names for mark in kind.marks),
        )
        for note in stored.removed:
            logger.warning("%s: %s", self.directory, note)
        for name, why in (stored.left_out or {}).items():
            logger.warning("%s: %s was left out (%s)", self.directory, name, why)
        weights = kind.own_weights(stored.tensors, self.config)
        self.check_layers(weights, "")
        with shapes_only():
            expected = self.build_empty(resolution).model.state_dict()
        if faults := differences(weights, expected):
            named = named_by_keys(weights, self.model_type)
            raise BackboneError(f"{self.directory}: {named}the weights do not fit: {faults}")
        backbone = self.build_empty(resolution)
        try:
            fill(backbone.model, weights, self.directory)
        except CheckpointError as error:
            raise BackboneError(str(error)) from None
        return backbone

    def check_layers(self, stored: Mapping[str, StoredTensor], prefix: str) -> None:
        """Check that the weights have as many layers as `config.json` claims, before any of them is built."""
        for tower, layers in self.kind.layers.items():
            claimed = getattr(self.config, tower.replace("model", "config")).num_hidden_layers
            found = largest_index(stored, f"{prefix}{layers}")
            if claimed > found:
                what = "" if prefix else named_by_keys(stored, self.model_type)
                raise BackboneError(
                    f"{self.directory}: {what}{CONFIG} claims {claimed} layers in {tower}, the weights have {found}"
                )


def checked_config(values: Mapping[str, Any], *, source: str, kind: Kind = KINDS["clip"]) -> Any:
    """The config of a network with these values, whose sizes are first compared with the limits of every config.

    Raises:
        BackboneError: a size is beyond the limits, or there are values that no network of this kind can have.
    """
    try:
        for key, sizes in (("vision_config", _ImageTower), ("text_config", _TextTower)):
            if isinstance(values.get(key), dict):
                sizes.parse(values[key], source=f"{source}: {key}")
        return kind.read_config(values)
    except ConfigError as error:
        raise BackboneError(str(error)) from None
    except _UNBUILDABLE as error:
        raise BackboneError(f"{source} has values that {_none(kind)} can have: {error}") from None


def _none(kind: Kind) -> str:
    return f"no {kind.title.partition(' ')[2]}"
