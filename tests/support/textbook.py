"""The cost family written down plainly: every class at once, every concatenation made, every padding token there.

This is the yardstick: `CostSegmenter` must give the same logits and gradients. It reads the weights of a
`CostSegmenter` and follows the paper and the original code step by step, without any of the rewrites.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ahs_seg.methods import CostSegmenter
from ahs_seg.methods.cost.aggregation import AggregationLayer, CostHead
from ahs_seg.methods.cost.class_attention import ClassAggregation
from ahs_seg.methods.cost.guidance import Guidance
from ahs_seg.methods.cost.window_attention import WindowBlock
from ahs_seg.modules.resize import resize
from ahs_seg.modules.upsample import GuidedUpsample
from ahs_seg.types import PRUNED_LOGIT


def segment(method: CostSegmenter, images: Tensor, text: Tensor) -> Tensor:
    """Logits of all classes [b t H W]; those beyond the `keep` most similar ones are `PRUNED_LOGIT`."""
    features = method.backbone.encode_image(resize(images, method.backbone.resolution), levels=method.levels)
    guidance = method.pyramid(features)
    if method.keep is None or len(text) <= method.keep:
        return aggregate(method.head, features.dense, text.expand(len(images), *text.shape), guidance)
    cost = correlation(features.dense, text.expand(len(images), *text.shape))
    kept = cost.amax((1, 3, 4)).topk(method.keep).indices
    some = aggregate(method.head, features.dense, text[kept], guidance)
    logits = torch.full((len(images), len(text), *some.shape[2:]), PRUNED_LOGIT)
    return logits.scatter(1, kept[:, :, None, None].expand_as(some), some)


def correlation(dense: Tensor, text: Tensor) -> Tensor:
    """[b p t h w] cosine of every patch with every prompt."""
    return torch.einsum("bdhw,btpd->bpthw", F.normalize(dense, dim=1), F.normalize(text, dim=-1))


def aggregate(head: CostHead, dense: Tensor, text: Tensor, guidance: Guidance) -> Tensor:
    """Logits [b t H W] of all classes together."""
    batch, count = text.shape[:2]
    cost = correlation(dense, text)
    maps = head.embed(cost.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, count))
    words = head.text_guidance(F.normalize(F.normalize(text, dim=-1).mean(2), dim=-1))
    appearance = guidance.appearance.unsqueeze(1).expand(-1, count, -1, -1, -1)
    for layer in head.layers:
        assert isinstance(layer, AggregationLayer)
        tokens = maps.permute(0, 1, 3, 4, 2).flatten(0, 1)
        guide = layer.spatial.guidance_norm(appearance.permute(0, 1, 3, 4, 2).flatten(0, 1))
        tokens = window_block(layer.spatial.plain, tokens, guide)
        tokens = window_block(layer.spatial.shifted, tokens, guide, shift=layer.spatial.shifted.window // 2)
        maps = tokens.unflatten(0, (batch, count)).permute(0, 1, 4, 2, 3)
        maps = class_block(layer.classwise, maps, words, head.class_pooling)
    planes = maps.flatten(0, 1)
    planes = upsample(head.decoder.up1, planes, guidance.fine.repeat_interleave(count, 0))
    planes = upsample(head.decoder.up2, planes, guidance.finest.repeat_interleave(count, 0))
    return head.decoder.logit(planes)[:, 0].unflatten(0, (batch, count))


def window_block(block: WindowBlock, tokens: Tensor, guide: Tensor, *, shift: int = 0) -> Tensor:
    """One Swin block on [n h w c], queries and keys from the concatenation with the guidance."""
    _, height, width, _ = tokens.shape
    side = block.window
    normed = torch.cat([block.norm1(tokens), guide], -1)
    rolled = normed.roll((-shift, -shift), (1, 2))
    region = torch.zeros(height, width, dtype=tokens.dtype)
    if shift:
        cuts = [slice(0, -side), slice(-side, -shift), slice(-shift, None)]
        for index in range(9):
            region[cuts[index // 3], cuts[index % 3]] = index
    result = torch.zeros_like(tokens)
    for top in range(0, height, side):
        for left in range(0, width, side):
            window = rolled[:, top : top + side, left : left + side].flatten(1, 2)
            names = region[top : top + side, left : left + side].flatten()
            mask = torch.where(names[:, None] == names[None], 0.0, -100.0)
            mixed = attend(block, window, mask)
            result[:, top : top + side, left : left + side] = mixed.unflatten(1, (side, side))
    tokens = tokens + result.roll((shift, shift), (1, 2))
    return tokens + block.mlp(block.norm2(tokens))


def attend(block: WindowBlock, window: Tensor, mask: Tensor) -> Tensor:
    """Multi-head softmax attention of [n tokens c+g] within one window."""
    query, key = (F.linear(window, part.weight, part.bias) for part in (block.query, block.key))
    value = block.value(window[..., : query.shape[-1]])
    query, key, value = (split(part, block.heads) for part in (query, key, value))
    logits = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2) + mask
    return block.output((logits.softmax(-1) @ value).transpose(1, 2).flatten(2))


def split(tokens: Tensor, heads: int) -> Tensor:
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def class_block(block: ClassAggregation, maps: Tensor, words: Tensor, pooling: int) -> Tensor:
    """Attention over classes at every pooled position of [b t c h w], with real padding tokens."""
    batch, count, _, height, width = maps.shape
    pooled = F.avg_pool2d(maps.flatten(0, 1), pooling).unflatten(0, (batch, count))
    rows, columns = pooled.shape[-2:]
    tokens = pooled.permute(0, 3, 4, 1, 2).flatten(0, 2)
    guide = words[:, None].expand(-1, rows * columns, -1, -1).flatten(0, 1)
    if count < block.pad_length:
        copies = block.pad_length - count
        tokens = torch.cat([tokens, block.padding_token.expand(len(tokens), copies, -1)], 1)
        guide = torch.cat([guide, block.padding_guidance.expand(len(guide), copies, -1)], 1)
    normed = block.norm1(tokens)
    both = torch.cat([normed, guide], -1)
    query, key = (F.linear(both, part.weight, part.bias) for part in (block.query, block.key))
    query, key, value = (split(part, block.heads) for part in (query, key, block.value(normed)))
    if block.kind == "linear":
        query, key = F.elu(query) + 1, F.elu(key) + 1
        weights = query @ key.transpose(-1, -2)
        mixed = weights @ value / (weights.sum(-1, keepdim=True) + 1e-6)
    else:
        mixed = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1) @ value
    tokens = tokens + mixed.transpose(1, 2).flatten(2)
    tokens = tokens + block.mlp(block.norm2(tokens))
    planes = tokens[:, :count].unflatten(0, (batch, rows, columns)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    planes = F.interpolate(planes, size=(height, width), mode="bilinear", align_corners=True)
    return maps + planes.unflatten(0, (batch, count))


def upsample(stage: GuidedUpsample, planes: Tensor, guide: Tensor) -> Tensor:
    """Transposed convolution, concatenation, two convolutions with group norm and ReLU."""
    hidden = torch.cat([stage.up(planes), guide], 1)
    hidden = F.relu(stage.norm1(stage.conv1(hidden)))
    return F.relu(stage.norm2(stage.conv2(hidden)))


def randomise(module: nn.Module) -> None:
    """Give every parameter values that matter: norms off one, biases and padding tokens off zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
