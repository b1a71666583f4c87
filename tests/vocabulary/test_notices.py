"""A notice is said once."""

import numpy as np
import pytest

from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.notices import notice
from tests.support.small_methods import SHORT
from tests.support.tiny_models import ColourMethod


def test_a_notice_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    notice.cache_clear()
    for text in ("one", "two", "one"):
        notice(text)
    assert caplog.messages == ["one", "two"]
    notice.cache_clear()
    notice("one")
    assert caplog.messages == ["one", "two", "one"]


def test_a_segmenter_warns_of_a_single_class_once(caplog: pytest.LogCaptureFixture) -> None:
    notice.cache_clear()
    segmenter, image = Segmenter(ColourMethod(), prompts=SHORT), np.zeros((8, 8, 3), np.uint8)
    segmenter(image, "cat", background=["wall"])
    assert caplog.messages == []
    for _ in range(2):
        segmenter(image, "cat")
    assert len(caplog.messages) == 1
    assert "every pixel will be 'cat'" in caplog.text
