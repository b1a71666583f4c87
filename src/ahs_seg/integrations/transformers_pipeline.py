"""AHS-Seg models in `transformers.pipeline("zero-shot-image-segmentation")`.

`register_pipeline` registers the task and the model type with transformers; importing this module changes nothing.
The output is that of the image-segmentation pipeline: a list of `{"label", "score", "mask"}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from PIL import Image
from transformers import AutoConfig, Pipeline, PreTrainedConfig
from transformers.pipelines import PIPELINE_REGISTRY

from ahs_seg.checkpoints.model_dir import MODEL_TYPE
from ahs_seg.io.images import ImageSource
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import ClassSource, VocabularyError

TASK: Final = "zero-shot-image-segmentation"


def register_pipeline() -> None:
    """Enable `pipeline("zero-shot-image-segmentation", model=...)` in this process; repeated calls have no effect."""
    AutoConfig.register(MODEL_TYPE, DirectoryConfig, exist_ok=True)
    if PIPELINE_REGISTRY.supported_tasks.get(TASK, {}).get("impl") is not ZeroShotImageSegmentation:
        PIPELINE_REGISTRY.register_pipeline(TASK, ZeroShotImageSegmentation, pt_model=PipelineModel, type="multimodal")


class DirectoryConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Transformers config for the `config.json` of a model directory."""

    model_type = MODEL_TYPE

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)


class PipelineModel(torch.nn.Module):
    """A segmenter wrapped in the model interface that `transformers.Pipeline` needs."""

    input_modalities = ("image", "text")

    def __init__(self, segmenter: Segmenter, name_or_path: str) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.method = segmenter.method
        self.name_or_path = name_or_path
        self.config = DirectoryConfig(name_or_path=name_or_path)

    @classmethod
    def from_pretrained(cls, name_or_path: str, **_: object) -> PipelineModel:
        """Load a model with `Segmenter.from_pretrained`, in float32; other options of transformers are ignored."""
        return cls(Segmenter.from_pretrained(name_or_path), name_or_path)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return next(self.parameters()).dtype

    def can_generate(self) -> bool:
        """False: the model does not generate text."""
        return False


class ZeroShotImageSegmentation(Pipeline):  # type: ignore[misc]  # transformers is untyped
    """Pipeline that segments images by class names and returns a mask for every class found.

    `candidate_labels` are classes in any form that `Vocabulary.parse` takes; `background` and `unknown_below` are as in
    `Segmenter`. Images are processed one by one.
    """

    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __call__(
        self,
        inputs: ImageSource | Iterable[ImageSource],
        candidate_labels: ClassSource | None = None,
        **options: Any,
    ) -> Any:
        """For each class found, largest first: its label, the mean score of its pixels, and a mask (mode L, 0 or 255).

        Returns a list of such lists for a list of images, an iterator of them for a generator.
        """
        if candidate_labels is not None:
            options["candidate_labels"] = candidate_labels
        return super().__call__(inputs, **options)

    def _sanitize_parameters(
        self,
        *,
        candidate_labels: ClassSource | None = None,
        background: Sequence[str] = (),
        unknown_below: float | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        given = {"candidate_labels": candidate_labels, "background": background, "unknown_below": unknown_below}
        return {}, {name: value for name, value in given.items() if value}, {}

    def preprocess(self, image: ImageSource) -> dict[str, Any]:
        """The image unchanged: `Segmenter` reads it."""
        return {"image": image}

    def _forward(
        self,
        inputs: dict[str, Any],
        *,
        candidate_labels: ClassSource | None = None,
        background: Sequence[str] = (),
        unknown_below: float | None = None,
    ) -> dict[str, Segmentation]:
        if candidate_labels is None:
            raise VocabularyError(
                "no classes were given; call the pipeline with candidate_labels, e.g. candidate_labels=['cat', 'sofa']"
            )
        result = self.model.segmenter(
            inputs["image"], candidate_labels, background=background, unknown_below=unknown_below
        )
        return {"result": result}

    def postprocess(self, outputs: dict[str, Segmentation]) -> list[dict[str, Any]]:
        """Convert the result to the output format of the image-segmentation pipeline."""
        result = outputs["result"]
        return [
            {"label": label, "score": float(result.scores[mask].mean()), "mask": Image.fromarray(mask).convert("L")}
            for label, mask in result.masks().items()
        ]
