"""Import of original checkpoints as model directories; nothing is written unless every weight is mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from torch import Tensor
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig, check_clip_place, save_clip
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.checkpoints.importing.clip_origins import NOT_GIVEN, ClipOrigin, ClipSettings, described, origin_of
from ahs_seg.checkpoints.importing.clip_tokenizer import find_tokenizer
from ahs_seg.checkpoints.importing.convert_clip import clip_config
from ahs_seg.checkpoints.importing.convert_scan import holds_shifted, join_shifted
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, check_complete
from ahs_seg.checkpoints.importing.report import ImportReport
from ahs_seg.checkpoints.importing.sources import BACKBONE, CONVERTERS, FITTED, CheckpointKind, published, recognise
from ahs_seg.checkpoints.importing.weights import Weights, read_weights
from ahs_seg.checkpoints.model_dir import ModelDescription, check_model_place, save_state
from ahs_seg.errors import CheckpointError
from ahs_seg.inference.predict import training_free_protocol
from ahs_seg.io.overwrite import check_holds_none
from ahs_seg.io.weight_files import check_finite, check_types, is_finite
from ahs_seg.modules.unfilled import shapes_only
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary

__all__ = ["CheckpointKind", "ClipSettings", "ImportReport", "import_checkpoint", "published", "recognise"]

_GRID: Final = 24
"""Side of the patch grid with which the cost aggregation was trained: 384 pixels for ViT-B/16, 336 for ViT-L/14."""


def import_checkpoint(
    source: Path | str,
    kind: CheckpointKind | None,
    directory: Path | str,
    *,
    description: ModelDescription | None = None,
    trained_on: ClassSource | None = None,
    tokenizer: Path | None = None,
    shifted: Path | None = None,
    clip: ClipSettings = NOT_GIVEN,
) -> ImportReport:
    """Convert an original checkpoint and write its model directory; for `clip`, a directory as `transformers` reads it.

    Without `kind`, the kind is detected by the keys; the CLIP is detected by the shapes. `description` is needed if the
    training differed from the published one, `trained_on` are its classes; `tokenizer` as in `find_tokenizer`.
    `shifted` is the file of the CLIP fine-tuned in SCAN's second stage, if it is separate. `clip` are heads and
    activation, which the file does not hold; they are needed unless its origin fixes them.

    Raises:
        CheckpointError: the file cannot be read, a key is unknown, missing, duplicate or of the wrong shape, a value is
            not finite (each is named), heads or activation are not known, or there is no tokenizer. Nothing is written
            then.
        OverwriteError: the directory holds one of the files, or other files.
    """
    path = Path(source)
    check_holds_none(Path(directory), [path, tokenizer, shifted])
    weights = read_weights(path, lambda keys: recognise(keys) is not None)
    kind = kind or recognise(weights.state)
    if kind is None:
        first = ", ".join(list(weights.state)[:3])
        raise CheckpointError(f"{path} is not a known checkpoint (it has {first}); known are {', '.join(CONVERTERS)}.")
    if kind == "clip" and (description is not None or trained_on is not None):
        raise CheckpointError(
            f"{path} is imported as a CLIP alone, which keeps neither config nor training classes. Leave --config and "
            "--trained-on (`description`, `trained_on`) out, or give a method with --as (`kind`)."
        )
    (check_clip_place if kind == "clip" else check_model_place)(Path(directory))
    origin = origin_of(kind, weights.state)
    try:
        if shifted is not None:
            weights = _joined(weights, read_weights(shifted, holds_shifted))
        conversion = CONVERTERS[kind](weights.state)
        sizes = clip_config(_without(conversion.state, BACKBONE), origin, clip)
        backbone = _empty_backbone(sizes, tokenizer)
        chosen = None
        if kind != "clip":
            chosen = _described(kind, description, sizes, origin, trained_on, conversion.state)
        expected = _expected(backbone, chosen)
        check_complete(conversion.state, expected, conversion.origins)
    except ConversionError as error:
        raise CheckpointError(f"{path} cannot be imported as {kind}: {error}{_advice(kind, weights.state)}") from None
    state = _values(conversion, expected, path)
    if chosen is None:
        save_clip(_without(state, BACKBONE), backbone, Path(directory))
    else:
        save_state(state, backbone, chosen, directory)
    return _report(path, kind, sizes, origin, weights, conversion)


def _empty_backbone(sizes: CLIPConfig, tokenizer: Path | None) -> ClipBackbone:
    text = sizes.text_config
    words = find_tokenizer(tokenizer, words=text.vocab_size, context=text.max_position_embeddings)
    with shapes_only():
        return ClipBackbone(ClipNetwork(sizes), words, resolution=sizes.vision_config.image_size)


def _described(
    kind: CheckpointKind,
    description: ModelDescription | None,
    sizes: CLIPConfig,
    origin: ClipOrigin,
    trained_on: ClassSource | None,
    state: Mapping[str, Tensor],
) -> ModelDescription:
    """The description with this CLIP; a resolution other than the method's default one stays."""
    vision = sizes.vision_config
    if description is None:
        description = published(kind)
        if kind == "zero_shot":
            description = description.replace(inference=training_free_protocol(vision.image_size))
    method = description.method
    if method.name != kind:
        raise ConversionError(f"its description is of the method {method.name}")
    if kind in FITTED:
        method = FITTED[kind](method, state)
    clip = _fitting(kind, description.method.backbone, method.backbone, sizes, origin.published(sizes)[1])
    fitted = description.replace(method=method.replace(backbone=clip))
    return fitted if trained_on is None else fitted.trained_with(Vocabulary.parse(trained_on))


