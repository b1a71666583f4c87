"""Every method on a device that is not the CPU: nothing is made on the wrong one, and waits are those listed here."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ahs_seg.inference.predict import InferenceConfig, predict
from ahs_seg.inference.tiling import TileConfig, TileMerger
from ahs_seg.inference.windows import SlidingWindows, WholeImage
from ahs_seg.methods import (
    METHODS,
    AhsSegConfig,
    AhsSegLiteConfig,
    CatSegConfig,
    EBSegConfig,
    Method,
    ScanConfig,
    ZeroShotConfig,
)
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.training.class_sampling import NameSource
from ahs_seg.training.forward import TrainingStep
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS
from tests.support.optional import OPTIONAL
from tests.support.pretended_backend import device
from tests.support.pretended_device import back, module_onto_device, onto_device, pretended

BOUNDARY = {("nonzero", "methods/cost/parts/fusion:boundary_loss")}
"""The maps of the classes that are present, a few of the 171 of COCO-Stuff; all of them would cost 20 times as much."""
MATCHING = {
    ("unique", "methods/mask/set_loss:mask_targets"),
    ("index by a mask", "methods/mask/set_loss:mask_targets"),
    ("copy to the CPU", "methods/mask/set_loss:_match"),
}
"""One target for each class that is present; SciPy assigns them to queries on the CPU, as in the original codes."""
CROPS = {
    ("copy to the CPU", "methods/mask/scan/segmenter:ScanSegmenter.embed_crops"),
    ("copy to the CPU", "methods/mask/scan/crops:cut_regions"),
}
"""Crops are slices of the image, so that their boxes are known to the CPU; masks without a pixel have none."""
WINNERS = {
    ("nonzero", "inference/score_maps:candidates"),
    ("nonzero", "inference/mask_scores:_span"),
    ("copy to the CPU", "inference/contests:contenders"),
    ("index by a mask", "inference/tile_bounds:contested_rows"),
    ("index by a mask", "inference/mask_scores:MaskBand.possible_winners"),
    ("copy to the CPU", "inference/score_maps:_best_rows"),
}
"""Only rows that can be the best somewhere are resized to the size of the image; their number decides the memory."""
RESULT = {("copy to the CPU", "inference/tiling:TileMerger._band")}
"""Finished rows of a large image leave the device one band after the other."""
NOTHING: set[tuple[str, str]] = set()
TRAINING: dict[Any, set[tuple[str, str]]] = {AhsSegConfig: BOUNDARY, ScanConfig: MATCHING, EBSegConfig: MATCHING}
NAMES = ("one", "two", "three", "four", "five")
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)


def step_of(config: Any) -> TrainingStep:
    torch.manual_seed(0)
    method = config.compose(random_backbone(resolution=32))
    tokens = method.backbone.tokenizer(list(NAMES))
    classes = TrainingClasses(
        NAMES,
        ("thing", "thing", "stuff", None, None),
        lambda: torch.nn.functional.normalize(method.backbone.encode_text(tokens).detach(), dim=-1),
    )
    return TrainingStep(method, config.objective(method, classes)).train()


def trained(step: TrainingStep, put: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The losses of one step, after backward and the update of what the objective keeps."""
    torch.manual_seed(1)
    source = NameSource(Vocabulary.parse([*NAMES, "six"]), PromptConfig(templates=("a {}", "the {}")), tokenizer(step))
    names = source(torch.arange(5))
    labels = torch.arange(2 * 32 * 32).reshape(2, 32, 32) // 100 % 5
    labels[:, :5] = IGNORE
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    losses = step(put(images), put(labels), names.text, names.table.row_class, put(names.rows), 0.1)
    torch.stack(list(losses.values())).sum().backward()
    step.finish()
    return losses


def tokenizer(step: TrainingStep) -> Any:
    return step.backbone.tokenizer


def test_what_a_gpu_forbids_is_an_error_and_what_it_waits_for_is_recorded() -> None:
    with pretended() as watch:
        there = onto_device(torch.tensor([3.0, -1.0, 2.0]))
        with pytest.raises(RuntimeError, match="same device, but found"):
            there + torch.ones(3)
        assert (there * torch.tensor(2.0)).device == device()
        assert back(there.clamp(min=0) + torch.ones(3, device=device())).tolist() == [4, 1, 3]
        torch.ones(3).to(device(), non_blocking=True)
        assert watch.events == []
        assert there.sum().item() == 4
        assert bool((there > 0).any())
        assert back(there[there > 0]).tolist() == [3, 2]
        there.tolist()
        torch.tensor([1, 2], device=device())
        assert back(there[[2, 0]]).tolist() == [2, 3]
    told = [event.what for event in watch.events]
    assert told == ["value", "value", "index by a mask", *["copy to the CPU"], *["copy from the CPU"] * 2]


