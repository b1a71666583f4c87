"""EBSeg in two graphs: an image of one size to its masks and their embeddings, and these and the text to scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ahs_seg.checkpoints.exporting.stages import Run, Stage, StagedMethod, staged
from ahs_seg.methods.mask.ebseg.segmenter import EBSegFeatures, EBSegSegmenter
from ahs_seg.methods.mask.predictions import QueryPrediction
from ahs_seg.methods.mask.proposals import padded_size_of, proposal_output
from ahs_seg.modules.resize import resize
from ahs_seg.types import ClassText, ImageFeatures, Output, Words

_EMBEDDINGS = ("supervised", "recognised", "averaged")


class _Image(nn.Module):
    def __init__(self, method: EBSegSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.method.encode(images)
        last = found.predictions[-1]
        return found.dense, last.masks, last.states, found.supervised[-1], found.recognised[-1], found.averaged


class _Head(nn.Module):
    def __init__(self, method: EBSegSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(
        self, supervised: Tensor, recognised: Tensor, averaged: Tensor, text: Tensor, seen_share: Tensor
    ) -> Tensor:
        words = ClassText(text, text, seen_share=seen_share)
        return self.method.class_scores((supervised, recognised, averaged), words)


class StagedEBSeg(StagedMethod):
    """`image`: an image at the backbone's resolution to masks and embeddings. `head`: to a score of each mask and row.

    The size of the image is fixed in the graph, so that images are resized to a square first.
    """

    def __init__(self, method: EBSegSegmenter) -> None:
        self.method = method

    def stages(self) -> dict[str, Stage]:
        """The two graphs."""
        side, dim = self.method.backbone.resolution, self.method.backbone.dim
        images, image = torch.rand(1, 3, side, side), _Image(self.method)
        names = ("dense", "masks", "states", *_EMBEDDINGS)
        known = dict(zip(names, image(images), strict=True))
        texts = {"text": torch.randn(5, 2, dim), "seen_share": torch.zeros(5)}
        rows = {"text": {0: "classes", 1: "prompts"}, "seen_share": {0: "classes"}}
        head = Stage(_Head(self.method), {name: known[name] for name in _EMBEDDINGS} | texts, ("classes",), rows)
        return {"image": Stage(image, {"images": images}, names, {}), "head": head}

    def texts(self, text: ClassText) -> dict[str, Tensor]:
        """The embeddings, and how far each row counts as seen in training."""
        seen = text.seen if text.seen_share is None else text.seen_share
        share = torch.zeros(len(text), device=text.device) if seen is None else seen.float()
        return {"text": text.embeddings, "seen_share": share}

    def encode(self, images: Tensor, run: Run) -> ImageFeatures:
        """Masks and embeddings of the `image` graph."""
        resized = resize(images, self.method.backbone.resolution)
        each = [run("image", {"images": one[None]}) for one in resized]
        found = {name: torch.cat([one[name] for one in each]) for name in each[0]}
        return EBSegFeatures(
            dense=found["dense"],
            predictions=(QueryPrediction(found["states"], found["masks"]),),
            padded_size=padded_size_of(resized, self.method.pixels),
            size=(resized.shape[-2], resized.shape[-1]),
            supervised=(found["supervised"],),
            recognised=(found["recognised"],),
            averaged=found["averaged"],
        )

    def decode(self, features: ImageFeatures, text: Words, run: Run) -> Output:
        """Scores of the `head` graph."""
        assert isinstance(features, EBSegFeatures)
        words = self.method.ensure_prepared(text)
        embeddings = (features.supervised[-1], features.recognised[-1], features.averaged)
        some = []
        for index in range(len(features.dense)):
            own = {name: one[index : index + 1] for name, one in zip(_EMBEDDINGS, embeddings, strict=True)}
            some.append(run("head", own | self.texts(words))["classes"])
        return proposal_output(features, torch.cat(some), words, features.dense)


staged.register(EBSegSegmenter, StagedEBSeg)
