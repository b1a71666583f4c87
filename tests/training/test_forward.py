from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training.forward import TrainingStep, can_recompute, class_logits, set_checkpointing
from ahs_seg.types import PRUNED_LOGIT, Output, TrainingForward
from tests.support.training import TinyMethod


def forward(step: TrainingStep, assemble, row_class) -> dict[str, torch.Tensor]:
    tokens = step.backbone.tokenizer(["a cat", "a dog", "a red house"])
    images = torch.arange(2 * 3 * 256).reshape(2, 3, 16, 16).remainder(256).to(torch.uint8)
    labels = torch.tensor([0, 1, 2, -1]).expand(2, 16, 4).repeat_interleave(4, dim=2)
    classes = torch.arange(row_class[-1] + 1)
    return step(images, labels, lambda encode: assemble(encode(tokens)), row_class, classes, 0.0)


def test_losses_have_gradients_through_image_and_text_towers() -> None:
    step = TrainingStep(TinyMethod(dropout=0), SegmentationObjective())
    losses = forward(step, lambda texts: F.normalize(texts, dim=-1)[:, None], (0, 1, 2))
    assert list(losses) == ["segmentation"]
    losses["segmentation"].backward()
    towers = step.backbone.model
    for layers in (towers.vision_model.encoder.layers, towers.text_model.encoder.layers):
        assert layers[0].self_attn.v_proj.weight.grad.abs().max() > 0
        assert layers[0].self_attn.k_proj.weight.grad is None


def test_the_best_row_of_a_class_counts() -> None:
    logits = torch.tensor([[1.0, 5.0, 3.0, -2.0]]).reshape(1, 4, 1, 1)
    assert class_logits(logits, None, (0, 1, 1, 2)).flatten().tolist() == [1, 5, -2]
    assert class_logits(logits, None, (0, 1, 2, 3)) is logits


def test_rows_not_kept_rest() -> None:
    logits = torch.tensor([[1.0, 5.0], [2.0, 3.0]]).reshape(2, 2, 1, 1)
    kept = torch.tensor([[2, 0], [1, 3]])
    expected = [[5, PRUNED_LOGIT, 1, PRUNED_LOGIT], [PRUNED_LOGIT, 2, PRUNED_LOGIT, 3]]
    assert class_logits(logits, kept, (0, 1, 2, 3)).flatten(1).tolist() == expected
    assert class_logits(logits, kept, (0, 0, 1, 1)).flatten(1).tolist() == [[5, 1], [2, 3]]


def test_an_objective_gets_maps_in_float32_and_forgets_when_it_is_told() -> None:
    method, seen = TinyMethod(dropout=0), []

    class Collecting(nn.Module):
        def forward(self, _: nn.Module, view: TrainingForward) -> dict[str, torch.Tensor]:
            seen.append(view.output)
            return {"mean": view.output.logits.mean()}

        def forget(self) -> None:
            seen.clear()

    def short(_: nn.Module, __: object, output: Output) -> Output:
        maps = {name: getattr(output, name).bfloat16() for name in ("logits", "compared")}
        return replace(output, **maps, aligned=maps["compared"])

    method.register_forward_hook(short)
    step = TrainingStep(method, Collecting())
    forward(step, lambda texts: F.normalize(texts, dim=-1)[:, None], (0, 1, 2))
    (output,) = seen
    assert {output.logits.dtype, output.compared.dtype, output.aligned.dtype} == {torch.float32}
    step.forget()
    assert not seen
    TrainingStep(method, lambda *_: {}).forget()  # has nothing to forget


def test_recomputing_activations_changes_no_gradient() -> None:
    gradients = []
    for enabled in (False, True):
        method = TinyMethod(dropout=0)
        set_checkpointing(method, enabled=enabled)
        assert method.backbone.checkpointing is enabled
        step = TrainingStep(method, SegmentationObjective())
        forward(step, lambda texts: F.normalize(texts, dim=-1)[:, None], (0, 1, 2))["segmentation"].backward()
        gradients.append([value.grad for value in method.parameters() if value.grad is not None])
    assert all(map(torch.equal, *gradients))


def test_checkpointing_must_be_possible_and_a_backbone_present() -> None:
    plain = torch.nn.Linear(2, 2)
    set_checkpointing(plain, enabled=False)
    with pytest.raises(ValueError, match="Linear does not support activation checkpointing"):
        set_checkpointing(plain, enabled=True)
    frozen = TinyMethod()
    frozen.backbone.requires_grad_(requires_grad=False)  # keeps nothing that could be recomputed
    assert not can_recompute(frozen)
    with pytest.raises(ValueError, match=r"no submodule that is trained has `checkpointing`\. Set training"):
        set_checkpointing(frozen, enabled=True)
    plain.backbone = torch.nn.Identity()
    with pytest.raises(TypeError, match=r"Linear\.backbone is a Identity, not a Backbone"):
        _ = TrainingStep(plain, SegmentationObjective()).backbone
