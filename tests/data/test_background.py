from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.data.background import RULES, background_of, find_rule, open_with_rule
from ahs_seg.data.catalog import CatalogError, find_spec
from ahs_seg.data.config import BenchmarkData
from ahs_seg.types import IGNORE
from tests.support.datasets import notices


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One image of PASCAL, half of it background, as the original scripts leave its label maps."""
    half = np.array([[3, 255], [3, 255]], np.uint8)
    files = {
        "pascal-voc-20": half,
        "pascal-voc-20b": np.array([[3, 20], [3, 255]], np.uint8),
        "pascal-context-59": half,
    }
    for name, labels in files.items():
        spec = find_spec(name)
        for path, pixels in (
            (spec.image_path(tmp_path, "x"), np.zeros((2, 2, 3), np.uint8)),
            (spec.label_path(tmp_path, "x"), labels),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "classes", "names", "expected"),
    [
        ("pas-20", 20, 20, [[3, IGNORE], [3, IGNORE]]),
        ("pas-20b", 21, 59, [[3, 20], [3, IGNORE]]),
        ("voc-21", 21, 21, [[3, 20], [3, IGNORE]]),
        ("pc-59", 59, 59, [[3, IGNORE], [3, IGNORE]]),
        ("pc-60", 60, 60, [[3, 59], [3, 59]]),
    ],
)
def test_what_becomes_of_background(root, name, classes, names, expected):
    dataset = open_with_rule(name, root)
    assert len(dataset.vocabulary) == classes
    assert sum(len(entry.names) for entry in dataset.vocabulary.entries) == names
    assert dataset[0].labels.tolist() == expected
    assert dataset[0].labels.dtype == np.int32
    assert background_of(name) == (None if classes in (20, 59) else classes - 1)
    assert len(dataset) == 1


def test_rules_are_found_by_name():
    assert find_rule("ade20k-150") is None
    assert background_of("pascal-voc-20b") == 20
    assert len({rule.name for rule in RULES}) == len(RULES)
    with pytest.raises(CatalogError):
        background_of("imagenet")


def test_files_that_change_are_noticed(root: Path) -> None:
    for name, benchmark in (("pc-60", "pascal-context-59"), ("pascal-voc-20", "pascal-voc-20")):
        spec = find_spec(benchmark)
        for path in (spec.image_path(root, "x"), spec.label_path(root, "x")):
            assert notices(BenchmarkData(benchmark=name, root=root), path)
