"""One forward of training: text, method and losses in a single module, the one that Fabric wraps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.methods.objective import HasUpdate
from ahs_seg.modules.class_pooling import max_of_rows
from ahs_seg.training.recipe import TrainingSetupError
from ahs_seg.training.text_embeddings import StepText
from ahs_seg.types import PRUNED_LOGIT, Output, TrainingForward

Objective = Callable[[nn.Module, TrainingForward], Mapping[str, Tensor]]
"""Losses by name, of a method and what its forward gave; their sum is minimised.

An `nn.Module` may be one: its parameters are trained and its buffers saved with the method's.
"""


class TrainingStep(nn.Module):
    """From pictures, labels and tokens to losses.

    Distribution and precision see this one forward, the text tower included, so gradients of text and image are
    averaged and scaled alike. The objective runs in float32 whatever the precision.
    """

    def __init__(self, method: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.method = method
        self.objective = objective
        self._text = StepText()

    @property
    def backbone(self) -> Backbone:
        """The method's backbone, which encodes the text."""
        backbone = self.method.backbone
        if not isinstance(backbone, Backbone):
            raise TypeError(f"{type(self.method).__name__}.backbone is a {type(backbone).__name__}, not a Backbone")
        return backbone

    def forward(
        self,
        images: UInt8[Tensor, "b 3 H W"],
        labels: Int[Tensor, "b H W"],
        ids: Int[Tensor, "n l"],
        ends: Int[Tensor, " n"],
        assemble: Callable[[Tensor], Tensor],
        row_class: Sequence[int],
        classes: Int[Tensor, " k"],
        progress: float,
    ) -> dict[str, Tensor]:
        """Losses of pictures (RGB, 0 to 255); `assemble` makes the text tensor of the embeddings of n texts.

        The other arguments are those of `TrainingForward`.
        """
        text = assemble(self._text(self.backbone, Tokens(ids, ends)))
        pictures = images.float() / 255
        output: Output = self.method(pictures, text)
        with torch.autocast(images.device.type, enabled=False):
            view = TrainingForward(
                images=pictures,
                labels=labels,
                classes=classes,
                row_class=torch.tensor(row_class, device=labels.device),
                output=_of_classes(output, row_class),
                progress=progress,
            )
            return dict(self.objective(self.method, view))

    def finish(self) -> None:
        """Let an objective that keeps something between steps take in one, after its weights were updated."""
        objective: object = self.objective
        if isinstance(objective, HasUpdate):
            objective.update(self.method)


def _of_classes(output: Output, row_class: Sequence[int]) -> Output:
    """The output in float32, with one channel per class."""
    logits = class_logits(output.logits.float(), output.kept_rows, row_class)
    return dataclasses.replace(output, logits=logits, kept_rows=None, compared=output.compared.float())


def class_logits(
    logits: Float[Tensor, "b k h w"], kept: Int[Tensor, "b k"] | None, row_class: Sequence[int]
) -> Float[Tensor, "b c h w"]:
    """Logits of all classes from those of rows: the maximum over a class's rows; pruned rows have `PRUNED_LOGIT`."""
    if kept is not None:
        full = logits.new_full((len(logits), len(row_class), *logits.shape[2:]), PRUNED_LOGIT)
        logits = full.scatter(1, kept[:, :, None, None].expand_as(logits), logits)
    classes = row_class[-1] + 1
    if len(row_class) == classes:
        return logits
    return max_of_rows(logits, torch.tensor(row_class, device=logits.device), classes, dim=1)


def set_checkpointing(module: nn.Module, enabled: bool) -> None:
    """Switch the recomputation of activations in every part that offers it (attribute `checkpointing`).

    Raises:
        TrainingSetupError: it is wanted and no part offers it.
    """
    parts = [part for part in module.modules() if isinstance(getattr(part, "checkpointing", None), bool)]
    if enabled and not parts:
        raise TrainingSetupError(
            f"{type(module).__name__} cannot recompute activations: none of its parts has `checkpointing`. "
            "Set checkpointing to false."
        )
    for part in parts:
        setattr(part, "checkpointing", enabled)  # noqa: B010  # the type of a module does not know it
