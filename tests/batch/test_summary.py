"""The summary of a run."""

import json

from tests.support.batch_runs import run
from tests.support.drawn_images import WORDS


def test_the_summary_adds_up_areas(segmenter, photos, tmp_path):
    summary = run(segmenter, photos, tmp_path / "out")
    alone = [segmenter(path, WORDS).areas() for path in photos.rglob("*.png")]
    for area in summary.areas:
        assert area.pixels == sum(areas.get(area.label, 0) for areas in alone)
        assert area.images == sum(area.label in areas for areas in alone)
        assert area.share == area.pixels / (5 * 24 * 32 + 2 * 20 * 20)
    assert json.loads(json.dumps(summary.to_dict()))["done"] == 7
    assert summary.areas == sorted(summary.areas, key=lambda area: -area.pixels)
