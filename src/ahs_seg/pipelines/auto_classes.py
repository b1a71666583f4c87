"""AHS-Seg models in the auto classes of transformers: `AutoConfig`, `AutoModel`, `AutoProcessor`.

The model runs a `Segmenter`, so that its labels are those of a call of the segmenter, with the saved prompts and
protocol. Importing this module registers the classes with transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoProcessor, PreTrainedConfig
from transformers.utils import ModelOutput

from ahs_seg.checkpoints.model_dir import MODEL_TYPE
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.image_sets import images_of
from ahs_seg.io.images import ImageSource
from ahs_seg.io.urls import read_source
from ahs_seg.modules.resize import nearest_labels
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary, VocabularyError


class AhsSegConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Transformers config for the `config.json` of a model directory."""

    model_type = MODEL_TYPE

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)


@dataclass
class SegmentationOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """Output of `AhsSegModel`: one `Segmentation` per image."""

    segmentations: list[Segmentation] | None = None


class AhsSegModel(torch.nn.Module):
    """A segmenter as a model of transformers, for `AutoModel` and `pipeline`."""

    config_class: ClassVar[type[AhsSegConfig]] = AhsSegConfig
    input_modalities = ("image", "text")
    main_input_name = "images"

    def __init__(self, segmenter: Segmenter, name_or_path: str) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.method = segmenter.method
        self.name_or_path = name_or_path
        self.config = AhsSegConfig(name_or_path=name_or_path)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: Path | str,
        *,
        dtype: torch.dtype | str | None = None,
        revision: str | None = None,
        config: object = None,
        **_: object,
    ) -> AhsSegModel:
        """Load a model as `Segmenter.from_pretrained`, on the CPU; other options of transformers have no meaning here.

        `revision` is a branch, tag or commit of a repository of the hub. Without `dtype`, that of `config` is taken:
        some versions of transformers put the one that their caller gave there.
        """
        dtype = getattr(config, "dtype", None) if dtype is None else dtype
        plain = revision in (None, "main") or Path(name_or_path).is_dir()
        source = str(name_or_path) if plain else f"{name_or_path}@{revision}"
        kind = "fp32" if dtype is None or dtype == "auto" else dtype
        return cls(Segmenter.from_pretrained(source, device="cpu", dtype=kind), str(name_or_path)).eval()

    def save_pretrained(self, directory: Path | str, **_: object) -> None:
        """Write a model directory, as `Segmenter.save_pretrained`; options of transformers have no meaning here."""
        self.segmenter.save_pretrained(directory)

    @classmethod
    def register_for_auto_class(cls, auto_class: object = None) -> None:
        """Do nothing: transformers asks classes of model repositories to note their auto class, for saving them."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.segmenter.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of matrix products."""
        return self.segmenter.dtype

    def to(  # type: ignore[override]  # fewer forms than those of modules
        self, device: Any = None, dtype: Any = None, **_: object
    ) -> AhsSegModel:
        """The same model, moved as by `Segmenter.to`."""
        self.segmenter.to(device, dtype)
        return self

    def forward(
        self,
        images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        classes: Vocabulary,
        *,
        background: Sequence[str] = (),
        unknown_below: float | None = None,
    ) -> SegmentationOutput:
        """The segmentations of images, which run together."""
        found = self.segmenter(
            list(images), classes, background=background, unknown_below=unknown_below, batch_size=max(1, len(images))
        )
        return SegmentationOutput(segmentations=found)

    def can_generate(self) -> bool:
        """False: the model does not generate text."""
        return False


class AhsSegProcessor:
    """Reads images and class names for `AhsSegModel`, and turns its output into label maps."""

    @classmethod
    def from_pretrained(cls, name_or_path: Path | str, **_: object) -> AhsSegProcessor:
        """A processor; it is the same one for every model, whose files therefore are not read."""
        del name_or_path
        return cls()

    @classmethod
    def register_for_auto_class(cls, auto_class: object = None) -> None:
        """Do nothing; see `AhsSegModel`."""

    def __call__(
        self, images: ImageSource | Sequence[ImageSource], text: ClassSource | None = None, **_: object
    ) -> dict[str, Any]:
        """The arguments of the model: RGB arrays of one image or of several, and the classes for all of them.

        Raises:
            VocabularyError: there are no valid class names.
            ImageError: an image cannot be read.
        """
        if text is None:
            raise VocabularyError("no classes were given; name them with text, e.g. text=['cat', 'sofa']")
        if isinstance(images, ImageSource):
            several = images_of(images)
            images = [images] if several is None else several
        return {"images": [read_source(one) for one in images], "classes": Vocabulary.parse(text)}

    def post_process_semantic_segmentation(
        self, outputs: SegmentationOutput, target_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Int[Tensor, "_ _"]]:
        """The label map of every image, at its own size or resized (nearest) to `target_sizes` (height, width).

        Raises:
            OutputOptionsError: there are not as many sizes as images.
        """
        found = outputs.segmentations or []
        if target_sizes is not None and len(target_sizes) != len(found):
            raise OutputOptionsError(f"{len(target_sizes)} target_sizes for {len(found)} images; give one for each")
        maps = [torch.from_numpy(one.labels) for one in found]
        sizes = [(one.shape[0], one.shape[1]) for one in maps] if target_sizes is None else target_sizes
        return [
            nearest_labels(one[None], (int(height), int(width)))[0]
            for one, (height, width) in zip(maps, sizes, strict=True)
        ]


AutoConfig.register(MODEL_TYPE, AhsSegConfig, exist_ok=True)
AutoModel.register(AhsSegConfig, AhsSegModel, exist_ok=True)
AutoProcessor.register(AhsSegConfig, AhsSegProcessor, exist_ok=True)
