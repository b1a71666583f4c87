"""Training-free segmentation: cosine similarity of dense CLIP features and text embeddings."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from jaxtyping import Float
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from ahs_seg.backbones.base import Backbone, DenseForm
from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.backbones.dense_forms import CAT_SEG
from ahs_seg.config import ConfigError
from ahs_seg.methods.base import BaseMethodConfig, Merging, Method, MethodOptions
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.methods.refinement import PamrConfig
from ahs_seg.modules.resize import resize_in_proportion
from ahs_seg.types import ImageFeatures, Output, Words

FORM: Final[DenseForm] = "naclip"
"""Default dense form: of the three without refinement, NACLIP has the best published mean (its paper, ViT-B/16)."""
TINY_FORM: Final[DenseForm] = "value"
"""Default dense form of the packaged tiny CLIP: the best on validation scenes (`docs/methods/zero_shot.md`)."""
TEMPERATURE: Final = 0.025
"""Default temperature: that of SCLIP and NACLIP, who give it as a scale of 40."""
TINY_TEMPERATURE: Final = 0.05
"""Default temperature of the packaged tiny CLIP: the smallest calibration error on validation scenes."""

SoftmaxOver = Literal["merged", "views"]


class ZeroShotOptions(MethodOptions):
    """Inference options of zero-shot segmentation; None: as in the config.

    `softmax` over all text rows follows after the views are merged (`merged`) or is taken in each view (`views`).
    `refine` refines the merged logits by the image (PAMR): true for the default settings, false for no refinement.
    """

    softmax: SoftmaxOver | None = None
    refine: bool | PamrConfig | None = None


class ZeroShotSegmenter(Method):
    """Zero-shot segmentation: logits are the cosine similarities of patch features and text embeddings; no training.

    Source: MaskCLIP (Zhou et al., ECCV 2022) and the methods after it; which one is the dense form of the backbone. The
    cosines are divided by `temperature` before the softmax over classes, as in CLIP; this does not change the labels.
    Views keep their aspect ratio: the shorter side becomes the backbone's resolution.
    """

    options: ClassVar[type[MethodOptions]] = ZeroShotOptions
    keeps_aspect: bool = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        temperature: float,
        softmax: SoftmaxOver = "merged",
        refine: PamrConfig | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.temperature = temperature
        self.softmax = softmax
        self.refine = refine

    @property
    def merging(self) -> Merging:
        """The softmax over all text rows is taken after merging, unless `softmax` says "views"."""
        return Merging(softmax=self.softmax == "merged", refine=self.refine)

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> ImageFeatures:
        """Image features: the part of the forward pass that does not depend on the text."""
        clip = self.backbone
        return clip.encode_image(resize_in_proportion(images, clip.resolution, multiple=clip.patch_size))

    def decode(self, features: ImageFeatures, text: Words) -> Output:
        """Log-probabilities of the text rows at every patch.

        Those of a patch differ from cosine / temperature by the same number for all rows, so that their softmax, also
        after means over windows, is that of the cosines.
        """
        words = self.ensure_prepared(text)
        cost = cosine_cost(features.dense, words.embeddings).mean(1)
        return Output((cost / self.temperature).log_softmax(1), features, words, features.dense)

    def scores(self, logits: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Softmax probabilities over the text rows, in [0, 1]."""
        return logits.exp()

    def set_options(self, options: Any) -> None:
        """Set where the softmax is taken, and the refinement, in place.

        Raises:
            ConfigError: refinement is asked for with the softmax in each view.
        """
        self.softmax = options.softmax or self.softmax
        if options.refine is not None:
            chosen = PamrConfig() if options.refine is True else options.refine
            self.refine = chosen or None
        if self.refine is not None and self.softmax != "merged":
            raise ConfigError(f"inference.options: {_REFINED_LOGITS}")


_REFINED_LOGITS: Final = 'refine acts on merged logits, so softmax must be "merged"; leave softmax or refine out'


class ZeroShotConfig(BaseMethodConfig):
    """Training-free segmentation with the dense features of any CLIP (MaskCLIP, Zhou et al., ECCV 2022, and later).

    `backbone.dense` is the method: `naclip` by default (`value` for the packaged tiny CLIP), or another dense form;
    SigLIP and TIPSv2 have one of their own.
    `temperature` is 0.025 by default (0.05 for the packaged tiny CLIP); it changes scores, not labels. `softmax` and
    `refine` are those of `ZeroShotOptions`. The former baseline of this library, which the recorded tables show, is
    `backbone.dense=cat_seg`, `temperature=0.01`, `softmax=views`.
    """

    name: Literal["zero_shot"] = "zero_shot"
    backbone: ClipConfig = ClipConfig()
    temperature: Annotated[float | None, Field(gt=0, validate_default=True)] = None
    softmax: SoftmaxOver = "merged"
    refine: PamrConfig | None = None

    @field_validator("temperature", mode="after")
    @classmethod
    def _choose_temperature(cls, temperature: float | None, known: Any) -> float:
        if temperature is not None:
            return temperature
        backbone = known.data.get("backbone")
        return TINY_TEMPERATURE if isinstance(backbone, ClipConfig) and backbone.source == TINY else TEMPERATURE

    @model_validator(mode="after")
    def _check_refinement(self) -> ZeroShotConfig:
        if self.refine is not None and self.softmax != "merged":
            raise ValueError(_REFINED_LOGITS)
        return self

    @classmethod
    def of_saved(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """As in the base class: before `softmax` was an option, it was taken in each view of CAT-Seg's dense form."""
        backbone = settings.get("backbone")
        if "softmax" in settings or not isinstance(backbone, dict):
            return settings
        return {**settings, "softmax": "views", "backbone": {**backbone, "dense": CAT_SEG}}

    def compose(self, backbone: Backbone) -> ZeroShotSegmenter:
        """The method on the given backbone; all parameters are frozen, so that an attempt to train it is an error."""
        tiny = self.backbone.source == TINY
        return ZeroShotSegmenter(
            self.backbone.in_form(backbone, TINY_FORM if tiny else FORM).requires_grad_(requires_grad=False),
            temperature=self.temperature or TEMPERATURE,
            softmax=self.softmax,
            refine=self.refine,
        )
