"""What is told of measurements is what was measured."""

import importlib.util
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.backbones.clip_config import TINY, ClipConfig
from ahs_seg.checkpoints.training_free import save_training_free
from ahs_seg.configs import find_config, packaged_suites
from ahs_seg.experiments.ablation.runs import run_name
from ahs_seg.experiments.ablation.suites import find_suite
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.experiments.quickstart import BASELINES
from ahs_seg.io.provenance import provenance
from ahs_seg.methods import ZeroShotConfig
from benchmarks import (
    charts,
    ebseg_balance,
    evaluation,
    evidence,
    evidence_check,
    log_figures,
    precision,
    prose,
    regimes,
    scan_stages,
    tables,
    training_free,
)
from benchmarks.stored import store, stored
from tests.support.builders import random_backbone

ROOT = Path(__file__).parents[1]


def test_texts_and_tables_are_those_of_the_files() -> None:
    assert list(evidence_check.differences()) == []


def test_every_table_of_a_page_is_compared() -> None:
    def lines(name: str) -> list[str]:
        return evidence_check.lines_of(name, stored(name))

    assert len(lines("quickstart")) == 1 + 4 + len(tables.METHODS)
    assert len(lines("protocol")) == 1 + 2 * 2 * 2
    assert len(lines("ablation_ahs_seg")) == 8 + 7
    assert len(lines("ablation_ahs_seg_sweep")) == 5  # one seed: scores alone
    assert len(lines("scan_stages")) == 3
    values = stored("training_free")
    assert len(lines("training_free")) == 2 + len(values["chosen"]["forms"]) + len(values["rows"]) + 1


def test_a_figure_that_is_not_in_its_file_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("images"))
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    page = tmp_path / "docs" / "methods" / "hps_seg.md"
    row = evidence_check.lines_of("ablation_hps_seg", stored("ablation_hps_seg"))[1]
    text = page.read_text(encoding="utf-8")
    assert row in text
    text = text.replace(row, row.replace(".", ".9", 1)) + "\nbenchmarks/results/nowhere.json\n"
    page.write_text(text, encoding="utf-8")
    own_data = tmp_path / "docs" / "own-data.md"
    own_data.write_text(own_data.read_text(encoding="utf-8").replace("mIoU 43.8 on", "mIoU 43.9\non"), encoding="utf-8")
    assert list(evidence_check.differences(root=tmp_path)) == [
        f"docs/methods/hps_seg.md lacks a line of ablation_hps_seg.json: {row}",
        "docs/methods/hps_seg.md names benchmarks/results/nowhere.json, which does not exist",
        "docs/own-data.md lacks a figure of street_photographs.json: 11 classes give mIoU 43.8 on 40 others",
    ]


def test_pages_tell_the_memory_that_was_measured() -> None:
    assert {("big_image", "docs/segment.md"), ("evaluation", "docs/evaluation.md")} <= prose.TOLD.keys()
    assert [one for one in prose.missing() if "docs/segment.md" in one or "docs/evaluation.md" in one] == []


def test_a_result_is_stored_with_its_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.stored.RESULTS", tmp_path)
    store("one", {"rows": [1, 2]})
    store("two", {"rows": []}, provenance().replace(command=("two.py", "MODEL")))
    found = [stored(name) for name in ("one", "two")]
    assert [list(one) for one in found] == [["rows", "provenance"]] * 2
    assert found[0]["provenance"]["commit"] == found[1]["provenance"]["commit"] == provenance().commit
    assert found[1]["provenance"]["command"] == ["two.py", "MODEL"]


def test_results_of_several_commits_are_listed(tmp_path: Path) -> None:
    clean, changed = "a" * 40, "b" * 40 + "+changes"
    runs = [{"provenance": {"commit": commit}} for commit in (clean, "c" * 40)]
    files = {
        "one": {"provenance": {"commit": clean}, "commits": [clean]},
        "two": {"provenance": {"commit": clean}, "commits": ["c" * 40]},
        "three": {"provenance": {"commit": changed}},
        "four": {"runs": runs},
        "five": {"runs": {"a": 1}},
    }
    for name, values in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    assert list(evidence_check.outdated(tmp_path)) == [
        "four.json: aaaaaaa, ccccccc",
        "three.json: bbbbbbb+changes",
        "two.json: aaaaaaa, ccccccc",
    ]


def test_the_map_of_regimes_has_a_column_for_every_result_and_gaps_where_a_row_is_missing(tmp_path: Path) -> None:
    values = stored("ablation_ahs_seg")
    (tmp_path / "ablation_tuned.json").write_text(json.dumps(values | {"rows": values["rows"][:3]}))
    (tmp_path / "ablation_tuned_few.json").write_text(
        json.dumps(values | {"rows": [values["rows"][0], values["rows"][2]]})
    )
    found = list(regimes.regime_map(tmp_path))
    told = values["rows"][2]["differences"]["unseen"]
    cell = f"{100 * told['difference']:+.1f} [{100 * told['resampled']['low']:+.1f}, "
    assert found[0] == "| | 150 names (3 seeds) | 40 names in training (3 seeds) |"
    assert found[2].startswith("| HA-HEM | ")
    assert found[2].endswith(" |  |")
    assert found[3].startswith(f"| MH-FPN | {cell}")
    assert found[3].count(cell) == 2


