"""How the text towers read: what a position sees, where the embedding is read, what it depends on."""

import pytest
import torch

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.text_towers import BertText, CausalText, PaddedText, RobertaText, TextTower
from ahs_seg.backbones.tokenizer import Tokens
from tests.support.backbone_kinds import CONTEXT, TINY_KINDS, tiny_backbone

TOWERS: list[tuple[str, type[TextTower], str]] = [
    ("metaclip_2", CausalText, "causal"),
    ("siglip2", PaddedText, "padded"),
    ("chinese_clip", BertText, "masked"),
    ("altclip", RobertaText, "masked"),
]


def encode(tower: TextTower, ids: list[list[int]], ends: list[int]) -> torch.Tensor:
    weights = [parts.weights for parts in tower.attention()]
    return tower.encode(Tokens(torch.tensor(ids), torch.tensor(ends)), weights, checkpointing=False)


@torch.no_grad()
@pytest.mark.parametrize(("name", "kind", "reading"), TOWERS, ids=lambda value: str(value))
def test_only_a_padded_tower_sees_the_padding(name: str, kind: type[TextTower], reading: str) -> None:
    tower = tiny_backbone(name).text
    assert (type(tower), tower.reading) == (kind, reading)
    row = [2, 9, 8, 3]
    length = CONTEXT if reading == "padded" else 8
    one, other = ([[*row, *[filler] * (length - 4)]] for filler in (5, 6))
    same = torch.allclose(encode(tower, one, [3]), encode(tower, other, [3]), atol=1e-5)
    assert same == (reading != "padded")
    assert not torch.allclose(encode(tower, one, [3]), encode(tower, [[2, 8, 9, *one[0][3:]]], [3]), atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted({"metaclip_2", "siglip2", "altclip", "tipsv2"} & set(TINY_KINDS)))
def test_every_tensor_of_the_state_is_a_part_of_the_embedding(name: str) -> None:
    backbone = tiny_backbone(name)
    tokens = backbone.tokenizer(["a cat"])
    before = backbone.encode_text(tokens)
    state = dict(backbone.text_state())
    assert {id(value) for value in state.values()} <= {id(value) for value in backbone.model.parameters()}
    for key, value in state.items():
        if ".1." in key:  # the second block is as the first
            continue
        kept = value.clone()
        value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(2)))
        changed = not torch.equal(backbone.encode_text(tokens), before)
        value.copy_(kept)
        assert changed or "k_proj.bias" in key or "key.bias" in key, key  # a softmax does not see the bias of a key


@torch.no_grad()
def test_a_prompt_that_is_the_beginning_of_another_has_its_own_embedding() -> None:
    tower = tiny_backbone("metaclip_2").text
    one, other = [0, 9, 8, 2], [0, 9, 8, 2, 7, 2]
    together = encode(tower, [[*one, 0, 0], other], [3, 5])
    alone = torch.cat([encode(tower, [one], [3]), encode(tower, [other], [5])])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(encode(tower, [one, one], [3, 3]), alone[:1].expand(2, -1), atol=1e-5)


def test_the_positions_of_a_roberta_begin_after_the_padding() -> None:
    towers = [tiny_backbone(name).text for name in ("chinese_clip", "altclip")]
    assert [tower.first_position for tower in towers if isinstance(tower, BertText)] == [0, 2]


def test_a_row_that_is_too_short_is_refused() -> None:
    with pytest.raises(BackboneError, match=rf"padded to 4 tokens; this text tower reads rows of exactly {CONTEXT}"):
        encode(tiny_backbone("siglip").text, [[2, 9, 8, 3]], [3])
