"""The classes found as regions, as JSON and as GeoJSON."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ahs_seg.output.formats import FormatError
from ahs_seg.output.regions import Region, regions_of
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.results import blobs, made


def test_area_share_score_and_box_worked_out_by_hand() -> None:
    result = made([[2, 2, 0], [2, -1, 0]])
    scores = np.array([[0.5, 0.25, 1], [0.75, 0, 0.5]], np.float32)
    assert regions_of(replace(result, scores=scores)) == [
        Region("sky", 2, 3, 0.5, 0.5, (0, 0, 2, 2)),
        Region("straße", 0, 2, 2 / 6, 0.75, (2, 0, 3, 2)),
    ]
    assert regions_of(made([[-1]])) == []


def test_json_says_all_of_it() -> None:
    result = replace(made([[2, 2, 0], [2, -1, 0]]), source=Path("/photos/grün.jpg"))
    found = json.loads(result.to_json())
    assert found["image"] == {"width": 3, "height": 2, "file": "/photos/grün.jpg"}
    assert found["classes"] == result.classes
    assert found["unknown"] == 1
    assert [(one["label"], one["pixels"], one["box"]) for one in found["found"]] == [
        ("sky", 3, [0, 0, 2, 2]),
        ("straße", 2, [2, 0, 3, 2]),
    ]
    assert "grün" in result.to_json()
    assert json.loads(made([[0]]).to_json())["image"]["file"] is None


def area(ring: list[list[float]]) -> float:
    """Signed area by the shoelace formula, positive if the ring runs counterclockwise."""
    assert ring[0] == ring[-1]
    return sum(x * v - u * y for (x, y), (u, v) in pairwise(ring)) / 2


@pytest.mark.parametrize("transform", [None, (0.5, 0, 100, 0, -0.5, 200), (0, 2, 0, 2, 0, 0)])
def test_rings_have_the_area_of_the_masks_and_run_as_the_standard_asks(transform: tuple[float, ...] | None) -> None:
    result = made(blobs(5))
    document = result.to_geojson(transform=transform)
    scale = 1 if transform is None else abs(transform[0] * transform[4] - transform[1] * transform[3])
    assert document["type"] == "FeatureCollection"
    for feature, (label, mask) in zip(document["features"], result.masks().items(), strict=True):
        assert feature["properties"]["label"] == label
        assert feature["geometry"]["type"] == "MultiPolygon"
        parts = feature["geometry"]["coordinates"]
        assert all(area(outline) > 0 and all(area(hole) < 0 for hole in holes) for outline, *holes in parts)
        assert sum(area(ring) for part in parts for ring in part) == pytest.approx(mask.sum() * scale)
    json.dumps(document)


def test_filling_the_rings_gives_the_mask() -> None:
    result = made(blobs(7))
    for feature in result.to_geojson()["features"]:
        assert np.array_equal(filled(feature, result.labels.shape), result[feature["properties"]["label"]])


def filled(feature: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies inside: rings are drawn twice as large, so that centres have integer coordinates."""
    canvas = np.zeros((2 * size[0] + 1, 2 * size[1] + 1), bool)
    for part in feature["geometry"]["coordinates"]:
        for ring in part:
            image = Image.new("1", canvas.shape[::-1])
            ImageDraw.Draw(image).polygon([(2 * x, 2 * y) for x, y in ring], fill=1, outline=0)
            canvas ^= np.asarray(image)
    return canvas[1::2, 1::2]


def test_corners_are_moved_by_the_transform() -> None:
    document = made([[0]]).to_geojson(transform=(0.5, 0, 100, 0, -0.5, 200, 0, 0, 1))
    (ring,) = document["features"][0]["geometry"]["coordinates"][0]
    assert sorted(map(tuple, ring[:-1])) == [(100, 199.5), (100, 200), (100.5, 199.5), (100.5, 200)]
    with pytest.raises(FormatError, match="transform has 2 numbers; give the six"):
        made([[0]]).to_geojson(transform=(1, 0))


def test_background_has_no_geometry() -> None:
    words = Vocabulary.parse("cat").with_background(["wall"])
    assert [one["properties"]["label"] for one in made([[0, 1]], words).to_geojson()["features"]] == ["cat"]
