"""Dataset of the drawn world: scenes are generated on access by index, nothing is stored."""

from __future__ import annotations

from typing import Final

import numpy as np

from ahs_seg.data.base import Sample
from ahs_seg.data.world.names import few_names, seen_names, vocabulary_names
from ahs_seg.data.world.scenes import SIZE, SceneSource
from ahs_seg.types import IGNORE, ImageKind
from ahs_seg.vocabulary.vocabulary import Vocabulary

TRAIN_SEED: Final = 101
VALIDATION_SEED: Final = 202
TEST_SEED: Final = 303
"""Seeds of the disjoint splits: training, validation (model selection), and test (reported once)."""


class WorldDataset:
    """Dataset of `count` scenes of the drawn world, labelled with one of its vocabularies.

    `names` is the size of a vocabulary (20, 59, 150, 459, 847), "seen", the 169 classes of segmentation training, or
    "few", 40 of these.
    `hard` scales rotation, uneven lighting, exposure, noise and blur; 0 gives clean drawings. `unlabelled` is the share
    of every scene that has no label (`IGNORE`), as in real annotations: a square whose place depends on seed and index
    only. Images and all other labels stay as they are.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        names: int | str = "seen",
        *,
        size: int = SIZE,
        hard: float = 1.0,
        unlabelled: float = 0.0,
    ) -> None:
        self.image_kind: ImageKind = "drawn scenes"
        trained = {"seen": seen_names, "few": few_names}.get(str(names))
        chosen = trained() if trained else vocabulary_names(int(names))
        self.vocabulary = Vocabulary.parse(list(chosen))
        self._scenes = SceneSource(seed, chosen, size=size, hard=hard)
        self._count = count
        self._hidden_side = round(size * unlabelled**0.5)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self._count:
            raise IndexError(f"scene {index} does not exist; this dataset has {self._count}, numbered from 0")
        scene = self._scenes[index]
        if self._hidden_side:
            rng = np.random.default_rng((self._scenes.seed, 4, index))
            top, left = rng.integers(self._scenes.size - self._hidden_side + 1, size=2)
            scene.labels[top : top + self._hidden_side, left : left + self._hidden_side] = IGNORE
        return Sample(scene.image, scene.labels, f"scene-{self._scenes.seed}-{index:06d}")
