"""Import of original checkpoints as model directories; nothing is written unless every weight is mapped."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone, StemmedClipModel
from ahs_seg.backbones.clip_config import ClipConfig, save_clip
from ahs_seg.checkpoints.importing.clip_tokenizer import find_tokenizer
from ahs_seg.checkpoints.importing.convert_clip import clip_config
from ahs_seg.checkpoints.importing.convert_scan import join_shifted
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, check_complete
from ahs_seg.checkpoints.importing.sources import BACKBONE, CONVERTERS, FITTED, CheckpointKind, published, recognise
from ahs_seg.checkpoints.importing.weights import Weights, read_weights
from ahs_seg.checkpoints.model_dir import CONFIG, ModelDescription, save_state
from ahs_seg.errors import CheckpointError
from ahs_seg.io.overwrite import check_replaceable

__all__ = ["CheckpointKind", "ImportReport", "import_checkpoint", "published", "recognise"]

_GRID: Final = 24
"""Side of the patch grid with which the cost aggregation was trained: 384 pixels for ViT-B/16, 336 for ViT-L/14."""


_CLIPS: Final = {
    (768, 16, 224): ("ViT-B/16", "openai/clip-vit-base-patch16"),
    (768, 32, 224): ("ViT-B/32", "openai/clip-vit-base-patch32"),
    (1024, 14, 224): ("ViT-L/14", "openai/clip-vit-large-patch14"),
    (1024, 14, 336): ("ViT-L/14@336px", "openai/clip-vit-large-patch14-336"),
}
_DATACOMP: Final = {
    (768, 16, 224): ("ViT-B/16 of DataComp", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
    (1024, 14, 224): ("ViT-L/14 of DataComp", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
}


@dataclass(frozen=True)
class ImportReport:
    """Result of an import: for every key of the file the new keys (`mapped`), or the reason why it was `ignored`."""

    source: Path
    kind: CheckpointKind
    clip: str
    mapped: dict[str, tuple[str, ...]]
    ignored: dict[str, str]
    numbers: int

    def __str__(self) -> str:
        lines = [f"{self.source.name}: {self.kind} on {self.clip}, {self.numbers:,} parameters"]
        lines += [f"  mapped: {len(self.mapped)} keys, which give every weight of the model"]
        by_reason = sorted(self.ignored, key=self.ignored.__getitem__)
        for reason, group in groupby(by_reason, self.ignored.__getitem__):
            keys = list(group)
            shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            lines += textwrap.wrap(f"ignored: {reason}: {shown}", 118, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def listing(self) -> str:
        """One line per key of the file: the new keys, or the reason why it was ignored."""
        fates = {key: " ".join(names) for key, names in self.mapped.items()}
        fates |= {key: f"ignored: {reason}" for key, reason in self.ignored.items()}
        return "\n".join(f"{key} -> {fate}" for key, fate in sorted(fates.items()))


def import_checkpoint(
    source: Path | str,
    kind: CheckpointKind | None,
    directory: Path | str,
    *,
    description: ModelDescription | None = None,
    trained_on: Sequence[str] | None = None,
    tokenizer: Path | None = None,
    shifted: Path | None = None,
    endpoint: str | None = None,
) -> ImportReport:
    """Convert an original checkpoint and write its model directory; for `clip`, a directory as `transformers` reads it.

    Without `kind`, the kind is detected by the keys; the CLIP is detected by the shapes. `description` is needed if the
    training differed from the published one, `trained_on` are its class names; `tokenizer` as in `find_tokenizer`.
    `shifted` is the file of the CLIP fine-tuned in SCAN's second stage, if it is separate.

    Raises:
        CheckpointError: the file cannot be read, a key is unknown, missing, duplicate or of the wrong shape (each is
            named), or there is no tokenizer. Nothing is written then.
        OverwriteError: the directory holds one of the files, or other files.
    """
    path = Path(source)
    check_replaceable(Path(directory), "a model", needs=CONFIG, inputs=[path, tokenizer, shifted])
    weights = read_weights(path)
    kind = kind or recognise(weights.state)
    if kind is None:
        first = ", ".join(list(weights.state)[:3])
        raise CheckpointError(f"{path} is not a known checkpoint (it has {first}); known are {', '.join(CONVERTERS)}.")
    try:
        if shifted is not None:
            weights = _joined(weights, read_weights(shifted))
        conversion = CONVERTERS[kind](weights.state)
        activation = "gelu" if kind == "scan" else "quick_gelu"
        sizes = clip_config(_without(conversion.state, BACKBONE), activation=activation)
        backbone = _empty_backbone(sizes, tokenizer, endpoint)
        chosen = None if kind == "clip" else _described(kind, description, sizes, trained_on, conversion.state)
        state = {key: _plain(tensor) for key, tensor in conversion.state.items()}
        check_complete(state, _expected(backbone, chosen), conversion.origins)
    except ConversionError as error:
        raise CheckpointError(f"{path} is not a {kind}: {error}{_advice(kind, weights.state)}") from None
    if chosen is None:
        save_clip(_without(state, BACKBONE), backbone, Path(directory))
    else:
        save_state(state, backbone, chosen, directory)
    return _report(path, kind, sizes, weights, conversion)


def _empty_backbone(sizes: CLIPConfig, tokenizer: Path | None, endpoint: str | None) -> ClipBackbone:
    text = sizes.text_config
    words = find_tokenizer(tokenizer, words=text.vocab_size, context=text.max_position_embeddings, endpoint=endpoint)
    with torch.device("meta"):
        return ClipBackbone(StemmedClipModel(sizes), words, resolution=sizes.vision_config.image_size)


def _described(
    kind: CheckpointKind,
    description: ModelDescription | None,
    sizes: CLIPConfig,
    trained_on: Sequence[str] | None,
    state: Mapping[str, Tensor],
) -> ModelDescription:
    """The description with this CLIP, at the resolution that gives the patch grid of the method's training."""
    description = description or published(kind)
    method, vision = description.method, sizes.vision_config
    if method.name != kind:
        raise ConversionError(f"its description is of the method {method.name}")
    if kind in FITTED:
        method = FITTED[kind](method, state)
    source = _recognised(sizes)[1]
    resolution = vision.image_size if kind in ("zero_shot", "scan", "ebseg") else _GRID * vision.patch_size
    if method.backbone.source == source and method.backbone.resolution is not None:
        resolution = method.backbone.resolution
    clip = ClipConfig(source=source, resolution=resolution)
    names = description.trained_on if trained_on is None else tuple(trained_on)
    return description.replace(method=method.replace(backbone=clip), trained_on=names)


