"""SAM as a pixel backbone reads weights in the usual layout and trains only its position table."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import SamConfig as TransformersSam
from transformers import SamModel

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.sam import SAM_MEAN, SamConfig
from ahs_seg.config import ConfigError
from ahs_seg.training.optim import parameter_groups
from ahs_seg.training.recipe import OptimizerConfig
from tests.support.small_methods import SAM_SMALL


@torch.no_grad()
def test_sam_reads_a_directory_and_is_its_encoder(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 64, "mlp_dim": 64}
    vision = {**sizes, "window_size": 3, "global_attn_indexes": [0, 1, 2, 3], "output_channels": 256}
    model = SamModel(TransformersSam(vision_config=vision)).eval()
    for parameter in model.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(tmp_path)
    pixels = SAM_SMALL.replace(source=str(tmp_path)).build().eval()
    images = torch.rand(1, 3, 64, 64)
    theirs = model.vision_encoder(pixels.normalise(images), output_hidden_states=True).hidden_states
    maps = pixels(pixels.normalise(images))
    torch.testing.assert_close(maps[2], theirs[3].permute(0, 3, 1, 2), rtol=1e-4, atol=1e-4)
    halved = F.interpolate(theirs[4].permute(0, 3, 1, 2), scale_factor=0.5, mode="bilinear")
    torch.testing.assert_close(maps[3], halved, rtol=1e-4, atol=1e-4)
    grey = torch.tensor(SAM_MEAN).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert pixels.normalise(grey).abs().max() < 1e-6


def test_a_weight_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 64, "mlp_dim": 64}
    model = SamModel(TransformersSam(vision_config={**sizes, "window_size": 3, "global_attn_indexes": [0, 1, 2, 3]}))
    state = model.state_dict()
    del state["vision_encoder.layers.1.attn.proj.weight"]
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(BackboneError, match=r"1 missing: vision_encoder\.layers\.1\.attn\.proj\.weight"):
        SAM_SMALL.replace(source=str(tmp_path)).build()
    with pytest.raises(BackboneError, match="cannot load the weights"):
        SAM_SMALL.replace(source=str(tmp_path), dim=32).build()


def test_only_the_position_table_of_sam_trains_and_it_does_not_decay() -> None:
    pixels = SAM_SMALL.build_empty()
    assert [name for name, p in pixels.named_parameters() if p.requires_grad] == ["encoder.pos_embed"]
    (group,) = parameter_groups(pixels, OptimizerConfig(weight_decay=0.05))
    assert group["weight_decay"] == 0.0


@pytest.mark.parametrize("blocks", [(0, 1, 2, 4), (1, 1, 2, 3), (3, 2, 1, 0)])
def test_global_blocks_are_four_of_the_blocks(blocks: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match="four indices in ascending order below depth 4"):
        SamConfig(source=None, depth=4, global_blocks=blocks)
