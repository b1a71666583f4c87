"""One step of pre-training: which losses there are, what they are made of, and which weights they reach."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.data.world.mosaics import WORDS
from ahs_seg.training.tiny_clip.batches import PretrainBatch
from ahs_seg.training.tiny_clip.losses import Said, matching_loss, patch_loss, pool
from ahs_seg.training.tiny_clip.model import TinyClipConfig
from ahs_seg.training.tiny_clip.step import PretrainStep, loss_sum

CONFIG = TinyClipConfig(
    stem=(8, 8, 8, 8), patch=8, width=16, depth=2, text_depth=1, heads=2, dim=12, tokens=300, resolution=32
)
MOSAIC = torch.tensor([0] * 8 + [1] * 8)
PHOTO = torch.full((16,), 2)


@pytest.fixture
def learner() -> PretrainStep:
    return PretrainStep(CONFIG.build(["a red star", "blue grass", "a circle"], seed=0)).eval()


def batch_of(learner: PretrainStep, *parts: torch.Tensor) -> PretrainBatch:
    """Noise in these parts, numbered from 0; part k is described by phrase k and by its first word alone."""
    images = torch.randint(0, 256, (len(parts), 3, 32, 32), generator=torch.Generator().manual_seed(1))
    tokens = learner.backbone.tokenizer(["a red star", "blue grass", "a circle"])
    words = torch.full((3, len(WORDS)), -1)
    words[:, 1] = torch.arange(3)
    count = int(max(part.max() for part in parts)) + 1
    return PretrainBatch(
        images.to(torch.uint8),
        torch.stack(parts),
        torch.arange(count)[:, None],
        torch.eye(3, dtype=torch.bool),
        words,
        tokens.ids,
        tokens.ends,
    )


def test_the_stem_learns_words_before_anything_else_takes_part(learner: PretrainStep) -> None:
    losses = learner(batch_of(learner, MOSAIC, PHOTO), stem_alone=True)
    assert list(losses) == ["words"]
    losses["words"].backward()
    moved = {name for name, value in learner.named_parameters() if value.grad is not None and value.grad.any()}
    assert moved
    stem = "backbone.model.vision_model.embeddings.patch_embedding."
    assert all(name.startswith((stem, "stem_words.")) for name in moved)


def test_losses_are_those_of_the_features_of_image_and_text(learner: PretrainStep) -> None:
    batch = batch_of(learner, MOSAIC, PHOTO)
    with torch.no_grad():
        losses = learner(batch, stem_alone=False)
        with torch.autocast("cpu", torch.bfloat16):
            seen = learner.backbone.encode_image(batch.images.float() / 255, pooled=True)
            text = learner.backbone.encode_text(batch.tokens)
    text = F.normalize(text.float(), dim=-1)
    similarity = F.normalize(seen.dense.float().flatten(2).transpose(1, 2), dim=-1) @ text.T
    said = Said.of(batch.said, batch.compatible)
    torch.testing.assert_close(losses["patches"], patch_loss(10 * similarity, batch.part, said))
    torch.testing.assert_close(losses["parts"], matching_loss(10 * pool(similarity, batch.part, 3), said))
    assert seen.pooled is not None
    naming = 10 * F.normalize(seen.pooled[1:].float(), dim=-1) @ text.T  # the second image alone is one part
    one = Said(said.own[2:], said.fair[2:])
    torch.testing.assert_close(losses["pictures"], matching_loss(naming, one))


def test_without_a_photograph_no_image_is_named_as_a_whole(learner: PretrainStep) -> None:
    assert list(learner(batch_of(learner, MOSAIC), stem_alone=False)) == ["patches", "parts", "words"]
    seam = PHOTO.clone()
    seam[0] = -1
    assert "pictures" not in learner(batch_of(learner, seam), stem_alone=False)


@torch.no_grad()
def test_the_scale_of_similarities_is_at_most_50(learner: PretrainStep) -> None:
    batch = batch_of(learner, MOSAIC, PHOTO)
    found = []
    for scale in (50.0, 500.0):
        learner.backbone.model.logit_scale.fill_(torch.tensor(scale).log())
        found.append(learner(batch, stem_alone=False))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value)


def test_named_losses_are_weighed_and_summed() -> None:
    losses = {"patches": torch.tensor(2.0), "words": torch.tensor(3.0)}
    assert loss_sum(losses, {"patches": 0.5, "words": 2.0, "parts": 9.0}).item() == 7.0
    with pytest.raises(KeyError, match="words"):
        loss_sum(losses, {"patches": 1.0})
