"""A first answer in a process of its own; prints what it imported and computed as JSON."""

import json
import sys

import numpy as np
import torch

from ahs_seg import Segmenter
from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_config import ClipConfig

HEAVY = ("transformers", "matplotlib", "scipy", "IPython", "sympy", "torch._dynamo", "lightning_fabric")

imported = [name for name in HEAVY if name in sys.modules]
torch.manual_seed(0)
ClipConfig(source="tiny").build()
drawn = [round(value, 4) for value in torch.rand(2).tolist()]
encodings: list[int] = []
plain = ClipBackbone.encode_text
ClipBackbone.encode_text = lambda self, tokens: encodings.append(len(tokens)) or plain(self, tokens)  # type: ignore[method-assign, func-returns-value]
result = Segmenter.from_pretrained("clip:tiny")(np.full((96, 96, 3), 90, np.uint8), "sky, grass, a tree")
print(
    json.dumps(
        {
            "imported": imported,
            "later": [name for name in HEAVY if name in sys.modules],
            "drawn": drawn,
            "encodings": encodings,
            "scores": result.scores.ravel().tolist()[:50],
        }
    )
)