def test_autocast_follows_the_lists_of_gpus() -> None:
    with pretended(), torch.autocast(device().type, torch.bfloat16):
        ones = torch.ones(2, 2, device=device())
        product = ones @ ones
        assert product.dtype == torch.bfloat16
        assert product.softmax(-1).dtype == product.exp().dtype == torch.float32
        assert (product + product).dtype == torch.bfloat16


LEARNED = [member for member in METHODS if member is not ZeroShotConfig]
CASES = [
    *((member, False) for member in LEARNED),
    *((member, True) for member in (AhsSegConfig, AhsSegLiteConfig, EBSegConfig)),
]
"""Configs, and whether autocast is on."""


@pytest.mark.parametrize(
    "kind", [AhsSegConfig, AhsSegLiteConfig, ScanConfig, EBSegConfig], ids=lambda one: one.__name__
)
def test_a_training_step_with_all_options_stays_on_the_device(kind: Any) -> None:
    check_training_step(OPTIONAL[kind], short=False)


@pytest.mark.parametrize(("kind", "short"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_a_training_step_stays_on_the_device(kind: Any, short: bool) -> None:
    check_training_step(SMALL_CONFIGS[kind], short=short)


def check_training_step(config: Any, *, short: bool) -> None:
    step = step_of(config)
    twin = copy.deepcopy(step)
    with pretended() as watch, torch.autocast(device().type, torch.bfloat16, enabled=short):
        losses = trained(module_onto_device(step), onto_device)
    assert watch.places == TRAINING.get(type(config), NOTHING)
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        expected = trained(twin, lambda value: value)
    for name, loss in expected.items():
        torch.testing.assert_close(
            back(losses[name]), loss.detach(), rtol=0.2 if short else 1e-5, atol=5e-3 if short else 1e-4
        )
    if "distillation" in losses:  # the teacher is the student before the first step, in any type
        assert back(losses["distillation"]).item() < 1e-6
    for one, other in zip(step.parameters(), twin.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
    if not short:
        for kept, expected_one in zip(step.buffers(), twin.buffers(), strict=True):
            torch.testing.assert_close(back(kept), expected_one)


CASES = [*((member, False) for member in METHODS), (CatSegConfig, True), (ScanConfig, True)]


@pytest.mark.parametrize("kind", [AhsSegConfig, ScanConfig, EBSegConfig], ids=lambda one: one.__name__)
def test_an_image_is_segmented_with_all_options_on_the_device(kind: Any) -> None:
    check_segmentation(OPTIONAL[kind], short=False)


@pytest.mark.parametrize(("kind", "short"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_an_image_is_segmented_on_the_device(kind: Any, short: bool) -> None:
    check_segmentation(SMALL_CONFIGS[kind], short=short)


def check_segmentation(config: Any, *, short: bool) -> None:
    method = inference(config)
    method.compute_dtype = torch.bfloat16 if short else torch.float32
    windows = WholeImage() if short else SlidingWindows(side=48, kernel=32)
    settings = InferenceConfig(windows=windows, batch=5)
    expected = predict(method, IMAGE, method.prepare(text()), settings, row_class=(*range(13), 12))
    with pretended() as watch:
        there = module_onto_device(copy.deepcopy(method))
        found = predict(there, IMAGE, there.prepare(onto_device(text())), settings, row_class=(*range(13), 12))
    torch.testing.assert_close(back(found.scores), expected.scores, rtol=1e-4, atol=0.02 if short else 1e-4)
    if not short:
        assert (back(found.labels) == expected.labels).float().mean() > 0.999
    assert watch.places <= WINNERS | (CROPS if isinstance(config, ScanConfig) else set())


@pytest.mark.parametrize("kind", [CatSegConfig, EBSegConfig])
def test_tiles_are_merged_on_the_device(kind: Any) -> None:
    method = inference(SMALL_CONFIGS[kind])
    tiles = TileConfig(size=40, overlap=0.25)

    def labels(method: Method, text: Tensor) -> np.ndarray:
        merger = TileMerger(method, method.prepare(text), tuple(range(14)), tiles, 2, 2**20)
        return np.concatenate([band.labels for band in merger.bands(lambda top, end: IMAGE[top:end], (40, 70))])

    expected = labels(method, text())
    with pretended() as watch:
        found = labels(module_onto_device(copy.deepcopy(method)), onto_device(text()))
    assert (found == expected).mean() > 0.999
    assert watch.places <= WINNERS | RESULT


def inference(config: Any) -> Method:
    torch.manual_seed(0)
    return config.compose(random_backbone(resolution=32)).for_inference()


def text() -> Tensor:
    return torch.randn(14, 1, 24, generator=torch.Generator().manual_seed(0))
