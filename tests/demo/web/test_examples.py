"""Examples of the page name what they show."""

from pathlib import Path

import numpy as np

from ahs_seg.data.world.dataset import TEST_SEED, WorldDataset
from ahs_seg.demo.web.examples import draw_examples
from ahs_seg.io.images import read_image
from ahs_seg.types import IGNORE


def test_examples_name_what_is_there_and_something_that_is_not(tmp_path: Path) -> None:
    scenes = WorldDataset(TEST_SEED, 3, names=150)
    for index, (path, words) in enumerate(draw_examples(tmp_path)):
        sample, names = scenes[index], words.split(", ")
        assert np.array_equal(read_image(path), sample.image)
        found = np.unique(sample.labels[sample.labels != IGNORE])
        present = {scenes.vocabulary.labels[label] for label in found}
        assert present < set(names)
        assert len(names) == len(set(names)) == len(present) + 2
