"""Training configs: optimizer, schedule and run settings; the defaults are CAT-Seg's published values."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from ahs_seg.config import Config, ConfigError
from ahs_seg.errors import AhsSegError
from ahs_seg.io.processes import MAX_PROCESSES
from ahs_seg.vocabulary.prompts import PromptConfig

Precision = Literal["fp32", "bf16", "fp16"]
LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow"]
Loggers = Annotated[
    tuple[LoggerName, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
]
"""Names of loggers; one name stands for itself."""

Beta = Annotated[float, Field(ge=0, lt=1)]

RESUMABLE_KEYS: Final = frozenset(
    {
        "log_every",
        "evaluate_every",
        "checkpoint_every",
        "keep_last",
        "keep_best",
        "best_metric",
        "workers",
        "accelerator",
        "devices",
        "strategy",
        "num_nodes",
        "checkpointing",
        "logger",
    }
)
"""Keys that may differ when a run is resumed: they do not change the trained weights beyond rounding."""


class TrainingSetupError(AhsSegError, ValueError):
    """A method, dataset or option does not allow training."""


class OptimizerConfig(Config):
    """AdamW settings, gradient clipping and the learning-rate schedule.

    `clip_multiplier` scales the learning rate of the backbone's parameters; `norm_weight_decay` is the weight decay of
    normalisation layers, `embedding_weight_decay` that of embedding tables and of Swin's tables of relative positions
    (None: `weight_decay`). Where the original code of a method decays a norm or a scalar that has no weight decay here,
    `published_decay` follows it (EBSeg). The total L2 norm of the gradients is clipped to `clip_norm` (None: no
    clipping). The learning rate of step i is
    lr * 0.5 * (1 + cos(pi * i / steps)), or with "poly" lr * (1 - i / steps)^0.9; during the first `warmup_steps` it is
    multiplied by a factor that grows linearly from `warmup_factor` to 1 (detectron2's WarmupCosineLR and WarmupPolyLR).
    """

    lr: PositiveFloat = 2e-4
    clip_multiplier: NonNegativeFloat = 0.01
    weight_decay: NonNegativeFloat = 1e-4
    norm_weight_decay: NonNegativeFloat = 0.0
    embedding_weight_decay: NonNegativeFloat | None = None
    published_decay: bool = False
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    clip_norm: PositiveFloat | None = 0.01
    schedule: Literal["cosine", "poly", "constant"] = "cosine"
    warmup_steps: NonNegativeInt = 0
    warmup_factor: float = Field(default=0.001, ge=0, le=1)


class Recipe(Config):
    """Settings of a training run.

    A step updates the weights once, from `batch_size` images over all processes; each process splits its share into
    `accumulation` micro-batches. `names_per_step` limits the classes of a step: those present in its labels, filled up
    with random others (None: all classes). In steps: `log_every`, `evaluate_every` and `checkpoint_every` (0: never).
    The `keep_last` newest checkpoints and the `keep_best` best ones by `best_metric` are kept. `workers` is the number
    of data-loading processes (0: load in the training process); it never changes the data. `checkpointing` recomputes
    activations in the backward pass to save memory; "auto" does so if they do not fit into the free memory.
    `matmul` is the precision of float32 matrix products (`torch.set_float32_matmul_precision`) during the run: below
    "highest" a GPU takes TF32, and a CPU oneDNN, which may round to bf16 where it has instructions for it.
    `deterministic` makes runs on a GPU bitwise reproducible, at some cost in speed. `logger` names what is told of the
    run besides its CSV files, which are always written.
    """

    steps: PositiveInt = 80_000
    batch_size: PositiveInt = 4
    accumulation: PositiveInt = 1
    seed: NonNegativeInt = 0
    optimizer: OptimizerConfig = OptimizerConfig()
    prompts: PromptConfig = PromptConfig()
    names_per_step: PositiveInt | None = None
    ignore_as_negative: bool = True
    precision: Precision = "fp32"
    matmul: Literal["highest", "high", "medium"] = "highest"
    checkpointing: bool | Literal["auto"] = "auto"
    deterministic: bool = False
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: PositiveInt | Literal["auto"] = 1
    num_nodes: PositiveInt = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    workers: Annotated[int, Field(ge=0, le=MAX_PROCESSES)] = 2
    logger: Loggers = ("tensorboard",)
    log_every: PositiveInt = 20
    evaluate_every: NonNegativeInt = 5_000
    checkpoint_every: NonNegativeInt = 1_000
    keep_last: PositiveInt = 2
    keep_best: NonNegativeInt = 1
    best_metric: str = "miou"

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be split into accumulation={self.accumulation} equal parts"
            )
        if self.optimizer.warmup_steps >= self.steps:
            raise ValueError(
                f"optimizer.warmup_steps {self.optimizer.warmup_steps} must be fewer than steps {self.steps}; give a "
                "smaller one as well, such as optimizer.warmup_steps=0"
            )
        return self

    def share(self, processes: int) -> int:
        """Images per micro-batch of one process, when `processes` share the batch.

        Raises:
            ConfigError: the batch cannot be split equally; averaging over processes would then weight images unequally.
        """
        parts = processes * self.accumulation
        if self.batch_size % parts:
            raise ConfigError(
                f"batch_size {self.batch_size} is the total over {processes} processes taking {self.accumulation} "
                f"parts each, so it must be a multiple of {parts}. Use {-(-self.batch_size // parts) * parts}."
            )
        return self.batch_size // parts

    def check_continues(self, earlier: Recipe) -> None:
        """Check that a run started with `earlier` may be resumed with this recipe.

        Raises:
            ConfigError: keys other than `RESUMABLE_KEYS` differ; the message names them.
        """
        fixed = [key for key in type(self).model_fields if key not in RESUMABLE_KEYS]
        if changed := [key for key in fixed if getattr(self, key) != getattr(earlier, key)]:
            lines = [f"  {key}: was {getattr(earlier, key)!r}, now {getattr(self, key)!r}" for key in changed]
            raise ConfigError(
                "this run was started with another recipe:\n" + "\n".join(lines) + "\n"
                f"Resume it unchanged (only {', '.join(sorted(RESUMABLE_KEYS))} may differ), "
                "or train in another directory."
            )
