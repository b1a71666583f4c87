"""The training-free methods beside recordings of the originals' own code."""

from typing import Any

import numpy as np
import pytest
import torch

from ahs_seg.backbones.base import DenseForm
from ahs_seg.backbones.dense_forms import last_block, neighbourhood
from ahs_seg.backbones.image_tower import project_tokens
from ahs_seg.inference.predict import InferenceConfig, score_maps
from ahs_seg.inference.score_maps import best_rows
from ahs_seg.inference.windows import ImageWindows
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.methods.zero_shot import ZeroShotSegmenter
from ahs_seg.modules.pamr import pamr_affinity, refine
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.parity.recording import generator
from tests.parity.training_free import ARRAYS, MANIFEST, RECORDED, image, off, pixels, tower


@torch.no_grad()
@pytest.mark.parametrize("form", RECORDED)
def test_dense_forms_of_a_square_image(form: DenseForm) -> None:
    backbone = tower()
    backbone.dense_form = form
    dense = backbone.encode_image(pixels("image:tf64")).dense[0].flatten(1).T
    recorded = torch.from_numpy(ARRAYS[f"square/{RECORDED[form]}"])[-64:]
    assert (dense - recorded).abs().max() <= 1e-5 * recorded.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("form", RECORDED)
def test_dense_forms_of_a_wide_grid(form: DenseForm) -> None:
    """From the recorded input of the last block: the originals resize the position table by another rule."""
    backbone, start = tower(), torch.from_numpy(ARRAYS["wide/before_last"])[None]
    block, weights = backbone.blocks("vision")[-1], backbone.attention_weights("vision")[-1]
    last = last_block(form, block, weights, start, heads=backbone.heads, grid=(8, 12))
    dense = project_tokens(backbone.model, last)[0, 1:]
    recorded = torch.from_numpy(ARRAYS[f"wide/{RECORDED[form]}"])[-96:]
    assert (dense - recorded).abs().max() <= 1e-5 * recorded.abs().max()


@pytest.mark.parametrize(("shape", "grid"), [("square", (8, 8)), ("wide", (8, 12))])
def test_the_neighbourhood_of_naclip(shape: str, grid: tuple[int, int]) -> None:
    near = neighbourhood(grid)
    rows = [0, 1, len(near) // 2, len(near) - 1]
    assert off(near[rows], f"{shape}/omega_rows") <= 1e-6


@pytest.mark.parametrize(
    ("name", "iterations", "dilations"),
    [("iterations1", 1, (8, 16)), ("iterations10", 10, (8, 16)), ("dilations1_2_iterations10", 10, (1, 2))],
)
def test_refinement_by_the_image(name: str, iterations: int, dilations: tuple[int, ...]) -> None:
    draw = generator("pamr/mask").standard_normal((1, 3, 40, 56)).astype(np.float32)
    weights = pamr_affinity(pixels("image:pamr")[0], dilations)
    refined = refine(torch.from_numpy(draw[0]), weights, dilations, iterations=iterations)
    assert off(refined, f"pamr/{name}") <= 1e-5


def test_templates_are_averaged_as_unit_vectors() -> None:
    draw = generator("prompts").standard_normal((3, 5, 32)).astype(np.float32)
    texts = torch.from_numpy(draw + 2 * generator("prompts/word").standard_normal((3, 1, 32)).astype(np.float32))
    templates = tuple(f"{number} {{}}" for number in range(5))
    table = PromptConfig(templates=templates).table(Vocabulary.parse(["a", "b", "c"]))
    assert off(table.assemble(texts.flatten(0, 1))[:, 0], "templates/embedding") <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize("name", ["sclip_slide_native", "naclip_slide_native", "clearclip_slide_thd"])
def test_photographs_through_the_whole_protocol(name: str) -> None:
    """Those cases whose windows are native; the others resize the position table by another rule."""
    case: dict[str, Any] = MANIFEST["cases"][name]
    backbone = tower()
    backbone.dense_form = next(form for form, recorded in RECORDED.items() if recorded == case["dense"])
    refine = None if case["pamr"] is None else PamrConfig(iterations=case["pamr"][0], dilations=case["pamr"][1:])
    method = ZeroShotSegmenter(backbone, temperature=1 / case["scale"], refine=refine)
    config = InferenceConfig(windows=ImageWindows(kernel=case["window"], stride=case["stride"]), memory_mb=1)
    words = torch.from_numpy(ARRAYS["text"])[:, None]
    rows, maps = score_maps(method, image(case["image"]), words, config, size=tuple(case["answer_size"]))
    scores = maps(rows)
    torch.testing.assert_close(scores.sum(0), torch.ones(case["answer_size"]), atol=1e-5, rtol=0)
    classes = torch.stack([scores[[r for r, c in enumerate(case["query_class"]) if c == k]].amax(0) for k in range(4)])
    divided = classes / classes.sum(0) if name.startswith("naclip") else classes
    recorded = ARRAYS[f"protocol/{name}/probabilities"]
    assert np.abs(divided[:, ::4, ::4].numpy() - recorded).max() <= 2e-5
    found, best = best_rows(maps, rows, memory_bytes=config.memory_bytes)
    labels = torch.tensor(case["query_class"])[found.long()]
    labels[best < case["prob_thd"]] = 0  # what the originals write; here such pixels are unknown
    assert (labels[::2, ::2].numpy() != ARRAYS[f"protocol/{name}/labels"]).mean() <= 0.005
