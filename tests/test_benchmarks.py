"""What is told of measurements is what was measured."""

import json
from pathlib import Path

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.methods import ZeroShotConfig
from benchmarks import tables
from tests.support.builders import random_backbone

ROOT = Path(__file__).parents[1]


def test_the_page_of_results_is_made_from_them() -> None:
    assert (tables.RESULTS / "README.md").read_text(encoding="utf-8") == "\n".join(tables.page())


def test_methods_stand_side_by_side_as_measured() -> None:
    page = (ROOT / "docs" / "methods" / "index.md").read_text(encoding="utf-8")
    rows = [row for row in tables.methods() if row.startswith("| ")]
    assert len(rows) == 9
    assert [row for row in rows if row not in page] == []


def test_training_free_variants_are_told_as_measured() -> None:
    values = json.loads((tables.RESULTS / "training_free.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "methods" / "zero_shot.md").read_text(encoding="utf-8")
    told = [
        line
        for line in tables.training_free(values)
        if line.startswith(("| ", "Calibration", f"{len(values['seeds'])} "))
    ]
    assert len(told) == 2 + len(values["chosen"]["forms"]) + len(values["rows"]) + 2
    assert [line for line in told if line not in page] == []


def test_the_defaults_of_the_tiny_clip_are_the_best_on_the_validation_scenes() -> None:
    chosen = json.loads((tables.RESULTS / "training_free.json").read_text(encoding="utf-8"))["chosen"]
    default = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    form = default.compose(random_backbone()).backbone.dense_form
    assert form == max(chosen["forms"], key=lambda form: chosen["forms"][form]["miou"])
    errors = {float(key): one["calibration_error"] for key, one in chosen["temperatures"].items()}
    assert default.temperature == min(errors, key=lambda one: errors[one])
