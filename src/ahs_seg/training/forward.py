"""The training forward pass: text encoding, method and losses in the one module that Fabric wraps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from ahs_seg.backbones.base import Backbone
from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.methods.objective import HasForget, HasUpdate
from ahs_seg.modules.class_pooling import max_of_rows
from ahs_seg.modules.constants import indices_on
from ahs_seg.modules.full_precision import autocast_dtype, full_precision
from ahs_seg.training.recipe import TrainingSetupError
from ahs_seg.training.text_embeddings import StepText
from ahs_seg.types import PRUNED_LOGIT, Output, TrainingForward

Objective = Callable[[nn.Module, TrainingForward], Mapping[str, Tensor]]
"""Maps a method and its forward result to losses by name; their sum is minimised.

It may be an `nn.Module`: its parameters are then trained and its buffers saved together with the method's.
"""

EncodeTexts = Callable[[Tokens], Tensor]
"""Function from the tokens of n texts to their embeddings [n, d]."""


class TrainingStep(nn.Module):
    """Computes the losses of a batch of images, labels and prompt tokens.

    Distribution and mixed precision wrap this single forward, text tower included, so gradients of both towers are
    averaged and scaled in the same way. The objective always runs in float32.
    """

    def __init__(self, method: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.method = method
        self.objective = objective
        self._text = StepText()

    @property
    def backbone(self) -> Backbone:
        """Backbone of the method; it encodes the text."""
        return backbone_of(self.method)

    def forward(
        self,
        images: UInt8[Tensor, "b 3 H W"],
        labels: Int[Tensor, "b H W"],
        words: Callable[[EncodeTexts], Float[Tensor, "t p d"]],
        row_class: Sequence[int],
        classes: Int[Tensor, " k"],
        progress: float,
        masks: float | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name for images (RGB, 0 to 255); `words` makes the text tensor with the function that it is given.

        A function and no tokens, because distributed training moves all tensors among the arguments to the device, and
        tokens are read on the CPU. The other arguments are those of `TrainingForward`.
        """
        text = words(lambda tokens: self._text(self.backbone, tokens))
        scaled = images.float() / 255
        output: Output = self.method(scaled, text)
        compute_dtype = autocast_dtype(images.device)
        with full_precision(images.device):
            view = TrainingForward(
                images=scaled,
                labels=labels,
                classes=classes,
                row_class=indices_on(labels.device, row_class),
                output=_of_classes(output, row_class),
                progress=progress,
                compute_dtype=compute_dtype,
                masks=masks,
            )
            return dict(self.objective(self.method, view))

    def finish(self) -> None:
        """Call `update` of a stateful objective; to be called after the weights were updated."""
        objective: object = self.objective
        if isinstance(objective, HasUpdate):
            objective.update(self.method)

    def forget(self) -> None:
        """Drop what an objective has collected in a step that is not finished; the step begins anew."""
        objective: object = self.objective
        if isinstance(objective, HasForget):
            objective.forget()


def backbone_of(method: nn.Module) -> Backbone:
    """The backbone of a method.

    Raises:
        TypeError: the attribute `backbone` is something else.
    """
    backbone = method.backbone
    if not isinstance(backbone, Backbone):
        raise TypeError(f"{type(method).__name__}.backbone is a {type(backbone).__name__}, not a Backbone")
    return backbone


def _of_classes(output: Output, row_class: Sequence[int]) -> Output:
    """Output with its maps in float32 and one logit channel per class; the features of the backbone are as they are."""
    logits = class_logits(output.logits.float(), output.kept_rows, row_class)
    aligned = None if output.aligned is None else output.aligned.float()
    return dataclasses.replace(output, logits=logits, kept_rows=None, compared=output.compared.float(), aligned=aligned)


def class_logits(
    logits: Float[Tensor, "b k h w"], kept: Int[Tensor, "b k"] | None, row_class: Sequence[int]
) -> Float[Tensor, "b c h w"]:
    """Logits per class: the maximum over the prompt rows of each class, with `PRUNED_LOGIT` for pruned rows."""
    if kept is not None:
        full = logits.new_full((len(logits), len(row_class), *logits.shape[2:]), PRUNED_LOGIT)
        logits = full.scatter(1, kept[:, :, None, None].expand_as(logits), logits)
    classes = row_class[-1] + 1
    if len(row_class) == classes:
        return logits
    return max_of_rows(logits, indices_on(logits.device, row_class), classes, dim=1)


def can_recompute(module: nn.Module) -> bool:
    """Whether activation checkpointing saves memory: a submodule with an attribute `checkpointing` is trained.

    A frozen one keeps no activations that could be recomputed.
    """
    return any(value.requires_grad for part in _recomputing_parts(module) for value in part.parameters())


def _recomputing_parts(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(getattr(part, "checkpointing", None), bool)]


def set_checkpointing(module: nn.Module, enabled: bool) -> None:
    """Enable or disable activation checkpointing in every submodule that has an attribute `checkpointing`.

    Raises:
        TrainingSetupError: it is enabled and would save nothing, see `can_recompute`.
    """
    if enabled and not can_recompute(module):
        raise TrainingSetupError(
            f"{type(module).__name__} does not support activation checkpointing: no submodule that is trained has "
            "`checkpointing`. Set training.checkpointing to false."
        )
    for part in _recomputing_parts(module):
        setattr(part, "checkpointing", enabled)  # noqa: B010  # nn.Module does not declare this attribute
