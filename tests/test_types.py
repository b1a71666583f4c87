"""The tensors that travel: shapes are checked, words know their number and their place."""

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation

from ahs_seg.types import ClassText, ImageFeatures, Output
from ahs_seg.vocabulary.vocabulary import Vocabulary


def test_words_know_how_many_rows_they_have_and_where_they_lie() -> None:
    words = ClassText(torch.zeros(3, 2, 4), torch.zeros(3, 2, 4))
    assert len(words) == 3
    assert words.device == torch.device("cpu")
    assert words.seen is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ImageFeatures(torch.zeros(2, 3, 4)),
        lambda: ImageFeatures(torch.zeros(2, 3, 4, 4, dtype=torch.int64)),
        lambda: ClassText(torch.zeros(3, 2, 4), torch.zeros(3, 4)),
        lambda: ClassText(torch.zeros(3, 2, 4), torch.zeros(2, 2, 4)),
        lambda: ClassText(torch.zeros(3, 2, 4), torch.zeros(3, 2, 4), seen=torch.zeros(3)),
        lambda: Output(
            torch.zeros(1, 3, 4),
            ImageFeatures(torch.zeros(1, 3, 4, 4)),
            ClassText(torch.zeros(3, 1, 3), torch.zeros(3, 1, 3)),
            torch.zeros(1, 3, 4, 4),
        ),
    ],
    ids=[
        "three axes",
        "whole numbers",
        "guidance without prompts",
        "guidance of other words",
        "seen as numbers",
        "logits without a batch",
    ],
)
def test_other_shapes_are_refused_in_tests(wrong: object) -> None:
    with pytest.raises(BeartypeCallHintViolation):
        wrong()  # a function


def test_arguments_without_axes_are_checked_too() -> None:
    with pytest.raises(BeartypeCallHintViolation, match="source"):
        Vocabulary.parse(7)  # type: ignore[arg-type]  # that is the point


def test_sizes_of_axes_are_those_of_one_call() -> None:
    for words in (3, 5):
        assert len(ClassText(torch.zeros(words, 2, 4), torch.zeros(words, 2, 4))) == words


def test_what_travels_cannot_be_changed() -> None:
    words = ClassText(torch.zeros(3, 2, 4), torch.zeros(3, 2, 4))
    with pytest.raises(AttributeError, match="cannot assign"):
        words.embeddings = torch.ones(3, 2, 4)  # type: ignore[misc]  # frozen
