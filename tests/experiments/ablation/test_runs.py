"""Names of runs: alike where the result is, apart where it is not."""

from ahs_seg.experiments.ablation.runs import run_name
from ahs_seg.experiments.ablation.suites import find_experiment, find_suite
from tests.support.ablation import HYPERSPHERICAL, TINY_SUITE


def test_the_baseline_of_all_three_is_one_run() -> None:
    names = {run_name(find_experiment(f"ablation/{suite}/world/baseline")) for suite in HYPERSPHERICAL}
    assert len(names) == 1
    alone = run_name(find_experiment("quickstart/h_clip", ["training.checkpoint_every=100", "training.keep_last=1"]))
    assert names == {alone}


def test_names_tell_which_checkpoint_becomes_the_model() -> None:
    def name(*overrides: str) -> str:
        return run_name(find_suite(TINY_SUITE).experiment("world", "attention", overrides))

    assert name("training.keep_best=1", "training.keep_last=3") == name()
    overrides = ("keep_best=0", "best_metric=pixel_accuracy", "evaluate_every=3", "checkpoint_every=4")
    assert len({name(), *(name(f"training.{override}") for override in overrides)}) == 5


def test_names_of_runs_tell_what_matters_apart() -> None:
    def name(*overrides: str) -> str:
        return run_name(find_suite(TINY_SUITE).experiment("world", "attention", overrides))

    assert name("training.workers=3", "training.devices=1", "training.log_every=7") == name()
    different = {name(), name("training.seed=1"), name("training.steps=9"), name("method.cost.keep=null")}
    assert len(different) == 4
    assert name("training.seed=1").startswith("cat_seg-seed1-")
