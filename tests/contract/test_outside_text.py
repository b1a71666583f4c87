"""Names from outside go through every writer: its own format's parser gives them back, and nothing acts.

CSV files with names of classes are the per-class tables of a suite; `train.csv`, `evaluation.csv` and `statistics.csv`
hold numbers under names of losses and scores, which are not from outside. The same names are the tags of TensorBoard.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from ahs_seg.batch.jobs import Failed
from ahs_seg.batch.summary import BatchSummary
from ahs_seg.checkpoints.card import model_card
from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.evaluation import EvaluationReport, score_table
from ahs_seg.evaluation.report import Failure
from ahs_seg.experiments.ablation.markdown import markdown
from ahs_seg.experiments.ablation.pages import render_table
from ahs_seg.experiments.report import Figure, Report, WorstClass, WorstClasses, render_report, write_report
from ahs_seg.experiments.report.curves import Series, statistic_panels
from ahs_seg.experiments.suite.tables import class_table, suite_table
from ahs_seg.io.outside_text import HIDDEN
from ahs_seg.io.progress import ProgressBar
from ahs_seg.methods import ZeroShotConfig
from ahs_seg.metrics import ConfusionMatrix
from ahs_seg.output.formats import Format, open_format
from ahs_seg.output.html import to_html
from ahs_seg.output.legend import LegendEntry, with_legend
from ahs_seg.vocabulary.vocabulary import ClassName, Vocabulary, VocabularyError
from tests.support import ablation
from tests.support.hostile_names import CLASS_NAMES, FILE_NAMES, HIDDEN_NAMES
from tests.support.reports import PROVENANCE
from tests.support.results import item, made

WORDS = Vocabulary(tuple(ClassName(name, ("thing",)) for name in CLASS_NAMES))
LABELS = np.arange(len(CLASS_NAMES), dtype=np.int32)[None].repeat(2, 0)
SHORT = [name for name in CLASS_NAMES if len(name) < 100]


class Page(HTMLParser):
    """The text, the tags and the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def checked_page(page: str, names: list[str]) -> None:
    """The names are text of the page, and no name became a part of it."""
    found = Page(page)
    assert "script" not in found.tags
    assert not [name for name in found.attributes if name.startswith("on")]
    assert [name for name in names if name not in found.text] == []
    assert not HIDDEN.search(page.replace("\n", "").replace("\t", ""))


def tokens_of(text: str) -> list[Token]:
    """Markdown as a page of the hub parses it."""
    blocks = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def checked_markdown(text: str, names: list[str]) -> None:
    tokens = tokens_of(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}
    shown = "".join(token.content for token in tokens if token.type in {"text", "text_special"})
    assert [name for name in names if name not in shown] == []


def report_of(dataset: str) -> EvaluationReport:
    matrix = ConfusionMatrix(len(CLASS_NAMES))
    matrix.update(LABELS, LABELS)
    return EvaluationReport(
        method="m",
        dataset=dataset,
        protocol="whole",
        labels=CLASS_NAMES,
        seen=CLASS_NAMES[:2],
        images=1,
        failures=tuple(Failure(index=number, problem=f"{name}: damaged") for number, name in enumerate(FILE_NAMES)),
        counts=matrix.to_dict(),
        seconds=1.0,
        provenance=PROVENANCE,
    )


@pytest.mark.parametrize("name", HIDDEN_NAMES)
def test_a_class_name_is_text_that_can_be_read(name: str) -> None:
    for words in ([name], {"thing": name}, {name: "thing"}):
        with pytest.raises(VocabularyError, match=r"hidden character U\+[0-9A-F]{4}.*Remove the character"):
            Vocabulary.parse(words)


@pytest.mark.parametrize("name", get_args(Format))
def test_every_format_keeps_the_class_names(name: Format, tmp_path: Path) -> None:
    exporter = open_format(name, tmp_path, WORDS)
    exporter.start()
    exporter.add(item("a", LABELS, WORDS))
    files = [*exporter.finish(), *(path for path in tmp_path.rglob("*") if path.is_file())]
    assert [names for path in files if (names := names_in(path)) is not None and names != list(CLASS_NAMES)] == []


def names_in(path: Path) -> list[str] | None:
    """The class names in a file, read by a parser of its format; None if it holds none."""
    if path.suffix == ".json":
        value = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "coco.json":
            return [one["name"] for one in value["categories"]]
        return value.get("classes") if isinstance(value, dict) else None
    if path.suffix == ".xml":
        root = ElementTree.parse(path).getroot()
        return [one.get("value") or one.findtext("name") or "" for one in (*root.iter("Label"), *root.iter("label"))]
    if path.suffix == ".yaml":
        return list(yaml.safe_load(path.read_text(encoding="utf-8"))["names"].values())
    if path.suffix == ".npz":
        return np.load(path)["classes"].tolist()
    if path.suffix == ".tif":
        import rasterio

        with rasterio.open(path) as dataset:
            return json.loads(dataset.tags()["CLASSES"])
    return None


