"""DC-HSP: projection of patch features and text embeddings to a hypersphere, text depending on class complexity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from ahs_seg.config import Width
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.modules.class_pooling import mean_of_rows, sum_of_rows
from ahs_seg.modules.full_precision import full_precision, widened
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.types import IGNORE, TrainingForward


def contrastive_loss(
    features: Float[Tensor, "b d h w"],
    labels: Int[Tensor, "b H W"],
    text: Float[Tensor, "t d"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Contrastive loss: cross-entropy of per-class mean features against the text embeddings of all present classes.

    Label maps are resized to the grid of the features; positions without a label are excluded. With fewer than two
    classes in the batch the loss is 0.

    Source: AHS-Seg, class-aware contrastive loss. The published code compares features of 24x24 positions with labels
    of 384x384 pixels, which fails, and treats ignored pixels as class 0.
    """
    small = nearest_labels(labels, (features.shape[-2], features.shape[-1])).flatten()
    classes = len(text)
    place = torch.where(small == IGNORE, classes, small)  # positions without a label have a row of their own
    patches = F.normalize(features, dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    means = mean_of_rows(patches, place, classes + 1)[:classes]
    present = torch.zeros(classes + 1, dtype=torch.bool, device=small.device).index_fill(0, place, 1)[:classes]
    # A finite mask value, so that absent classes have no infinite gradient.
    absent = torch.finfo(means.dtype).min
    logits = (means @ F.normalize(text, dim=-1).T / temperature).masked_fill(~present, absent)
    own = F.cross_entropy(logits, torch.arange(classes, device=logits.device), reduction="none")
    count = present.sum()
    return torch.where(present & (count >= 2), own, 0).sum() / count.clamp(min=1)


_LEAST_LENGTH = 1e-12  # that of F.normalize
PARENT_MARGIN, SIBLING_MARGIN = 0.3, 0.5
REST_SUFFIX = "-other"


def relation_margins(labels: Sequence[str], categories: Sequence[str | None]) -> Float[Tensor, "k k"]:
    """Target cosine distance of every pair of classes; 0 means that the pair has no relation.

    Classes of the same super-category are siblings (0.5). A class "<x>-other" represents the whole super-category: it
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
    """Mean absolute difference between cosine distance and margin over the related pairs of classes.

    |1 - cos(a, b) - margin|; 0 without relations. Source: AHS-Seg, hierarchy loss, which in the published code never
    receives relations.
    """
    related = margins.triu(1) > 0
    words = F.normalize(text, dim=-1)
    error = (1 - words @ words.T - margins).abs()
    return torch.where(related, error, 0).sum() / related.sum().clamp(min=1)


Bases = Literal["learned", "identity"]


class ProjectionConfig(ModuleConfig):
    """Config of the dynamic class-aware hyperspherical projection (AHS-Seg, DC-HSP).

    `rank` is the rank of the dynamic term and `scale` its initial factor; `hidden` and `dropout` belong to the
    complexity estimator. `contrastive_weight` and `hierarchy_weight` are the weights of the two losses. The class
    attention is guided by text embeddings before the projection (`guidance` "text") or after it ("projected"). With
    `per_class` the dynamic term, with the complexity of the class, acts on the patch features, too
    (`DynamicProjection`). The base matrices of image and text are "learned", or stay the "identity", so that words
    that were not in training keep the places that CLIP gave them.
    """

    TUNED: ClassVar[Mapping[str, Any]] = {
        "bases": "identity",
        "scale": 0.01,
        "contrastive_weight": 0.005,
        "hierarchy_weight": 0.002,
    }

    rank: Width = 64
    scale: float = 0.1
    hidden: tuple[Width, Width] = (256, 128)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    contrastive_weight: float = Field(default=0.05, ge=0)
    hierarchy_weight: float = Field(default=0.02, ge=0)
    guidance: Literal["text", "projected"] = "text"
    per_class: bool = False
    bases: Bases = "learned"

    def build(self, dim: int) -> DynamicProjection:
        """The projection module for a joint space of `dim` dimensions."""
        estimator = ComplexityEstimator(dim, self.hidden, dropout=self.dropout)
        return DynamicProjection(
            dim, estimator, rank=self.rank, scale=self.scale, per_class=self.per_class, bases=self.bases
        )

    def term(self, projection: DynamicProjection, classes: TrainingClasses) -> ProjectionTerm:
        """The loss term of the projection."""
        del projection
        return ProjectionTerm(self, classes)


class ComplexityEstimator(nn.Module):
    """Estimated complexity of a class, in (0, 1), from its text embedding (AHS-Seg, class complexity estimator).

    The original has three more heads, which are not used.
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
        """One complexity in (0, 1) per text embedding."""
        complexity: Tensor = self.network(text).sigmoid()
        return complexity


class DynamicProjection(nn.Module):
    """Projected image features and text embeddings; the text matrix P_base + c s B A depends on the complexity c.

    Both base matrices are initialised to the identity and B to zero, so that the initial correlation is CLIP's. In the
    original the projected features are used only in losses, and the sizes do not fit (768 for 512); here they form the
    correlation. The original's radius has no effect, because a normalisation follows it, and is left out.

    With `per_class` the patch features that are compared with class i are projected by P_img + c_i s B A: `image` gives
    P_img f / |P_img f|, and `shift` what B A adds to it at complexity 1. Losses use `image` alone. `bases` "identity"
    leaves out both base matrices, which is ours.

    Source: AHS-Seg, dynamic class-aware hyperspherical projection.
    """

    NO_DECAY_FULL_LR: ClassVar[frozenset[str]] = frozenset({"scale"})

    def __init__(
        self,
        dim: int,
        estimator: ComplexityEstimator,
        *,
        rank: int = 64,
        scale: float = 0.1,
        per_class: bool = False,
        bases: Bases = "learned",
    ) -> None:
        super().__init__()
        self.per_class = per_class
        self.estimator = estimator
        self.image_base = _base(dim, bases)
        self.text_base = _base(dim, bases)
        self.down = nn.Linear(dim, rank, bias=False)
        self.up = nn.Linear(rank, dim, bias=False)
        nn.init.zeros_(self.up.weight)
        self.scale = nn.Parameter(torch.tensor(scale))

    def image(self, features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """Projected patch features, normalised to unit length."""
        with full_precision(features.device):
            projected = self.image_base(F.normalize(widened(features), dim=1).permute(0, 2, 3, 1))
            return F.normalize(projected, dim=-1).permute(0, 3, 1, 2)

    def shift(self, features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The dynamic term s B A f of normalised patch features, divided by the length of their base projection."""
        with full_precision(features.device):
            unit = F.normalize(widened(features), dim=1).permute(0, 2, 3, 1)
            length = self.image_base(unit).norm(dim=-1, keepdim=True).clamp(min=_LEAST_LENGTH)
            moved = self.scale * (unit @ self.down.weight.T @ self.up.weight.T) / length
            return moved.permute(0, 3, 1, 2)

    def text(
        self, embeddings: Float[Tensor, "*n d"], complexity: Float[Tensor, "*n"] | None = None
    ) -> Float[Tensor, "*n d"]:
        """Projected text embeddings, normalised to unit length; `complexity` is theirs (None: estimated here)."""
        return self.project(F.normalize(widened(embeddings), dim=-1), complexity)

    def project(
        self, words: Float[Tensor, "*n d"], complexity: Float[Tensor, "*n"] | None = None
    ) -> Float[Tensor, "*n d"]:
        """Projected text embeddings of unit length; the inputs `words` must already be normalised."""
        with full_precision(words.device):
            words = widened(words)
            dynamic = self.up(self.down(words))
            share = self.estimator(words) if complexity is None else complexity.unsqueeze(-1)
            return F.normalize(self.text_base(words) + share * self.scale * dynamic, dim=-1)

    def complexity(self, embeddings: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """The complexity of each text embedding, in (0, 1)."""
        with full_precision(embeddings.device):
            found: Tensor = self.estimator(F.normalize(widened(embeddings), dim=-1)).squeeze(-1)
        return found


def _base(dim: int, kind: Bases) -> nn.Module:
    """A base matrix, initialised to the identity; "identity" has no parameters."""
    if kind == "identity":
        return nn.Identity()
    base = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(base.weight)
    return base


class ProjectionTerm(nn.Module):
    """Loss term of DC-HSP: contrastive loss of image and text, and hierarchy loss of text, after projection."""

    def __init__(self, config: ProjectionConfig, classes: TrainingClasses) -> None:
        super().__init__()
        self.weights = (config.contrastive_weight, config.hierarchy_weight)
        self.embed = classes.embed
        margins = relation_margins(classes.labels, classes.categories)
        self.register_buffer("margins", margins, persistent=False)
        self.margins: Tensor

    def forward(self, projection: DynamicProjection, view: TrainingForward) -> dict[str, Tensor]:
        """The weighted losses, under the keys `contrastive` and `hierarchy`."""
        del projection  # the output already contains the projected features
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
        """Values to log: statistics of the complexities of the training classes, and the factor of the dynamic term."""
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