def _fitting(kind: CheckpointKind, given: ClipConfig, chosen: ClipConfig, sizes: CLIPConfig, source: str) -> ClipConfig:
    """The config `chosen` for a CLIP of these sizes.

    Where the resolution of the description, `given`, is the default one, it is that of the method's training: the same
    grid of patches, or the resolution of the CLIP.
    """
    vision = sizes.vision_config
    resolution = vision.image_size if kind in ("zero_shot", "scan", "ebseg") else _GRID * vision.patch_size
    if given.resolution not in (None, published(kind).method.backbone.resolution):
        resolution = given.resolution
    elif chosen.source == source and chosen.resolution is not None:
        resolution = chosen.resolution
    if resolution % vision.patch_size:
        raise ConversionError(
            f"the resolution {resolution} of its description is not a multiple of its patch size {vision.patch_size}; "
            "give one that is, or leave method.backbone.resolution out"
        )
    return chosen.replace(source=source, resolution=resolution)


def _expected(backbone: ClipBackbone, description: ModelDescription | None) -> dict[str, Tensor]:
    """The expected state dict of the whole network, on the meta device: shapes without values."""
    if description is None:
        return {BACKBONE + key: value for key, value in backbone.model.state_dict().items()}
    with shapes_only():
        method = description.method.compose(backbone)
    return dict(method.state_dict())


def _joined(weights: Weights, shifted: Weights) -> Weights:
    """SCAN's two checkpoint files joined."""
    state, unused = join_shifted(weights.state, shifted.state)
    unused = {f"(second file) {key}": why for key, why in (shifted.ignored | unused).items()}
    notes = tuple(f"(second file) {note}" for note in shifted.notes)
    return Weights(state, weights.ignored | unused, weights.notes + notes)


def _values(conversion: Conversion, expected: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The converted weights as they are written: floats in float32, all of them finite, none shared by two keys."""
    check_types(conversion.state, expected, path, conversion.origins)
    state, stored = {}, set()
    for key, tensor in conversion.state.items():
        own = tensor.float() if tensor.is_floating_point() else tensor
        place = own.untyped_storage().data_ptr()
        state[key] = own.clone() if place in stored else own  # safetensors writes no shared values
        stored.add(place)
    check_finite([conversion.origins.get(key, key) for key, tensor in state.items() if not is_finite(tensor)], path)
    return state


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _advice(kind: CheckpointKind, state: Mapping[str, Tensor]) -> str:
    found = recognise(state)
    if found is None or found == kind or (found == "clip" and kind == "zero_shot"):
        return ""
    return f"\nIts keys are those of {found}: import it `--as {found}`."


def _report(
    path: Path, kind: CheckpointKind, sizes: CLIPConfig, origin: ClipOrigin, weights: Weights, conversion: Conversion
) -> ImportReport:
    mapped: dict[str, Sequence[str]] = {}
    for ours, theirs in conversion.origins.items():
        mapped[theirs] = (*mapped.get(theirs, ()), ours)
    return ImportReport(
        source=path,
        kind=kind,
        clip=origin.published(sizes)[0],
        settings=described(sizes),
        mapped={key: tuple(names) for key, names in mapped.items()},
        ignored=conversion.ignored | weights.ignored,
        numbers=sum(tensor.numel() for tensor in conversion.state.values()),
        notes=weights.notes,
    )
