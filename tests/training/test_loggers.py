"""Loggers: TensorBoard and the table are read back, the services are stand-ins that record what they are told."""

from __future__ import annotations

import csv
import json
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ahs_seg.config import ConfigError
from ahs_seg.errors import MissingPackageError
from ahs_seg.training.loggers import IDS, CsvTable, LoggedRun, check_loggers, open_logger
from ahs_seg.training.recipe import Recipe
from tests.support.training import tiny_recipe
from tests.support.training_runs import run


def test_rows_survive_and_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    log = CsvTable(path, step=0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 10})
    with path.open("a") as file:
        file.write("4,0.4\n5,0.")  # what a killed process leaves
    CsvTable(path, step=2).write(3, {"loss": 0.5})
    assert path.read_text().splitlines() == ["step,loss", "1,0.1", "2,0.2", "3,0.5"]
    assert [file.name for file in tmp_path.iterdir()] == ["train.csv"]


@pytest.mark.parametrize("rest", ["\n", "\n3", "\n3,0.", "\n3,0.3\n", "", "\n3,0.3\n4"])
def test_a_file_cut_anywhere_can_be_continued(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text("step,loss\n1,0.1\n2,0.2" + rest)
    log = CsvTable(path, step=2)
    log.write(3, {"loss": 0.3})
    rows = path.read_text().splitlines()
    assert rows[:2] == ["step,loss", "1,0.1"]
    assert rows[-1] == "3,0.3"
    assert ("2,0.2" in rows) is (rest != "")


def test_a_new_column_is_added(tmp_path: Path) -> None:
    log = CsvTable(tmp_path / "a.csv", step=0)
    log.write(1, {"loss": 1.0})
    log.write(2, {"other": 2.0, "loss": 3.0})
    log.write(3, {"other": 4.0})
    assert log.path.read_text().splitlines() == ["step,loss,other", "1,1.0,", "2,3.0,2.0", "3,,4.0"]


def test_one_name_or_several_and_no_other() -> None:
    assert Recipe().logger == ("tensorboard",)
    assert Recipe.parse({"logger": "wandb"}, source="x").logger == ("wandb",)
    assert Recipe.parse({"logger": ["csv", "mlflow"]}, source="x").logger == ("csv", "mlflow")
    with pytest.raises(ConfigError, match=r"logger.*'tensorboard', 'csv', 'wandb' or 'mlflow'"):
        Recipe.parse({"logger": "comet"}, source="x")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_said_before_training(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=rf"training.logger={name} needs .*'ahs-seg\[{name}\]', or choose"):
        check_loggers(("csv", name))
    check_loggers(("csv", "tensorboard"))


def test_a_run_told_to_the_table_is_continued_when_it_resumes(tmp_path: Path) -> None:
    short, whole = tiny_recipe(steps=4, logger="csv", optimizer={"schedule": "constant"}), tmp_path / "metrics.csv"
    run(short, tmp_path, evaluate=lambda method: {"miou": 0.5})
    assert not (tmp_path / "tensorboard").exists()
    first = list(csv.DictReader(whole.open(encoding="utf-8")))
    assert [row["step"] for row in first] == ["1", "2", "3", "4"]
    assert {"train/loss", "train/loss_bce", "train/loss_noise", "train/lr", "train/seconds"} <= first[0].keys()
    logger = open_logger("csv", LoggedRun(tmp_path, 2, {}))
    logger.log_metrics({"train/loss": 1.0}, 3)
    logger.log_metrics({"evaluation/miou": 0.25}, 3)
    logger.save()
    again = list(csv.DictReader(whole.open(encoding="utf-8")))
    assert [(row["step"], row["evaluation/miou"]) for row in again] == [("1", ""), ("2", ""), ("3", ""), ("3", "0.25")]
    assert again[:2] == [{**row, "evaluation/miou": ""} for row in first[:2]]


def test_several_at_once_are_told_the_same(tmp_path: Path) -> None:
    recipe = tiny_recipe(steps=2, logger=["csv", "tensorboard"], evaluate_every=2)
    run(recipe, tmp_path, evaluate=lambda method: {"miou": 0.5})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open(encoding="utf-8")))
    for name in ("train/loss", "train/lr", "train/seconds"):
        told = [float(row[name]) for row in rows if row[name]]
        assert [event.value for event in board.Scalars(name)] == pytest.approx(told)
    assert [event.value for event in board.Scalars("evaluation/miou")] == [0.5]


