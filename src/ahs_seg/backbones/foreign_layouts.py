"""Names of models that are no backbone, or another one than their config says, by the config or by their weights."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ahs_seg.backbones.kinds import KINDS

_TYPES: Final = {
    "clip_vision_model": "is the image tower of a CLIP alone",
    "clip_text_model": "is the text tower of a CLIP alone",
    "siglip_vision_model": "is the image tower of a SigLIP alone",
    "siglip_text_model": "is the text tower of a SigLIP alone",
    "clipseg": "is a CLIPSeg, a CLIP with a decoder of its own",
    "blip": "is a BLIP",
    "x_clip": "is an X-CLIP, which reads videos",
    "align": "is an ALIGN, whose image tower is no transformer",
}
_REMEDY: Final = "Give a network with both towers, such as 'openai/clip-vit-base-patch16'"
_KEYS: Final = (
    ("text_model.encoder.layer.0.attention.self.query.weight", "chinese_clip"),
    ("text_model.roberta.embeddings.word_embeddings.weight", "altclip"),
    ("vision_model.head.probe", "siglip"),
    ("logit_bias", "siglip"),
)
_BLIP: Final = "vision_model.encoder.layers.0.self_attn.qkv.weight"
_SIGLIPS: Final = ("siglip", "siglip2")
_OPEN_CLIP: Final = ("visual.conv1.weight", "visual.class_embedding", "visual.trunk.patch_embed.proj.weight")


def named_by_type(kind: object) -> str:
    """What a `model_type` of a config stands for, and what to give instead."""
    what = _TYPES.get(str(kind), f"is of the model type {kind!r}")
    return f"{what}; a backbone has one of the model types {', '.join(KINDS)}. {_REMEDY}"


def named_by_keys(names: Collection[str], kind: str = "clip") -> str:
    """What has weights of these names, as a sentence to put before the differences to a network of this `kind`.

    It is empty if it cannot be told, or if the names are those of that kind.
    """
    found = next((named for key, named in _KEYS if key in names), None)
    if found is not None and found != kind and not (found in _SIGLIPS and kind in _SIGLIPS):
        return f"the file is {KINDS[found].title}, its config.json says {kind!r}. {_REMEDY}; "
    if _BLIP in names:
        return f"the file is a BLIP. {_REMEDY}; "
    if any(key in names for key in _OPEN_CLIP):
        return (
            "the file has the keys of OpenAI's code or of open_clip. Convert it with `ahs-seg import FILE --as clip -o "
            "DIRECTORY` (for open_clip with `--activation`) and give that directory; "
        )
    vision, text = (mark in names for mark in KINDS[kind].marks)
    if vision != text and found is None:
        tower = "image" if vision else "text"
        return f"the file is the {tower} tower of {KINDS[kind].title} alone. {_REMEDY}; "
    return ""
