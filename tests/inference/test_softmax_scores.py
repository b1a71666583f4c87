"""The softmax over all text rows, a few rows at a time."""

import pytest
import torch

from ahs_seg.inference.score_maps import View, WholeScores, best_rows
from ahs_seg.inference.softmax_scores import RefinedMaps, SoftmaxScores
from ahs_seg.inference.top_k import best_classes
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.modules.pamr import pamr_affinity, refine
from tests.support.score_maps import Fixed, LargestTensor


def scores_of(logits: torch.Tensor, memory_rows: int = 100) -> SoftmaxScores:
    maps, size = Fixed(logits), (logits.shape[-2], logits.shape[-1])
    return SoftmaxScores(maps, torch.arange(len(logits)), size, 3 * memory_rows * maps.row_bytes)


@pytest.mark.parametrize("memory_rows", [1, 2, 3, 100])
def test_scores_are_the_softmax_and_labels_those_of_the_logits(memory_rows: int) -> None:
    logits = 30 * torch.randn(13, 9, 11, generator=torch.Generator().manual_seed(0))
    maps = scores_of(logits, memory_rows)
    rows, best = best_rows(maps, torch.arange(13), memory_bytes=maps.memory_bytes)
    assert torch.equal(rows, logits.argmax(0).int())
    torch.testing.assert_close(best, logits.softmax(0).amax(0))
    some = torch.tensor([3, 7])
    torch.testing.assert_close(maps(some), logits.softmax(0)[some])


def test_labels_are_exact_where_scores_round_to_the_same() -> None:
    logits = torch.tensor([-5.0, 1e-9, 3e-9, 0.0])[:, None, None].expand(4, 2, 2)
    maps = scores_of(logits)
    scores = maps(torch.arange(4))
    assert torch.equal(scores[1], scores[2])
    rows, _ = best_rows(maps, torch.arange(4), memory_bytes=1)
    assert rows.unique().tolist() == [2]


def test_the_best_of_some_rows_have_the_scores_among_all() -> None:
    logits = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(1))
    rows, best = best_rows(scores_of(logits), torch.tensor([1, 4]), memory_bytes=1000)
    expected = logits.softmax(0)[[1, 4]]
    torch.testing.assert_close(best, expected.amax(0))
    assert torch.equal(rows, torch.tensor([1, 4])[expected.argmax(0)].int())


def test_ranked_classes() -> None:
    logits = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(2))
    labels, scores = best_classes(scores_of(logits), torch.arange(6), [0, 0, 1, 2, 2, 3], depth=2, memory_bytes=1)
    named = logits.softmax(0)
    classes = torch.stack([named[:2].amax(0), named[2], named[3:5].amax(0), named[5]])
    best, order = classes.sort(0, descending=True)
    assert torch.equal(labels, order[:2].int())
    torch.testing.assert_close(scores, best[:2])


def test_memory_does_not_grow_with_the_classes() -> None:
    size = (60, 80)
    for classes in (8, 300):
        view = View(torch.randn(classes, 3, 4), None)
        maps = SoftmaxScores(WholeScores(view, lambda logits: logits, size), torch.arange(classes), size, 0)
        with LargestTensor() as watch:
            best_rows(maps, torch.arange(classes), memory_bytes=5 * maps.row_bytes)
        assert watch.largest <= 8 * size[0] * size[1]


def test_refined_maps_are_those_of_all_rows_at_once() -> None:
    generator = torch.Generator().manual_seed(3)
    logits, image = torch.randn(5, 20, 24, generator=generator), torch.rand(3, 20, 24, generator=generator)
    config = PamrConfig(iterations=3, dilations=(1, 4))
    maps = RefinedMaps(Fixed(logits), image, config)
    expected = refine(logits, pamr_affinity(image, (1, 4)), (1, 4), iterations=3)
    assert torch.equal(torch.cat([maps(torch.tensor([row])) for row in range(5)]), expected)
