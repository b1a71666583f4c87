"""The training losses of SCAN."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from ahs_seg.methods.mask.proposals import ClassTerm, ProposalLossConfig, inside_image, supervise
from ahs_seg.methods.mask.scan.segmenter import ScanFeatures, ScanSegmenter
from ahs_seg.methods.mask.set_loss import RandomSource, mask_targets, random_source
from ahs_seg.modules.class_pooling import class_logits_of_rows
from ahs_seg.types import TrainingForward


class ScanLossConfig(ProposalLossConfig):
    """Config of SCAN's losses and their weights.

    Of the predictions before the last one, the first `auxiliary` have losses (None: all). The published code has one
    decoder layer more than its table of weights, so that the loss of the tenth prediction is computed but not used: 9.
    """

    label: NonNegativeFloat = 2.0
    auxiliary: NonNegativeInt | None = None


class ScanObjective(nn.Module):
    """Loss term of SCAN: class and mask losses of every prediction, each with its own matching.

    The second stage has no loss. `draw` is the source of random points (None: PyTorch's default generator, which
    training seeds for each step).
    """

    def __init__(self, config: ScanLossConfig, *, draw: RandomSource | None = None) -> None:
        super().__init__()
        self.config = config
        self.draw = draw

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """Weighted losses by name."""
        features, words = view.output.features, view.output.text
        assert isinstance(method, ScanSegmenter)
        assert isinstance(features, ScanFeatures)
        pairs = list(zip(features.predictions, features.embeddings, strict=True))
        counted = [*pairs[:-1][: self.config.auxiliary], pairs[-1]]
        logits = [
            class_logits_of_rows(method.class_logits(embedding, words), view.row_class, len(view.classes))
            for _, embedding in counted
        ]
        draw = self.draw or random_source(None, view.labels.device)
        if method.mask_padding:
            draw = inside_image(draw, features.area, view.labels.device)
        losses, _ = supervise(
            [prediction.masks for prediction, _ in counted],
            {"label": ClassTerm(logits, self.config.label)},
            mask_targets(view.labels, features.padded_size),
            self.config,
            draw,
            view.masks,
        )
        return losses
