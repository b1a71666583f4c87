"""Prototypes: how they move, how they guide words, and their losses by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.methods.cost.parts.prototypes import PrototypeBank, Prototypes, PrototypeTerm
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.types import IGNORE
from tests.support.hyperspherical import NAMES, build, embed, lite, objective, view


def bank(**changes: Any) -> PrototypeBank:
    return PrototypeBank(2, 3, **changes)


def test_prototypes_move_by_hand() -> None:
    memory = bank(momentum=0.5)
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [7.0, 7.0], [-3.0, 0.0]])
    memory.update(*memory.sums(features, torch.tensor([0, 0, IGNORE, 2])))
    half = math.sqrt(0.5)
    # Lengths do not count: class 0 has the direction of (1, 0) + (0, 1).
    torch.testing.assert_close(memory.prototypes, torch.tensor([[half, half], [0, 0], [-1, 0]]))
    assert memory.seen.tolist() == memory.ready.tolist() == [True, False, True]
    memory.update(*memory.sums(features[:1], torch.tensor([0])))
    # Half of (0.707, 0.707) and half of (1, 0), made a unit vector: 22.5 degrees.
    torch.testing.assert_close(memory.prototypes[0], torch.tensor([math.cos(math.pi / 8), math.sin(math.pi / 8)]))
    assert memory.prototypes[2].tolist() == [-1, 0]


def test_starting_directions_stay_until_a_class_is_seen() -> None:
    memory = bank(momentum=0.99)
    memory.start(torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]]))
    assert memory.ready.all()
    assert not memory.seen.any()
    memory.update(*memory.sums(torch.tensor([[0.0, -1.0]]), torch.tensor([1])))
    # At its first sight a class takes the direction itself, not one percent of it.
    assert memory.prototypes.tolist() == [[1, 0], [0, -1], [1, 0]]
    memory.start(torch.tensor([[0.0, 1.0]] * 3))  # as when a trained model is trained further
    assert memory.prototypes.tolist() == [[0, 1], [0, -1], [0, 1]]
    with pytest.raises(ValueError, match=r"4 vectors of size 2.*3 prototypes of size 2.*prototypes\.count"):
        memory.start(torch.zeros(4, 2))


def test_words_are_drawn_to_the_prototypes_they_are_near_by_hand() -> None:
    memory = bank(guidance=0.1, temperature=0.5)
    text = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
    torch.testing.assert_close(memory.guide(text), F.normalize(text, dim=-1))  # there is no prototype yet
    memory.start(torch.tensor([[0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]]))
    # The word (1, 0) has cosines 0 and -1: shares 1 / (1 + e^-2) and the rest of the two prototypes that exist.
    share = 1 / (1 + math.exp(-2))
    mixture = F.normalize(torch.tensor([share - 1, share]), dim=0)
    expected = F.normalize(torch.tensor([1.0, 0.0]) + 0.1 * mixture, dim=0)
    torch.testing.assert_close(memory.guide(text)[0, 0], expected)
    assert memory.guide(text[:1].repeat(1, 3, 1)).shape == (1, 3, 2)
    still = bank(guidance=0.0)
    assert still.guide(text) is text


@torch.no_grad()
def test_words_are_guided_in_full_precision_under_autocast() -> None:
    torch.manual_seed(0)
    memory, text = PrototypeBank(16, 5, temperature=0.07, guidance=0.1), torch.randn(7, 2, 16)
    memory.start(F.normalize(torch.randn(5, 16), dim=-1))
    plain = memory.guide(text)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(memory.guide(text), plain)


def test_temperatures_start_where_asked_and_stay_in_bounds() -> None:
    memory = bank(temperature=0.07)
    torch.testing.assert_close(memory.temperatures, torch.full((3,), 0.07))
    with torch.no_grad():
        memory.theta.copy_(torch.tensor([-9.0, math.log(2), 9.0]))
    torch.testing.assert_close(memory.temperatures, torch.tensor([0.01, 0.14, 1.0]))


@torch.no_grad()
def test_micro_batches_move_prototypes_as_one_batch() -> None:
    method = build(lite("prototypes"))
    whole = view(method)
    features = whole.output.aligned
    assert features is not None
    images = torch.arange(2)[:, None, None]  # each part has the labels of one image
    halves = [replace(whole, labels=torch.where(images == index, whole.labels, IGNORE)) for index in range(2)]
    found = []
    for parts in ([whole], halves):
        config = Prototypes(count=5, adaptive=True, start="nothing")
        memory = config.build(features.shape[1])
        term = PrototypeTerm(config, memory, TrainingClasses(NAMES, (None,) * 5, lambda: embed(method)))
        for part in parts:
            term(memory, part)
        term.update(memory)
        found.append(memory)
    one, other = found
    assert one.counts is not None
    assert other.counts is not None
    assert one.counts.sum() > 0
    torch.testing.assert_close(other.counts, one.counts)
    torch.testing.assert_close(other.prototypes, one.prototypes)


@torch.no_grad()
def test_features_of_a_step_that_begins_anew_count_once() -> None:
    config = lite("prototypes")
    method = build(config)
    terms, part = objective(config, method), view(method)
    memory = method.parts.prototypes
    memory.seen.fill_(True)
    start = memory.prototypes.clone()
    terms(method, part)
    terms.forget()
    terms.update(method)
    assert torch.equal(memory.prototypes, start)
    terms(method, part)
    terms.update(method)
    assert not torch.equal(memory.prototypes, start)