def test_the_evidence_names_commands_that_exist(tmp_path: Path) -> None:
    """Every module of a step is there, every word of `ahs-seg` is known, and every suite gets its file."""
    todo = evidence.steps(tmp_path, seeds=(0, 1))
    words = [command[2:] for step in todo for command in step.commands]
    for module, *arguments in words:
        assert importlib.util.find_spec(module) is not None
        if module == "ahs_seg" and "--suite" in arguments:
            find_suite(arguments[arguments.index("--suite") + 1])
    names = [step.name for step in todo]
    assert len(set(names)) == len(names)
    assert names.index("quickstart-scan-1") < names.index("scan_stages")
    assert names[-2:] == ["tables", "charts"]
    assert names.index("crop_clip") < names.index("scan")
    files = {"quickstart", *(f"ablation_{suite}" for suite in (*packaged_suites(), *evidence.SWEEPS))}
    assert {f"ablation_{name}" for name in names} >= files - {"quickstart"}


def test_all_rows_of_the_evidence_train_in_one_type(tmp_path: Path) -> None:
    commands = [command for step in evidence.steps(tmp_path, seeds=(0,)) for command in step.commands]
    trained = [command for command in commands if {"quickstart", "ablate"} & {*command}]
    assert len(trained) > len(evidence.SUITES)
    assert all("training.precision=fp32" in command for command in trained)


def test_models_are_measured_that_the_evidence_trains(tmp_path: Path) -> None:
    """H-CLIP is calibrated; AHS-Seg, its simple design and HPS-Seg are rows of the suite `tuned`."""
    todo = {step.name: step.commands for step in evidence.steps(tmp_path, seeds=(3, 4))}
    assert todo["calibration"][0][3:] == (f"{tmp_path}/quickstart/h_clip-3/run-h_clip-seed3/model",)
    models = todo["precision"][0][3:]
    for model in models:
        if "/quickstart/" in model:
            assert f"quickstart-{Path(model).parents[1].name}" in todo
    suite, tuned = find_suite("tuned"), [model for model in models if "/ablation/" in model]
    for row, model in zip(("ahs_seg", "ahs_seg_lite", "hps_seg"), tuned, strict=True):
        experiment = suite.experiment("world", row, ["training.precision=fp32", "training.seed=3"])
        assert model == f"{tmp_path}/ablation/runs/{run_name(experiment)}/model"
    assert [*todo].index("tuned") < [*todo].index("precision")


def test_what_the_evidence_leaves_out_is_named() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    listed = {*re.findall(r"^\| `python -m benchmarks\.(\w+)", readme, re.MULTILINE)}
    steps = evidence.steps(Path("runs"), seeds=(0,))
    run = {command[2].removeprefix("benchmarks.") for step in steps for command in step.commands}
    assert listed - run == {*evidence.LEFT_OUT}
    told = readme.partition("Left out are")[2].partition("\n\n")[0]
    assert {*re.findall(r"`(\w+)`", told)} == {*evidence.LEFT_OUT}


def test_figures_of_a_log_are_its_first_and_last_values(tmp_path: Path) -> None:
    steps = range(1, 101, 5)
    (tmp_path / "train.csv").write_text(
        "step,loss,loss_segmentation,lr\n" + "".join(f"{step},9,{step},0.1\n" for step in steps)
    )
    (tmp_path / "statistics.csv").write_text("step,gates/mix\n1,0.25\n100,0.5\n")
    assert log_figures.figures_of(tmp_path) == {"loss_segmentation": (3.5, 93.5), "gates/mix": (0.25, 0.5)}


def test_every_chart_of_a_table_is_drawn_from_its_result(tmp_path: Path) -> None:
    shown = {path.stem for path in charts.IMAGES.glob("ablation-*.png")}
    assert shown == {f"ablation-{suite}" for suite in charts.SUITES}
    with (
        Image.open(charts.draw("hps_seg", tmp_path)) as drawn,
        Image.open(charts.IMAGES / "ablation-hps_seg.png") as old,
    ):
        assert drawn.size == old.size
        assert np.abs(np.asarray(drawn, np.int16) - np.asarray(old, np.int16)).mean() < 1  # fonts differ by version


def test_balances_of_the_grid_are_shares() -> None:
    """Neither seen nor unseen classes have a negative weight, and unseen ones none of the trained embedding."""
    found = ebseg_balance.balances()
    assert len(found) == len({tuple(one.values()) for one in found}) == 5 * 4 - 1
    for one in found:
        assert one["beta"] + one["gamma"] == pytest.approx(1)
        assert 0 <= one["alpha"] <= one["beta"]


