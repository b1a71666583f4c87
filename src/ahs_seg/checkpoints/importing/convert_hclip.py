"""Conversion of the keys of H-CLIP's official checkpoints to those of this package."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ahs_seg.checkpoints.importing.convert_catseg import CLIP, head_rules
from ahs_seg.checkpoints.importing.convert_clip import clip_rules
from ahs_seg.checkpoints.importing.key_rules import Conversion, ConversionError, Rule, convert

_MEMBER = "backbone.adapter.modality_relations."
_FIRST = CLIP + r"visual\.transformer\.resblocks\.0\."
_COPIES = CLIP + r"(?:visual\.)?transformer\.resblocks\.\d+\."
_FIRST_NAME = "sem_seg_head.predictor.clip_model.visual.transformer.resblocks.0."


def convert_hclip(state: Mapping[str, Tensor], *, extra: Sequence[Rule] = ()) -> Conversion:
    """The state dict with the keys of this package; of the 24 copies of the shared rotations one is kept.

    `extra` are rules for the additional keys of methods derived from H-CLIP.

    Raises:
        ConversionError: a key is unknown, or copies of the shared rotations differ; the message names them.
    """
    _check_copies(state)
    result = convert(state, [*extra, *rotation_rules(), *clip_rules(CLIP, "backbone.model."), *head_rules()])
    members = [key for key in result.state if key.startswith(_MEMBER)]
    ordered = sorted(members, key=lambda key: int(key.removeprefix(_MEMBER)))
    if ordered:
        result.state[_MEMBER.rstrip(".")] = torch.stack([result.state.pop(key) for key in ordered])
    return result


def rotation_rules() -> list[Rule]:
    """Rules for the shared rotations: those of the first vision block are mapped, all other copies are ignored."""
    adapter = "backbone.adapter."
    return [
        Rule(_FIRST + r"attn_q_proj_oft_layer_R", adapter + "bank", change=_bank),
        Rule(_FIRST + r"attn_q_proj_oft_relation_l_R\.weight", adapter + "layer_relations"),
        Rule(_FIRST + r"attn_q_proj_oft_relation_m_R\.(\d+)\.weight", _MEMBER + r"\1"),
        Rule(_COPIES + r"attn_q_proj_oft_.*", ignored="a copy of the first block's rotations"),
        Rule(
            CLIP + r".*to_(?:qkv|out)_oft(?:_vision)?\.(?:cross_attention_dim|hidden_size)",
            ignored="a size, inferred from the shapes",
        ),
    ]


def _check_copies(state: Mapping[str, Tensor]) -> None:
    copy = re.compile(f"{_COPIES}(attn_q_proj_oft_.*)")
    matches = (match for match in map(copy.fullmatch, state) if match)
    pairs = [(match[0], _FIRST_NAME + match[1]) for match in matches if _FIRST_NAME + match[1] in state]
    if differing := [name for name, first in pairs if not _same(state[name], state[first])]:
        raise ConversionError(
            f"{len(differing)} copies of the shared rotations differ from the first block's, e.g. {differing[0]}. "
            "Nothing was imported."
        )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() or torch.equal(one, other)


def _bank(tensor: Tensor) -> dict[str, Tensor]:
    """The bank of rotations with its axes permuted from [a, b, layer, slot] to [layer, slot, a, b]."""
    return {"": tensor.permute(2, 3, 0, 1).contiguous()}
