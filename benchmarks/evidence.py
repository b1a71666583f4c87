"""All tables of the documentation from nothing: `python -m benchmarks.evidence [--output runs/evidence] [--list]`.

Trains every model of the tables, then measures, one step after the other; hours to days. Each finished step is noted in
`OUTPUT/done`, and a killed one resumes where its command can. All steps belong to one commit: an output folder of
another commit is refused. Results go to `benchmarks/results`; `make evidence-check` then says which texts to change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ahs_seg.experiments.ablation.pages import COUNTS
from ahs_seg.experiments.ablation.run import RUNS
from ahs_seg.experiments.ablation.runs import run_name
from ahs_seg.experiments.ablation.suites import find_suite
from ahs_seg.io.atomic import write_bytes, write_text
from ahs_seg.io.provenance import provenance
from ahs_seg.training.run import MODEL
from benchmarks import regimes
from benchmarks.stored import RESULTS, command_line

SEEDS: Final = tuple(range(10))
"""Seeds of every table; the same scenes for all of them."""
SUITES: Final = ("ahs_seg", "ahs_seg_lite", "hps_seg", "ebseg", "scan", "tuned")
TUNING: Final = "ahs_seg_combined"
SWEEPS: Final = ("ahs_seg_sweep", "ahs_seg_lite_sweep", TUNING, "dense_form")
"""Tables on validation scenes, by which settings are chosen."""
LARGEST: Final = "names_847"
"""The other scale of `TUNING`."""
CHOOSING: Final = (11, 12, 13)
"""Seeds of the sweeps; no other table has them."""
METHODS: Final = ("cat_seg", "scan", "ebseg")
"""Methods whose quickstart is a row of a table; the others are rows of their ablation tables."""
OTHER: Final = "h_clip"
"""The other method of a quickstart, trained once, for calibration and the comparison of number types."""
TUNED: Final = ("ahs_seg", "ahs_seg_lite", "hps_seg")
"""Rows of the suite `tuned` whose first models are in the comparison of number types, too."""
PRECISION: Final = "training.precision=fp32"
"""All rows train in one type; the quickstart alone would choose it by machine, and the suites by their configs."""
MEASUREMENTS: Final = (
    "baselines",
    "training_free",
    "cost_family",
    "mask_family",
    "hyperspherical",
    "all_classes",
    "evaluation",
    "throughput",
    "big_image",
    "colours",
    "backbones",
)
"""Modules of this folder that need no trained model."""
LEFT_OUT: Final = (
    "protocol",
    "training",
    "overlays",
    "runtimes",
    "inference_form",
    "window_merging",
    "at_home",
    "start_up",
    "first_minutes",
)
"""Modules that only time this machine, or need photographs, another version or a fresh clone."""
TABLES: Final = "ablation"
CROPS: Final = "crop_clip"
"""Folders below the output."""
Run = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Step:
    """Commands, and what to do with their results afterwards."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    collect: Callable[[], None] = field(default=lambda: None)


class EvidenceError(ValueError):
    """The output folder belongs to another commit."""


def steps(output: Path, *, seeds: Sequence[int] = SEEDS) -> list[Step]:
    """All steps in order; trained models lie below `output`."""
    starts = [_quickstart(output, method, seed) for method in METHODS for seed in seeds]
    folders = [_started(output, method, seed) for method in METHODS for seed in seeds]
    models = [_model(output, method, seeds[0]) for method in (*METHODS, OTHER)]
    chosen = [_model(output, "ebseg", seed) for seed in CHOOSING]
    tables = [str(output / TABLES / suite / "ablation.json") for suite in (*SUITES, f"{TUNING}-validation")]
    return [
        *starts,
        Step("quickstart", (), lambda: join(folders, RESULTS / "quickstart.json")),
        _quickstart(output, OTHER, seeds[0]),
        Step("crop_clip", (_shell("finetune-crop-clip", "world", "--resume", "-o", str(output / CROPS)),)),
        *(_suite(output, suite, seeds) for suite in SUITES),
        *(_sweep(output, suite) for suite in SWEEPS),
        _sweep(output, TUNING, LARGEST),
        *(_regime(output, scale, seeds) for scale in regimes.OTHERS),
        _measured("scan_stages", *(str(_started(output, "scan", seed)) for seed in seeds)),
        _measured("calibration", _model(output, OTHER, seeds[0])),
        *(_quickstart(output, "ebseg", seed) for seed in CHOOSING),
        _measured("ebseg_balance", *chosen),
        _measured("log_figures", *tables),
        _measured("precision", *models, *(_tuned(output, row, seeds[0]) for row in TUNED)),
        _measured("runtime_agreement", models[0]),
        *map(_measured, MEASUREMENTS),
        _measured("tables"),
        _measured("charts"),
    ]


