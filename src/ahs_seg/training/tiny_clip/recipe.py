"""Pre-training of the tiny CLIP on captioned drawings: the full recipe of the packaged checkpoint.

No masks are used: images come with captions, and mosaics of captioned photographs show which caption belongs to which
region (see `ahs_seg.data.world.mosaics`). 142 combinations of attributes appear in no image and no caption.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from ahs_seg.config import Config
from ahs_seg.data.world.captions import sample_captions
from ahs_seg.data.world.dataset import TEST_SEED, VALIDATION_SEED
from ahs_seg.data.world.mosaics import PRETRAINING_SEED, Mix, trained_things
from ahs_seg.io.atomic import write_text
from ahs_seg.io.progress import ProgressBar
from ahs_seg.training.checkpoint import Checkpoint, TrainingCheckpointError, newest, prune, read, write
from ahs_seg.training.recipe import Beta
from ahs_seg.training.tiny_clip.batches import PretrainBatch, batches
from ahs_seg.training.tiny_clip.model import TinyClipConfig, save_clip
from ahs_seg.training.tiny_clip.step import PretrainStep, loss_sum
from ahs_seg.training.tiny_clip.validation import Validation, validate


class Stage(Config):
    """A stage of the run, up to the fraction `until` of its steps; its mixes alternate from step to step."""

    until: PositiveFloat
    mixes: tuple[Mix, ...]
    stem_alone: bool = False


STAGES: Final = (
    Stage(
        until=0.1,
        stem_alone=True,
        mixes=(Mix(size=48, count=64, whole=1, flat=0.8, hard=0.3, stuff_alone=0.05, radius=(13, 22), negatives=0),),
    ),
    Stage(
        until=0.2,
        stem_alone=True,
        mixes=(Mix(size=48, count=64, whole=1, flat=0.3, hard=0.8, stuff_alone=0.05, radius=(10, 22), negatives=0),),
    ),
    Stage(
        until=0.28,
        mixes=(
            Mix(size=48, count=48, whole=1, flat=0.2, radius=(10, 22)),
            Mix(size=64, count=32, whole=0.2, flat=0.1),
        ),
    ),
    Stage(
        until=0.7,
        mixes=(
            Mix(size=64, count=40, whole=1),
            Mix(size=96, count=20, whole=0.1),
            Mix(size=96, count=20, whole=0.1, scenes=0.4),
            Mix(size=64, count=40, whole=0.3),
        ),
    ),
    Stage(
        until=1,
        mixes=(
            Mix(size=64, count=40, whole=1),
            Mix(size=96, count=20, whole=0.1),
            Mix(size=96, count=20, whole=0.1, scenes=0.4),
            Mix(size=48, count=64, whole=0.3, scenes=0.7, scene_size=96),
        ),
    ),
)
"""Curriculum: single words on large objects over one colour, then backgrounds, then phrases in mosaics and scenes.

