"""The parts of the mask family start as the original ones do, and queries see where their masks are."""

import math

import torch

from ahs_seg.methods.mask.pixel_decoder import PixelDecoder
from ahs_seg.methods.mask.query_decoder import MaskedDecoder


def small() -> tuple[PixelDecoder, MaskedDecoder]:
    torch.manual_seed(0)
    pixels = PixelDecoder([8, 12, 16, 20], dim=32, mask_dim=24, heads=4, layers=2, feedforward=48)
    return pixels, MaskedDecoder(32, mask_dim=24, queries=5, heads=4, layers=3, feedforward=40)


def test_all_values_are_set_and_attention_looks_around_itself() -> None:
    pixels, queries = small()
    assert all(parameter.isfinite().all() for part in (pixels, queries) for parameter in part.parameters())
    attention = pixels.encoder.layers[0].self_attn
    offsets = attention.sampling_offsets.bias.view(4, 3, 4, 2)
    # Four heads look right, down, left and up; point p looks p cells far, on every level.
    for head, (x, y) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
        for point in range(4):
            expected = torch.tensor([x * (point + 1.0), y * (point + 1.0)]).expand(3, 2)
            torch.testing.assert_close(offsets[head, :, point], expected, atol=1e-5, rtol=0)
    assert not attention.sampling_offsets.weight.any()
    assert not attention.attention_weights.weight.any()
    bound = math.sqrt(6 / (32 + 3 * 32))
    own = queries.decoder.layers[0].self_attn.q_proj
    assert bound * 0.9 < own.weight.abs().max() <= bound
    assert not own.bias.any()


@torch.no_grad()
def test_shapes_follow_the_maps_whatever_their_sizes() -> None:
    pixels, queries = small()
    levels = [
        torch.randn(2, c, *size) for c, size in zip([8, 12, 16, 20], [(24, 40), (12, 20), (6, 10), (3, 5)], strict=True)
    ]
    features = pixels.eval()(levels)
    assert features.masks.shape == (2, 24, 24, 40)
    assert [tuple(level.shape) for level in features.levels] == [(2, 32, 3, 5), (2, 32, 6, 10), (2, 32, 12, 20)]
    predictions = queries.eval()(features)
    assert len(predictions) == 4
    for prediction in predictions:
        assert prediction.states.shape == (2, 5, 32)
        embedded = queries.embed_masks(prediction.states)
        expected = torch.einsum("bqc,bchw->bqhw", embedded, features.masks)
        torch.testing.assert_close(prediction.masks, expected, rtol=1e-4, atol=1e-5)
    assert pixels([level[:1] for level in levels]).masks.shape[0] == 1
