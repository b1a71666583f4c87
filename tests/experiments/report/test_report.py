from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ahs_seg.evaluation import EvaluationReport, Failure
from ahs_seg.experiments.report import Figure, LossCurve, Report, render_report, write_report
from ahs_seg.experiments.report.charts import loss_chart, smoothed
from ahs_seg.experiments.report.pictures import view
from ahs_seg.experiments.report.tables import class_rows, score_groups
from ahs_seg.io.provenance import Provenance
from ahs_seg.metrics import ConfusionMatrix

NAMES = ("sky", "red <b>star</b>", "car")
PROVENANCE = Provenance(
    versions={"torch": "2.13"}, hardware={"cores": 2}, commit="abc", command=("ahs-seg", "quickstart"), date="today"
)


def evaluation(method: str, hits: list[int], dataset: str = "world", **changes: object) -> EvaluationReport:
    matrix = ConfusionMatrix(3)
    for label, right in enumerate(hits):
        guess = np.where(np.arange(10) < right, label, (label + 1) % 3)[None]
        matrix.update(guess, np.full((1, 10), label))
    fields = {"method": method, "dataset": dataset, "protocol": "whole", "labels": NAMES, "seen": ("sky",)}
    report = EvaluationReport(**fields, images=4, counts=matrix.to_dict(), seconds=1.0, provenance=PROVENANCE)
    return report.model_copy(update=changes)


def figure(*, truth: bool = True) -> Figure:
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    labels = np.zeros((12, 16), np.int32)
    labels[:, 8:] = 1
    guess = np.where(labels == 1, 2, 0)
    return Figure("Scene 1", image, guess, NAMES, labels if truth else None, ("sky",))


def whole() -> Report:
    return Report(
        title="A <title>",
        summary="What & why",
        evaluations=[evaluation("cat_seg", [9, 8, 7])],
        provenance=PROVENANCE,
        baselines=[evaluation("zero_shot", [5, 2, 8])],
        figures=[figure()],
        free_text=[figure(truth=False)],
        loss=LossCurve([1, 2, 3], [1.0, 0.5, 0.1]),
        config="method:\n  name: cat_seg\n",
        minutes=2.5,
    )


class Checker(HTMLParser):
    """Collects addresses, and checks that tags close in order."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]
        if tag == "img":
            self.alts.append(values["alt"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path):
    write_report(tmp_path / "report.html", whole())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(address.startswith(("data:image/", "#")) for address in checker.addresses)
    assert len(checker.alts) == 5
    assert "Scene 1, ground truth: sky, red <b>star</b>" in checker.alts
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(http|//)", page)


def test_texts_are_escaped():
    page = render_report(whole())
    assert "A &lt;title&gt;" in page
    assert "What &amp; why" in page
    assert "<b>star</b>" not in page


def test_the_page_says_what_was_measured_and_how():
    page = render_report(whole())
    scores = evaluation("", [9, 8, 7]).scores
    for text in (f"{100 * scores.miou:.1f}", f"{100 * scores.unseen:.1f}", "zero_shot", "ahs-seg quickstart"):
        assert text in page
    for text in ("name: cat_seg", "torch 2.13", "cores 2", "2.5 minutes", "<svg", "4 images, 3 names"):
        assert text in page


def test_a_report_with_nothing_but_a_title():
    page = render_report(Report("Empty", "", [], PROVENANCE))
    assert "Empty" in page
    assert "Scores" not in page


def test_items_left_out_are_listed():
    failed = evaluation("cat_seg", [9, 8, 7], failures=(Failure(index=3, problem="a.png: damaged <file>"),))
    page = render_report(Report("T", "", [failed], PROVENANCE))
    assert "world, item 3: a.png: damaged &lt;file&gt;" in page


def test_figure_tells_what_became_of_each_class():
    shown = view(figure())
    assert [caption for caption, _, _ in shown.panels] == ["picture", "ground truth", "prediction"]
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
    assert all(address.startswith("data:image/jpeg") for _, address, _ in shown.panels)
    assert len(shown.panels[0][1]) < 400_000


def test_scores_stand_beside_the_baseline_of_the_same_dataset():
    columns, groups = score_groups(
        [evaluation("cat_seg", [10, 5, 5]), evaluation("cat_seg", [9, 9, 9], "other")],
        [evaluation("zero_shot", [5, 5, 5])],
    )
    assert [name for name, _ in columns][:4] == ["mIoU", "seen", "unseen", "harmonic"]
    pixels_right = [name for name, _ in columns].index("pACC")
    world, other = groups
    assert [row.method for row in world.rows] == ["cat_seg", "zero_shot"]
    cell = world.rows[0].cells[pixels_right]
    assert (cell.value, cell.gain, cell.better) == ("66.7", "+16.7", True)
    assert other.rows[0].cells[pixels_right].gain == ""


def test_classes_come_best_first_with_the_baseline():
    rows = class_rows(evaluation("cat_seg", [10, 5, 9]), evaluation("zero_shot", [1, 10, 1]))
    assert [row.name for row in rows][-1] == NAMES[1]
    assert rows[0].iou >= rows[1].iou >= rows[2].iou
    star = rows[-1]
    assert star.unseen
    assert star.accuracy == 50
    assert star.share == pytest.approx(100 / 3)
    assert star.baseline == pytest.approx(100 * 10 / 19)


def test_the_curve_is_read_from_the_training_log(tmp_path):
    (tmp_path / "train.csv").write_text("step,loss,lr\n1,0.5,1\n10,0.25,1\n20,,1\n")
    assert LossCurve.read(tmp_path / "train.csv") == LossCurve([1, 10], [0.5, 0.25])


def test_chart_follows_the_colours_of_the_page_and_is_reproducible():
    curve = LossCurve(list(range(50)), [1 / (1 + k) for k in range(50)])
    drawing = loss_chart(curve)
    assert drawing.startswith("<svg")
    assert "currentColor" in drawing
    assert "var(--accent)" in drawing
    assert drawing == loss_chart(curve)


def test_smoothing_starts_at_the_first_value_and_keeps_constants():
    assert smoothed(np.array([4.0, 4.0, 4.0])).tolist() == pytest.approx([4, 4, 4])
    ramp = smoothed(np.arange(400.0))
    assert ramp[100:300] == pytest.approx(np.arange(100.0, 300.0))  # no lag
    assert smoothed(np.array([])).size == 0
