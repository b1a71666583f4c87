"""JSON files from outside: whatever they hold, reading them is one error, which names the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ahs_seg.batch.journal import BatchJournal
from ahs_seg.checkpoints.importing.clip_tokenizer import find_tokenizer
from ahs_seg.checkpoints.model_dir import read_description
from ahs_seg.data.annotations.config import CocoData, LabelStudioData
from ahs_seg.data.catalog import find_spec
from ahs_seg.data.config import parse_data
from ahs_seg.data.prepare.index import Index, index_path
from ahs_seg.errors import AhsSegError
from ahs_seg.evaluation import EvaluationReport
from ahs_seg.evaluation.external import open_predictions, read_categories
from ahs_seg.experiments.ablation.runs import EVALUATIONS, FACTS, read_result
from ahs_seg.experiments.suite.run import slug
from ahs_seg.metrics.parents import ParentTable
from ahs_seg.output.formats import open_format
from ahs_seg.training.checkpoint import STATE, read
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support import miniature
from tests.support.reports import evaluation

WORDS = Vocabulary.parse("sky, star, car")
MARK = "@"
"""Where a hostile value stands in the text of a file."""


@dataclass(frozen=True)
class Reader:
    """A file that a command takes: what it may hold, and the call that reads it."""

    path: str
    text: str
    read: Callable[[Path], object]
    list_is_meant: bool = False


def predictions(path: Path) -> object:
    (path.parent / "p.json").write_text('[{"file_name": "x", "category_id": 1, "segmentation": {}}]')
    return open_predictions(path.parent / "p.json", 3, categories=read_categories(path))


def masks_of_a_benchmark(path: Path) -> object:
    images = [{"image_id": 1, "file_name": "1.jpg", "phase": "val", "height": 2, "width": 3}]
    content = path.read_bytes()
    root = miniature.context59(path.parents[2], images, [])
    path.write_bytes(content)
    return miniature.prepare("pascal-context-59", root)


def index(path: Path) -> object:
    root = path.parents[2]
    assert path == index_path(find_spec("ade20k-150"), root)
    return Index.read(find_spec("ade20k-150"), root)


def words_of_run(path: Path) -> object:
    exporter = open_format("coco", path.parents[2], WORDS)
    exporter.start(resume=True)
    return exporter


def facts(path: Path) -> object:
    data = parse_data("world-20")
    report = path.parent / EVALUATIONS / f"{slug(data.title)}.json"
    report.parent.mkdir()
    evaluation("m", [1, 2, 3]).save(report)
    return read_result(path.parent, data)


def valid(values: dict[str, Any], key: str) -> str:
    """The text of a mapping whose value at `key` is the hostile one."""
    return json.dumps(values | {key: MARK}).replace(json.dumps(MARK), MARK)


READERS = {
    "predictions": Reader(
        "a.json",
        '[{"file_name": "x", "category_id": @, "segmentation": {}}]',
        lambda path: open_predictions(path, 3),
        list_is_meant=True,
    ),
    "categories": Reader("a.json", '{"1": @}', predictions),
    "report": Reader("a.json", valid(evaluation("m", [1, 2, 3]).to_dict(), "images"), EvaluationReport.load),
    "counts": Reader("a.json", valid(evaluation("m", [1, 2, 3]).to_dict(), "counts"), EvaluationReport.load),
    "parents": Reader("a.json", '{"sky": [@]}', lambda path: ParentTable.load(path, WORDS)),
    "state of a training": Reader(STATE, '{"sha256": "", "content": {"step": @}}', lambda path: read(path.parent)),
    "annotations": Reader(
        "VOCdevkit/VOC2010/trainval_merged.json",
        '{"images": [{"image_id": 1, "file_name": "1.jpg", "phase": "val", "height": @, "width": 3}], '
        '"annos_segmentation": []}',
        masks_of_a_benchmark,
    ),
    "index of a benchmark": Reader(
        "ADEChallengeData2016/annotations_detectron2/validation.index.json", '{"format": @}', index
    ),
    "run of a batch": Reader(
        ".ahs-seg/run.json", '{"classes": @}', lambda path: BatchJournal(path.parents[1], {"classes": 1}, resume=True)
    ),
    "words of a run": Reader(".parts/coco/run.json", "[@]", words_of_run, list_is_meant=True),
    "facts of a row": Reader(FACTS, valid({"seconds": 1.0, "parameters": 1, "trained": 1}, "seed"), facts),
    "annotations of COCO": Reader(
        "a.json",
        '{"images": [{"id": 1, "file_name": @, "height": @, "width": 3}], "categories": [{"id": 1, "name": "a"}], '
        '"annotations": [{"image_id": 1, "category_id": 1, "area": @, "segmentation": @}]}',
        lambda path: CocoData(file=path).open(),
    ),
    "tasks of Label Studio": Reader(
        "a.json",
        '[{"data": {"image": @, "a": "a.png"}, "annotations": [{"result": [@, {"id": [@], "original_width": @, '
        '"value": {"rle": @, "labels": [@, "a"]}}]}]}]',
        lambda path: LabelStudioData(file=path).open(),
        list_is_meant=True,
    ),
    "model": Reader("config.json", '{"format": @}', lambda path: read_description(path.parent)),
    "tokenizer": Reader("tokenizer.json", '{"model": @}', lambda path: find_tokenizer(path, words=1000, context=77)),
}
"""The files that commands take, but for those of models on the hub (`backbones.pretrained.read_settings`)."""
VALUES = {
    "nested": "[" * 100_000 + "]" * 100_000,
    "NaN": "NaN",
    "minus infinity": "-Infinity",
    "a float without end": "1e400",
    "an integer of 400 digits": "1" + "0" * 400,
    "an integer of 10,000 digits": "9" * 10_000,
}
FILES = {
    "nothing": b"",
    "no UTF-8": b'{"a": "\xff"}',
    "a mark of the byte order": b"\xef\xbb\xbf{}",
    "cut": b'{"a": [1',
    "a text": b'"a"',
    "null": b"null",
    "nested": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


def cases() -> Iterator[Any]:
    for name, reader in READERS.items():
        hostile = {value: reader.text.replace(MARK, text).encode() for value, text in VALUES.items()}
        other = {"a mapping": b'{"a": 1}'} if reader.list_is_meant else {"a list": b"[1, 2]"}
        for kind, content in (hostile | FILES | other).items():
            yield pytest.param(reader, content, id=f"{name}-{kind}")


@pytest.mark.parametrize(("reader", "content"), cases())
def test_a_file_that_cannot_be_used_is_one_message(reader: Reader, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "place" / reader.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(AhsSegError) as error:
        reader.read(path)
    assert len(str(error.value)) < 2_000
