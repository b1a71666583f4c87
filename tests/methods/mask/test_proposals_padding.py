"""The padding of images: part of them as published, or masked out of decoders and losses."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ahs_seg.methods.mask.predictions import ImageArea, PixelFeatures
from ahs_seg.methods.mask.proposals import inside_image
from ahs_seg.methods.mask.query_decoder import limited
from ahs_seg.methods.mask.scan.objective import ScanLossConfig, ScanObjective
from ahs_seg.types import TrainingForward
from tests.support import ebseg, scan
from tests.support.mask_decoders import pixel_decoder, pixel_maps, query_decoder

AREA, WHOLE = ImageArea((70, 100), (96, 160)), ImageArea((96, 160), (96, 160))


def test_a_query_without_a_mask_attends_to_the_image_alone() -> None:
    padding = torch.tensor([False, False, True])
    blocked = torch.tensor([[[True, False, False], [True, True, False], [True, True, True], [False, False, True]]])
    expected = torch.tensor([[[True, False, True], [False, False, True], [False, False, True], [False, False, True]]])
    assert torch.equal(limited(blocked, padding), expected)


@torch.no_grad()
def test_queries_do_not_see_the_padding() -> None:
    queries, features = query_decoder(), pixel_decoder()(pixel_maps())

    def noisy(share: float) -> PixelFeatures:
        hidden = [AREA.padding((one.shape[2], one.shape[3]), one.device) for one in features.levels]
        changed = [one + share * place for one, place in zip(features.levels, hidden, strict=True)]
        return PixelFeatures(features.masks, (changed[0], changed[1], changed[2]))

    plain, whole = queries(features), queries(features, WHOLE)
    for one, other in zip(plain, whole, strict=True):
        torch.testing.assert_close(one.states, other.states)
        torch.testing.assert_close(one.masks, other.masks)
    masked = queries(noisy(0.0), AREA)
    for one, other in zip(masked, queries(noisy(5.0), AREA), strict=True):
        assert torch.equal(one.states, other.states)
    assert not torch.allclose(masked[-1].states, plain[-1].states, atol=1e-3)
    assert not torch.allclose(queries(noisy(5.0))[-1].states, plain[-1].states, atol=1e-3)


@torch.no_grad()
def test_values_of_padded_positions_are_zero() -> None:
    """As with a value projection whose output is set to zero there."""
    pixels, maps = pixel_decoder(), pixel_maps()
    found = pixels(maps, AREA)
    assert torch.equal(pixels(maps).masks, pixels(maps, WHOLE).masks)
    assert not torch.allclose(found.masks, pixels(maps).masks, atol=1e-3)
    hidden = torch.cat([AREA.padding(size, maps[0].device).flatten() for size in ((3, 5), (6, 10), (12, 20))])
    for layer in pixels.encoder.layers:
        layer.self_attn.value_proj.register_forward_hook(lambda _, given, out: out * ~hidden[:, None])
    torch.testing.assert_close(found.masks, pixels(maps).masks)


def test_points_lie_in_the_image() -> None:
    corners = torch.tensor([[[1.0, 1.0], [0.5, 0.0]]])
    points = inside_image(lambda shape: corners, AREA, corners.device)((1, 2, 2))
    torch.testing.assert_close(points, torch.tensor([[[100 / 160, 70 / 96], [50 / 160, 0.0]]]))


def scan_losses(method: Any, labels: Tensor) -> dict[str, Tensor]:
    images, text = scan.images(len(labels), *labels.shape[-2:]), scan.words(3)
    view = TrainingForward(images, labels, torch.arange(3), torch.arange(3), method(images, text), 0.0)
    return ScanObjective(ScanLossConfig(points=64))(method, view)


LOSSES: dict[str, Any] = {
    "ebseg": lambda method, labels: ebseg.losses_of(method, labels, ebseg.words(3)),
    "scan": scan_losses,
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_option_acts_on_padded_images_in_prediction_and_training(name: str) -> None:
    make = ebseg.small if name == "ebseg" else scan.build
    plain, masked = make(), make(mask_padding=True)
    assert plain.state_dict().keys() == masked.state_dict().keys()
    text = ebseg.words(3)
    for size, same in (((64, 96), True), ((40, 70), False)):
        with torch.no_grad():
            one, other = (method(ebseg.images(1, *size), text).logits for method in (plain, masked))
        assert torch.allclose(one, other, atol=1e-5) == same
    labels = torch.randint(0, 3, (1, 40, 70), generator=torch.Generator().manual_seed(3))
    found = []
    method: Any = masked.train()
    features = method.encode(ebseg.images(1, 40, 70))
    method.encode = lambda images: features
    for inside in (True, False):
        method.mask_padding = inside
        torch.manual_seed(5)
        losses = LOSSES[name](method, labels)
        found.append(losses["mask"].item())
    assert abs(found[0] - found[1]) > 1e-4
