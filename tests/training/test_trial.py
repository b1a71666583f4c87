"""Trial steps: what a step needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ahs_seg.methods.mask.ebseg.objective import EBSegObjective
from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training import trial
from ahs_seg.training.class_sampling import NameSource
from ahs_seg.training.forward import TrainingStep, set_checkpointing
from ahs_seg.training.launch import create_fabric
from ahs_seg.training.memory import SHARE, TensorBytes
from ahs_seg.training.run import start_run
from ahs_seg.training.sampler import StepDataset
from ahs_seg.training.trial import StepMemory, TrainingEstimate
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.small_methods import EBSEG_SMALL
from tests.support.training import SIDE, TinyDataset, tiny_recipe
from tests.support.training_runs import cat_seg, small_backbone

MIB = 2**20


def test_a_step_of_many_images_is_foretold_from_one_and_two(tmp_path):
    """The error that is promised: 5 % of the tensors of a step."""
    recipe, data = tiny_recipe(batch_size=6), TinyDataset()
    step = TrainingStep(cat_seg(), SegmentationObjective()).train()
    state, _ = start_run(recipe, step, data, tmp_path, settings={}, fabric=create_fabric(recipe), resume=False)
    (part,) = StepDataset(data, recipe, None, 0, 1)[0]
    names = NameSource(data.vocabulary, recipe.prompts, step.backbone.tokenizer)(torch.arange(6))
    found = trial.estimate_step(state, names, part)
    for enabled, expected in ((False, found.kept), (True, found.recomputed)):
        set_checkpointing(step.method, enabled=enabled)
        for value in step.parameters():
            value.grad = torch.zeros_like(value) if value.requires_grad else None
        with TensorBytes() as counted:
            trial.whole_step(state, names, part, 6)
        assert expected.of(6) == pytest.approx(counted.peak, rel=0.05)
    assert found.recomputed.per_image < found.kept.per_image


def test_words_that_are_encoded_once_are_no_memory_of_an_image(tmp_path):
    """With a frozen text tower: once they are known, the same run takes what was foretold."""
    recipe, data = tiny_recipe(batch_size=6), TinyDataset(vocabulary=Vocabulary.parse([f"word {i}" for i in range(40)]))
    config = EBSEG_SMALL.replace(backbone=EBSEG_SMALL.backbone.replace(resolution=SIDE))
    torch.manual_seed(0)
    step = TrainingStep(config.compose(small_backbone()), EBSegObjective(config.loss)).train()
    state, _ = start_run(recipe, step, data, tmp_path, settings={}, fabric=create_fabric(recipe), resume=False)
    (part,) = StepDataset(data, recipe, None, 0, 1)[0]
    names = NameSource(data.vocabulary, recipe.prompts, step.backbone.tokenizer)(torch.arange(40))
    first, again = (trial.estimate_step(state, names, part).kept for _ in range(2))
    assert first.per_image == pytest.approx(again.per_image, rel=0.05)
    assert first.of(6) == pytest.approx(again.of(6), rel=0.05)


def test_the_largest_batch_is_the_largest_that_fits():
    step = StepMemory(fixed=100, per_image=10, seconds=1.0)
    assert [step.largest(free) for free in (90, 109, 110, 149, 150)] == [0, 0, 1, 4, 5]
    found = TrainingEstimate(50 * MIB, 20 * MIB, replace(step, fixed=0, per_image=MIB), None, 100 * MIB, 2, 7)
    assert found.largest(found.kept) == int(SHARE * 100) - 20
    text = "\n".join(found.lines())
    assert "7 classes a step, 2 image(s) at once; free memory 100 MiB" in text
    assert "largest batch that fits 60" in text
    assert "activations recomputed: this method cannot" in text
    assert "not known here" in "\n".join(replace(found, free=None).lines())


def test_the_time_of_a_step_ends_when_the_gpu_is_done(monkeypatch):
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for kind in ("cpu", "cuda"):
        trial._wait(torch.device(kind))
    assert waited == [torch.device("cuda")]
