"""Queries start as the original ones do, and look where their masks are."""

import math

import torch

from ahs_seg.methods.mask.predictions import PixelFeatures
from tests.support.mask_decoders import pixel_decoder, pixel_maps, query_decoder


def test_matrices_of_attention_start_as_one_matrix_of_three() -> None:
    queries = query_decoder()
    assert all(parameter.isfinite().all() for parameter in queries.parameters())
    bound = math.sqrt(6 / (32 + 3 * 32))
    own = queries.decoder.layers[0].self_attn.q_proj
    assert bound * 0.9 < own.weight.abs().max() <= bound
    assert not own.bias.any()


@torch.no_grad()
def test_masks_are_products_of_embedded_queries_and_mask_features() -> None:
    queries, features = query_decoder(), pixel_decoder()(pixel_maps())
    predictions = queries(features)
    assert len(predictions) == 4  # one of the learnt queries and one after each layer
    for prediction in predictions:
        assert prediction.states.shape == (2, 5, 32)
        embedded = queries.embed_masks(prediction.states)
        expected = torch.einsum("bqc,bchw->bqhw", embedded, features.masks)
        torch.testing.assert_close(prediction.masks, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_images_do_not_see_each_other() -> None:
    queries, features = query_decoder(), pixel_decoder()(pixel_maps())
    coarse, middle, fine = features.levels
    second = PixelFeatures(features.masks[1:], (coarse[1:], middle[1:], fine[1:]))
    together, alone = queries(features)[-1], queries(second)[-1]
    torch.testing.assert_close(alone.masks, together.masks[1:], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_layers_look_at_the_levels_in_turn_the_coarsest_first() -> None:
    queries, features = query_decoder(), pixel_decoder()(pixel_maps())
    coarse, middle, fine = features.levels
    before = queries(features)
    noise = [torch.randn_like(level) for level in features.levels]
    after = queries(PixelFeatures(features.masks, (coarse, middle + noise[1], fine + noise[2])))
    same = [torch.equal(one.states, other.states) for one, other in zip(before, after, strict=True)]
    assert same == [True, True, False, False]
    moved = queries(PixelFeatures(features.masks, (coarse + noise[0], middle, fine)))
    assert torch.equal(moved[0].states, before[0].states)
    assert not torch.allclose(moved[1].states, before[1].states)
