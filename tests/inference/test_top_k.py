import numpy as np
import pytest
import torch

from ahs_seg.inference.predict import InferenceConfig, predict
from ahs_seg.inference.top_k import best_classes, rank
from tests.support.score_maps import Fixed, LargestTensor
from tests.support.tiny_models import ColourMethod

IMAGE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


@pytest.mark.parametrize("memory_rows", [1, 3, 100])
@pytest.mark.parametrize("depth", [1, 2, 5, 13])
def test_the_best_are_those_of_sorting(depth, memory_rows):
    maps = torch.randint(0, 40, (13, 9, 11)).float()  # with ties
    labels, scores = best_classes(
        Fixed(maps), torch.arange(13), range(13), depth=depth, memory_bytes=memory_rows * maps[0].nbytes
    )
    order = maps.sort(dim=0, descending=True, stable=True)
    assert torch.equal(labels, order.indices[:depth].int())
    assert torch.equal(scores, order.values[:depth])


def test_a_class_counts_once_with_its_best_row():
    maps, owner = torch.rand(9, 6, 7), [0, 0, 1, 2, 2, 2, 3, 4, 4]
    labels, scores = best_classes(Fixed(maps), torch.arange(9), owner, depth=3, memory_bytes=1)
    merged = torch.stack([maps[[row for row in range(9) if owner[row] == one]].amax(0) for one in range(5)])
    order = merged.sort(dim=0, descending=True, stable=True)
    assert torch.equal(labels, order.indices[:3].int())
    assert torch.equal(scores, order.values[:3])


def test_memory_grows_with_the_depth_and_not_with_the_classes():
    class Made:
        """Maps that are made when they are asked for."""

        row_bytes = 4 * 40 * 50

        def __call__(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.full((40, 50), float(row % 7)) for row in rows.tolist()])

    for classes in (8, 300):
        with LargestTensor() as watch:
            best_classes(Made(), torch.arange(classes), range(classes), depth=5, memory_bytes=3 * Made.row_bytes)
        assert watch.largest == 5 * 40 * 50


@pytest.mark.parametrize("keep", [None, 3])
@pytest.mark.parametrize("windows", ["whole", "sliding", "image_windows"])
def test_ranks_and_log_odds_agree_with_the_prediction(windows, keep):
    torch.manual_seed(0)
    method, text = ColourMethod(keep=keep), torch.randn(7, 1, 16)
    config = InferenceConfig.parse({}, [f"windows.name={windows}"])
    found = rank(method, IMAGE, text, config, row_class=range(7), depth=7, logits=True)
    plain = predict(method, IMAGE, text, config)
    assert torch.equal(found.labels[0], plain.labels.int())
    assert torch.equal(found.scores[0], plain.scores)
    assert (found.scores.diff(dim=0) <= 0).all()
    assert torch.equal(found.labels.sort(0).values, torch.arange(7).view(7, 1, 1).expand(7, 21, 34).int())
    ranked = found.logits.gather(0, found.labels.long())
    inner = (found.scores > 1e-4) & (found.scores < 1 - 1e-4)
    torch.testing.assert_close(ranked[inner], found.scores.logit()[inner], atol=1e-3, rtol=1e-3)
    shorter = rank(method, IMAGE, text, config, row_class=range(7), depth=4)
    assert torch.equal(shorter.labels, found.labels[:4])
    assert torch.equal(shorter.scores, found.scores[:4])


def test_too_many_log_odds_are_refused():
    image = np.zeros((2000, 2000, 3), np.uint8)
    with pytest.raises(ValueError, match="logits of 300 classes at 2000x2000 take 4,800,000,000 bytes"):
        rank(
            ColourMethod(),
            image,
            torch.randn(300, 1, 16),
            InferenceConfig(),
            row_class=range(300),
            depth=1,
            logits=True,
        )
