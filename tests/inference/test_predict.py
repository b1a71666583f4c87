import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ahs_seg.config import ConfigError
from ahs_seg.inference.predict import (
    CAT_SEG_PROTOCOL,
    InferenceConfig,
    predict,
    predict_many,
)
from ahs_seg.inference.windows import SlidingWindows, WholeImage
from ahs_seg.types import PRUNED_LOGIT
from tests.support.predictions import assert_same, random_image, tensor, words
from tests.support.tiny_models import ColourMethod


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def all_logits(method, images: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Logits of every row, as the original keeps them: `PRUNED_LOGIT` where a row was not kept."""
    output = method(images, text)
    if output.kept_rows is None:
        return output.logits
    full = torch.full((len(images), len(text), *output.logits.shape[-2:]), PRUNED_LOGIT)
    for target, rows, logits in zip(full, output.kept_rows, output.logits, strict=True):
        target[rows] = logits
    return full


def textbook_whole(method, image: torch.Tensor, text: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(all_logits(method, image[None], text).sigmoid(), size=size, mode="bilinear")[0]


def textbook_sliding(method, image, text, size, *, side: int, kernel: int, overlap: float) -> torch.Tensor:
    """The original's formulation: unfold, all views at once, fold, every class at image size."""
    stride = int(kernel * (1 - overlap))
    cut, paste = nn.Unfold(kernel, stride=stride), nn.Fold(side, kernel, stride=stride)
    canvas = F.interpolate(image[None], (side, side), mode="bilinear", align_corners=False)
    windows = cut(canvas)[0].unflatten(0, (3, kernel, kernel)).permute(3, 0, 1, 2)
    whole = F.interpolate(image[None], (kernel, kernel), mode="bilinear", align_corners=False)
    logits = all_logits(method, torch.cat([windows, whole]), text)
    scores = F.interpolate(logits, (kernel, kernel), mode="bilinear", align_corners=False).sigmoid()
    whole_scores = F.interpolate(scores[-1:], (side, side), mode="bilinear", align_corners=False)
    folded = paste(scores[:-1].flatten(1).T[None]) / paste(cut(torch.ones_like(canvas[:, :1])))
    return F.interpolate((folded + whole_scores) / 2, size, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize("size", [(40, 53), (17, 50), (1, 1), (1, 30)])
@pytest.mark.parametrize("keep", [None, 4])
def test_whole_image_equals_textbook(size, keep):
    method, text, image = ColourMethod(keep=keep), words(11), random_image(*size)
    assert_same(predict(method, image, text, InferenceConfig()), textbook_whole(method, tensor(image), text, size))


@pytest.mark.parametrize("size", [(40, 53), (90, 20), (1, 1), (53, 53)])
@pytest.mark.parametrize("keep", [None, 4])
@pytest.mark.parametrize("batch", [1, 3, 5])
def test_sliding_window_equals_textbook(size, keep, batch):
    """53 and 32 have the proportions of 640 and 384 for a resolution of 32."""
    method, text, image = ColourMethod(keep=keep), words(11), random_image(*size)
    config = InferenceConfig(windows=SlidingWindows(), shortest_edge=min(size), batch=batch, memory_mb=1)
    expected = textbook_sliding(method, tensor(image), text, size, side=53, kernel=32, overlap=0.333)
    assert_same(predict(method, image, text, config), expected)


def test_sizes_of_cat_seg():
    assert isinstance(CAT_SEG_PROTOCOL.windows, SlidingWindows)
    for grid in (SlidingWindows().grid(384), CAT_SEG_PROTOCOL.windows.grid(336)):
        assert (grid.canvas, grid.window) == ((640, 640), (384, 384))
        assert list(grid.corners) == [(0, 0), (0, 256), (256, 0), (256, 256)]
    assert SlidingWindows().grid(336).window == (336, 336)
    assert SlidingWindows().grid(96).canvas == (160, 160)


def test_padding_of_the_original_is_reproduced_and_off_by_default():
    method, text, image = ColourMethod(), words(6), random_image(40, 53)
    mean = torch.tensor(method.backbone.mean)[:, None, None]
    padded = torch.cat([tensor(image), mean.expand(3, 40, 11)], 2)
    padded = torch.cat([padded, mean.expand(3, 24, 64)], 1)
    assert method.backbone.normalise(padded[None])[:, :, 40:].abs().max() == 0
    stretched = textbook_whole(method, padded, text, (40, 53))
    config = InferenceConfig(windows=WholeImage(pad_multiple=32), shortest_edge=40)
    assert_same(predict(method, image, text, config), stretched)
    plain = predict(method, image, text, InferenceConfig(shortest_edge=40))
    assert_same(plain, textbook_whole(method, tensor(image), text, (40, 53)))
    assert not torch.equal(plain.labels, stretched.argmax(0).int())


def test_permuted_rows_give_permuted_labels():
    method, text, image = ColourMethod(keep=5), words(12), random_image(30, 40)
    order = torch.randperm(12)
    plain = predict(method, image, text, InferenceConfig(windows=SlidingWindows()))
    permuted = predict(method, image, text[order], InferenceConfig(windows=SlidingWindows()))
    assert torch.equal(order.int()[permuted.labels], plain.labels)
    torch.testing.assert_close(permuted.scores, plain.scores)


def test_a_class_has_the_score_of_its_best_row():
    method, text, image = ColourMethod(), words(6), random_image(30, 40)
    row_class = (0, 1, 1, 1, 2, 2)
    prediction = predict(method, image, text, InferenceConfig(), row_class=row_class)
    rows = textbook_whole(method, tensor(image), text, (30, 40))
    classes = torch.stack([rows[0], rows[1:4].amax(0), rows[4:].amax(0)])
    assert_same(prediction, classes)
    assert prediction.labels.dtype == torch.int32


def test_equal_rows_go_to_the_first_class():
    method, text = ColourMethod(), words(4)[[2, 2, 0, 2]]
    labels = predict(method, random_image(20, 20), text, InferenceConfig(windows=SlidingWindows())).labels
    assert set(labels.unique().tolist()) <= {0, 2}


def test_loading_resizes_bytes_with_pillow():
    method, text, image = ColourMethod(), words(5), random_image(60, 90)
    loaded = np.asarray(Image.fromarray(image).resize((30, 20), Image.Resampling.BILINEAR))
    prediction = predict(method, image, text, InferenceConfig(shortest_edge=20))
    assert_same(prediction, textbook_whole(method, tensor(loaded), text, (60, 90)))
    assert method.seen[0] == (1, 3, 20, 30)


def test_without_a_rule_large_images_shrink_and_small_ones_stay():
    method, text = ColourMethod(), words(5)
    for size in ((30, 200), (53, 53), (10, 20)):
        assert predict(method, random_image(*size), text, InferenceConfig()).labels.shape == size
    assert method.seen == [(1, 3, 30, 53), (1, 3, 53, 53), (1, 3, 10, 20)]


@pytest.mark.parametrize("windows", [WholeImage(), SlidingWindows()])
@pytest.mark.parametrize("shortest_edge", [None, 64])
def test_a_very_wide_image(windows, shortest_edge):
    method, text = ColourMethod(), words(3)
    image = np.full((3, 20000, 3), 40, np.uint8)
    image[:, 10000:] = (250, 10, 240)
    config = InferenceConfig(windows=windows, shortest_edge=shortest_edge)
    prediction = predict(method, image, text, config)
    assert prediction.labels.shape == (3, 20000)
    assert max(shape[-1] for shape in method.seen) <= 2560
    left, right = prediction.labels[1, 100], prediction.labels[1, -100]
    assert left != right
    assert (prediction.labels[:, :9000] == left).float().mean() > 0.99


def test_one_row_and_one_pixel():
    prediction = predict(ColourMethod(), random_image(1, 1), words(1), InferenceConfig(windows=SlidingWindows()))
    assert prediction.labels.tolist() == [[0]]
    assert 0 <= prediction.scores.item() <= 1


@pytest.mark.parametrize(
    "override",
    [
        "windows.name=tiles",
        "windows.kernel=4",
        "shortest_edge=0",
        "batch=0",
        "memory_mb=0",
        "longest_side=5",
    ],
)
def test_wrong_settings_name_their_key(override):
    with pytest.raises(ConfigError, match=override.split("=")[0].split(".")[0]):
        InferenceConfig.parse({}, [override])


def test_protocols_say_what_they_do():
    assert CAT_SEG_PROTOCOL.title == (
        "windows of 384 on 640, overlap 0.333, with global view, shortest edge 640, longest 2560, class pooling 1"
    )
    given = [SlidingWindows(side=500), SlidingWindows(side=640), SlidingWindows(kernel=200), SlidingWindows()]
    assert [windows.title.split(",")[0] for windows in given] == [
        "windows on 500",
        "windows on 640",
        "windows of 200",
        "windows",
    ]
    assert InferenceConfig().title == "whole image"
    assert InferenceConfig(memory_mb=3, batch=2).title == "whole image"


def test_wrong_windows_are_explained():
    with pytest.raises(ConfigError, match="kernel 50 is larger than side 40"):
        SlidingWindows.parse({"side": 40, "kernel": 50})
    with pytest.raises(ConfigError, match="overlap"):
        SlidingWindows.parse({"overlap": 1.0})
    assert InferenceConfig.parse({}, ["windows.name=sliding", "windows.side=640"]).windows.side == 640


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("config", [InferenceConfig(), InferenceConfig(windows=SlidingWindows(side=40, kernel=24))])
def test_several_images_give_the_results_of_single_images(config, batch):
    images = [
        random_image(30, 40),
        random_image(40, 30),
        random_image(30, 40, seed=1),
        random_image(90, 70),
        random_image(30, 40, seed=2),
    ]
    method = ColourMethod()
    together = predict_many(method, images, words(5), config.replace(batch=batch))
    sizes = [shape[0] for shape in method.seen]
    assert max(sizes) == batch
    for one, image in zip(together, images, strict=True):
        alone = predict(method, image, words(5), config)
        torch.testing.assert_close(one.scores, alone.scores)
        assert one.labels.shape == image.shape[:2]
        assert (one.labels == alone.labels).float().mean() > 0.999
