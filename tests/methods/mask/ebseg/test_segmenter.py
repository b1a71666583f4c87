"""EBSeg: its parts by hand, images and labels of every kind, and what its switches change."""

import torch

from ahs_seg.backbones.sam import SamConfig
from tests.support.ebseg import images, losses_of, small, words


@torch.no_grad()
def test_one_class_and_many_and_more_classes_than_queries() -> None:
    method = small()
    for count in (1, 2, 30):
        proposals = method(images(2), words(count)).proposals
        assert proposals is not None
        assert proposals.classes.shape == (2, 6, count)
        assert (proposals.classes.sum(-1) <= 1 + 1e-6).all()
        assert (proposals.padded_size, proposals.size) == ((64, 96), (40, 70))
    labels = torch.arange(30).repeat_interleave(10)[None, :, None].expand(1, -1, 8)
    with torch.enable_grad():
        losses = losses_of(method, labels.contiguous(), words(30))
    assert all(loss.isfinite() for loss in losses.values())


def test_what_trains_is_all_but_the_matrices_of_clip() -> None:
    method = small(pixels=SamConfig(source=None, dim=16, depth=4, heads=2, image_size=64, global_blocks=(0, 1, 2, 3)))
    frozen = {name.split(".")[0] for name, p in method.named_parameters() if not p.requires_grad}
    assert frozen == {"backbone", "pixels"}
    inside = [n for n, p in method.named_parameters() if p.requires_grad and n.startswith(("backbone", "pixels"))]
    assert inside == ["backbone.model.vision_model.embeddings.position_embedding.weight", "pixels.encoder.pos_embed"]
