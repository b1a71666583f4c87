"""Runs over files."""

from ahs_seg.batch import segment_files
from tests.support.drawn_images import WORDS


def run(segmenter, photos, out, words=WORDS, **settings):
    return segment_files(segmenter, [photos], words, out, progress=False, **settings)
