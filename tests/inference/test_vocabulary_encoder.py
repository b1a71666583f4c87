"""Words are prepared once, again when their embeddings change, and seen rows follow their classes."""

import logging

import pytest
import torch

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.vocabulary_encoder import KEPT, VocabularyEncoder
from ahs_seg.types import ClassText, Words
from ahs_seg.vocabulary.notices import collected_notices
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.tiny_models import ColourMethod

CATS = Vocabulary.parse(["cat", "vehicle = car, bus", "sofa"])
PROMPTS = PromptConfig(templates=("a {}",))


class Watched(ColourMethod):
    """Counts what is prepared."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared_with: list[object] = []

    def prepare(self, text: torch.Tensor, seen: torch.Tensor | None = None) -> ClassText:
        self.prepared_with.append(None if seen is None else seen.tolist())
        return super().prepare(text, seen)


def test_words_are_prepared_once_and_again_when_the_text_tower_changes() -> None:
    encoder, method = VocabularyEncoder(PROMPTS, TextCache()), Watched()
    first: Words = encoder.words(method, CATS)
    assert encoder.words(method, CATS) is first
    assert len(method.prepared_with) == 1
    backbone = method.backbone
    assert isinstance(backbone, ClipBackbone)
    with torch.no_grad():
        backbone.model.text_projection.weight.mul_(-1)
    assert encoder.words(method, CATS) is not first
    assert len(method.prepared_with) == 2


def test_a_few_vocabularies_are_kept() -> None:
    encoder, method = VocabularyEncoder(PROMPTS, TextCache()), Watched()
    lists = [Vocabulary.parse([f"thing {index}", "cat"]) for index in range(KEPT + 1)]
    for words in lists:
        encoder.words(method, words)
    encoder.words(method, lists[-1])
    encoder.words(method, lists[1])
    assert len(method.prepared_with) == KEPT + 1
    encoder.words(method, lists[0])  # the oldest was let go
    assert len(method.prepared_with) == KEPT + 2


def test_rows_are_seen_as_their_classes_are() -> None:
    method = Watched()
    VocabularyEncoder(PROMPTS, TextCache(), seen=lambda _: [True, False, True]).words(method, CATS)
    VocabularyEncoder(PROMPTS, TextCache()).words(method, CATS)
    rows = PROMPTS.table(CATS).row_class
    assert method.prepared_with == [[owner != 1 for owner in rows], None]


def test_features_are_unit_means_of_the_rows_of_a_class() -> None:
    encoder, method = VocabularyEncoder(PROMPTS, TextCache()), ColourMethod()
    features = encoder.features(method, CATS)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3))
    rows = encoder.embeddings(method, CATS).mean(1)
    mean = rows[[index for index, owner in enumerate(PROMPTS.table(CATS).row_class) if owner == 1]].sum(0)
    torch.testing.assert_close(features[1], mean / mean.norm())
    order = Vocabulary.parse(["sofa", "cat", "vehicle = car, bus"])
    torch.testing.assert_close(encoder.features(method, order), features[[2, 0, 1]])


def test_names_of_two_classes_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder, words = VocabularyEncoder(PROMPTS, TextCache()), Vocabulary.parse(["bag", "bag, purse"])
    with caplog.at_level(logging.WARNING):
        encoder.table(words)
        with collected_notices() as again:
            encoder.table(words)
    assert again == caplog.messages
    assert len(caplog.records) == 1
    assert "'bag' (0, 1)" in caplog.text


@pytest.mark.parametrize(
    ("languages", "warned"), [(("en",), ["猫", "кошка"]), (("zh", "en"), ["кошка"]), (None, [])], ids=str
)
def test_words_that_a_tower_cannot_read_are_warned_of_in_one_line(
    languages: tuple[str, ...] | None, warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    encoder, method = VocabularyEncoder(PROMPTS, TextCache()), ColourMethod()
    method.backbone.languages = languages
    words = Vocabulary.parse(["cat", "猫", "кошка"])
    with caplog.at_level(logging.WARNING):
        encoder.embeddings(method, words)
        with collected_notices() as again:
            encoder.words(method, words)
    lines = [record.getMessage() for record in caplog.records if "cannot read" in record.getMessage()]
    assert again == lines
    assert len(lines) == bool(warned)
    assert not lines or (", ".join(map(repr, warned)) + "; " in lines[0] and "\n" not in lines[0])
