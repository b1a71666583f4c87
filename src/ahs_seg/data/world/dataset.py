"""Dataset of the drawn world: scenes are generated on access by index, nothing is stored."""

from __future__ import annotations

from typing import Final

from ahs_seg.data.base import Sample
from ahs_seg.data.world.names import seen_names, vocabulary_names
from ahs_seg.data.world.scenes import SIZE, SceneSource
from ahs_seg.types import ImageKind
from ahs_seg.vocabulary.vocabulary import Vocabulary

TRAIN_SEED: Final = 101
VALIDATION_SEED: Final = 202
TEST_SEED: Final = 303
"""Seeds of the disjoint splits: training, validation (model selection), and test (reported once)."""


class WorldDataset:
    """Dataset of `count` scenes of the drawn world, labelled with one of its vocabularies.

    `names` is the size of a vocabulary (20, 59, 150, 459, 847) or "seen", the 169 classes of segmentation training.
    `hard` scales rotation, uneven lighting, exposure, noise and blur; 0 gives clean drawings.
    """

    def __init__(
        self, seed: int, count: int, names: int | str = "seen", *, size: int = SIZE, hard: float = 1.0
    ) -> None:
        self.image_kind: ImageKind = "drawn scenes"
        chosen = seen_names() if names == "seen" else vocabulary_names(int(names))
        self.vocabulary = Vocabulary.parse(list(chosen))
        self._scenes = SceneSource(seed, chosen, size=size, hard=hard)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self._count:
            raise IndexError(f"scene {index} does not exist; this dataset has {self._count}, numbered from 0")
        scene = self._scenes[index]
        return Sample(scene.image, scene.labels, f"scene-{self._scenes.seed}-{index:06d}")
