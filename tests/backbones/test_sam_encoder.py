"""SAM's encoder without its neck is that of `transformers`, for images of any size."""

import pytest
import torch
import torch.nn.functional as F
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from ahs_seg.backbones.sam_encoder import SamEncoder

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "mlp_dim": 32, "image_size": 64}


@torch.no_grad()
@pytest.mark.parametrize("side", [64, 96])
def test_maps_of_global_blocks_are_those_of_transformers(side: int) -> None:
    torch.manual_seed(0)
    config = SamVisionConfig(**SIZES, window_size=2, global_attn_indexes=[0, 2], output_channels=8)
    theirs, ours = SamVisionEncoder(config).eval(), SamEncoder(config).eval()
    theirs.pos_embed.copy_(torch.randn_like(theirs.pos_embed))
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("neck.")})
    pixels, grid = torch.randn(1, 3, side, side), side // 16
    table = theirs.pos_embed.permute(0, 3, 1, 2)  # `transformers` takes no other size than its own
    table = F.interpolate(table, size=(grid, grid), mode="bicubic", align_corners=False)
    tokens = theirs.patch_embed.projection(pixels).permute(0, 2, 3, 1) + table.permute(0, 2, 3, 1)
    expected = []
    for layer in theirs.layers:
        tokens = layer(tokens)
        expected.append(tokens.permute(0, 3, 1, 2))
    found = ours(pixels)
    assert len(found) == 2
    for level, block in zip(found, (0, 2), strict=True):
        torch.testing.assert_close(level, expected[block])
