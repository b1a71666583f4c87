"""The cost family in two graphs: the image without the text, and the aggregation of one image and its classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ahs_seg.checkpoints.exporting.stages import ExportError, Run, Stage, StagedMethod, staged
from ahs_seg.methods.cost.aggregation import AggregationLayer, CostHead
from ahs_seg.methods.cost.class_attention import ClassAggregation, ClassSummary
from ahs_seg.methods.cost.correlation import cosine_cost, most_similar_classes
from ahs_seg.methods.cost.decoder import DecoderTerms
from ahs_seg.methods.cost.segmenter import CostSegmenter
from ahs_seg.modules.resize import resize
from ahs_seg.types import ClassText, ImageFeatures, Output, Words

_MAPS = ("compared", "appearance", "fine", "finest")


class _Image(nn.Module):
    """All that does not depend on the text: dense features, the map that is compared, and the guidance maps."""

    def __init__(self, method: CostSegmenter) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        parts, levels = self.method.parts, self.method.levels
        features = self.method.backbone.encode_image(images, levels=(*levels, *parts.fused_levels))
        dense = parts.rectified(features)
        compared = parts.compared(parts.aligned(dense))
        appearance = parts.appearance(dense, features.levels[len(levels) :])
        guidance = self.method.pyramid(ImageFeatures(appearance, features.levels[: len(levels)]))
        compared = compared.clone() if compared is features.dense else compared  # a value has one name in a graph
        return features.dense, compared, guidance.appearance, guidance.fine, guidance.finest


class _Head(nn.Module):
    """The aggregation with all classes in one chunk, the form of the paper.

    `CostHead` loops over chunks in Python, and its padding of few classes branches on their number: both would fix the
    number of classes in a graph. Here the number of padding copies is a tensor, which is 0 for many classes.
    """

    def __init__(self, head: CostHead) -> None:
        super().__init__()
        self.head = head
        self.layers = [layer for layer in head.layers if isinstance(layer, AggregationLayer)]
        if any(layer.classwise.kind != "linear" for layer in self.layers):
            raise ExportError(
                'class attention of the kind "full" is not exported: its padding key has a logit that depends on the '
                'number of classes. Export a model with cost.attention="linear", as published.'
            )
        kernels = (head.decoder.up1.kernel(), head.decoder.up2.kernel())
        self.kernels = nn.ParameterList(nn.Parameter(one.detach(), requires_grad=False) for one in kernels)
        paddings = [_padding(layer.classwise) for layer in self.layers]
        self.paddings = nn.ParameterList(
            nn.Parameter(one.detach(), requires_grad=False) for padding in paddings for one in padding
        )

    def forward(
        self, compared: Tensor, appearance: Tensor, fine: Tensor, finest: Tensor, text: Tensor, words: Tensor
    ) -> Tensor:
        head = self.head
        guides = head.text_guidance(F.normalize(F.normalize(words, dim=-1).mean(1), dim=-1))[None]
        cost = cosine_cost(compared, text)
        maps = head.embed_cost(cost if head.similarity is None else head.similarity(cost))
        number = torch.ones_like(text[:, 0, 0]).sum()
        for index, layer in enumerate(self.layers):
            maps = layer.spatial(maps, layer.spatial.guide(appearance))
            classwise, terms = layer.classwise, layer.classwise.guide(guides)
            summary = classwise.summarise(maps, terms, head.class_pooling)
            copies = (classwise.pad_length - number).clamp(min=0)
            first, second = self.paddings[2 * index], self.paddings[2 * index + 1]
            summary = ClassSummary(summary.first + copies * first, summary.second + copies * second)
            maps = classwise(maps, terms, summary, count=0, pooling=head.class_pooling)
        guided = DecoderTerms(head.decoder.up1.guide(fine), head.decoder.up2.guide(finest), *self.kernels)
        return head.decoder(maps, guided)


def _padding(layer: ClassAggregation) -> ClassSummary:
    """The summary of one copy of the padding token: what `combine` adds for a single missing class."""
    nothing = ClassSummary(torch.zeros(()), torch.zeros(()))
    return layer.combine([nothing], layer.pad_length - 1) if layer.pad_length else nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Features(ImageFeatures):
    compared: Tensor
    appearance: Tensor
    fine: Tensor
    finest: Tensor


class StagedCost(StagedMethod):
    """`image`: the image at the backbone's resolution to its maps. `head`: these and the text embeddings to logits.

    With more than `keep` classes the most similar ones of each image are chosen between the two graphs.
    """

    def __init__(self, method: CostSegmenter) -> None:
        if method.parts.changes_per_class:
            raise ExportError(
                "a projection per class is not exported: it changes the compared map between the two graphs. Export a "
                "model with projection.per_class=false, as published."
            )
        self.method = method
        self.fixed = {"class_pooling": method.head.class_pooling}

    def stages(self) -> dict[str, Stage]:
        """The two graphs."""
        backbone, side = self.method.backbone, self.method.backbone.resolution
        images = torch.rand(1, 3, side, side)
        image = _Image(self.method)
        maps = dict(zip(_MAPS, image(images)[1:], strict=True))
        rows = self.method.ensure_prepared(torch.randn(5, self.method.head.prompts, backbone.dim))
        named = maps | {"text": rows.embeddings, "words": rows.guidance}
        return {
            "image": Stage(image, {"images": images}, ("dense", *_MAPS), {}),
            "head": Stage(
                _Head(self.method.head), named, ("logits",), {"text": {0: "classes"}, "words": {0: "classes"}}
            ),
        }

    def texts(self, text: ClassText) -> dict[str, Tensor]:
        """Embeddings that are compared, and those that guide the class attention."""
        if self.method.keep is not None and len(text) > self.method.keep:
            raise ExportError(
                f"{len(text)} text rows cannot be baked in: above {self.method.keep} the rows are chosen for each "
                "image, between the two graphs. Bake fewer names, or give the text embeddings as an input."
            )
        return {"text": text.embeddings, "words": text.guidance}

    def encode(self, images: Tensor, run: Run) -> ImageFeatures:
        """Dense features and the maps of the `image` graph."""
        resized = resize(images, self.method.backbone.resolution)
        each = [run("image", {"images": one[None]}) for one in resized]
        found = {name: torch.cat([one[name] for one in each]) for name in each[0]}
        return _Features(
            dense=found["dense"],
            compared=found["compared"],
            appearance=found["appearance"],
            fine=found["fine"],
            finest=found["finest"],
        )

    def decode(self, features: ImageFeatures, text: Words, run: Run) -> Output:
        """Logits of the `head` graph."""
        assert isinstance(features, _Features)
        words, keep = self.method.ensure_prepared(text), self.method.keep
        kept = None
        if keep is not None and len(words) > keep:
            kept = most_similar_classes(features.compared, words.embeddings, keep)
        logits = []
        for index in range(len(features.dense)):
            rows = slice(None) if kept is None else kept[index]
            maps = {name: getattr(features, name)[index : index + 1] for name in _MAPS}
            texts = {"text": words.embeddings[rows], "words": words.guidance[rows]}
            logits.append(run("head", maps | texts)["logits"])
        return Output(torch.cat(logits), features, words, features.compared, kept_rows=kept)


staged.register(CostSegmenter, StagedCost)
