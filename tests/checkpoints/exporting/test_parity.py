"""The comparison of two runtimes."""

import numpy as np

from ahs_seg.checkpoints.exporting.parity import Parity, compare
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone
from tests.support.every_method import SMALL_CONFIGS
from tests.support.exported import small

IMAGES = [np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)]
NAMES = Vocabulary.parse("sky, road, tree")


def test_equal_models_agree_and_others_do_not() -> None:
    plain = Segmenter(small(ZeroShotConfig))
    same = compare(plain, Segmenter(small(ZeroShotConfig)), IMAGES, NAMES, runtime="openvino", rounds=1)
    assert (same.equal, same.score, same.images, same.classes) == (1.0, 0.0, 1, 3)
    assert same.seconds > 0
    assert same.torch_seconds > 0
    unlike = Segmenter(SMALL_CONFIGS[ZeroShotConfig].compose(random_backbone(seed=3)))
    assert compare(plain, unlike, IMAGES, NAMES, runtime="openvino", rounds=1).equal < 0.99


def test_the_sentence_has_all_figures() -> None:
    text = str(Parity("openvino", 1, 3, 0.995, 0.01, 0.5, 0.25))
    assert "openvino: 99.500% of the labels of 1 image(s) with 3 classes" in text
    assert "at most 1.0e-02; 0.250 s an image, PyTorch 0.500 s" in text
