"""Which classes training has seen: by name, by a map of the caller, or gradually by text embeddings."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.checkpoints.model_dir import ModelDescription, load_model
from ahs_seg.config import ConfigError
from ahs_seg.evaluation.model import predictors_for
from ahs_seg.evaluation.protocols import own_protocol
from ahs_seg.methods.mask.ebseg.embeddings import balanced_scores
from ahs_seg.methods.mask.ebseg.segmenter import EBSegSegmenter
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import ClassText
from ahs_seg.vocabulary.seen_classes import Overlap, SoftOverlap
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone
from tests.support.drawn_images import drawn
from tests.support.small_methods import CAT_SEG, EBSEG_SMALL, SHORT

WORDS = Vocabulary.parse("cat, sofa, lamp")
IMAGE = drawn(40, 49)
SOFT = SoftOverlap(low=0.0, high=0.99)
BALANCE = {"alpha": 0.0, "beta": 0.7, "gamma": 0.3}
"""Unseen classes are scored without the supervised embedding, seen ones with nothing but it and the recognised one."""


def description(**changes: Any) -> ModelDescription:
    return ModelDescription(method=EBSEG_SMALL.replace(**BALANCE), prompts=SHORT, trained_on=("cat",)).replace(
        **changes
    )


@cache
def ebseg() -> EBSegSegmenter:
    """One for all tests: segmenters have copies of it."""
    torch.manual_seed(0)
    return EBSEG_SMALL.replace(**BALANCE).compose(random_backbone(resolution=64))


def segmenter(told: ModelDescription | None = None, soft_overlap: SoftOverlap | None = None) -> Segmenter:
    model = Segmenter(ebseg(), prompts=SHORT, description=told)
    model.method.soft_overlap = soft_overlap
    return model


def words(model: Segmenter) -> ClassText:
    prepared = model._words(model._encoder.table(WORDS))
    assert isinstance(prepared, ClassText)
    return prepared


def flags(model: Segmenter) -> list[bool] | None:
    seen = words(model).seen
    return None if seen is None else seen.tolist()


def scores(model: Segmenter) -> Tensor:
    return torch.from_numpy(np.asarray(model(IMAGE, WORDS).scores))


def test_a_map_of_the_caller_comes_before_names() -> None:
    model = segmenter(description())
    assert flags(model) == [True, False, False]
    before = scores(model)
    assert model.with_seen({"Cat": False, "lamp": True, "tree": True}) is model
    assert flags(model) == [False, False, True]
    assert not torch.equal(scores(model), before)
    assert flags(pickle.loads(pickle.dumps(model))) == [False, False, True]
    other = segmenter(description(trained_on=("lamp",)))
    assert torch.equal(scores(other), scores(model))
    assert flags(segmenter()) is None
    assert flags(segmenter().with_seen({"sofa": True})) == [False, True, False]
    assert flags(segmenter().with_seen({"tree": True})) is None


def test_a_method_that_knows_no_seen_classes_refuses_the_map() -> None:
    model = Segmenter(CAT_SEG.compose(random_backbone(resolution=64)), prompts=SHORT)
    with pytest.raises(ConfigError, match="CostSegmenter treats classes seen in training and others alike"):
        model.with_seen({"cat": True})


@torch.no_grad()
def test_soft_overlap_is_the_formula_on_text_embeddings() -> None:
    told = description(overlap=Overlap(words=(("cat", "kitten"), ("tree",))))
    model = segmenter(told, soft_overlap=SOFT)
    prepared = words(model)
    text = F.normalize(prepared.embeddings[:, 0], dim=-1)
    cosine = (text @ model.text_features(["cat", "kitten", "tree"]).T).amax(1)
    expected = ((cosine - SOFT.low) / (SOFT.high - SOFT.low)).clamp(0, 1)
    assert prepared.seen_share is not None
    torch.testing.assert_close(prepared.seen_share, expected)
    assert prepared.seen_share[0] == 1
    assert prepared.seen_share.unique().numel() == 3
    soft = scores(model)
    assert not torch.equal(soft, scores(segmenter(told)))
    given = model.with_seen({"cat": False})
    share = words(given).seen_share
    assert share is not None
    torch.testing.assert_close(share, torch.cat([torch.zeros(1), expected[1:]]))
    assert words(segmenter(soft_overlap=SOFT)).seen_share is None  # no training classes are known


def test_soft_overlap_is_an_option_at_inference_and_saved(tmp_path: Path) -> None:
    told = description()
    model = segmenter(told)
    option = told.inference.replace(options={"soft_overlap": {"low": SOFT.low, "high": SOFT.high}})
    soft = Segmenter(model.method, prompts=SHORT, inference=option, description=told)
    expected = scores(segmenter(told, soft_overlap=SOFT))
    assert torch.equal(scores(soft), expected)
    off = option.replace(options={"soft_overlap": False})
    assert torch.equal(scores(Segmenter(soft.method, prompts=SHORT, inference=off, description=told)), scores(model))
    saved = segmenter(told.replace(method=told.method.replace(soft_overlap=SOFT)), soft_overlap=SOFT)
    loaded = Segmenter.from_pretrained(saved.save_pretrained(tmp_path / "model"), device="cpu")
    assert torch.equal(scores(loaded), expected)


@torch.no_grad()
def test_shares_mix_the_weights_of_the_balance() -> None:
    logits = torch.randn(3, 2, 4, 6, generator=torch.Generator().manual_seed(0))

    def scored(seen: Tensor) -> Tensor:
        return balanced_scores(logits[0], logits[1], logits[2], seen, alpha=0.2, beta=0.4, gamma=0.5)

    seen = torch.tensor([True, False, True, False, False])
    plain = scored(seen)
    assert torch.equal(plain, scored(seen.float()))
    share = torch.tensor([1.0, 0.0, 0.5, 0.25, 0.75])
    a, b, c = (part[..., :-1].softmax(-1) for part in logits)
    u = share * 0.2 + (1 - share) * 0.4
    mixed = a ** (1 - u - 0.5) * b**0.5 * c**u
    expected = mixed / mixed.sum(-1, keepdim=True) * (1 - logits[0].softmax(-1)[..., -1:])
    torch.testing.assert_close(scored(share), expected, rtol=1e-4, atol=1e-6)


def test_an_evaluation_knows_the_classes_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = description(trained_on=("cat", "lamp"))
    saved, method = load_model(segmenter(told).save_pretrained(tmp_path / "model"))
    found: list[list[bool] | None] = []
    prepare = EBSegSegmenter.prepare

    def watched(self: EBSegSegmenter, text: Tensor, seen: Tensor | None = None) -> ClassText:
        found.append(None if seen is None else seen.tolist())
        return prepare(self, text, seen)

    monkeypatch.setattr(EBSegSegmenter, "prepare", watched)
    (predict,) = predictors_for(saved, method, (own_protocol(saved.inference, SHORT),), WORDS)
    predict(IMAGE)
    assert found == [[True, False, True]]
