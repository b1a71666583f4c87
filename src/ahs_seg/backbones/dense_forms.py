"""Dense forms of CLIP: what the last block of the image tower computes, so that patch features fit texts.

With the input x of the last block, its values v and output projection W, every form is a choice of the attention A in
u = W(A v), and of what follows: the block as it is (x + u, then the MLP), or u alone ("reduced": no residual, no MLP).

| form | A | what follows | source |
|---|---|---|---|
| `cat_seg` | identity | class token + u, MLP | CAT-Seg (Cho et al., CVPR 2024) |
| `value` | identity | u | MaskCLIP (Zhou et al., ECCV 2022) as ClearCLIP runs it |
| `residual` | identity | x + u, MLP | MaskCLIP's own ViT |
| `clip` | softmax(q k) | x + u, MLP | CLIP (Radford et al., ICML 2021), read densely |
| `sclip` | softmax(q q) + softmax(k k) | x + u, MLP | SCLIP (Wang et al., ECCV 2024) |
| `naclip` | softmax(k k + neighbourhood) | u | NACLIP (Hajimiri et al., WACV 2025) |
| `clearclip` | softmax(q q) | u | ClearCLIP (Lan et al., ECCV 2024) |

All are written from the formulas of the papers. The rows of SCLIP's A sum to 2, as in its code.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ahs_seg.backbones.base import AttentionWeights, DenseForm
from ahs_seg.modules.attention import multi_head_attention

CAT_SEG: Final[DenseForm] = "cat_seg"
"""The form that CAT-Seg and the methods after it are trained with."""
NEIGHBOURHOOD: Final = 5.0
"""Standard deviation of NACLIP's neighbourhood, in patches."""

_REDUCED: Final = ("value", "naclip", "clearclip")
_PAIRS: Final[dict[DenseForm, tuple[tuple[str, str], ...]]] = {
    "clip": (("q", "k"),),
    "sclip": (("q", "q"), ("k", "k")),
    "naclip": (("k", "k"),),
    "clearclip": (("q", "q"),),
}
"""What is compared with what in the attention of a form; forms without an entry have no attention."""


def last_block(
    form: DenseForm,
    block: Any,
    weights: AttentionWeights,
    tokens: Float[Tensor, "b n c"],
    *,
    heads: int,
    grid: tuple[int, int],
) -> Float[Tensor, "b n c"]:
    """Output of the last block (class token first) in a dense form; `block` is a layer of `transformers`' CLIP."""
    attention, normed = block.self_attn, block.layer_norm1(tokens)
    value = F.linear(normed, weights.value, attention.v_proj.bias)
    pairs = _PAIRS.get(form, ())
    sides: dict[str, Tensor] = {}
    if any("q" in pair for pair in pairs):
        sides["q"] = F.linear(normed, weights.query, attention.q_proj.bias)
    if any("k" in pair for pair in pairs):
        sides["k"] = F.linear(normed, weights.key, attention.k_proj.bias)
    if pairs:
        near = neighbourhood(grid).to(value, non_blocking=True) if form == "naclip" else None
        mixed = [multi_head_attention(sides[a], sides[b], value, heads, near) for a, b in pairs]
        value = sum(mixed[1:], start=mixed[0])
    update = F.linear(value, weights.output, attention.out_proj.bias)
    if form in _REDUCED:
        return update
    tokens = update + (tokens[:, :1] if form == CAT_SEG else tokens)
    result: Tensor = tokens + block.mlp(block.layer_norm2(tokens))
    return result


def neighbourhood(grid: tuple[int, int], std: float = NEIGHBOURHOOD) -> Float[Tensor, "n n"]:
    """What NACLIP adds to the attention logits: a Gaussian of the distance of two patches, 1 at distance 0.

    Distances are in patches; the row and the column of the class token, the first ones, are 0.
    """
    squares = [(torch.arange(side)[:, None] - torch.arange(side)).float().square() for side in grid]
    total = squares[0][:, None, :, None] + squares[1][None, :, None, :]
    near = torch.exp(-total / (2 * std**2)).reshape(grid[0] * grid[1], -1)
    return F.pad(near, (1, 0, 1, 0))


def unused_parameters(form: DenseForm, block: Any) -> list[nn.Parameter]:
    """Parameters of the last block that a dense form does not use."""
    used = {side for pair in _PAIRS.get(form, ()) for side in pair}
    attention = block.self_attn
    unused = [part for name, part in (("q", attention.q_proj), ("k", attention.k_proj)) if name not in used]
    if form in _REDUCED:
        unused += [block.layer_norm2, block.mlp]
    return [parameter for part in unused for parameter in part.parameters()]
