"""Contextual shift: in CLIP on masked crops, background patches are replaced with the class token of the image."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ahs_seg.backbones.image_tower import HasImageTower, embed_patches, project_tokens, run_blocks

SelectPatches = Callable[[Bool[Tensor, "n l"], Int[Tensor, " n"]], Bool[Tensor, "n l"]]
"""Function that selects, in every row, the given number of positions among those that are True."""


@dataclass(frozen=True)
class Context:
    """Features of b whole images from the original CLIP.

    `dense` are the patch features of the last block in the joint space, `levels` the patch maps of the requested
    blocks, `starts` the class tokens of the requested blocks by block number (from 1); `image` is the image embedding,
    normalised to unit length.
    """

    dense: Float[Tensor, "b d h w"]
    levels: tuple[Float[Tensor, "b c h w"], ...]
    starts: Mapping[int, Float[Tensor, "b c"]]
    image: Float[Tensor, "b d"]

    def of(self, index: int, count: int) -> Mapping[int, Float[Tensor, "n c"]]:
        """Class tokens of image `index`, repeated for `count` regions, by block number."""
        return {number: start[index].expand(count, -1) for number, start in self.starts.items()}


LastBlock = Callable[[Tensor, tuple[int, int]], Tensor]
"""Function from the input tokens of the last block, and the patch grid, to its output tokens in a dense form."""


def read_context(
    tower: HasImageTower,
    pixels: Float[Tensor, "b 3 s s"],
    *,
    levels: tuple[int, ...],
    starts: tuple[int, ...],
    last: LastBlock | None = None,
) -> Context:
    """The context of images, normalised for CLIP; the blocks in `levels` and `starts` are numbered from 1.

    `last` gives the patches of the last block (None: its output); the class tokens are those of the output in any case.
    """
    maps: dict[int, Tensor] = {}
    tokens_of: dict[int, Tensor] = {}
    tokens, grid = embed_patches(tower, pixels)
    depth = len(tower.vision_model.encoder.layers)
    entering = tokens

    def look(number: int, tokens: Tensor) -> Tensor:
        nonlocal entering
        entering = tokens if number < depth else entering
        if number in levels:
            maps[number] = tokens[:, 1:].transpose(1, 2).unflatten(-1, grid)
        if number in starts:
            tokens_of[number] = tokens[:, 0]
        return tokens

    tokens = run_blocks(tower, tokens, look)
    joint = project_tokens(tower, tokens)
    image, patches = F.normalize(joint[:, 0], dim=-1), joint
    if last is not None:
        read = last(entering, grid)
        patches = project_tokens(tower, read)
        maps |= {depth: read[:, 1:].transpose(1, 2).unflatten(-1, grid)} if depth in levels else {}
    dense = patches[:, 1:].transpose(1, 2).unflatten(-1, grid)
    return Context(dense, tuple(maps[number] for number in levels), tokens_of, image)


def embed_regions(
    tower: HasImageTower,
    pixels: Float[Tensor, "n 3 s s"],
    foreground: Bool[Tensor, "n l"],
    starts: Mapping[int, Float[Tensor, "n c"]],
    *,
    ratio: float,
    choose: SelectPatches,
    checkpointing: bool = False,
) -> Float[Tensor, "n d"]:
    """CLIP embeddings of masked crops, normalised to unit length, with contextual shift of background patches.

    After each block in `starts`, `int(ratio * n)` of the n background patches of a crop (those not in `foreground`),
    selected anew by `choose`, are replaced with the class token given for that block. `checkpointing` as in
    `run_blocks`. Source: SCAN (Liu et al., CVPR 2024), contextual shift.
    """

    def shift(number: int, tokens: Tensor) -> Tensor:
        if number not in starts:
            return tokens
        places = F.pad(patches_to_shift(foreground, ratio, choose), (1, 0))
        return torch.where(places.unsqueeze(-1), starts[number].unsqueeze(1).to(tokens.dtype), tokens)

    tokens = run_blocks(tower, embed_patches(tower, pixels)[0], shift, checkpointing=checkpointing)
    return F.normalize(project_tokens(tower, tokens[:, :1])[:, 0], dim=-1)


def patches_to_shift(foreground: Bool[Tensor, "n l"], ratio: float, choose: SelectPatches) -> Bool[Tensor, "n l"]:
    """The background patches that the class token replaces after one block: `int(ratio * n)` of n in each crop."""
    background = ~foreground
    return choose(background, (background.sum(1).double() * ratio).long())


def spread_evenly(marked: Bool[Tensor, "n l"], wanted: Int[Tensor, " n"]) -> Bool[Tensor, "n l"]:
    """Evenly spaced selection of `wanted` of the True positions in each row.

    Of m such positions, numbered from 0, those with the numbers floor(i * m / wanted), i < wanted, are selected.
    """
    rank, count = marked.long().cumsum(1) - 1, marked.sum(1, keepdim=True).clamp(min=1)
    wanted = wanted.unsqueeze(1)
    first = (rank * wanted + count - 1) // count
    return marked & (first < wanted) & (first * count // wanted.clamp(min=1) == rank)


@dataclass(frozen=True)
class RandomPatches:
    """Random selection, with equal probability, of True positions in each row.

    `generators` are those of the rows, one for each (None: PyTorch's default generator for all).
    """

    generators: Sequence[torch.Generator] | None = None

    def __call__(self, marked: Bool[Tensor, "n l"], wanted: Int[Tensor, " n"]) -> Bool[Tensor, "n l"]:
        """The selected positions, `wanted` in each row."""
        if self.generators is None:
            order = torch.rand(marked.shape, device=marked.device)
        else:
            rows = [torch.rand(marked.shape[1], generator=generator) for generator in self.generators]
            order = torch.stack(rows).to(marked.device)
        rank = order.masked_fill(~marked, 2.0).argsort(1).argsort(1)
        return marked & (rank < wanted.unsqueeze(1))


def query_generators(image: Float[Tensor, "3 H W"], seed: int, count: int) -> list[torch.Generator]:
    """One generator for each of `count` queries of an image (RGB in [0, 1]).

    Their seeds depend only on `seed`, the image content (to 8 bits) and the number of the query, so that neither the
    order of images nor the number of crops that are encoded at a time has an influence.
    """
    content = (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    key = zlib.crc32(content.tobytes(), seed)
    return [torch.Generator().manual_seed(zlib.crc32(query.to_bytes(4, "little"), key)) for query in range(count)]
