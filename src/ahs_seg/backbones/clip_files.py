"""The files of one CLIP: sizes, tokenizer, image statistics and weights; whatever they lack is an error."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from huggingface_hub.errors import StrictDataclassError
from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat
from tokenizers import Tokenizer
from transformers import CLIPConfig, CLIPTokenizer
from transformers.initialization import no_init_weights

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.clip import CLIP_MEAN, CLIP_STD, ClipBackbone, StemmedClipModel
from ahs_seg.backbones.foreign_layouts import CLIP_MARKS, named_by_keys, named_by_type
from ahs_seg.backbones.pretrained import CONFIG, find_files, read_settings, stored_weights
from ahs_seg.backbones.tokenizer import ClipTokenizer
from ahs_seg.config import Config, ConfigError, Layers, Side, Width
from ahs_seg.documents import MAX_DOCUMENT_BYTES, DocumentError, read_text
from ahs_seg.errors import CheckpointError
from ahs_seg.io.weight_files import StoredTensor, differences, fill, largest_index
from ahs_seg.io.wrappers import unwrap

logger = logging.getLogger(__name__)

START, END = "<|startoftext|>", "<|endoftext|>"
TOWERS: Final = ("vision_model", "text_model")
_WITHOUT_VALUE: Final = re.compile(r"(vision_model|text_model)\.embeddings\.position_ids")
_UNBUILDABLE: Final = (
    StrictDataclassError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
)
_FORMER_END: Final = 2
"""`eos_token_id` in files of early versions of `transformers`, whatever the end token is."""
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
    image_size: Side | None = None
    patch_size: Side | None = None
    num_channels: Annotated[int, Field(ge=3, le=3)] | None = None


class _TextTower(_Tower):
    vocab_size: Annotated[int, Field(ge=1, le=_LARGEST_VOCABULARY)] | None = None
    max_position_embeddings: Width | None = None


class ImageStatistics(_Lenient):
    """How images are normalised: `preprocessor_config.json`."""

    image_mean: tuple[float, float, float] = CLIP_MEAN
    image_std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = CLIP_STD
    do_rescale: bool = True
    rescale_factor: NonNegativeFloat = 1 / 255
    do_normalize: bool = True


@dataclass(frozen=True)
class ClipFiles:
    """A CLIP that is not yet built: its directory, sizes, tokenizer and image statistics."""

    directory: Path
    config: CLIPConfig
    tokenizer: ClipTokenizer
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def open(cls, source: str) -> ClipFiles:
        """Everything but the weights, from a directory or from the hub (`owner/name@revision`).

        Raises:
            BackboneError: a file is missing or damaged, is of another kind of model, or has values that cannot work.
        """
        directory = find_files(source)
        config = read_clip_config(directory / CONFIG)
        text = config.text_config
        tokenizer = read_tokenizer(directory, words=text.vocab_size, context=text.max_position_embeddings)
        if text.eos_token_id not in (tokenizer.end, _FORMER_END, None) and text.eos_token_id < text.vocab_size:
            raise BackboneError(
                f"the tokenizer of {directory} ends texts with token {tokenizer.end}, the text tower with token "
                f"{text.eos_token_id}; it is the tokenizer of another model"
            )
        statistics = read_statistics(directory)
        return cls(directory, config, tokenizer, statistics.image_mean, statistics.image_std)

    def build_empty(self, resolution: int | None) -> ClipBackbone:
        """The backbone with uninitialised weights."""
        try:
            with no_init_weights():  # initialising them would take longer than loading the real ones
                model = StemmedClipModel(self.config)
        except _UNBUILDABLE as error:
            raise BackboneError(f"{self.directory / CONFIG} has values that no CLIP can have: {error}") from None
        side = resolution or self.config.vision_config.image_size
        return ClipBackbone(model.eval(), self.tokenizer, resolution=side, mean=self.mean, std=self.std)

    def build(self, resolution: int | None) -> ClipBackbone:
        """The backbone with the weights of the file, each of which is used.

        Raises:
            BackboneError: weights are missing, unexpected, of another shape or type, or not finite; they are named.
        """
        stored = unwrap(
            {
                name: tensor
                for name, tensor in stored_weights(self.directory).items()
                if not _WITHOUT_VALUE.search(name)
            },
            lambda names: any(mark in names for mark in CLIP_MARKS),
        )
        for note in stored.removed:
            logger.warning("%s: %s", self.directory, note)
        for name, why in (stored.left_out or {}).items():
            logger.warning("%s: %s was left out (%s)", self.directory, name, why)
        self.check_layers(stored.tensors, "")
        with torch.device("meta"):
            expected = self.build_empty(resolution).model.state_dict()
        if faults := differences(stored.tensors, expected):
            raise BackboneError(f"{self.directory}: {named_by_keys(stored.tensors)}the weights do not fit: {faults}")
        backbone = self.build_empty(resolution)
        try:
            fill(backbone.model, stored.tensors, self.directory)
        except CheckpointError as error:
            raise BackboneError(str(error)) from None
        return backbone

    def check_layers(self, stored: Mapping[str, StoredTensor], prefix: str) -> None:
        """Check that the weights have as many layers as `config.json` claims, before any of them is built."""
        for tower in TOWERS:
            claimed = getattr(self.config, tower.replace("model", "config")).num_hidden_layers
            found = largest_index(stored, f"{prefix}{tower}.encoder.layers.")
            if claimed > found:
                what = "" if prefix else named_by_keys(stored)
                raise BackboneError(
                    f"{self.directory}: {what}{CONFIG} claims {claimed} layers in {tower}, the weights have {found}"
                )


def read_clip_config(path: Path) -> CLIPConfig:
    """The sizes of a CLIP, checked before anything of that size is built."""
    values = read_settings(path)
    kind = values.get("model_type")
    if kind != "clip":
        raise BackboneError(f"{path.parent} {named_by_type(kind)}")
    return checked_config(values, source=str(path))


def checked_config(values: Mapping[str, Any], *, source: str) -> CLIPConfig:
    """The config of a CLIP with these values, whose sizes are first compared with the limits of every config.

    Raises:
        BackboneError: a size is beyond the limits, or there are values that no CLIP can have.
    """
    try:
        for key, sizes in (("vision_config", _ImageTower), ("text_config", _TextTower)):
            if isinstance(values.get(key), dict):
                sizes.parse(values[key], source=f"{source}: {key}")
        return CLIPConfig.from_dict(dict(values))
    except ConfigError as error:
        raise BackboneError(str(error)) from None
    except _UNBUILDABLE as error:
        raise BackboneError(f"{source} has values that no CLIP can have: {error}") from None


def read_statistics(directory: Path) -> ImageStatistics:
    """Mean and standard deviation of a directory; CLIP's own if it does not have any.

    Raises:
        BackboneError: they cannot work, or images are to be prepared in a way that is not supported.
    """
    path = directory / "preprocessor_config.json"
    if path.is_file():
        values = read_settings(path)
    elif (path := directory / "processor_config.json").is_file():
        values = read_settings(path).get("image_processor", {})
    else:
        logger.warning("%s has no preprocessor_config.json; images are normalised as for OpenAI's CLIP", directory)
        return ImageStatistics()
    missing = [key for key in ("image_mean", "image_std") if not isinstance(values, dict) or key not in values]
    if missing:
        raise BackboneError(f"{path} has no {' and no '.join(missing)}; each is a list of three numbers")
    try:
        found = ImageStatistics.parse(values, source=str(path))
    except ConfigError as error:
        raise BackboneError(str(error)) from None
    if not found.do_rescale or abs(found.rescale_factor * 255 - 1) > 1e-3:  # a rounding of 1/255
        raise BackboneError(f"{path}: do_rescale and rescale_factor must bring pixels to 0 to 1 (factor 1/255)")
    return found if found.do_normalize else found.replace(image_mean=(0.0, 0.0, 0.0), image_std=(1.0, 1.0, 1.0))


def read_tokenizer(directory: Path, *, words: int, context: int) -> ClipTokenizer:
    """The tokenizer of a directory, for a text tower with `words` token embeddings and `context` positions.

    Raises:
        BackboneError: there is none, it is damaged, or its token ids are not those of the embeddings.
    """
    path = directory / "tokenizer.json"
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    if path.is_file():
        core = _parsed(path)
    elif vocabulary.is_file() and merges.is_file():
        core = _from_merges(vocabulary, merges)
    else:
        raise BackboneError(
            f"{directory} has no tokenizer.json, and no vocab.json with merges.txt; without the tokenizer of its "
            "training a text tower reads other words. Copy it from the model that this one was trained from"
        )
    start, end = (core.token_to_id(word) for word in (START, END))
    if start is None or end is None:
        raise BackboneError(f"the tokenizer of {directory} has no {START} and {END}; it is not CLIP's")
    highest = max(core.get_vocab(with_added_tokens=True).values())
    if highest >= words:
        raise BackboneError(
            f"the tokenizer of {directory} has token ids up to {highest}, the text tower has {words} token embeddings; "
            "it is the tokenizer of another model"
        )
    return ClipTokenizer(core, context=context, start=start, end=end)


def _parsed(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(read_text(path, MAX_DOCUMENT_BYTES))
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None
    except Exception as error:  # noqa: BLE001  # the library has no exception class of its own
        raise BackboneError(f"{path} is not a tokenizer of the tokenizers library ({error})") from None


def _from_merges(vocabulary: Path, merges: Path) -> Tokenizer:
    try:
        lines = read_text(merges, MAX_DOCUMENT_BYTES).splitlines()
        pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
        core: Tokenizer = CLIPTokenizer(vocab=read_settings(vocabulary), merges=pairs).backend_tokenizer
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None
    except Exception as error:  # noqa: BLE001  # the library has no exception class of its own
        raise BackboneError(f"{vocabulary} and {merges.name} are not the tokenizer of a CLIP ({error})") from None
    return core
