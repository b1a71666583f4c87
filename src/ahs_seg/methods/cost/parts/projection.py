"""DC-HSP: image and text projected onto the hypersphere that forms the correlation, words by their complexity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ahs_seg.config import Config
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import mean_of_rows, sum_of_rows
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.types import IGNORE, TrainingForward


def contrastive_loss(
    features: Float[Tensor, "b d h w"],
    labels: Int[Tensor, "b H W"],
    text: Float[Tensor, "t d"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Cross-entropy of class means of the features among the words of the classes present in the batch.

    Labels are taken at the grid of the features; cells without a label are left out. With fewer than two classes it
    is 0.

    Source: AHS-Seg, class-aware contrastive loss. The published code compares features of 24x24 cells with labels of
    384x384 pixels, which fails, and takes ignored pixels for class 0.
    """
    small = nearest_labels(labels, (features.shape[-2], features.shape[-1])).flatten()
    valid = small != IGNORE
    present, place = small[valid].unique(return_inverse=True)
    if len(present) < 2:
        return (features.sum() + text.sum()) * 0
    patches = F.normalize(features, dim=1).permute(0, 2, 3, 1).flatten(0, 2)[valid]
    means = mean_of_rows(patches, place, len(present))
    logits = means @ F.normalize(text[present], dim=-1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(present), device=logits.device))


PARENT_MARGIN, SIBLING_MARGIN = 0.3, 0.5
REST_SUFFIX = "-other"


