"""What the results of a run depend on besides its images: compared by `--resume` and by workers elsewhere."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn

from ahs_seg.batch.jobs import BatchJob
from ahs_seg.io.digest import labelled, weights_digest
from ahs_seg.io.precision import dtype_name
from ahs_seg.output.legend import OverlayStyle
from ahs_seg.segmenter import Segmenter

STYLE: Final = "style of overlays"


def run_identity(segmenter: Segmenter, job: BatchJob) -> dict[str, Any]:
    """Settings that the results depend on besides the images, by user-facing names."""
    config, description = job.config, segmenter.description
    compared: dict[str, bool | set[str]] = {"backbone": {"source"}, "tuner": True}  # by their weights
    method = None if description is None else description.method.model_dump(mode="json", exclude=compared)
    runtime, style = segmenter.method.runtime, _style_of(config.overlay)
    return {
        "classes": [[entry.label, *entry.names] for entry in job.vocabulary.entries],
        "model": _weights_of(segmenter),
        "settings of the method": method,
        "tokenizer or image statistics": segmenter.method.backbone.input_settings,
        "prompts": segmenter.prompts.model_dump(mode="json"),
        "protocol": segmenter.inference.identity,
        "tiles": None if config.tiles is None else config.tiles.model_dump(mode="json"),
        **({} if runtime is None else {"runtime": runtime}),
        **({STYLE: style} if style != _style_of(OverlayStyle()) else {}),
        **({} if config.top_k is None else {"top_k": config.top_k}),
        **({} if segmenter.dtype == torch.float32 else {"dtype": dtype_name(segmenter.dtype)}),
        **({} if config.unknown_below is None else _unknown(segmenter, config.unknown_below)),
        **segmenter.seen_identity(job.vocabulary),
    }


def _unknown(segmenter: Segmenter, threshold: float) -> dict[str, Any]:
    """What decides which pixels are unknown."""
    found = segmenter.calibration
    known = {} if found is None else {"calibration": found.model_dump(mode="json", include={"scores", "accuracies"})}
    return {"threshold of unknown pixels": threshold, **known}


def _style_of(overlay: OverlayStyle) -> dict[str, Any]:
    """What overlays look like; files of another format have other names."""
    return overlay.model_dump(mode="json", exclude={"file_format"})


def _weights_of(segmenter: Segmenter) -> str:
    """Digest of all weights of the segmenter's method."""
    method = segmenter.method
    weights = sorted(method.state_dict().items()) if isinstance(method, nn.Module) else []
    return weights_digest(labelled(weights))
