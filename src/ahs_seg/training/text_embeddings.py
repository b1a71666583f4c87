"""Text embeddings of a training step; with a frozen text tower each text is encoded only once."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.modules.full_precision import full_precision


class StepText:
    """Encodes the prompt texts of a step; caches the embeddings if the text tower is frozen."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, backbone: Backbone, tokens: Tokens) -> Float[Tensor, "n d"]:
        """Text embeddings (joint space, not normalised) of n texts in float32, on the device of the backbone.

        The tokens should be on the CPU, where they are compared with those that are known.
        """
        if backbone.text_is_trained():
            return backbone.encode_text(tokens).float()
        rows = zip(tokens.ids.tolist(), tokens.ends.tolist(), strict=True)
        keys = [tuple(ids[: end + 1]) for ids, end in rows]
        missing = [index for index, key in enumerate(keys) if key not in self._known]
        if missing:
            with torch.no_grad(), full_precision(backbone.device):
                some = Tokens(tokens.ids[missing], tokens.ends[missing])
                self._known |= {keys[i]: row for i, row in zip(missing, backbone.encode_text(some), strict=True)}
        return torch.stack([self._known[key] for key in keys])
