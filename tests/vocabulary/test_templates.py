"""Prompt templates."""

from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.templates import CAT_SEG, IMAGENET


def test_templates():
    assert CAT_SEG == ("A photo of a {} in the scene",)
    assert len(set(IMAGENET)) == 80
    assert all(template.count("{}") == 1 for template in (*CAT_SEG, *IMAGENET))
    assert PromptConfig(templates="imagenet").texts == IMAGENET
