"""State of a training run: modules, optimizer, progress, and saving to and resuming from checkpoints."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from pydantic import Field
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ahs_seg.config import Config, ConfigError
from ahs_seg.data.base import SegmentationDataset
from ahs_seg.inference.text_cache import check_lengths
from ahs_seg.io.atomic import write_text
from ahs_seg.io.folder_lock import locked
from ahs_seg.io.journal import as_read, changes
from ahs_seg.training import checkpoint
from ahs_seg.training.checkpoint import Checkpoint, TrainingCheckpointError
from ahs_seg.training.forward import TrainingStep, backbone_of, set_checkpointing
from ahs_seg.training.logs import has_steps
from ahs_seg.training.optim import build_optimizer, parameter_groups
from ahs_seg.training.recipe import Recipe
from ahs_seg.training.state import collect, frozen_digest, restore_moments, restore_weights, stored_names

logger = logging.getLogger(__name__)

CHECKPOINTS, CONFIG, MODEL = "checkpoints", "config.yaml", "model"
_CHOICES: Final = "Resume that run (--resume, in Python resume=True), or choose another directory."
"""What to do about a directory that is in use."""
_FREE: Final = frozenset({"root", "source"})
"""Places of data and of pre-trained weights, which may have moved; both are compared by their content."""


class RunIdentity(Config):
    """Plain values stored in each checkpoint; all but scores and precision must be unchanged when a run is resumed.

    `settings` are all other values that shape the result, such as method, augmentation and the backbone's tokenizer;
    `pictures` is the number of training images, `names` the names of each class, `frozen` the digest of the frozen
    weights, `scores` the latest evaluation scores, `precision` the state of the gradient scaler, `recomputing` whether
    activations are recomputed (None: not decided yet).
    """

    recipe: Recipe
    pictures: int
    names: tuple[tuple[str, ...], ...]
    frozen: str
    settings: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Annotated[float, Field(allow_inf_nan=True)]] = Field(default_factory=dict)
    precision: dict[str, int | float] = Field(default_factory=dict)
    recomputing: bool | None = None


@dataclass
class Run:
    """Mutable state that the training loop works on.

    `wrapped` is the training step wrapped by Fabric, `core` the module that owns the parameters (the step itself, or
    its FSDP wrapper). `done` is the number of steps, `saved` that at the newest checkpoint, `evaluated` that at the
    newest evaluation, whose scores are `scores` (of a resumed run 0, if its checkpoint has no score).
    """

    fabric: Fabric
    step: TrainingStep
    wrapped: _FabricModule
    core: nn.Module
    optimizer: _FabricOptimizer
    root: Path
    facts: RunIdentity
    stored: list[str]
    done: int = 0
    saved: int = 0
    evaluated: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """Training settings of this run."""
        return self.facts.recipe

    @property
    def classes(self) -> int:
        """Number of classes of the training data."""
        return len(self.facts.names)

    def save(self) -> None:
        """Write a checkpoint of the current state and remove those no longer kept; must be called in every process.

        Its score is that of an evaluation after the same step, if there was one and it gives `best_metric`.
        """
        tensors = collect(self.core, self.optimizer.optimizer, self.stored)
        if self.fabric.is_global_zero:
            precision = self.fabric.strategy.precision.state_dict()
            facts = self.facts.replace(scores=dict(self.scores), precision=precision)
            checkpoint.write(self.root, Checkpoint(self.done, tensors, facts.model_dump(mode="json"), self._score()))
            checkpoint.prune(self.root, keep_last=self.recipe.keep_last, keep_best=self.recipe.keep_best)
        self.saved = self.done
        self.fabric.barrier()

    def _score(self) -> float | None:
        found = self.scores.get(self.recipe.best_metric, math.nan) if self.evaluated == self.done else math.nan
        return float(found) if math.isfinite(found) else None

    def check_metric(self) -> None:
        """Check that the scores of the newest evaluation can rank checkpoints.

        Raises:
            ConfigError: they lack `best_metric`, and the best checkpoints are to be kept.
        """
        name = self.recipe.best_metric
        if self.recipe.keep_best and name not in self.scores:
            raise ConfigError(
                f"training.best_metric is {name!r}, but the evaluation gives {', '.join(map(repr, self.scores))}. "
                f"Choose one of these and resume the run: step {self.saved} is saved. With keep_best=0 none is needed."
            )


def check_trainable(recipe: Recipe, method: nn.Module, *datasets: SegmentationDataset | None) -> None:
    """Check, before a run writes anything, that a recipe can train a method with the class names of the datasets.

    Datasets that are None are left out.

    Raises:
        TextTooLongError: the text tower cannot read a class name.
        TrainingSetupError: the method has nothing to train, or none of it can be recomputed as the recipe asks.
    """
    parameter_groups(method, recipe.optimizer)
    set_checkpointing(method, enabled=recipe.checkpointing is True)
    for dataset in datasets:
        if dataset is not None:
            check_lengths(backbone_of(method).tokenizer, recipe.prompts.table(dataset.vocabulary))


@contextmanager
def claim(directory: Path, config: Config, fabric: Fabric, *, resume: bool) -> Iterator[None]:
    """Context in which a directory is that of a run: locked, and with its `config.yaml` before the first step.

    Where there are checkpoints the file stays as it is, since whether the run goes on with this config is not known
    yet. If the block fails before a step is done, the file is removed; if the process is killed then, the next one
    writes it anew: the directory is free for a corrected config. Must be entered in every process, so that all of them
    end if the directory is refused.

    Raises:
        ConfigError: the directory holds a run, with or without checkpoints, and `resume` is off.
        FolderInUseError: another run writes to the directory.
    """
    path = directory / CONFIG
    with locked(directory) if fabric.is_global_zero else nullcontext(enter_result=False) as killed:
        present = fabric.broadcast(_parts_of_run(directory, killed=killed) if fabric.is_global_zero else None)
        if present and not resume:
            raise ConfigError(f"{directory} already holds {' and '.join(present)} of a run. {_CHOICES}")
        if fabric.is_global_zero and not checkpoint.find(directory / CHECKPOINTS):
            write_text(path, config.to_yaml())
        try:
            yield
        except BaseException:
            if fabric.is_global_zero and CONFIG not in present and not has_steps(directory):
                path.unlink(missing_ok=True)
            raise


def _parts_of_run(directory: Path, *, killed: bool) -> list[str]:
    """Names of config and model of a run, if they are there; not the config of one that was killed before a step."""
    begun = not killed or has_steps(directory) or checkpoint.find(directory / CHECKPOINTS)
    return [name for name in ((CONFIG, MODEL) if begun else (MODEL,)) if (directory / name).exists()]


def start_run(
    recipe: Recipe,
    step: TrainingStep,
    dataset: SegmentationDataset,
    directory: Path,
    *,
    settings: Mapping[str, Any],
    fabric: Fabric,
    resume: bool,
) -> tuple[Run, list[str]]:
    """Start a run, or resume it from the newest readable checkpoint; also returns errors of damaged newer checkpoints.

    Gradients and collected values that another run of the method left behind, such as one that failed, are dropped.

    Raises:
        ConfigError: checkpoints exist and `resume` is off, or recipe, settings, data or frozen weights differ from
            theirs.
        TrainingCheckpointError: the checkpoint is of another method.
    """
    names = tuple(entry.names for entry in dataset.vocabulary.entries)
    facts = RunIdentity(
        recipe=recipe,
        pictures=len(dataset),
        names=names,
        frozen=frozen_digest(step.method),
        settings=as_read({**settings, "backbone": step.backbone.input_settings}),
    )
    root = directory / CHECKPOINTS
    path, faults = fabric.broadcast(_find(root, resume=resume) if fabric.is_global_zero else None)
    found = checkpoint.read(path) if path else None
    if found is not None:
        earlier = RunIdentity.parse(dict(found.state), source=str(path))
        _check_facts(facts, earlier, path)
        restore_weights(step, found.tensors)
    stored = stored_names(step)
    wrapped = fabric.setup_module(step)
    core = next((part for part in wrapped.modules() if isinstance(part, FullyShardedDataParallel)), step)
    optimizer = build_optimizer(core, recipe.optimizer)
    run = Run(fabric, step, wrapped, core, fabric.setup_optimizers(optimizer), root, facts, stored)
    run.optimizer.zero_grad()
    step.forget()
    if found is not None:
        restore_moments(core, optimizer, found.tensors)
        fabric.strategy.precision.load_state_dict(earlier.precision)
        run.done, run.saved, run.scores = found.step, found.step, earlier.scores
        run.evaluated = 0 if found.score is None else found.step
        run.facts = facts.replace(recomputing=earlier.recomputing)
    return run, faults


def load_weights(method: nn.Module, path: Path) -> int:
    """Load a training checkpoint, such as `best(directory)`, into a method; returns the step at which it was saved.

    Raises:
        TrainingCheckpointError: the checkpoint is damaged, or of another method, tuner or backbone.
    """
    found = checkpoint.read(path)
    prefix = "weight/method."
    mine = {key.replace(prefix, "weight/"): value for key, value in found.tensors.items() if key.startswith(prefix)}
    if found.state["frozen"] != frozen_digest(method):
        raise TrainingCheckpointError(
            f"{path}: was trained on top of other frozen weights. Build the method from the run's config."
        )
    restore_weights(method, mine)
    return found.step


def _find(root: Path, *, resume: bool) -> tuple[Path | None, list[str]]:
    if not resume and (present := checkpoint.find(root)):
        raise ConfigError(
            f"{root} already holds {len(present)} checkpoint(s), the newest {present[-1].name}. {_CHOICES}"
        )
    return checkpoint.newest(root)


def _check_settings(now: Mapping[str, Any], then: Mapping[str, Any], path: Path) -> None:
    if not then:
        logger.warning("%s was written by a version that stored no settings; they are not compared", path)
        return
    changed = changes(then, now, free=_FREE)
    if changed:
        raise ConfigError(
            f"{path} was trained with other settings:\n{changed}\nResume with those of that run (its config.yaml), or "
            "train in another directory."
        )


def _check_facts(facts: RunIdentity, stored: RunIdentity, path: Path) -> None:
    facts.recipe.check_continues(stored.recipe)
    if facts.recipe.best_metric != stored.recipe.best_metric and checkpoint.best(path.parent):
        raise ConfigError(
            f"the checkpoints in {path.parent} are ranked by {stored.recipe.best_metric!r}, now training.best_metric "
            f"is {facts.recipe.best_metric!r}. Resume with the metric of that run, or train in another directory."
        )
    _check_settings(facts.settings, stored.settings, path)
    if (facts.pictures, facts.names) != (stored.pictures, stored.names):
        raise ConfigError(
            f"{path} was trained on {stored.pictures} images with {len(stored.names)} classes; this dataset has "
            f"{facts.pictures} images with {len(facts.names)} classes (or other names). Resume with the same data."
        )
    if facts.frozen != stored.frozen:
        raise ConfigError(
            f"{path} was trained on top of other frozen weights (another CLIP?). Resume with the backbone of that run."
        )
