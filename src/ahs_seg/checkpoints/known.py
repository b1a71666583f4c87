"""Published checkpoints by name: where they lie, how large they are, whose licence they have, what they know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.checkpoints.published import Published, published_numbers
from ahs_seg.io.hub import HubFile, HubName, RepositoryKind
from ahs_seg.output.familiarity import TrainingImages
from ahs_seg.vocabulary.vocabulary import Vocabulary

_PARAMETER_BYTES: Final = 4
_COCO: Final = TrainingImages(kind="photographs", data="COCO-Stuff 171, train2017")


@dataclass(frozen=True)
class KnownCheckpoint:
    """A checkpoint published by the authors of a method; `licence` is that of the weights, None: not known.

    `vocabulary` is the class list of its training, `parameters` the number of its weights, `dim` the width of the joint
    embedding space.
    """

    method: Literal["cat_seg", "h_clip", "ebseg"]
    repository: str
    filename: str
    backbone: str
    dim: int
    parameters: int
    licence: str | None
    licence_note: str
    repository_kind: RepositoryKind = "model"
    vocabulary: str = "coco-stuff-171"
    training: TrainingImages = _COCO

    @property
    def megabytes(self) -> int:
        """Size of the weights in MB, by their number: 4 bytes each."""
        return round(self.parameters * _PARAMETER_BYTES / 1e6)

    @property
    def scores(self) -> Published | None:
        """The scores that the authors published, with their protocol; None: there are none in this package."""
        mine = (self.method, self.dim)
        return next((entry for entry in published_numbers() if (entry.method, entry.dim) == mine), None)

    @property
    def licence_in_words(self) -> str:
        """The licence of the weights, or that it is unknown."""
        return f"licence {self.licence}" if self.licence else f"licence unknown ({self.licence_note})"

    def to_dict(self) -> dict[str, Any]:
        """All values as plain types for JSON."""
        scores = self.scores
        return {
            "method": self.method,
            "backbone": self.backbone,
            "parameters": self.parameters,
            "megabytes": self.megabytes,
            "licence": self.licence,
            "licence_note": self.licence_note,
            "knows": self.training.kind,
            "trained_on": self.training.data,
            "published": None if scores is None else scores.model_dump(include={"miou", "protocol", "source"}),
            "page": self.file().page,
            "file": self.filename,
        }

    def description(self) -> ModelDescription:
        """The description of the published method, with the class names and images of the training."""
        from ahs_seg.checkpoints.importing.sources import published  # importing takes seconds, and only imports need it

        trained_on = tuple(Vocabulary.known(self.vocabulary).labels)
        return published(self.method).replace(trained_on=trained_on, training=self.training)

    def file(self, revision: str | None = None) -> HubFile:
        """The file as its authors published it."""
        return HubFile(HubName(self.repository, revision), self.filename, self.repository_kind)


_CAT_SEG: Final = "the code of the authors is under MIT; none is known for the weights, which contain those of a CLIP"
_EBSEG: Final = "of the repository of the weights, which contain those of SAM and of a CLIP"

KNOWN_CHECKPOINTS: Final = {
    "cat-seg-vitb": KnownCheckpoint(
        "cat_seg", "hamacojr/CAT-Seg-weights", "model_base.pth", "ViT-B/16", 512, 154_289_378, None, _CAT_SEG, "space"
    ),
    "cat-seg-vitl": KnownCheckpoint(
        "cat_seg", "hamacojr/CAT-Seg-weights", "model_large.pth", "ViT-L/14", 768, 433_726_946, None, _CAT_SEG, "space"
    ),
    "ebseg-vitb": KnownCheckpoint(
        "ebseg", "slonetime/EBSeg", "EBSeg_base.pth", "ViT-B/16", 512, 261_829_572, "MIT", _EBSEG
    ),
    "ebseg-vitl": KnownCheckpoint(
        "ebseg", "slonetime/EBSeg", "EBSeg_large.pth", "ViT-L/14", 768, 541_073_604, "MIT", _EBSEG
    ),
}
"""Published checkpoints by name; the repositories are those in the authors' README."""

DEFAULT_MODEL: Final = "cat-seg-vitb"
"""The model of a segmentation for which none is named."""


def find_known(name: str) -> KnownCheckpoint | None:
    """The known checkpoint of this name, which may end in `@revision`; None: there is none."""
    parsed = HubName.parse(name)
    return None if parsed is None else KNOWN_CHECKPOINTS.get(parsed.repository)
