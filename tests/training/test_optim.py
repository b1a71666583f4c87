import math
from typing import Any

import pytest
import torch
from torch import nn
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.backbones.swin import SwinConfig
from ahs_seg.configs import find_config
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.methods import CatSegConfig, CostSegmenter, ZeroShotConfig
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training.forward import TrainingStep
from ahs_seg.training.optim import build_optimizer, parameter_groups, rate_factor, set_rate
from ahs_seg.training.recipe import OptimizerConfig, Recipe
from tests.support.builders import byte_tokenizer, random_backbone
from tests.support.small_methods import EBSEG_SMALL, SAM_SMALL
from tests.support.training import TinyMethod


def groups_of(module: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    return parameter_groups(module, config)


def cat_seg_vit_b() -> CostSegmenter:
    """CAT-Seg at the size of its paper, without memory for weights."""
    config = CLIPConfig(
        text_config={"vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8},
        vision_config={"hidden_size": 768, "intermediate_size": 3072, "image_size": 224, "patch_size": 16},
        projection_dim=512,
    )
    with torch.device("meta"):
        backbone = ClipBackbone(ClipNetwork(config), byte_tokenizer(77), resolution=384)
        return CatSegConfig().compose(backbone)


def test_groups_of_cat_seg_are_the_recorded_ones() -> None:
    """Recorded from the official code: 48 tensors of CLIP, 36 of norms, the rest, with these rates and decays.

    Of CLIP's tensors the query of the last vision block stays frozen here: it never gets a gradient.
    """
    groups = groups_of(cat_seg_vit_b(), OptimizerConfig())
    found = {
        (group["lr"], group["weight_decay"]): (len(group["params"]), sum(value.numel() for value in group["params"]))
        for group in groups
    }
    assert found == {
        (2e-4 * 0.01, 1e-4): (48 - 1, 20_447_232 - 768 * 768),
        (2e-4, 0.0): (36, 3_968),
        (2e-4, 1e-4): (96, 4_664_673),
    }


def test_names_do_not_depend_on_wrapping() -> None:
    method = TinyMethod()
    step = TrainingStep(method, SegmentationObjective())
    config = OptimizerConfig()
    plain = [group["names"] for group in groups_of(method, config)]
    wrapped = [group["names"] for group in groups_of(torch.nn.DataParallel(step), config)]
    assert wrapped == [[f"method.{name}" for name in names] for names in plain]
    rates = {name: group["lr"] for group in groups_of(step, config) for name in group["names"]}
    assert rates["method.scale"] == config.lr
    assert rates["method.backbone.model.vision_model.encoder.layers.0.self_attn.q_proj.weight"] == config.lr * 0.01


class Gate(torch.nn.Module):
    NO_DECAY_FULL_LR = frozenset({"openness"})

    def __init__(self) -> None:
        super().__init__()
        self.openness = torch.nn.Parameter(torch.zeros(2))
        self.weight = torch.nn.Parameter(torch.zeros(3))


def test_settings_train_at_the_full_rate_and_never_decay() -> None:
    method = torch.nn.Module()
    method.backbone = Gate()
    config = OptimizerConfig(lr=0.5, clip_multiplier=0.1, weight_decay=0.25)
    found = {name: group for group in groups_of(method, config) for name in group["names"]}
    rates = {name: (group["lr"], group["weight_decay"]) for name, group in found.items()}
    assert rates == {"backbone.openness": (0.5, 0.0), "backbone.weight": (0.05, 0.25)}


def test_a_training_free_method_is_refused() -> None:
    method = ZeroShotConfig().compose(random_backbone())
    with pytest.raises(ValueError, match="has no trainable parameters; a training-free method is evaluated"):
        build_optimizer(method, OptimizerConfig())


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 0.1),
        (1, 0.4 * 0.5 * (1 + math.cos(math.pi / 12))),
        (3, 0.5 * (1 + math.sqrt(0.5))),
        (6, 0.5),
        (9, 0.5 - 0.5**1.5),
    ],
)
def test_warm_up_then_cosine(step: int, factor: float) -> None:
    recipe = Recipe(steps=12, optimizer=OptimizerConfig(warmup_steps=3, warmup_factor=0.1))
    assert rate_factor(step, recipe) == pytest.approx(factor, rel=1e-12)


