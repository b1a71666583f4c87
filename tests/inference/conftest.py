"""A backbone that counts its calls."""

import pytest
import torch

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.tokenizer import Tokens
from tests.support.builders import random_backbone


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> ClipBackbone:
    """A backbone that lists the number of prompts of every call of its text tower."""
    backbone = random_backbone()
    plain = backbone.encode_text
    calls: list[int] = []
    monkeypatch.setattr(backbone, "calls", calls, raising=False)

    def counted(tokens: Tokens) -> torch.Tensor:
        calls.append(len(tokens))
        return plain(tokens)

    monkeypatch.setattr(backbone, "encode_text", counted)
    return backbone
