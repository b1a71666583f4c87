"""Names of models that are no CLIP of `transformers`, by their config or by the keys of their weights."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

CLIP_MARKS: Final = ("vision_model.embeddings.class_embedding", "text_model.embeddings.token_embedding.weight")
"""Keys that every CLIP of `transformers` has, one of each tower."""

_TYPES: Final = {
    "clip_vision_model": "is the image tower of a CLIP alone",
    "clip_text_model": "is the text tower of a CLIP alone",
    "chinese_clip": "is a Chinese-CLIP, whose text tower is a BERT",
    "altclip": "is an AltCLIP, whose text tower is XLM-RoBERTa",
    "siglip": "is a SigLIP, which has neither a class token nor CLIP's tokenizer",
    "siglip2": "is a SigLIP 2, which has neither a class token nor CLIP's tokenizer",
    "metaclip_2": "is a MetaCLIP 2, which has another tokenizer",
    "clipseg": "is a CLIPSeg, a CLIP with a decoder of its own",
    "blip": "is a BLIP",
    "x_clip": "is an X-CLIP, which reads videos",
}
_REMEDY: Final = "Give a CLIP with both towers, such as 'openai/clip-vit-base-patch16'"
_KEYS: Final = (
    ("text_model.encoder.layer.0.attention.self.query.weight", "chinese_clip"),
    ("text_model.roberta.embeddings.word_embeddings.weight", "altclip"),
    ("vision_model.head.probe", "siglip"),
    ("logit_bias", "siglip"),
    ("vision_model.encoder.layers.0.self_attn.qkv.weight", "blip"),
)
_OPEN_CLIP: Final = ("visual.conv1.weight", "visual.class_embedding", "visual.trunk.patch_embed.proj.weight")


def named_by_type(kind: object) -> str:
    """What a `model_type` of a config stands for, and what to give instead."""
    what = _TYPES.get(str(kind), f"is of the model type {kind!r}")
    return f"{what}; the model type of a CLIP is 'clip'. {_REMEDY}"


def named_by_keys(names: Collection[str]) -> str:
    """What has weights of these names, as a sentence to put before the differences ("" if it cannot be told)."""
    kind = next((kind for key, kind in _KEYS if key in names), None)
    if kind is not None:
        return f"the file {_TYPES[kind]}. {_REMEDY}; "
    if any(key in names for key in _OPEN_CLIP):
        return (
            "the file has the keys of OpenAI's code or of open_clip. Convert it with `ahs-seg import FILE --as clip -o "
            "DIRECTORY` (for open_clip with `--activation`) and give that directory; "
        )
    vision, text = (mark in names for mark in CLIP_MARKS)
    if vision != text:
        return f"the file {_TYPES['clip_vision_model' if vision else 'clip_text_model']}. {_REMEDY}; "
    return ""