def _expected(backbone: ClipBackbone, description: ModelDescription | None) -> dict[str, Tensor]:
    """The expected state dict of the whole network, on the meta device: shapes without values."""
    if description is None:
        return {BACKBONE + key: value for key, value in backbone.model.state_dict().items()}
    with torch.device("meta"):
        method = description.method.compose(backbone)
    return dict(method.state_dict())


def _recognised(sizes: CLIPConfig) -> tuple[str, str]:
    """The name of a CLIP and its repository on the hub ("imported" if it is unknown)."""
    vision = sizes.vision_config
    unknown = f"a CLIP {vision.hidden_size} wide with patches of {vision.patch_size} pixels"
    known = _CLIPS if vision.hidden_act == "quick_gelu" else _DATACOMP
    return known.get((vision.hidden_size, vision.patch_size, vision.image_size), (unknown, "imported"))


def _joined(weights: Weights, shifted: Weights) -> Weights:
    """SCAN's two checkpoint files joined."""
    state, unused = join_shifted(weights.state, shifted.state)
    return Weights(
        state, weights.ignored | {f"(second file) {key}": why for key, why in (shifted.ignored | unused).items()}
    )


def _plain(tensor: Tensor) -> Tensor:
    """The tensor in float32; booleans are not converted."""
    return tensor if tensor.dtype == torch.bool else tensor.float()


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _advice(kind: CheckpointKind, state: Mapping[str, Tensor]) -> str:
    found = recognise(state)
    if found is None or found == kind or (found == "clip" and kind == "zero_shot"):
        return ""
    return f"\nIts keys are those of {found}: import it `--as {found}`."


def _report(
    path: Path, kind: CheckpointKind, sizes: CLIPConfig, weights: Weights, conversion: Conversion
) -> ImportReport:
    mapped: dict[str, Sequence[str]] = {}
    for ours, theirs in conversion.origins.items():
        mapped[theirs] = (*mapped.get(theirs, ()), ours)
    return ImportReport(
        source=path,
        kind=kind,
        clip=_recognised(sizes)[0],
        mapped={key: tuple(names) for key, names in mapped.items()},
        ignored=conversion.ignored | weights.ignored,
        numbers=sum(tensor.numel() for tensor in conversion.state.values()),
    )