def test_the_balance_of_the_quickstart_is_the_best_on_validation_scenes() -> None:
    rows = stored("ebseg_balance")["rows"]
    best = max(rows, key=lambda row: row["miou"])
    method = Experiment.read(find_config("quickstart/ebseg")).method
    assert [getattr(method, key) for key in ebseg_balance.WEIGHTS] == [best[key] for key in ebseg_balance.WEIGHTS]


def test_a_run_of_the_evidence_goes_on_where_it_ended(tmp_path: Path) -> None:
    ran: list[str] = []

    def run(command: Sequence[str]) -> None:
        ran.append(command[0])
        if command[0] == "two" and ran.count("two") == 1:
            raise KeyboardInterrupt

    todo = [
        evidence.Step("one", (("one",),), lambda: ran.append("one kept")),
        evidence.Step("two", (("two",),), lambda: ran.append("two kept")),
    ]
    with pytest.raises(KeyboardInterrupt):
        evidence.work(todo, tmp_path, run, commit="c1", say=ran.append)
    evidence.work(todo, tmp_path, run, commit="c1", say=ran.append)
    evidence.work(todo, tmp_path, run, commit="c1", say=ran.append)
    assert ran == ["[1/2] one", "one", "one kept", "[2/2] two", "two", "[2/2] two", "two", "two kept"]
    with pytest.raises(evidence.EvidenceError, match="holds results of commit c1, this is c2"):
        evidence.work(todo, tmp_path, run, commit="c2")


def test_quickstarts_are_joined_to_one_file(tmp_path: Path) -> None:
    kept = stored("quickstart")
    folders = [tmp_path / str(index) for index in range(2)]
    for folder, values in zip(folders, kept["runs"], strict=False):
        folder.mkdir()
        own = {key: value for key, value in values.items() if key != "provenance"}
        for part in ("evaluations", "baselines"):  # as a quickstart writes them
            own[part] = [{**one, "dataset": one["data"], "counts": [1, 2]} for one in values[part]]
        (folder / "results.json").write_text(json.dumps(own))
    evidence.join(folders, tmp_path / "quickstart.json")
    joined = json.loads((tmp_path / "quickstart.json").read_text())
    assert joined.keys() == kept.keys()
    assert [one["seed"] for one in joined["runs"]] == [one["seed"] for one in kept["runs"][:2]]
    assert joined["runs"][0].keys() == kept["runs"][0].keys()
    assert [one["evaluations"] for one in joined["runs"]] == [one["evaluations"] for one in kept["runs"][:2]]


def test_what_is_measured_without_training_has_the_form_that_its_page_names() -> None:
    """The best form has 0.485 on unseen names, CAT-Seg's form 0.271 (`baselines.json`)."""
    assert BASELINES[prose.FORMS[1]] == scan_stages.BASELINE == evaluation.FREE
    assert scan_stages.BASELINE.compose(random_backbone()).backbone.dense_form == "cat_seg"


def test_a_timed_method_gets_the_views_that_it_gets_alone() -> None:
    method = evaluation.FREE.compose(random_backbone())
    assert evaluation.Timed(method).keeps_aspect is method.keeps_aspect is True


def test_the_defaults_of_the_tiny_clip_are_the_best_on_the_validation_scenes() -> None:
    chosen = stored("training_free")["chosen"]
    default = ZeroShotConfig(backbone=ClipConfig(source=TINY))
    form = default.compose(random_backbone()).backbone.dense_form
    assert form == max(chosen["forms"], key=lambda form: chosen["forms"][form]["miou"])
    errors = {float(key): one["calibration_error"] for key, one in chosen["temperatures"].items()}
    assert default.temperature == min(errors, key=lambda one: errors[one])


def test_one_size_of_several_is_told_of_merging() -> None:
    (row,) = stored("window_merging")["merging"]
    small = row | {"size": [480, 640], "words": 7}
    assert [*prose.window_merging({"merging": [small, row]})] == [*prose.window_merging({"merging": [row]})]


def test_training_free_figures_of_another_commit_or_other_variants_are_not_kept() -> None:
    result = stored("training_free")
    names, commit = [row["variant"] for row in result["rows"]], result["provenance"]["commit"]
    kept = training_free.earlier(result, result["scenes"], names, commit)
    assert [row["by_seed"] for row in (one["miou"] for one in training_free.summary(kept))] == [
        row["miou"]["by_seed"] for row in result["rows"]
    ]
    with pytest.raises(SystemExit, match=f"are of commit {commit}, this is c2; check that one out"):
        training_free.earlier(result, result["scenes"], names, "c2")
    with pytest.raises(SystemExit, match=r"other variants \(new form\); omit --resume"):
        training_free.earlier(result, result["scenes"], [*names, "new form"], commit)


def test_precision_is_measured_of_one_model_of_each_method(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_training_free(TINY, tmp_path / name)
    assert precision.by_method([tmp_path / "a"]) == {"zero_shot": tmp_path / "a"}
    with pytest.raises(SystemExit, match="are both of the method zero_shot; give one model of each method"):
        precision.by_method([tmp_path / "a", tmp_path / "b"])