def test_constant_rate() -> None:
    recipe = Recipe(steps=12, optimizer=OptimizerConfig(schedule="constant"))
    assert {rate_factor(step, recipe) for step in range(12)} == {1.0}


def test_rate_keeps_the_proportions_of_groups() -> None:
    recipe = Recipe(steps=12)
    optimizer = build_optimizer(TinyMethod(), recipe.optimizer)
    for step in (0, 6):
        set_rate(optimizer, step, recipe)
        assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx(
            [2e-6 / (1 + step / 6), 2e-4 / (1 + step / 6)]
        )


def test_poly_falls_to_zero_with_a_power() -> None:
    recipe = Recipe(steps=100, optimizer=OptimizerConfig(schedule="poly"))
    assert [rate_factor(step, recipe) for step in (0, 50, 99)] == pytest.approx([1.0, 0.5**0.9, 0.01**0.9])


def test_embedding_tables_decay_as_wanted() -> None:
    part = nn.ModuleDict({"table": nn.Embedding(3, 4), "linear": nn.Linear(4, 2)})
    plain = groups_of(part, OptimizerConfig(weight_decay=0.05))
    assert {group["weight_decay"] for group in plain} == {0.05}
    groups = groups_of(part, OptimizerConfig(weight_decay=0.05, embedding_weight_decay=0.0))
    decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert decays == {"table.weight": 0.0, "linear.weight": 0.05, "linear.bias": 0.05}


def decays_of(module: nn.Module, config: OptimizerConfig) -> dict[str, float]:
    return {name: group["weight_decay"] for group in groups_of(module, config) for name in group["names"]}


@pytest.mark.parametrize("config", ["ebseg_vitb", "ebseg_vitl"])
def test_the_decay_of_ebseg_is_the_published_one(config: str) -> None:
    """0.05; 0 for the norms of PyTorch, which those before fusion are not, for embeddings and position tables."""
    published = Experiment.read(find_config(config)).training.optimizer
    method = EBSEG_SMALL.replace(pixels=SAM_SMALL).compose(random_backbone(resolution=64))
    norms = ("norm", "input_projections.0.1", "input_projections.1.1", "input_projections.2.1", "pool.0", "_1.1")
    tables = ("queries_features", "queries_embedder", "decoder.level_embed", "position_embedding")
    found, expected = decays_of(method, published), {}
    for name, value in method.named_parameters():
        if value.requires_grad:
            owner = name.rpartition(".")[0]
            plain = owner.endswith((*norms, *tables)) or name.endswith("pos_embed")
            expected[name] = 0.0 if plain and not owner.startswith("fusion.") else 0.05
    assert found == expected
    ours = decays_of(method, published.replace(published_decay=False))
    changed = {"supervised.scale", "bias.weight", "bias.shift"}
    changed |= {f"fusion.{index}.0.{name}" for index in range(3) for name in ("weight", "bias")}
    assert {name for name, value in ours.items() if value != found[name]} == changed
    assert {ours[name] for name in changed} == {0.0}
    rates = {group["lr"] for group in groups_of(method, published)}
    assert rates == {published.lr}


def test_tables_of_relative_positions_decay_as_embedding_tables() -> None:
    pixels = SwinConfig(source=None, dim=8, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4).build()
    published = Experiment.read(find_config("scan_vitb")).training.optimizer
    for config, expected in ((published, 0.0), (published.replace(embedding_weight_decay=None), 0.01)):
        decays = decays_of(pixels, config)
        tables = {name for name in decays if name.endswith("relative_position_bias_table")}
        assert len(tables) == 4
        assert {decays[name] for name in tables} == {expected}
        rest = {name: value for name, value in decays.items() if name not in tables}
        assert {value for name, value in rest.items() if "norm" not in name} == {0.01}
