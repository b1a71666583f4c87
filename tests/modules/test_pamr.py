"""Refinement by the image; the recordings are in `parity`."""

import torch

from ahs_seg.modules.pamr import pamr_affinity, refine


def image() -> torch.Tensor:
    shown = torch.zeros(3, 12, 16)
    shown[:, :, 8:] = 1
    return shown + 0.01 * torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(0))


def test_weights_sum_to_one_and_do_not_depend_on_the_scale_of_a_channel() -> None:
    weights = pamr_affinity(image(), (1, 2))
    assert weights.shape == (16, 12, 16)
    torch.testing.assert_close(weights.sum(0), torch.ones(12, 16))
    scaled = image() * torch.tensor([2.0, 0.5, 3.0])[:, None, None] - 1
    torch.testing.assert_close(pamr_affinity(scaled, (1, 2)), weights, rtol=1e-3, atol=1e-4)


def test_noise_is_averaged_and_stays_on_its_side_of_an_edge() -> None:
    clean = torch.zeros(1, 12, 16)
    clean[..., 8:] = 1
    noisy = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * 0.3
    found = refine(noisy, pamr_affinity(image(), (1, 2)), (1, 2), iterations=5)
    assert (found - clean).square().mean() < 0.5 * (noisy - clean).square().mean()
    assert found.amin() >= noisy.amin()
    assert found.amax() <= noisy.amax()


def test_a_constant_is_kept_and_added() -> None:
    maps = torch.rand(2, 12, 16, generator=torch.Generator().manual_seed(2))
    weights = pamr_affinity(image(), (3,))
    plain, raised = (refine(one, weights, (3,), iterations=2) for one in (maps, maps + 5))
    torch.testing.assert_close(raised, plain + 5)


def test_a_plain_image_gives_the_mean_over_the_neighbours() -> None:
    maps = torch.zeros(1, 5, 5)
    maps[0, 2, 2] = 8
    found = refine(maps, pamr_affinity(torch.full((3, 5, 5), 0.5), (1,)), (1,), iterations=1)
    assert found[0, 1:4, 1:4].tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
