"""The training losses of EBSeg."""

from __future__ import annotations

from pydantic import NonNegativeFloat
from torch import Tensor, nn

from ahs_seg.methods.mask.ebseg.segmenter import EBSegFeatures, EBSegSegmenter
from ahs_seg.methods.mask.ebseg.structure_loss import similarity_structure_loss
from ahs_seg.methods.mask.proposals import ClassTerm, ProposalLossConfig, inside_image, supervise
from ahs_seg.methods.mask.set_loss import RandomSource, mask_targets, random_source
from ahs_seg.modules.class_pooling import class_embeddings, class_logits_of_rows, mean_of_rows
from ahs_seg.types import TrainingForward


class EBSegLossConfig(ProposalLossConfig):
    """Config of EBSeg's losses and their weights; class losses have the original weight 2.0 times 0.75."""

    supervised: NonNegativeFloat = 1.5
    recognised: NonNegativeFloat = 1.5
    structure: NonNegativeFloat = 10.0


class EBSegObjective(nn.Module):
    """Loss term of EBSeg: class and mask losses of every prediction, and the structure loss of the last one.

    The logits of the supervised embeddings are used for the matching. `draw` is the source of random points (None:
    PyTorch's default generator, which training seeds for each step).
    """

    def __init__(self, config: EBSegLossConfig, *, draw: RandomSource | None = None) -> None:
        super().__init__()
        self.config = config
        self.draw = draw

    def forward(self, method: nn.Module, view: TrainingForward) -> dict[str, Tensor]:
        """Weighted losses by name."""
        features, words, config = view.output.features, view.output.text, self.config
        assert isinstance(method, EBSegSegmenter)
        assert isinstance(features, EBSegFeatures)
        classifier = method.classifier(words)
        supervised, recognised = (
            [
                class_logits_of_rows(embedding.float() @ classifier.T, view.row_class, len(view.classes))
                for embedding in embeddings
            ]
            for embeddings in (features.supervised, features.recognised)
        )
        terms = {
            "supervised": ClassTerm(supervised, config.supervised),
            "recognised": ClassTerm(recognised, config.recognised),
        }
        targets = mask_targets(view.labels, features.padded_size)
        draw = self.draw or random_source(None, view.labels.device)
        if method.mask_padding:
            draw = inside_image(draw, features.area, view.labels.device)
        masks = [prediction.masks for prediction in features.predictions]
        losses, matches = supervise(masks, terms, targets, config, draw, view.masks)
        text = mean_of_rows(class_embeddings(words), view.row_class, len(view.classes))
        structure = similarity_structure_loss(features.supervised[-1], text, matches, targets)
        return {**losses, "structure": config.structure * structure}
