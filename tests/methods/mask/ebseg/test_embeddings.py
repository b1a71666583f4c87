"""Embeddings of proposals and the balance between them."""

import torch
from torch import Tensor

from ahs_seg.methods.mask.ebseg.embeddings import AttentionBias, SupervisedEmbedding, balanced_scores, mean_inside
from ahs_seg.methods.mask.predictions import QueryPrediction


def balanced_by_hand(logits: list[Tensor], seen: Tensor, alpha: float, beta: float, gamma: float) -> Tensor:
    p = [one[..., :-1].softmax(-1) for one in logits]
    u = torch.where(seen, alpha, beta)
    s = (1e-8 + p[0] ** (1 - u - gamma) * p[2] ** u * p[1] ** gamma).log()
    no_object = logits[0].softmax(-1)[..., -1:]
    c = torch.cat([s.softmax(-1) * (1 - no_object), no_object], -1)
    return (c + 1e-8).log().softmax(-1)[..., :-1]


def test_balance_is_the_papers_formula() -> None:
    logits = [3 * torch.randn(2, 4, 6) for _ in range(3)]
    one, two, three = logits
    seen = torch.tensor([True, False, True, False, False])
    ours = balanced_scores(one, two, three, seen, alpha=0.1, beta=0.25, gamma=0.6)
    torch.testing.assert_close(ours, balanced_by_hand(logits, seen, 0.1, 0.25, 0.6))
    none = balanced_scores(one, two, three, None, alpha=0.1, beta=0.25, gamma=0.6)
    torch.testing.assert_close(none, balanced_by_hand(logits, torch.zeros(5, dtype=torch.bool), 0.1, 0.25, 0.6))
    # With all of them zero only the supervised embedding counts.
    alone = balanced_scores(one, two, three, seen, alpha=0.0, beta=0.0, gamma=0.0)
    torch.testing.assert_close(alone, logits[0].softmax(-1)[..., :-1], atol=1e-6, rtol=1e-4)


def test_new_classes_do_without_the_supervised_embedding() -> None:
    logits = [torch.randn(1, 3, 5) for _ in range(3)]
    other = [logits[0] + torch.tensor([0.0, 2.0, -1.0, 3.0, 0.0]), *logits[1:]]
    other[0][..., -1] = -50.0
    logits[0][..., -1] = -50.0
    new = torch.zeros(4, dtype=torch.bool)

    def scores(logits: list[Tensor], seen: Tensor) -> Tensor:
        one, two, three = logits
        return balanced_scores(one, two, three, seen, alpha=0.09, beta=0.3, gamma=0.7)

    torch.testing.assert_close(scores(logits, new), scores(other, new))
    assert not torch.allclose(scores(logits, ~new), scores(other, ~new))


def test_the_bias_is_the_greatest_in_each_cell_and_needs_no_gradient_to_be_the_same() -> None:
    torch.manual_seed(0)
    bias = AttentionBias(4, 3)
    features, masks = torch.randn(2, 4, 6, 8), torch.randn(2, 5, 4)
    keys = bias.keys(features)
    pooled = bias(masks, keys, (3, 4))
    full = torch.einsum("bqc,mbchw->bmqhw", masks, keys)
    expected = full.unflatten(-2, (3, 2)).unflatten(-1, (4, 2)).amax((-1, -3)).flatten(-2)
    torch.testing.assert_close(pooled, expected)
    with torch.no_grad():
        assert torch.equal(bias(masks, keys, (3, 4)), pooled)
    assert (bias.weight.item(), bias.shift.item()) == (1.0, 0.0)


def test_the_mean_of_an_empty_mask_is_zero() -> None:
    dense = torch.arange(8.0).view(1, 2, 2, 2)
    masks = torch.tensor([[[0.5, -0.5], [0.5, 0.0]], [[-0.5, -0.5], [-0.5, -0.5]]])[None]
    torch.testing.assert_close(mean_inside(dense, masks), torch.tensor([[[1.0, 5.0], [0.0, 0.0]]]))


def test_the_supervised_embedding_reads_what_is_inside_of_the_mask() -> None:
    torch.manual_seed(0)
    embedding = SupervisedEmbedding(8, 4)
    features = torch.randn(1, 8, 2, 2)
    prediction = QueryPrediction(torch.randn(1, 1, 8), torch.tensor([[[[0.5, -0.5], [0.5, 0.0]]]]))
    inside, outside = features.clone(), features.clone()
    inside[..., 0] += torch.randn(1, 8, 1)
    outside[..., 1] += torch.randn(1, 8, 1)
    assert torch.equal(embedding(prediction, outside), embedding(prediction, features))
    assert not torch.allclose(embedding(prediction, inside), embedding(prediction, features), atol=1e-3)


def test_means_of_large_masks_do_not_overflow_in_fp16() -> None:
    """A sum over 64 x 64 positions of values around 30 is above 65,504, the largest number of fp16."""
    torch.manual_seed(0)
    embedding = SupervisedEmbedding(8, 4)
    features, masks = 30 + torch.randn(1, 8, 64, 64), torch.ones(1, 2, 64, 64)
    masks[:, 1] = -1  # an empty one
    prediction = QueryPrediction(torch.zeros(1, 2, 8), masks)
    expected, mean = embedding(prediction, features), mean_inside(features, masks)
    with torch.autocast("cpu", dtype=torch.float16):
        found = embedding(prediction, features.half())
        assert torch.equal(mean_inside(features, masks), mean)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
