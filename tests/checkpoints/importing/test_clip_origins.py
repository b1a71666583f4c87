"""Heads and activation of a CLIP are given, or fixed by the origin of its file; nothing is assumed."""

import pytest

from ahs_seg.checkpoints.importing.clip_origins import (
    NOT_GIVEN,
    OPEN_CLIP,
    OPENAI,
    OPENAI_FILE,
    SCAN,
    ClipOrigin,
    ClipSettings,
    ClipShape,
    origin_of,
)
from ahs_seg.checkpoints.importing.key_rules import ConversionError

B16 = ClipShape(768, 12, 16, 512, 12)
L14 = ClipShape(1024, 24, 14, 768, 12)
H14 = ClipShape(1280, 32, 14, 1024, 24)
G14 = ClipShape(1408, 40, 14, 1024, 24)
BIG_G14 = ClipShape(1664, 48, 14, 1280, 32)
OTHER = ClipShape(832, 12, 16, 320, 6)
GELU, QUICK = ClipSettings(activation="gelu"), ClipSettings(activation="quick_gelu")
ENTRIES = ["input_resolution", "context_length", "vocab_size"]


@pytest.mark.parametrize(
    ("shape", "heads", "text_heads"), [(B16, 12, 8), (L14, 16, 12), (H14, 16, 16), (G14, 16, 16), (BIG_G14, 16, 20)]
)
def test_sizes_of_open_clip_fix_the_heads_and_not_the_activation(shape: ClipShape, heads: int, text_heads: int) -> None:
    for given in (GELU, QUICK):
        assert OPEN_CLIP.settings(shape, given) == ClipSettings(heads, text_heads, given.activation)
    with pytest.raises(ConversionError, match=r"in open_clip, .*Give `--activation gelu` or `--activation quick_gelu`"):
        OPEN_CLIP.settings(shape, NOT_GIVEN)


def test_other_sizes_need_their_heads() -> None:
    with pytest.raises(ConversionError, match=r"image tower 832 wide with 12 layers.*`--heads N`, `--text-heads N`\. "):
        OPEN_CLIP.settings(OTHER, GELU)
    given = ClipSettings(13, 5, "gelu")
    assert OPEN_CLIP.settings(OTHER, given) == given


@pytest.mark.parametrize("heads", [0, -1, 7, 833])
def test_heads_divide_the_width(heads: int) -> None:
    with pytest.raises(ConversionError, match=rf"`--heads {heads}` does not divide the 832 channels"):
        OPEN_CLIP.settings(OTHER, ClipSettings(heads, 5, "gelu"))


@pytest.mark.parametrize(
    ("origin", "activation"), [(OPENAI_FILE, "quick_gelu"), (OPENAI, "quick_gelu"), (SCAN, "gelu")]
)
def test_known_origins_fix_everything(origin: ClipOrigin, activation: str) -> None:
    for shape, heads, text_heads in ((B16, 12, 8), (L14, 16, 12)):
        found = origin.settings(shape, NOT_GIVEN)
        assert (found.heads, found.text_heads, found.activation) == (heads, text_heads, activation)


def test_a_method_on_a_clip_of_open_clip_is_asked_about() -> None:
    """CAT-Seg's code takes ViT-H and ViT-bigG from open_clip; neither has heads 64 wide."""
    with pytest.raises(ConversionError, match=r"ViT-H-14 in open_clip.*Give `--activation"):
        OPENAI.settings(H14, NOT_GIVEN)
    assert OPENAI.settings(H14, GELU) == ClipSettings(16, 16, "gelu")


def test_what_contradicts_the_file_is_refused() -> None:
    with pytest.raises(ConversionError, match=r"OpenAI's code, which fixes `--activation quick_gelu`; leave out"):
        OPENAI_FILE.settings(B16, GELU)
    with pytest.raises(ConversionError, match="fixes `--heads 12`"):
        OPENAI_FILE.settings(B16, ClipSettings(heads=16))
    assert OPENAI_FILE.settings(B16, ClipSettings(12, 8, "quick_gelu")) == ClipSettings(12, 8, "quick_gelu")
    assert OPENAI.settings(B16, GELU).activation == "gelu"  # a method that was trained on another CLIP


def test_openais_files_are_told_by_all_of_their_entries() -> None:
    keys = ["visual.conv1.weight", *ENTRIES]
    assert origin_of("clip", keys) == origin_of("zero_shot", keys) == OPENAI_FILE
    for entry in ENTRIES:
        assert origin_of("clip", [key for key in keys if key != entry]) == OPEN_CLIP
    assert origin_of("cat_seg", ["visual.conv1.weight"]) == OPENAI
    assert origin_of("scan", keys) == SCAN
