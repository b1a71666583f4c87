from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.training.class_sampling import (
    NameSource,
    StepNames,
    choose_rows,
    masks_of_step,
    names_of_step,
    present_classes,
    relabel,
)
from ahs_seg.training.run import Run
from ahs_seg.training.sampler import Pictures
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import byte_tokenizer

PRESENT = torch.tensor([False, True, False, False, True, False])


def draws(wanted: int) -> list[list[int]]:
    return [choose_rows(PRESENT, wanted, np.random.default_rng(seed)).tolist() for seed in range(200)]


def test_present_classes_come_with_random_others() -> None:
    rows = draws(3)
    assert all(len(row) == 3 and {1, 4} <= set(row) and row == sorted(row) for row in rows)
    assert {(set(row) - {1, 4}).pop() for row in rows} == {0, 2, 3, 5}


def test_more_present_than_wanted_are_drawn() -> None:
    assert {tuple(row) for row in draws(1)} == {(1,), (4,)}


def test_all_names_with_a_large_bound() -> None:
    for wanted in (6, 100):
        assert set(map(tuple, draws(wanted))) == {(0, 1, 2, 3, 4, 5)}


def test_labels_follow_the_chosen_rows() -> None:
    labels = torch.tensor([[IGNORE, 1, 4], [1, 3, 0]])
    assert present_classes(labels, 6).tolist() == [True, True, False, True, True, False]
    expected = [[IGNORE, 0, 2], [0, 1, IGNORE]]
    assert relabel(labels, torch.tensor([1, 3, 4]), 6).tolist() == expected
    assert relabel(labels, torch.tensor([1, 4]), 5).tolist() == [[IGNORE, 0, 1], [0, IGNORE, IGNORE]]


def test_prompts_of_the_chosen_rows() -> None:
    vocabulary = Vocabulary.parse(["cat", "sofa, couch", "lamp"])
    source = NameSource(vocabulary, PromptConfig(templates=("a {}",), synonyms="max"), byte_tokenizer())
    names = source(torch.tensor([1, 2]))
    assert names.table.texts == ["a sofa", "a couch", "a lamp"]
    assert names.table.row_class == (0, 0, 1)
    assert len(names.tokens) == 3
    assert source(torch.tensor([1, 2])) is names


def test_the_last_four_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = NameSource._build

    def counted(self: NameSource, rows: tuple[int, ...]) -> StepNames:
        built.append(rows)
        return build(self, rows)

    monkeypatch.setattr(NameSource, "_build", counted)
    source = NameSource(Vocabulary.parse(["cat", "sofa", "lamp", "door", "tree"]), PromptConfig(), byte_tokenizer())
    for index in (0, 1, 2, 3, 0, 4, 1):  # 0 is still there, 1 was the least recently used one when 4 came
        source(torch.tensor([index]))
    assert len(built) == 6


def test_a_class_that_no_step_has_drawn_yet_is_read_as_well() -> None:
    vocabulary = Vocabulary.parse(["cat", "an animal with a name that is much too long, beast"])
    with pytest.raises(TextTooLongError, match=r"class 'an animal with .*' has \d+ tokens"):
        NameSource(vocabulary, PromptConfig(templates=("a {}",)), byte_tokenizer())


def a_run(others: torch.Tensor, processes: int) -> Run:
    """A run whose other process, if there is one, has these values to average with."""
    run = MagicMock(spec=Run)
    run.classes = 6
    run.recipe = MagicMock(names_per_step=4, seed=3)
    run.fabric = MagicMock(world_size=processes, device=torch.device("cpu"))
    run.fabric.all_reduce = lambda own, reduce_op: {
        "mean": (own + others) / 2,
        "max": torch.maximum(own, others.to(own.dtype)),
    }[reduce_op]
    return run


def test_classes_of_a_step_are_those_of_all_processes_and_others_by_seed_and_step() -> None:
    labels = torch.tensor([[[IGNORE, 1], [1, 1]], [[4, 4], [1, 1]]])
    parts = [Pictures(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), some) for some in labels.split(1)]
    run = a_run(torch.tensor([0, 0, 0, 1, 0, 0]), 2)
    steps = [names_of_step(run, index, parts).tolist() for index in range(40)]
    assert {(set(rows) - {1, 3, 4}).pop() for rows in steps} == {0, 2, 5}
    assert {len(rows) for rows in steps} == {4}
    run.recipe.seed = 4
    assert [names_of_step(run, index, parts).tolist() for index in range(40)] != steps
    run.recipe.names_per_step = None
    assert names_of_step(run, 0, parts).tolist() == [0, 1, 2, 3, 4, 5]


def test_masks_are_counted_by_micro_batch_and_averaged_over_processes() -> None:
    labels = torch.tensor([[[IGNORE, 1], [4, 4]], [[1, 3], [0, 1]], [[IGNORE, IGNORE]] * 2, [[5, 5]] * 2])
    parts = [Pictures(torch.zeros(2, 3, 2, 2, dtype=torch.uint8), some) for some in labels.split(2)]
    rows, others = torch.tensor([0, 1, 4]), torch.tensor([0.0, 3.0])  # classes 3 and 5 have no part in the step
    assert masks_of_step(a_run(others, 2), rows, parts) == [2.0, 1.5]
    assert masks_of_step(a_run(others, 1), rows, parts) == [None, None]