@pytest.mark.parametrize("name", ["coco", "cvat", "labelstudio"])
def test_annotations_of_a_file_with_any_name_can_be_parsed(name: Format, tmp_path: Path) -> None:
    exporter = open_format(name, tmp_path, WORDS)
    exporter.start()
    given = [one for one in FILE_NAMES if "\udce9" not in one]  # these formats refuse what is no UTF-8
    for one in given:
        exporter.add(item(one, LABELS[:1, :2], WORDS, Path(f"{one}.jpg")))
    path = exporter.finish()[0]
    if name == "cvat":
        images = [image.get("name") for image in ElementTree.parse(path).getroot().iter("image")]
        assert len(images) == len(given)
        assert "\\u001b[2Jescape.jpg" in images
        assert "<script>alert(1)<∕script>.jpg" in images
    else:
        assert json.loads(path.read_text(encoding="utf-8"))


def test_a_report_shows_names_and_obeys_none(tmp_path: Path) -> None:
    figures = [Figure(one, np.zeros((2, 19, 3), np.uint8), LABELS, CLASS_NAMES, LABELS, ()) for one in FILE_NAMES[:3]]
    worst = [WorstClass(one, unseen=True, iou=1.0, share=1.0, taken_for=[(one, 1.0)]) for one in CLASS_NAMES]
    report = Report(
        title=FILE_NAMES[0],
        summary="\x1b[2J\0",
        evaluations=[report_of(one) for one in FILE_NAMES],
        provenance=PROVENANCE,
        figures=figures,
        worst=[WorstClasses(FILE_NAMES[1], worst)],
        config="x: <script>",
    )
    checked_page(render_report(report), [*CLASS_NAMES, *FILE_NAMES[:3]])
    write_report(tmp_path / "report.html", report)
    assert "not utf-8 \\udce9" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_notebook_shows_names_and_obeys_none() -> None:
    page = Page(to_html(made(LABELS, WORDS)))
    assert "script" not in page.tags
    assert CLASS_NAMES[0] in page.text


def hostile_table():
    table = ablation.table(dict.fromkeys(SHORT[:4], 0.01), seeds=2)
    titles = dict(zip(SHORT[:4], ("[x](y) <b>", "$\\frac$", "a|b\n\x1b", SHORT[5]), strict=True))
    rows = tuple(row.replace(title=titles[row.name]) for row in table.rows)
    return table.replace(rows=rows, title=SHORT[0])


def test_an_ablation_shows_names_and_obeys_none() -> None:
    table = hostile_table()
    checked_page(render_table(table, {}), [SHORT[0], "[x](y) <b>", "$\\frac$"])
    checked_markdown(markdown(table), [SHORT[0], "[x](y) <b>", "$\\frac$", "a|b"])


def test_charts_take_names_literally() -> None:
    series = {f"{name}/{line}": Series([1, 2], [1.0, 2.0]) for name in SHORT[:8] for line in ("$x$ $", "b\0")}
    ElementTree.fromstring(statistic_panels(series))


def test_tables_show_names_and_obey_none() -> None:
    reports = [report_of(name) for name in FILE_NAMES if "\n" not in name and not HIDDEN.search(name)]
    names = [report.dataset for report in reports]
    checked_markdown(score_table(reports), names)
    checked_markdown(suite_table(reports, ["own"], "m", 512), names)


def test_no_cell_of_a_table_is_a_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(class_table(report_of("world")))))
    assert [row["class"].removeprefix("'") for row in rows] == list(CLASS_NAMES)
    assert not [row["class"] for row in rows if row["class"].startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("title", ["owner/a`b\"c'd", "<script>", "x: [y]", "\x1b[2J"])
def test_a_card_shows_names_and_obeys_none(title: str) -> None:
    description = ModelDescription(method=ZeroShotConfig(), trained_on=CLASS_NAMES)
    text = model_card(description, [report_of(SHORT[0])], title=title)
    _, header, body = text.split("---\n", 2)
    values = yaml.safe_load(header)
    assert values["model-index"][0]["results"][0]["dataset"]["name"] == SHORT[0]
    checked_markdown(body, [*SHORT, "x" * 10_000])
    (code,) = (token.content for token in tokens_of(body) if token.type == "fence")
    compile(code, "card", "exec")
    assert not HIDDEN.search(body.replace("\n", ""))


def test_a_legend_takes_any_name() -> None:
    image = np.zeros((900, 40, 3), np.uint8)
    panel = with_legend(image, [LegendEntry(name, (0, 0, 0)) for name in (*FILE_NAMES, *CLASS_NAMES, *HIDDEN_NAMES)])
    assert Image.fromarray(panel).width < 2_000


def test_the_summary_of_a_run_has_one_line_for_each_name() -> None:
    summary = BatchSummary(Path("out"), list(CLASS_NAMES))
    for name in FILE_NAMES:
        summary.add(Failed(name, f"{name}: damaged"))
    lines = summary.lines(most=99)
    assert len(lines) == 1 + len(FILE_NAMES)
    assert not HIDDEN.search("".join(lines))


def test_a_progress_bar_takes_any_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(shutil.get_terminal_size().columns))
    for name in ("[/red]", "[bold]x", "\x1b[2J"):
        bar = ProgressBar(name)
        bar.start(1)
        bar.update(1, name)
        bar.say(name)
        bar.stop()
    shown = capsys.readouterr().err
    assert "[/red]" in shown
    assert "\x1b[2J" not in shown
