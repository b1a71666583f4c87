"""AHS-Seg models in `transformers.pipeline("zero-shot-image-segmentation")`.

Importing this module registers the task and the model type with transformers. The output is that of the
image-segmentation pipeline: a list of `{"label", "score", "mask"}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from transformers import Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from ahs_seg.io.images import ImageSource
from ahs_seg.io.urls import read_source
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.pipelines.auto_classes import AhsSegModel
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary, VocabularyError

TASK: Final = "zero-shot-image-segmentation"


class AhsSegPipeline(Pipeline):  # type: ignore[misc]  # transformers is untyped
    """Pipeline that segments images by class names and returns a mask for every class found.

    `candidate_labels` are classes in any form that `Vocabulary.parse` takes; `background` and `unknown_below` are as in
    `Segmenter`. With `batch_size`, so many images run through the method together.
    """

    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.image_processor: Any = getattr(self, "image_processor", None) or _NoPadding()

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
        """The RGB values of an image."""
        return {"image": read_source(image)}

    def _forward(
        self,
        inputs: dict[str, Any],
        *,
        candidate_labels: ClassSource | None = None,
        background: Sequence[str] = (),
        unknown_below: float | None = None,
    ) -> dict[str, Any]:
        if candidate_labels is None:
            raise VocabularyError(
                "no classes were given; call the pipeline with candidate_labels, e.g. candidate_labels=['cat', 'sofa']"
            )
        given: UInt8[np.ndarray, "_ _ 3"] | list[UInt8[np.ndarray, "_ _ 3"]] = inputs["image"]
        images = given if isinstance(given, list) else [given]
        output = self.model(
            images, Vocabulary.parse(candidate_labels), background=background, unknown_below=unknown_below
        )
        return {"result": output.segmentations if isinstance(given, list) else output.segmentations[0]}

    def postprocess(self, outputs: dict[str, Segmentation]) -> list[dict[str, Any]]:
        """Convert the result to the output format of the image-segmentation pipeline."""
        result = outputs["result"]
        return [
            {"label": label, "score": float(result.scores[mask].mean()), "mask": Image.fromarray(mask).convert("L")}
            for label, mask in result.masks().items()
        ]


class _NoPadding:
    """Stands for the image processor, without which transformers refuses batches; images are collected in a list."""

    def save_pretrained(self, directory: str, **_: object) -> None:
        """Write nothing: there are no settings."""


def register_pipeline() -> None:
    """Enable `pipeline("zero-shot-image-segmentation", model=...)` in this process.

    Importing this function has done so already; a call has no further effect.
    """
    if PIPELINE_REGISTRY.supported_tasks.get(TASK, {}).get("impl") is not AhsSegPipeline:
        PIPELINE_REGISTRY.register_pipeline(TASK, AhsSegPipeline, pt_model=AhsSegModel, type="multimodal")


register_pipeline()