The last stage adds crops of scenes, so that a crop gives the same features as the whole image.
"""


class LossWeights(Config):
    """Loss weights: patches, image parts and whole images (`pictures`) against phrases, and single words."""

    patches: NonNegativeFloat = 1.0
    parts: NonNegativeFloat = 1.0
    pictures: NonNegativeFloat = 1.0
    words: NonNegativeFloat = 1.0


class PretrainConfig(Config):
    """Pre-training settings: the tokenizer is trained on `captions` captions, validation uses `photos` and `scenes`.

    The learning rate is warmed up a second time when training of the transformer starts.
    """

    model: TinyClipConfig = TinyClipConfig()
    stages: tuple[Stage, ...] = STAGES
    steps: PositiveInt = 6000
    seed: NonNegativeInt = PRETRAINING_SEED
    captions: PositiveInt = 6000
    learning_rate: PositiveFloat = 2e-3
    warmup_steps: PositiveInt = 100
    weight_decay: NonNegativeFloat = 0.05
    betas: tuple[Beta, Beta] = (0.9, 0.95)
    clip_norm: PositiveFloat = 1.0
    weights: LossWeights = LossWeights()
    save_every: PositiveInt = 200
    workers: NonNegativeInt = 1
    photos: PositiveInt = 1000
    scenes: PositiveInt = 300

    def stage(self, step: int) -> Stage:
        """Stage that a step belongs to."""
        return next((stage for stage in self.stages if step < stage.until * self.steps), self.stages[-1])

    def mix(self, step: int) -> Mix:
        """Composition of the batch of a step."""
        mixes = self.stage(step).mixes
        return mixes[step % len(mixes)]

    def rate(self, step: int) -> float:
        """Learning rate of a step: cosine decay, with warmup at the start and where the transformer starts to train."""
        joins = math.ceil(max((s.until for s in self.stages if s.stem_alone), default=0) * self.steps)
        since = step - joins if step >= joins else step
        warm = min(1.0, (since + 1) / self.warmup_steps)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def pretrain(directory: Path, config: PretrainConfig | None = None) -> Validation:
    """Train a tiny CLIP, save it in `directory` and return its scores on the test seed.

    `directory` can then be loaded by `ClipConfig(source=directory)`; it also holds `validation.json`, `test.json` and
    the checkpoints of the run under `run/`. An interrupted run resumes from its last checkpoint and gives the same
    weights.
    """
    config = config or PretrainConfig()
    captions = sample_captions(config.captions, config.seed, list(trained_things()))
    learner = PretrainStep(config.model.build(captions, config.seed)).train()
    optimizer = _optimizer(learner, config)
    start = _restore(directory / "run", learner, optimizer, config)
    tokenizer = learner.backbone.tokenizer
    track = ProgressBar("pre-training", unit="steps")
    data: Iterator[PretrainBatch] = batches(
        config.seed, config.mix, start, config.steps, tokenizer, workers=config.workers
    )
    for step in track(range(start, config.steps)):
        losses = _update(learner, optimizer, next(data), step, config)
        if step % 50 == 0:
            track.say(f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items()))
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            write(directory / "run", _snapshot(learner, optimizer, config, step + 1))
            prune(directory / "run", keep_last=2, keep_best=0)
    return _finish(learner, directory, config)


def _finish(learner: PretrainStep, directory: Path, config: PretrainConfig) -> Validation:
    save_clip(learner.backbone, directory)
    write_text(directory / "recipe.yaml", config.to_yaml())
    figures = {
        name: validate(learner.backbone, seed, photos=config.photos, scenes=config.scenes)
        for name, seed in (("validation", VALIDATION_SEED), ("test", TEST_SEED))
    }
    for name, figure in figures.items():
        write_text(directory / f"{name}.json", figure.model_dump_json(indent=1))
    return figures["test"]


def _update(
    learner: PretrainStep, optimizer: torch.optim.Optimizer, batch: PretrainBatch, step: int, config: PretrainConfig
) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = config.rate(step)
    losses = learner(batch, stem_alone=config.stage(step).stem_alone)
    total = loss_sum(losses, config.weights.model_dump())
    optimizer.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(learner.parameters(), config.clip_norm)
    optimizer.step()
    return {name: value.item() for name, value in losses.items()}


def _optimizer(learner: PretrainStep, config: PretrainConfig) -> torch.optim.AdamW:
    """AdamW without weight decay for biases, normalisation layers and the logit scale."""
    matrices = [parameter for parameter in learner.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in learner.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def _snapshot(learner: PretrainStep, optimizer: torch.optim.Optimizer, config: PretrainConfig, step: int) -> Checkpoint:
    tensors = {f"model.{name}": value for name, value in learner.state_dict().items()}
    for name, parameter in learner.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    return Checkpoint(step, {k: v.contiguous() for k, v in tensors.items()}, {"recipe": config.to_yaml()})


def _restore(root: Path, learner: PretrainStep, optimizer: torch.optim.Optimizer, config: PretrainConfig) -> int:
    """Load the newest readable checkpoint below `root`, if any, and return the step to resume from."""
    path, _ = newest(root)
    if path is None:
        return 0
    checkpoint = read(path)
    if checkpoint.state["recipe"] != config.to_yaml():
        raise TrainingCheckpointError(
            f"{root} holds a run with another recipe; give that recipe (see {path}), or another directory."
        )
    tensors = checkpoint.tensors
    learner.load_state_dict(_below("model.", tensors))
    for name, parameter in learner.named_parameters():
        keys = ("step", "exp_avg", "exp_avg_sq")
        state = {key: tensors[f"optimizer.{key}.{name}"] for key in keys if f"optimizer.{key}.{name}" in tensors}
        if state:
            optimizer.state[parameter] = state
    return checkpoint.step


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
