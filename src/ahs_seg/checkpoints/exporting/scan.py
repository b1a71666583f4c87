"""SCAN in two graphs: an image of one size to its masks, and CLIP on the masked crops of any number of masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ahs_seg.checkpoints.exporting.stages import ExportError, Run, Stage, StagedMethod, staged
from ahs_seg.methods.mask.predictions import QueryPrediction
from ahs_seg.methods.mask.proposals import padded, padded_size_of
from ahs_seg.methods.mask.scan.context_shift import Context, SelectPatches, embed_regions, patches_to_shift
from ahs_seg.methods.mask.scan.segmenter import ScanFeatures, ScanSegmenter
from ahs_seg.modules.resize import resize
from ahs_seg.types import ClassText, ImageFeatures, Output, Words

_NAMES = ("dense", "masks", "states", "embeddings", "pooled", "starts")


class _Image(nn.Module):
    def __init__(self, method: ScanSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        method = self.method
        size = padded_size_of(images, method.pixels)
        pixels = method.pixels(padded(method.pixels.normalise(images), size))
        last = method.decoder(method.pixel_decoder(pixels))[-1]
        context = method.context(method.backbone.normalise(images), size)
        embeddings = method.embed([last.states], context)[0]
        starts = torch.stack([context.starts[number] for number in method.shifts], 1)
        return context.dense, last.masks, last.states, embeddings, context.image, starts


class _Crops(nn.Module):
    """CLIP's embeddings of crops; `places` [n, shifts, patches] are the patches that the class token replaces."""

    def __init__(self, method: ScanSegmenter) -> None:
        super().__init__()
        self.tower, self.shifts = method.shifted, method.shifts

    def forward(self, pixels: Tensor, places: Tensor, starts: Tensor) -> Tensor:
        chosen = iter(places.unbind(1))
        tokens = dict(zip(self.shifts, starts.unbind(1), strict=True))
        return embed_regions(self.tower, pixels, places[:, 0], tokens, ratio=0.0, choose=lambda *_: next(chosen))


class StagedScan(StagedMethod):
    """`image`: an image at the backbone's resolution to masks and embeddings. `crops`: masked crops to embeddings.

    Cutting crops out depends on the masks and stays in PyTorch, as does the product with the text embeddings. The size
    of the image is fixed in the graph, so that images are resized to a square first.
    """

    def __init__(self, method: ScanSegmenter) -> None:
        self.method = method
        self.fixed = {"second_stage": int(method.ensemble is not None)}

    def stages(self) -> dict[str, Stage]:
        """The two graphs; without a second stage the first one only."""
        clip = self.method.backbone
        side, count = clip.resolution, 3
        images = torch.rand(1, 3, side, side)
        found = {"image": Stage(_Image(self.method), {"images": images}, _NAMES, {})}
        if self.method.ensemble is not None:
            shifts = len(self.method.shifts)
            inputs = {
                "pixels": torch.rand(count, 3, side, side),
                "places": torch.zeros(count, shifts, clip.grid**2, dtype=torch.bool),
                "starts": torch.rand(count, shifts, clip.width),
            }
            axes = {name: {0: "crops"} for name in inputs}
            found["crops"] = Stage(_Crops(self.method), inputs, ("embeddings",), axes)
        return found

    def texts(self, text: ClassText) -> dict[str, Tensor]:
        """No graph of SCAN takes text embeddings."""
        raise ExportError(
            f"{len(text)} names cannot be baked into the graphs of SCAN: crops are cut out between them. Export it "
            "without names; they are given to the segmenter."
        )

    def encode(self, images: Tensor, run: Run) -> ImageFeatures:
        """Masks and embeddings of the graphs."""
        method = self.method
        resized = resize(images, method.backbone.resolution)
        each = [run("image", {"images": one[None]}) for one in resized]
        found = {name: torch.cat([one[name] for one in each]) for name in each[0]}
        features = ScanFeatures(
            dense=found["dense"],
            predictions=(QueryPrediction(found["states"], found["masks"]),),
            padded_size=padded_size_of(resized, method.pixels),
            size=(resized.shape[-2], resized.shape[-1]),
            embeddings=(found["embeddings"],),
            crop_embeddings=None,
            valid=None,
        )
        if method.ensemble is None:
            return features
        starts = dict(zip(method.shifts, found["starts"].unbind(1), strict=True))
        context = Context(found["dense"], (), starts, found["pooled"])

        def encoded(
            pixels: Tensor, foreground: Tensor, starts: Mapping[int, Tensor], ratio: float, choose: SelectPatches
        ) -> Tensor:
            places = torch.stack([patches_to_shift(foreground, ratio, choose) for _ in starts], 1)
            tokens = torch.stack(list(starts.values()), 1)
            return run("crops", {"pixels": pixels, "places": places, "starts": tokens})["embeddings"]

        crops, valid = method.embed_crops(resized, features, context, method.ensemble, encode=encoded)
        return replace(features, crop_embeddings=crops, valid=valid)

    def decode(self, features: ImageFeatures, text: Words, run: Run) -> Output:
        """Scores from the embeddings."""
        del run
        assert isinstance(features, ScanFeatures)
        return self.method.decode(features, text)


staged.register(ScanSegmenter, StagedScan)
