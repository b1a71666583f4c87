"""The recorded training steps: loss, every gradient norm, and the weights after two updates."""

import copy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ahs_seg.methods import CostSegmenter
from ahs_seg.methods.objective import segmentation_loss
from ahs_seg.training.optim import build_optimizer
from ahs_seg.training.recipe import OptimizerConfig
from tests.parity.case import CONVERTERS, Case

AFTER = "after2steps:"


def test_two_optimiser_steps(case: Case) -> None:
    """Losses, every gradient norm and the weights after two steps, on the recorded batch."""
    method, recorded = copy.deepcopy(case.method).train(), case.recording.info["training"]
    method.head.class_pooling = 2
    keys = [entry.split(" ")[0].removeprefix("image:") for entry in recorded["batch"]]
    images = torch.cat([case.recording.image(key, 384, 384) for key in keys])
    labels = torch.cat([case.recording.labels(key, 384, 384) for key in keys])
    twin = replace(case, method=method)
    optimizer = build_optimizer(method, OptimizerConfig())
    names = official_names(case)
    before = {key: sampled(names, key, method) for key in case.recording.arrays if key.startswith(AFTER)}
    for index, step in enumerate(recorded["steps"]):
        optimizer.zero_grad()
        loss = segmentation_loss(method(images, twin.text("tokens_20")).logits, labels)
        loss.backward()
        assert abs(loss.item() - step["losses"]["loss_sem_seg"]) <= (2e-6 if index == 0 else 2e-5) * (
            5 if case.large else 1
        )
        total = torch.nn.utils.clip_grad_norm_([p for p in method.parameters() if p.requires_grad], 0.01).item()
        assert abs(total - step["total_grad_norm"]) <= 1e-3 * total
        if index == 0:
            compare_gradients(method, names, step["grad_norms"], total)
        optimizer.step()
    for key, start in before.items():
        expected = case.recording.arrays[key]
        error, moved = np.abs(sampled(names, key, method) - expected).max(), np.abs(expected - start).max()
        assert error <= 1e-4 * np.abs(expected).max(), key
        assert error <= 0.1 * moved, f"{key}: off by {error:.1e}, two steps move it by {moved:.1e}"  # one step: a half


def sampled(names: dict[str, list[str]], key: str, method: CostSegmenter) -> NDArray[np.float32]:
    """Up to about 256 values of a recorded weight, as it is now."""
    ours = to_official(names[key.removeprefix(AFTER)], method)
    return ours.flatten()[:: max(1, ours.numel() // 256)].detach().clone().numpy()


def official_names(case: Case) -> dict[str, list[str]]:
    """For each official name, our names of what it became."""
    state = {entry["name"]: torch.empty(entry["shape"]) for entry in case.recording.manifest["state_dict"]}
    converter = CONVERTERS[case.recording.name]
    found = {}
    for name, tensor in state.items():
        conversion = converter({name: tensor})
        found[name] = list(conversion.state)
    return found


def compare_gradients(
    method: CostSegmenter, names: dict[str, list[str]], recorded: dict[str, float], total: float
) -> None:
    parameters = dict(method.named_parameters())
    relations = parameters.get("backbone.adapter.modality_relations")
    checked = 0
    for name, expected in recorded.items():
        if expected < 1e-6:
            continue
        if ".relation_m_R." in name or "relation_m_R" in name:
            assert relations is not None
            assert relations.grad is not None
            ours = relations.grad[int(name.split("relation_m_R.")[1].split(".")[0])].norm()
        else:
            (key,) = names[name]
            gradient = parameters[key].grad
            assert gradient is not None, name
            ours = gradient.norm()
        # The recorded norms are those before clipping; ours were just scaled by 0.01 / total.
        # Rounding of a small norm follows the sum it comes from, so a part of the tolerance is one of the total norm.
        assert abs(ours.item() * total / 0.01 - expected) <= 1e-3 * expected + 1e-6 * total, name
        checked += 1
    assert checked > 50


def to_official(names: list[str], method: CostSegmenter) -> Tensor:
    """One of our tensors in the layout of the original."""
    (name,) = names
    tensor = method.state_dict()[name]
    return tensor.permute(2, 3, 0, 1) if name.endswith("adapter.bank") else tensor
