"""The scores that authors published."""

from ahs_seg.checkpoints.published import published_for, published_numbers


def test_a_score_is_that_of_a_method_a_backbone_and_a_protocol() -> None:
    assert published_for("cat_seg", 768, "catseg", "ade20k-150") == 37.9
    assert published_for("cat_seg", 768, "san", "ade20k-150") is None
    assert published_for("cat_seg", 768, "catseg", "cityscapes") is None


def test_every_entry_names_its_source_and_protocol() -> None:
    assert all(entry.source and entry.protocol for entry in published_numbers())
