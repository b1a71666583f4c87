"""The colours and verdicts of a report's figures."""

from __future__ import annotations

import numpy as np

from ahs_seg.experiments.report import Figure
from ahs_seg.experiments.report.images import shared_colours, view
from tests.support.reports import figure


def test_figure_tells_what_became_of_each_class():
    shown = view(figure())
    assert [panel.caption for panel in shown.panels] == ["image", "ground truth", "prediction"]
    assert [(line.name, line.unseen, line.verdict) for line in shown.legend] == [
        ("sky", False, "IoU 100"),
        ("red <b>star</b>", True, "missed"),
        ("car", True, "not there"),
    ]
    assert shown.right == 0.5
    assert [line.verdict for line in view(figure(truth=False)).legend] == ["50 %", "50 %"]


def test_large_photographs_are_reduced():
    labels = np.zeros((600, 2000), np.int32)
    photograph = np.random.default_rng(0).integers(0, 256, (600, 2000, 3), dtype=np.uint8)
    shown = view(Figure("", photograph, labels, ["sky"]))
    assert all(panel.address.startswith("data:image/jpeg") for panel in shown.panels)
    assert len(shown.panels[0].address) < 400_000


def test_a_class_has_one_colour_in_all_figures_whatever_their_lists():
    draw = np.random.default_rng(0)
    image = np.zeros((40, 60, 3), np.uint8)
    lists = [["road", "sky", "tree", "car"], ["car", "bus", "road"], ["sky", "meadow", "tree", "lawn", "car"]]
    figures = [
        Figure(str(index), image, draw.integers(-1, len(names), (4, 6)).repeat(10, 0).repeat(10, 1), names)
        for index, names in enumerate(lists)
    ]
    shared = shared_colours(figures)
    seen: dict[str, set[str]] = {}
    for one in figures:
        for line in view(one, shared).legend:
            seen.setdefault(line.name, set()).add(line.colour)
    assert seen.keys() == {name for names in lists for name in names}
    assert {name: len(colours) for name, colours in seen.items()} == dict.fromkeys(seen, 1)
    assert len({colour for colours in seen.values() for colour in colours}) == len(seen)


def test_regions_are_named_in_place_and_on_hover():
    image, truth, prediction = (panel.layer for panel in view(figure()).panels)
    assert image is None
    assert [name.text for name in truth.names] == ["sky", "red <b>star</b>"]
    assert [shape.title for shape in truth.shapes] == [
        "ground truth: sky, IoU 100",
        "ground truth: red <b>star</b>, missed",
    ]
    assert [shape.title for shape in prediction.shapes] == ["prediction: sky, IoU 100", "prediction: car, not there"]
