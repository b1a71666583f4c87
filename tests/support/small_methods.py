"""Configs of every method in small, for a random backbone of `builders`."""

import torch
from torch import Tensor

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.conv_pyramid import ConvPyramidConfig
from ahs_seg.backbones.sam import SamConfig
from ahs_seg.methods import CatSegConfig, CostConfig, CostSegmenter, HClipConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.variants import AhsSegCost
from ahs_seg.methods.mask.ebseg.config import EBSegConfig
from ahs_seg.methods.mask.ebseg.objective import EBSegLossConfig
from ahs_seg.methods.mask.scan.config import ScanConfig, SemanticConfig
from ahs_seg.methods.mask.scan.objective import ScanLossConfig
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation, Rotations
from ahs_seg.vocabulary.prompts import PromptConfig
from tests.support.builders import random_backbone

SMALL = CostConfig(
    dim=32,
    heads=4,
    window=4,
    appearance_dim=24,
    text_guidance_dim=16,
    upsampled_dims=(20, 12),
    decoder_dims=(32, 16),
    decoder_guidance_dims=(8, 4),
    pad_length=12,
    keep=12,
)


def inputs(classes: int, prompts: int = 1, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, 64, 64, generator=generator), torch.randn(classes, prompts, 24, generator=generator)


MODULATED = Orthogonal(block=8, modulation=Modulation())

AHS_SEG_SMALL = AhsSegCost(
    **SMALL.model_dump(exclude={"fusion", "projection"}),
    fusion=FusionConfig(levels=(0, 1, 2)),
    projection=ProjectionConfig(rank=4, hidden=(12, 8)),
)

EBSEG_SMALL = EBSegConfig(
    backbone=ClipConfig(source="nowhere", resolution=64),
    pixels=ConvPyramidConfig(channels=(8, 8, 16, 16)),
    recognition_blocks=1,
    queries=6,
    dim=64,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=32,
    decoder_layers=2,
    decoder_feedforward=32,
    loss=EBSegLossConfig(points=32),
)

SCAN_SMALL = ScanConfig(
    pixels=ConvPyramidConfig(channels=(8, 8, 16, 16)),
    semantic=SemanticConfig(sigmas=(3.0, 2.0, 1.0), looks=2, layers=2, heads=4, feedforward=16, dropout=0.0),
    shifts=(1, 2),
    queries=7,
    dim=64,
    heads=4,
    encoder_layers=1,
    encoder_feedforward=32,
    decoder_layers=2,
    decoder_feedforward=32,
    class_dim=16,
    loss=ScanLossConfig(points=64),
)

SHORT = PromptConfig(templates=("a {}",))

COST = CostConfig(
    dim=32,
    layers=1,
    heads=2,
    window=4,
    appearance_dim=8,
    text_guidance_dim=8,
    upsampled_dims=(16, 8),
    decoder_dims=(32, 16),
    decoder_guidance_dims=(16, 16),
    pad_length=4,
    keep=6,
)


def h_clip() -> tuple[HClipConfig, CostSegmenter]:
    """A small H-CLIP whose rotations are no identity, with its config."""
    torch.manual_seed(0)
    config = HClipConfig(backbone=ClipConfig(resolution=64), tuner=Orthogonal(block=8), cost=COST)
    method = config.compose(config.tuner.apply(random_backbone()))
    assert isinstance(method.backbone.adapter, Rotations)
    torch.nn.init.normal_(method.backbone.adapter.bank, std=0.3)
    return config, method


CAT_SEG = CatSegConfig(backbone=ClipConfig(source="nowhere", resolution=64), cost=SMALL)

H_CLIP = HClipConfig(backbone=ClipConfig(source="nowhere", resolution=64), tuner=Orthogonal(block=8), cost=SMALL)

SAM_SMALL = SamConfig(source=None, dim=16, depth=4, heads=2, window=3, image_size=64, global_blocks=(0, 1, 2, 3))