def _started(output: Path, method: str, seed: int) -> Path:
    return output / "quickstart" / f"{method}-{seed}"


def _model(output: Path, method: str, seed: int) -> str:
    return str(_started(output, method, seed) / f"run-{method}-seed{seed}" / "model")


def _tuned(output: Path, row: str, seed: int) -> str:
    """The model of a row of the suite `tuned`, which `ahs-seg ablate` trains."""
    suite = find_suite(regimes.SUITE)
    experiment = suite.experiment(regimes.FIRST, row, [PRECISION, f"training.seed={seed}"])
    return str(output / TABLES / RUNS / run_name(experiment) / MODEL)


def _quickstart(output: Path, method: str, seed: int) -> Step:
    words = (PRECISION, "--method", method, "--seed", str(seed), "-o", str(_started(output, method, seed)))
    return Step(f"quickstart-{method}-{seed}", (_shell("quickstart", *words),))


def _suite(output: Path, suite: str, seeds: Sequence[int]) -> Step:
    more = [f"method.shifted.source={output / CROPS / 'clip'}"] if suite == "scan" else []
    return _table(output, RESULTS / f"ablation_{suite}.json", suite, suite, seeds, *more)


def _sweep(output: Path, suite: str, scale: str = regimes.FIRST) -> Step:
    source, name = f"benchmarks/suites/{suite}.yaml", suite if scale == regimes.FIRST else f"{suite}-{scale}"
    target = RESULTS / f"ablation_{name.replace('-', '_')}.json"
    return _table(output, target, source, f"{name}-validation", CHOOSING, "--validation", "--scale", scale)


def _regime(output: Path, scale: str, seeds: Sequence[int]) -> Step:
    target = RESULTS / f"{regimes.result_of(scale)}.json"
    return _table(output, target, regimes.SUITE, f"{regimes.SUITE}-{scale}", seeds, "--scale", scale)


def _table(output: Path, target: Path, source: str, folder: str, seeds: Sequence[int], *more: str) -> Step:
    words = (PRECISION, "--suite", source, "--seeds", ",".join(map(str, seeds)), "-o", str(output / TABLES), *more)
    written = output / TABLES / folder / "ablation.json"
    return Step(target.stem.removeprefix("ablation_"), (_shell("ablate", *words),), _copy(written, target))


def _measured(module: str, *words: str) -> Step:
    return Step(module, ((sys.executable, "-m", f"benchmarks.{module}", *words),))


def work(todo: Sequence[Step], output: Path, run: Run, *, commit: str, say: Callable[[str], None] = print) -> None:
    """Execute the steps that are not done, in order; the first failure ends the run.

    Raises:
        EvidenceError: the output folder holds results of another commit.
    """
    place = output / "commit"
    known = place.read_text(encoding="utf-8") if place.is_file() else commit
    if known != commit:
        raise EvidenceError(
            f"{output} holds results of commit {known}, this is {commit}; a table is made from one commit. Check that "
            "one out, or give another folder (--output)."
        )
    write_text(place, commit)
    for number, step in enumerate(todo, 1):
        done = output / "done" / step.name
        if done.is_file():
            continue
        say(f"[{number}/{len(todo)}] {step.name}")
        for command in step.commands:
            run(command)
        step.collect()
        write_text(done, "")


def _shell(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "ahs_seg", *words)


def _copy(source: Path, target: Path) -> Callable[[], None]:
    """Copy a table and its counts."""

    def copied() -> None:
        write_text(target, source.read_text(encoding="utf-8"))
        write_bytes(target.with_suffix(".npz"), source.with_name(COUNTS).read_bytes())

    return copied


def join(folders: Sequence[Path], target: Path) -> None:
    """The scores of several quickstarts in one file, without the pixels of every class."""
    made, runs = provenance().model_dump(mode="json"), []
    for folder in folders:
        run = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for part in ("evaluations", "baselines"):
            run[part] = [
                {"data": one["dataset"], "images": one["images"], "scores": one["scores"]} for one in run[part]
            ]
        runs.append(run | {"provenance": made})
    told = {"command": f"ahs-seg quickstart {PRECISION} --method METHOD --seed SEED", "runs": runs}
    write_text(target, json.dumps(told, indent=1) + "\n")


def main() -> None:
    """Run what is left, or list it."""
    parser = command_line(__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--list", action="store_true", help="only list the commands that are left")
    given = parser.parse_args()
    todo = steps(given.output)
    if given.list:
        left = [step for step in todo if not (given.output / "done" / step.name).is_file()]
        print("\n".join(" ".join(command[1:]) for step in left for command in step.commands))
        return
    given.output.mkdir(parents=True, exist_ok=True)
    work(todo, given.output, execute, commit=provenance().commit or "")


def execute(command: Sequence[str]) -> None:
    """Run one command; its failure is an error."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
