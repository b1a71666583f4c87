"""The prototypes of a method in training."""

import pytest
import torch

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.prototypes import PrototypeBank
from ahs_seg.types import TrainingForward
from tests.support.hyperspherical import (
    FULL,
    LABELS,
    build,
    embed,
    hps,
    lite,
    objective,
    view,
)
from tests.support.small_methods import inputs


@torch.no_grad()
def test_words_are_drawn_to_prototypes_in_the_simple_design_only() -> None:
    _, text = inputs(7)
    for config, moved in ((FULL["lite"], True), (FULL["hps"], False)):
        method = build(config)
        method.parts.prototypes.start(embed(method))
        words = method.prepare(text)
        assert torch.equal(words.embeddings, text) != moved
        assert torch.equal(words.guidance, words.embeddings)


def test_losses_see_the_prototypes_of_earlier_steps_only() -> None:
    config = hps("hpa")
    method = build(config).train()
    terms, bank = objective(config, method), method.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    first = terms(method, view(method))
    assert first["prototype_distance"] == first["prototype_contrast"] == 0  # nothing to compare with
    assert first["prototype_distance"].requires_grad
    assert not bank.seen.any()
    terms.update(method)
    assert bank.seen.all()
    again = terms(method, view(method))
    assert again["prototype_distance"] > 0
    torch.testing.assert_close(bank.prototypes.norm(dim=1), torch.ones(5))


def test_parts_of_a_batch_update_like_the_whole_batch() -> None:
    results = []
    for parts in (1, 2):
        config = lite("prototypes")
        method = build(config)
        terms = objective(config, method)
        whole = view(method)
        for chosen in torch.arange(2).chunk(parts):
            output = method(whole.images[chosen], embed(method).unsqueeze(1))
            terms(
                method,
                TrainingForward(whole.images[chosen], LABELS[chosen], whole.classes, whole.row_class, output, 0.0),
            )
        terms.update(method)
        results.append(method.parts.prototypes.prototypes)
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_classes_of_a_step_are_found_in_the_training_vocabulary() -> None:
    config = lite("prototypes")
    method = build(config)
    terms, bank = objective(config, method), method.parts.prototypes
    assert isinstance(bank, PrototypeBank)
    start = bank.prototypes.clone()
    images, _ = inputs(2)
    chosen = torch.tensor([1, 3])
    labels = torch.where(LABELS >= 0, LABELS % 2, LABELS)
    output = method(images, embed(method)[chosen].unsqueeze(1))
    terms(method, TrainingForward(images, labels, chosen, torch.arange(2), output, 0.0))
    terms.update(method)
    assert bank.seen.tolist() == [False, True, False, True, False]
    assert torch.equal(bank.prototypes[::2], start[::2])
    assert not torch.allclose(bank.prototypes[1], start[1], atol=1e-3)


def with_count(config: CostMethodConfig, count: int | None) -> CostMethodConfig:
    prototypes = config.cost.prototypes
    assert prototypes is not None
    cost = config.cost.replace(prototypes=prototypes.replace(count=count))
    return config.replace(cost=cost)


def test_the_number_of_classes_comes_from_the_data() -> None:
    open_count = with_count(lite("prototypes"), None)
    with pytest.raises(ConfigError, match=r"prototypes\.count is not set.*for_classes\(171\)"):
        build(open_count)
    assert build(open_count.for_classes(7)).parts.prototypes.count == 7
    config = with_count(open_count, 4).for_classes(7)
    assert config.cost.prototypes.count == 4  # what was set stays
    with pytest.raises(ConfigError, match="count is 4, but training has 5 classes"):
        objective(config, build(config))
    assert hps("afr").for_classes(7) == hps("afr")
