"""How far the features of every kind of backbone are from those of `transformers`, as parts of the largest value.

    python -m benchmarks.backbones

The networks are those of the recording `tests/parity/data/backbones_tiny` (transformers 5.23, generated weights).
Writes `benchmarks/results/backbones.json`.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.io.provenance import provenance
from benchmarks.stored import store
from tests.parity.backbone_case import NAMES, BackboneCase, backbone_case


def error(case: BackboneCase, name: str, value: Tensor) -> float:
    expected = case.recorded(name)
    return float(np.abs(value.numpy() - expected).max() / np.abs(expected).max())


@torch.no_grad()
def errors(case: BackboneCase) -> dict[str, float]:
    backbone = case.backbone
    found = backbone.encode_image(case.images, levels=case.info["levels"], pooled=True)
    wide = backbone.encode_image(case.image("wide", 64, 96))
    text = backbone.encode_text(case.tokens)
    assert found.pooled is not None
    cosine = F.normalize(found.pooled, dim=-1) @ F.normalize(text, dim=-1).T
    logits = backbone.logit_scale * cosine + getattr(backbone.model, "logit_bias", torch.tensor(0.0))
    return {
        "dense": error(case, "dense", found.dense),
        "dense, another grid": error(case, "dense_wide", wide.dense),
        "levels": max(error(case, f"level_{key}", level) for key, level in zip("ab", found.levels, strict=True)),
        "image embedding": error(case, "image_embed", found.pooled),
        "text embedding": error(case, "text_embed", text),
        "logits": error(case, "logits_per_image", logits),
    }


def main() -> None:
    rows = {name: errors(backbone_case(name)) for name in NAMES}
    command = ("backbones.py", *sys.argv[1:])
    store("backbones", {"errors": rows}, provenance().replace(command=command))
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
