"""Examples of the page name what they show."""

from importlib import resources
from pathlib import Path

import numpy as np

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web.examples import SCENES, draw_examples, write_examples
from ahs_seg.io.images import read_image
from ahs_seg.types import IGNORE


def test_examples_name_what_is_there_and_something_that_is_not(tmp_path: Path) -> None:
    scenes = WorldDataset(TEST_SEED, SCENES, names=150)
    for index, (path, words, _) in enumerate(draw_examples(tmp_path)):
        sample, names = scenes[index], words.split(", ")
        assert np.array_equal(read_image(path), sample.image)
        found = np.unique(sample.labels[sample.labels != IGNORE])
        present = {scenes.vocabulary.labels[label] for label in found}
        assert present < set(names)
        assert len(names) == len(set(names)) == len(present) + 2


def test_a_photograph_is_among_them_and_its_source_is_stated(tmp_path: Path) -> None:
    *drawn, photograph = write_examples(tmp_path)
    assert len(drawn) == SCENES
    assert read_image(photograph.file).shape == (400, 600, 3)
    assert "CC0" in photograph.credit
    sources = resources.files("ahs_seg").joinpath("assets", "web", "examples", "SOURCES.md").read_text()
    assert Path(photograph.file).name in sources
    assert "CC0 by the photographer" in sources