class Recorder:
    """What a service is told, and the names of its runs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def of(self, kind: str) -> list[Any]:
        return [value for name, value in self.calls if name == kind]


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    stand_in = types.ModuleType(name)
    stand_in.__spec__ = ModuleSpec(name, None)
    vars(stand_in).update(contents)
    monkeypatch.setitem(sys.modules, name, stand_in)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    told = Recorder()

    def init(**options: Any) -> object:
        told.calls.append(("init", options))
        return types.SimpleNamespace(
            id=options["id"] or "new-id",
            define_metric=lambda *names, **how: told.calls.append(("define", (names, how))),
            log=lambda values: told.calls.append(("log", values)),
            finish=lambda exit_code: told.calls.append(("finish", exit_code)),
        )

    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    module(monkeypatch, "wandb", init=init)
    return told


def test_wandb_is_offline_unless_asked_and_goes_on_with_its_run(
    tmp_path: Path, wandb: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(steps=3, logger="wandb", evaluate_every=3)
    run(recipe, tmp_path, evaluate=lambda method: {"miou": 0.5}, settings={"method": {"name": "tiny"}})
    (options,) = wandb.of("init")
    assert (options["mode"], options["id"], options["dir"]) == ("offline", None, str(tmp_path))
    assert options["config"]["method"] == {"name": "tiny"}
    assert options["config"]["training"]["steps"] == 3
    assert wandb.of("define") == [(("*",), {"step_metric": "step"})]
    assert [values["step"] for values in wandb.of("log")] == [1, 2, 3, 3]
    assert wandb.of("log")[-1] == {"evaluation/miou": 0.5, "step": 3}
    assert {"train/loss", "train/lr", "train/seconds"} <= wandb.of("log")[0].keys()
    assert wandb.of("finish") == [0]
    monkeypatch.setenv("WANDB_MODE", "online")
    run(recipe, tmp_path, settings={"method": {"name": "tiny"}}, resume=True)
    again = wandb.of("init")[1]
    assert (again["mode"], again["id"], again["resume"]) == (None, "new-id", "allow")


def test_wandb_shows_a_run_that_failed_as_failed(tmp_path: Path, wandb: Recorder) -> None:
    def broken(method: object) -> dict[str, float]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        run(tiny_recipe(steps=2, logger="wandb", evaluate_every=1), tmp_path, evaluate=broken)
    assert wandb.of("finish") == [1]


class ServerError(Exception):
    """Stand-in of `mlflow.MlflowException`."""


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    told = Recorder()

    class Client:
        def __init__(self, tracking_uri: str | None) -> None:
            told.calls.append(("uri", tracking_uri))

        def get_experiment_by_name(self, name: str) -> object:
            return None

        def create_experiment(self, name: str) -> str:
            return f"number of {name}"

        def create_run(self, number: str, run_name: str) -> object:
            told.calls.append(("create", (number, run_name)))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="run-1"))

        def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
            if "down" in told.of("state"):
                raise ServerError("no route")
            told.calls.append(("metrics" if metrics else "params", (run_id, [tuple(one) for one in metrics or params])))

        def update_run(self, run_id: str, status: str) -> None:
            told.calls.append(("status", (run_id, status)))

        def set_terminated(self, run_id: str, status: str) -> None:
            told.calls.append(("status", (run_id, status)))

    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    entities = types.SimpleNamespace(Param=lambda *of: of, Metric=lambda *of: of)
    module(monkeypatch, "mlflow", MlflowClient=Client, entities=entities, MlflowException=ServerError)
    return told


def test_mlflow_writes_into_the_run_directory_unless_told_and_goes_on_with_its_run(
    tmp_path: Path, mlflow: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(steps=3, logger="mlflow", evaluate_every=3)
    run(recipe, tmp_path, evaluate=lambda method: {"miou": 0.5}, settings={"method": {"name": "tiny"}})
    assert mlflow.of("uri") == [f"sqlite:///{tmp_path.resolve()}/mlflow.db"]
    assert mlflow.of("create") == [("number of ahs-seg", tmp_path.name)]
    params = dict(pair for _, pairs in mlflow.of("params") for pair in pairs)
    assert (params["method.name"], params["training.steps"]) == ("tiny", "3")
    last = mlflow.of("metrics")[-1]
    assert (last[0], last[1][0][:2], last[1][0][3]) == ("run-1", ("evaluation/miou", 0.5), 3)
    assert mlflow.of("status") == [("run-1", "FINISHED")]
    assert json.loads((tmp_path / IDS).read_text(encoding="utf-8")) == {"mlflow": "run-1"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking")
    run(recipe, tmp_path, settings={"method": {"name": "tiny"}}, resume=True)
    assert mlflow.of("uri")[1] is None
    assert len(mlflow.of("create")) == 1
    assert mlflow.of("status")[1:] == [("run-1", "RUNNING"), ("run-1", "FINISHED")]


def test_a_server_that_is_gone_costs_values_and_not_the_training(
    tmp_path: Path, mlflow: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    logger = open_logger("mlflow", LoggedRun(tmp_path, 0, {}))
    mlflow.calls.append(("state", "down"))
    for step in (1, 2):
        logger.log_metrics({"train/loss": 1.0}, step)
    (warning,) = caplog.messages
    assert warning == "MLflow does not take values (no route); they are in the CSV files of the run"
