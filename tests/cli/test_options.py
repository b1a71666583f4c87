"""Options that do not go together end a command before anything is loaded."""

import pytest

from ahs_seg.cli import evaluate, vocab
from ahs_seg.cli.options import OptionError


def test_evaluate_takes_one_dataset_or_one_suite() -> None:
    for data, suite in ((None, None), ("world:test", "all")):
        with pytest.raises(OptionError, match="give either --data"):
            evaluate.command("model", data=data, suite=suite)


def test_near_names_need_a_model() -> None:
    with pytest.raises(OptionError, match="give --model as well"):
        vocab.lint("words.txt", near=0.9, model=None)
