"""Training-free segmentation in two graphs: the image tower for images of any size, and the cosines with the text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ahs_seg.checkpoints.exporting.stages import Run, Stage, StagedMethod, staged
from ahs_seg.methods.zero_shot import ZeroShotSegmenter
from ahs_seg.modules.resize import resize_in_proportion
from ahs_seg.types import ClassText, ImageFeatures, Output, Words


class _Image(nn.Module):
    def __init__(self, method: ZeroShotSegmenter) -> None:
        super().__init__()
        self.backbone = method.backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone.encode_image(images).dense


class _Head(nn.Module):
    def __init__(self, method: ZeroShotSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(self, dense: Tensor, text: Tensor) -> Tensor:
        return self.method.decode(ImageFeatures(dense), ClassText(text, text)).logits


class StagedZeroShot(StagedMethod):
    """`image`: an image whose sides are multiples of the patch size to its dense features. `head`: to logits.

    The shorter side of the image is the backbone's resolution, the other one has any length.
    """

    def __init__(self, method: ZeroShotSegmenter) -> None:
        self.method = method

    def stages(self) -> dict[str, Stage]:
        """The two graphs."""
        backbone = self.method.backbone
        images = torch.rand(1, 3, backbone.resolution, backbone.resolution + 2 * backbone.patch_size)
        image = _Image(self.method)
        dense = image(images)
        text = torch.randn(5, 2, backbone.dim)  # a length of 1 would be taken for a fixed one
        grid = {2: "height", 3: "width"}
        return {
            "image": Stage(image, {"images": images}, ("dense",), {"images": grid}),
            "head": Stage(
                _Head(self.method),
                {"dense": dense, "text": text},
                ("logits",),
                {"dense": grid, "text": {0: "classes", 1: "prompts"}},
            ),
        }

    def texts(self, text: ClassText) -> dict[str, Tensor]:
        """The embeddings that are compared."""
        return {"text": text.embeddings}

    def encode(self, images: Tensor, run: Run) -> ImageFeatures:
        """Dense features of the `image` graph."""
        backbone = self.method.backbone
        resized = resize_in_proportion(images, backbone.resolution, multiple=backbone.patch_size)
        return ImageFeatures(torch.cat([run("image", {"images": one[None]})["dense"] for one in resized]))

    def decode(self, features: ImageFeatures, text: Words, run: Run) -> Output:
        """Logits of the `head` graph."""
        words = self.method.ensure_prepared(text)
        some = [run("head", {"dense": one[None], "text": words.embeddings})["logits"] for one in features.dense]
        return Output(torch.cat(some), features, words, features.dense)


staged.register(ZeroShotSegmenter, StagedZeroShot)
