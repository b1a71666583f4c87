"""Cost aggregation: class logits from patch features and text embeddings, computed in chunks of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ahs_seg.config import ConfigError
from ahs_seg.methods.cost.class_attention import ClassAggregation, ClassSummary
from ahs_seg.methods.cost.correlation import PerClassShift, cosine_cost
from ahs_seg.methods.cost.decoder import DecoderTerms, GuidedDecoder
from ahs_seg.methods.cost.guidance import Guidance
from ahs_seg.methods.cost.window_attention import GuidanceTerms, SpatialAggregation

_Result = TypeVar("_Result")
_Step = Callable[[Tensor | None], tuple[Tensor, ClassSummary]]

CPU_BUDGET = 24 * 2**20
GPU_BUDGET = 2 * 2**30


class AggregationLayer(nn.Module):
    """One aggregation layer: spatial aggregation within each class, then aggregation across classes."""

    def __init__(self, spatial: SpatialAggregation, classwise: ClassAggregation) -> None:
        super().__init__()
        self.spatial = spatial
        self.classwise = classwise


@dataclass(frozen=True, slots=True)
class _Shared:
    """Tensors that depend on the image or on the vocabulary, but not on the chunk of classes."""

    dense: Tensor
    change: PerClassShift | None
    spatial: list[tuple[GuidanceTerms, GuidanceTerms]]
    classwise: list[tuple[Tensor, Tensor]]
    decoder: DecoderTerms


class CostHead(nn.Module):
    """CAT-Seg's cost embedding, aggregation and guided decoder (Cho et al., CVPR 2024, section 3).

    Classes interact only in the class attention, and there only through a summary of all classes. Classes are therefore
    processed in chunks, in one pass over all chunks per layer and a final one: each pass finishes one layer of a chunk
    and starts the next layer while the chunk is in cache. `similarity` is an element-wise function of the cosine (None:
    the cosine itself). `budget` is the maximum size in bytes of a chunk's intermediate maps (None: a default for the
    device). Between passes one map per class is stored: 4 * h * w * dim bytes.
    """

    def __init__(
        self,
        text_dim: int,
        *,
        prompts: int,
        dim: int,
        text_guidance_dim: int,
        layers: Sequence[AggregationLayer],
        decoder: GuidedDecoder,
        class_pooling: int,
        similarity: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.prompts = prompts
        self.similarity = similarity
        self.class_pooling = class_pooling
        self.budget: int | None = None
        self.checkpointing = False
        self.embed = nn.Conv2d(prompts, dim, 7, padding=3)
        self.text_guidance = nn.Sequential(nn.Linear(text_dim, text_guidance_dim), nn.ReLU())
        self.layers = nn.ModuleList(layers)
        self.decoder = decoder

    def forward(
        self,
        dense: Float[Tensor, "b d h w"],
        text: Float[Tensor, "#b t p d"],
        guidance: Guidance,
        *,
        words: Float[Tensor, "#b t p d"] | None = None,
        change: PerClassShift | None = None,
    ) -> Float[Tensor, "b t H W"]:
        """Logits at four times the resolution of `dense`.

        `words` are the text embeddings that guide the class attention (None: those of `text`); `change` is what each
        class adds to `dense` before it is compared (None: nothing).
        """
        if text.shape[2] != self.prompts:
            raise ConfigError(
                f"text has {text.shape[2]} prompts per class, this head was built for {self.prompts}; "
                f"set cost.prompts={text.shape[2]} or use {self.prompts} templates"
            )
        shared = self._prepare(dense, text if words is None else words, guidance, change)
        count = text.shape[1]
        chunks = list(self._chunks(count, dense))
        maps: list[Tensor | None] = [None] * len(chunks)
        summary: ClassSummary | None = None
        for index, layer in enumerate(self._layers()):
            steps = [partial(self._sweep, index, text[:, chunk], chunk, summary, shared) for chunk in chunks]
            summary = layer.classwise.combine(self._parts(steps, maps), count)
        assert summary is not None, "there is at least one layer"
        logits = []
        for place, chunk in enumerate(chunks):
            logits.append(self._run(partial(self._decode, chunk, summary, shared), maps[place]))
            maps[place] = None
        return torch.cat(logits, 1)

    def embed_cost(self, cost: Float[Tensor, "b p t h w"]) -> Float[Tensor, "b t h w c"]:
        """The cost of each class embedded as a map of `dim` channels."""
        planes = self.embed(cost.transpose(1, 2).flatten(0, 1))
        return planes.permute(0, 2, 3, 1).unflatten(0, (cost.shape[0], cost.shape[2]))

    def _layers(self) -> list[AggregationLayer]:
        return cast(list[AggregationLayer], list(self.layers))

    def _prepare(self, dense: Tensor, words: Tensor, guidance: Guidance, change: PerClassShift | None) -> _Shared:
        words = self.text_guidance(F.normalize(F.normalize(words, dim=-1).mean(2), dim=-1))
        return _Shared(
            dense=dense,
            change=change,
            spatial=[layer.spatial.guide(guidance.appearance) for layer in self._layers()],
            classwise=[layer.classwise.guide(words) for layer in self._layers()],
            decoder=self.decoder.prepare(guidance),
        )

    def _sweep(
        self,
        index: int,
        text: Tensor,
        chunk: slice,
        summary: ClassSummary | None,
        shared: _Shared,
        maps: Tensor | None,
    ) -> tuple[Tensor, ClassSummary]:
        """Maps and class summary of one chunk after layer `index` - 1 is finished and layer `index` is started."""
        if maps is None or summary is None:
            change = None if shared.change is None else shared.change.of_classes(chunk)
            cost = cosine_cost(shared.dense, text) if change is None else change.cost(shared.dense, text)
            maps = self.embed_cost(cost if self.similarity is None else self.similarity(cost))
        else:
            maps = self._finish(index - 1, maps, chunk, summary, shared)
        maps = self._layers()[index].spatial(maps, shared.spatial[index])
        terms = _rows(shared.classwise[index], chunk)
        return maps, self._layers()[index].classwise.summarise(maps, terms, self.class_pooling)

    def _parts(self, steps: Sequence[_Step], maps: list[Tensor | None]) -> Iterator[ClassSummary]:
        """The class summaries of the chunks, one by one; each step replaces its entry of `maps`."""
        for place, step in enumerate(steps):
            maps[place], part = self._run(step, maps[place])
            yield part

    def _finish(self, index: int, maps: Tensor, chunk: slice, summary: ClassSummary, shared: _Shared) -> Tensor:
        terms = shared.classwise[index]
        return self._layers()[index].classwise(
            maps, _rows(terms, chunk), summary, count=terms[0].shape[1], pooling=self.class_pooling
        )

    def _decode(self, chunk: slice, summary: ClassSummary, shared: _Shared, maps: Tensor) -> Tensor:
        maps = self._finish(len(self.layers) - 1, maps, chunk, summary, shared)
        return self.decoder(maps, shared.decoder)

    def _chunks(self, count: int, dense: Tensor) -> Iterator[slice]:
        budget = self.budget or (GPU_BUDGET if dense.is_cuda else CPU_BUDGET)
        size = max(1, budget // self._bytes_per_class(dense))
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def _bytes_per_class(self, dense: Tensor) -> int:
        """Approximate peak memory per class: the maps in the MLP of a window block, or in the last upsampling."""
        positions = dense.shape[0] * dense.shape[-2] * dense.shape[-1]
        return 4 * positions * max(8 * self.embed.out_channels, 16 * 3 * self.decoder.logit.in_channels)

    def _run(self, step: Callable[[Tensor | None], _Result], maps: Tensor | None) -> _Result:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(step, maps, use_reentrant=False)
        return step(maps)


def _rows(terms: tuple[Tensor, Tensor], chunk: slice) -> tuple[Tensor, Tensor]:
    return terms[0][:, chunk], terms[1][:, chunk]
