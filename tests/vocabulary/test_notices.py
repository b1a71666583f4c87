"""A notice is said once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.notices import collect_notice, collected_notices, notice
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


def test_notices_are_collected_whether_they_were_logged_or_not(caplog: pytest.LogCaptureFixture) -> None:
    notice.cache_clear()
    for _ in range(2):
        with collected_notices() as found:
            notice("one")
            notice("one")
            collect_notice("two")
        assert found == ["one", "two"]
    notice("three")
    collect_notice("four")
    assert found == ["one", "two"]
    assert caplog.messages == ["one", "three"]


def test_notices_of_other_threads_and_inner_contexts_are_theirs() -> None:
    with collected_notices() as outer:
        with collected_notices() as inner:
            notice("inside")
        with ThreadPoolExecutor(1) as worker:
            worker.submit(notice, "elsewhere").result()
        notice("outside")
    assert (outer, inner) == (["outside"], ["inside"])
