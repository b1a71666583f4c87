"""The pixel decoder starts as the original one does, and gives features at stride 4 and three levels."""

import torch

from tests.support.mask_decoders import pixel_decoder, pixel_maps


def test_all_values_are_set_and_attention_looks_around_itself() -> None:
    pixels = pixel_decoder()
    assert all(parameter.isfinite().all() for parameter in pixels.parameters())
    attention = pixels.encoder.layers[0].self_attn
    offsets = attention.sampling_offsets.bias.view(4, 3, 4, 2)
    # Four heads look right, down, left and up; point p looks p cells far, on every level.
    for head, (x, y) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
        for point in range(4):
            expected = torch.tensor([x * (point + 1.0), y * (point + 1.0)]).expand(3, 2)
            torch.testing.assert_close(offsets[head, :, point], expected, atol=1e-5, rtol=0)
    assert not attention.sampling_offsets.weight.any()
    assert not attention.attention_weights.weight.any()


@torch.no_grad()
def test_sizes_follow_the_maps_and_images_do_not_see_each_other() -> None:
    pixels, maps = pixel_decoder(), pixel_maps()
    features = pixels(maps)
    assert features.masks.shape == (2, 24, 24, 40)
    assert [tuple(level.shape) for level in features.levels] == [(2, 32, 3, 5), (2, 32, 6, 10), (2, 32, 12, 20)]
    alone = pixels([level[1:] for level in maps])
    torch.testing.assert_close(alone.masks, features.masks[1:], rtol=1e-4, atol=1e-5)
    for one, whole in zip(alone.levels, features.levels, strict=True):
        torch.testing.assert_close(one, whole[1:], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_every_map_counts_for_the_mask_features() -> None:
    pixels, maps = pixel_decoder(), pixel_maps(1)
    before = pixels(maps).masks
    for index in range(4):
        changed = [level + (place == index) * torch.randn_like(level) for place, level in enumerate(maps)]
        assert not torch.allclose(pixels(changed).masks, before, atol=1e-3), index


@torch.no_grad()
def test_it_stays_in_float32_under_autocast() -> None:
    pixels, maps = pixel_decoder(), pixel_maps(1)
    plain = pixels(maps).masks
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pixels(maps).masks, plain)