def relation_margins(labels: Sequence[str], categories: Sequence[str | None]) -> Float[Tensor, "k k"]:
    """The distance that every two classes should have; 0 stands for no relation.

    Classes of one super-category are siblings (0.5). A class "<x>-other" stands for the super-category as a whole: it
    is the parent (0.3) of the other members.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, category in enumerate(categories):
        if category is not None:
            members[category].append(index)
    margins = torch.zeros(len(labels), len(labels))
    for group in members.values():
        for one in group:
            for other in group:
                parent = labels[one].endswith(REST_SUFFIX) or labels[other].endswith(REST_SUFFIX)
                margins[one, other] = 0 if one == other else PARENT_MARGIN if parent else SIBLING_MARGIN
    return margins


def hierarchy_loss(text: Float[Tensor, "t d"], margins: Float[Tensor, "t t"]) -> Float[Tensor, ""]:
    """Mean of |1 - cos(a, b) - margin| over the related pairs; without relations 0.

    Source: AHS-Seg, hierarchy loss, which in the published code never receives relations.
    """
    first, second = margins.triu(1).nonzero(as_tuple=True)
    if not len(first):
        return text.sum() * 0
    words = F.normalize(text, dim=-1)
    distance = 1 - (words[first] * words[second]).sum(-1)
    return (distance - margins[first, second]).abs().mean()


class ProjectionConfig(Config):
    """Dynamic class-aware hyperspherical projection (AHS-Seg, DC-HSP).

    `rank` is that of the dynamic part and `scale` where its factor starts; `dropout` is that of the complexity network.
    `contrastive_weight` and `hierarchy_weight` are the weights of its two losses.
    """

    rank: PositiveInt = 64
    scale: float = 0.1
    hidden: tuple[PositiveInt, PositiveInt] = (256, 128)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    contrastive_weight: float = Field(default=0.05, ge=0)
    hierarchy_weight: float = Field(default=0.02, ge=0)

    def build(self, dim: int) -> DynamicProjection:
        """The projection of the joint space, which has `dim` dimensions."""
        estimator = ComplexityEstimator(dim, self.hidden, dropout=self.dropout)
        return DynamicProjection(dim, estimator, rank=self.rank, scale=self.scale)

    def term(self, projection: DynamicProjection, classes: TrainingClasses) -> ProjectionTerm:
        """What the projection asks of training."""
        del projection
        return ProjectionTerm(self, classes)


class ComplexityEstimator(nn.Module):
    """How complex a class is, from the embedding of its words (AHS-Seg, class complexity estimator).

    The original has three more heads, which nothing uses.
    """

    def __init__(self, dim: int, hidden: tuple[int, int] = (256, 128), *, dropout: float = 0.1) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(dim, hidden[0]),
            nn.LayerNorm(hidden[0]),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden[0], hidden[1]),
            nn.LayerNorm(hidden[1]),
            nn.GELU(),
            nn.Linear(hidden[1], 1),
        )

    def forward(self, text: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 1"]:
        """A number in (0, 1) for every embedding."""
        complexity: Tensor = self.network(text).sigmoid()
        return complexity


class DynamicProjection(nn.Module):
    """Image features by one matrix, words by a matrix that depends on their complexity: P_base + c s B A.

    Both base matrices start as the identity and B as zero, so that the correlation starts as CLIP's. In the original
    the projected features enter losses only, and the sizes do not fit (768 for 512); here they form the correlation.
    A radius after which everything is normalised, as the original has it, does nothing and is left out.

    Source: AHS-Seg, dynamic class-aware hyperspherical projection.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"scale"})

    def __init__(self, dim: int, estimator: ComplexityEstimator, *, rank: int = 64, scale: float = 0.1) -> None:
        super().__init__()
        self.estimator = estimator
        self.image_base = _identity(dim)
        self.text_base = _identity(dim)
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, dim, bias=False)
        nn.init.zeros_(self.up.weight)
        self.scale = nn.Parameter(torch.tensor(scale))

    def image(self, features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """Directions of the patches in the space of the correlation, of unit length."""
        projected = F.normalize(features, dim=1).permute(0, 2, 3, 1) @ self.image_base.weight.T
        return F.normalize(projected, dim=-1).permute(0, 3, 1, 2)

    def text(self, embeddings: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Directions of the words in the space of the correlation, of unit length."""
        return self.project(F.normalize(embeddings, dim=-1))

    def project(self, words: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """What `text` does after normalising."""
        dynamic = self.up(self.down(words))
        projected = self.text_base(words) + self.estimator(words) * self.scale * dynamic
        return F.normalize(projected, dim=-1)

    def complexity(self, embeddings: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """How complex each text is, in (0, 1)."""
        return self.estimator(F.normalize(embeddings, dim=-1)).squeeze(-1)


def _identity(dim: int) -> nn.Linear:
    base = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(base.weight)
    return base


class ProjectionTerm(nn.Module):
    """DC-HSP: the contrastive loss of image and words, and the hierarchy loss of the words, after projection."""

    def __init__(self, config: ProjectionConfig, classes: TrainingClasses) -> None:
        super().__init__()
        self.weights = (config.contrastive_weight, config.hierarchy_weight)
        self.embed = classes.embed
        margins = relation_margins(classes.labels, classes.categories)
        self.register_buffer("margins", margins, persistent=False)
        self.margins: Tensor

    def forward(self, projection: DynamicProjection, view: TrainingForward) -> dict[str, Tensor]:
        """The losses, called `contrastive` and `hierarchy`."""
        del projection  # it acts through the output
        rows = view.output.text.embeddings.float().mean(1)
        words = sum_of_rows(rows, view.row_class, len(view.classes))
        margins = self.margins[view.classes][:, view.classes]
        contrastive, hierarchy = self.weights
        return {
            "contrastive": contrastive * contrastive_loss(view.output.compared, view.labels, words),
            "hierarchy": hierarchy * hierarchy_loss(words, margins),
        }

    @torch.no_grad()
    def statistics(self, projection: DynamicProjection) -> dict[str, float]:
        """The complexities of the training classes: mean, spread and range; and the factor of the dynamic part."""
        training = projection.training
        complexity = projection.eval().complexity(self.embed())
        projection.train(training)
        return {
            "complexity/mean": complexity.mean().item(),
            "complexity/spread": complexity.std(correction=0).item(),
            "complexity/least": complexity.min().item(),
            "complexity/most": complexity.max().item(),
            "projection/scale": projection.scale.item(),
        }
