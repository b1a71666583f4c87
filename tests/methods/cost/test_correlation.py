"""The cost volume by hand, and which classes it finds most similar."""

import math

import pytest
import torch
import torch.nn.functional as F
from beartype.roar import BeartypeCallHintViolation

from ahs_seg.methods.cost import correlation
from ahs_seg.methods.cost.correlation import PerClassShift, cosine_cost, most_similar_classes
from tests.support.tensors import dense

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def test_cosines_by_hand() -> None:
    patches = torch.tensor([[2.0, 0.0], [3.0, 3.0]]).T.reshape(1, 2, 1, 2)  # two places: east, and north-east
    text = torch.tensor([[EAST, [0.0, 5.0]], [WEST, [1.0, 1.0]]])  # two classes of two prompts each
    half = math.sqrt(0.5)
    cost = cosine_cost(patches, text)
    assert cost.shape == (1, 2, 2, 1, 2)
    torch.testing.assert_close(cost[0, 0, :, 0], torch.tensor([[1.0, half], [-1.0, -half]]))  # first prompts
    torch.testing.assert_close(cost[0, 1, :, 0], torch.tensor([[0.0, half], [half, 1.0]]))  # second prompts


def test_words_of_each_image_are_compared_with_that_image() -> None:
    patches, text = dense(3, 8, 2, 5), dense(3, 4, 2, 8, seed=1)
    together = cosine_cost(patches, text)
    for index in range(3):
        torch.testing.assert_close(together[index : index + 1], cosine_cost(patches[index : index + 1], text[index]))


def test_lengths_do_not_count_and_permuting_names_permutes_the_cost() -> None:
    patches, text = dense(2, 8, 3, 3), dense(5, 1, 8, seed=1)
    order = torch.tensor([4, 2, 0, 1, 3])
    expected = cosine_cost(patches, text)[:, :, order]
    torch.testing.assert_close(cosine_cost(7 * patches, 0.1 * text[order]), expected)


def test_the_most_similar_classes_are_those_of_the_best_place_and_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    patches = torch.tensor([[EAST, EAST], [NORTH, NORTH]]).permute(0, 2, 1).unsqueeze(2)
    near = [math.cos(0.2), math.sin(0.2)]
    text = torch.tensor([[WEST, WEST], [WEST, NORTH], [near, WEST], [EAST, WEST]])
    assert most_similar_classes(patches, text, 2).tolist() == [[2, 3], [1, 2]]  # in the order of the vocabulary
    monkeypatch.setattr(correlation, "_CLASSES_AT_ONCE", 1)
    assert most_similar_classes(patches, text, 2).tolist() == [[2, 3], [1, 2]]


def test_words_shared_by_all_images_may_have_a_leading_axis() -> None:
    patches, text = dense(3, 8, 2, 5), dense(4, 2, 8, seed=1)
    torch.testing.assert_close(cosine_cost(patches, text[None]), cosine_cost(patches, text))


@pytest.mark.parametrize("shape", [(2, 4, 2, 8), (3, 4, 2, 5), (4, 2, 5), (1, 1, 4, 2, 8), (4, 8)])
def test_text_of_another_shape_fails_the_check(shape: tuple[int, ...]) -> None:
    with pytest.raises(BeartypeCallHintViolation, match="text"):
        cosine_cost(dense(3, 8, 2, 5), torch.ones(shape))


def test_a_projection_per_class_is_that_of_the_shifted_features() -> None:
    patches, text, shift = dense(2, 8, 3, 5), dense(4, 2, 8, seed=1), dense(2, 8, 3, 5, seed=2)
    shares = dense(1, 4, 2, seed=3)
    found = PerClassShift(shift, shares).cost(patches, text[None])
    for index in range(4):
        for prompt in range(2):
            moved = patches + shares[0, index, prompt] * shift
            expected = F.cosine_similarity(moved, text[index, prompt][None, :, None, None], dim=1)
            torch.testing.assert_close(found[:, prompt, index], expected)
