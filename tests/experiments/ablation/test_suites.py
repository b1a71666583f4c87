"""Suites as data: every row parses and is what its name says; names of runs follow from what they give."""

import json
from pathlib import Path

import pytest

from ahs_seg.config import Config, ConfigError
from ahs_seg.configs import packaged_configs, packaged_suites
from ahs_seg.experiments.ablation.suites import Suite, find_experiment, find_suite
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.alignment import Alignment
from ahs_seg.methods.cost.parts.distillation import Distillation
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.methods.cost.parts.prototypes import Prototypes
from ahs_seg.methods.cost.parts.rectification import CertaintyRectification, MixingRectification
from ahs_seg.methods.cost.variants import HpsPrototypes
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation
from tests.support.ablation import HYPERSPHERICAL

PARTS = {
    "ha_hem": lambda method: getattr(method.tuner, "modulation", None),
    "mh_fpn": lambda method: method.cost.fusion,
    "dc_hsp": lambda method: method.cost.projection,
    "hpa": lambda method: method.cost.prototypes,
    "sdr": lambda method: method.cost.distillation,
    "afr": lambda method: method.cost.rectification,
    "gcs": lambda method: method.cost.geodesic,
}


ROWS = [
    f"ablation/{name}/{scale}/{row}"
    for name in packaged_suites()
    for scale in find_suite(name).scales
    for row in find_suite(name).rows
]


@pytest.mark.parametrize("name", ROWS)
def test_every_row_parses(name: str) -> None:
    """And the parts that are on are those that its name says."""
    experiment = find_experiment(name)
    _, suite, _, row = name.split("/")
    if suite not in HYPERSPHERICAL:
        return
    known = find_suite(suite).parts
    wanted = [] if row == "baseline" else list(known)[: 3 if suite == "ahs_seg_lite" else None]
    whole = row.removesuffix("-documented")
    if whole not in ("baseline", "full", "full+gcs"):
        wanted = row.split("+")
    wanted += ["gcs"] if whole == "full+gcs" else []
    assert [part for part in known if PARTS[part](experiment.method) is not None] == wanted
    assert (experiment.method.name == "h_clip") is (row == "baseline")


IN_TUNED = {"setting": "tuned"}
TUNED: dict[str, dict[str, Config]] = {
    "baseline": {},
    "residual": {},
    "ha_hem": {"modulation": Modulation.parse(IN_TUNED)},
    "mh_fpn": {"fusion": FusionConfig(levels=(1, 2, 3))},
    "dc_hsp": {"projection": ProjectionConfig.parse({**IN_TUNED, "rank": 16, "hidden": (64, 32)})},
    "lite_hpa": {"prototypes": Prototypes.parse(IN_TUNED)},
    "lite_sdr": {"distillation": Distillation.parse(IN_TUNED)},
    "lite_afr": {"rectification": CertaintyRectification()},
    "hps_hpa": {"alignment": Alignment.parse(IN_TUNED), "prototypes": HpsPrototypes.parse(IN_TUNED)},
    "hps_afr": {"rectification": MixingRectification.parse(IN_TUNED)},
}
STRONG = ProjectionConfig(bases="identity", rank=16, hidden=(64, 32))
TUNED["dc_hsp_strong"] = {"projection": STRONG}
TUNED["ha_hem+mh_fpn"] = TUNED["ha_hem"] | TUNED["mh_fpn"]
TUNED["ahs_seg"] = TUNED["ha_hem+mh_fpn"] | TUNED["dc_hsp"]
TUNED["ahs_seg_strong"] = TUNED["ha_hem+mh_fpn"] | TUNED["dc_hsp_strong"]
TUNED["ahs_seg_lite"] = TUNED["lite_hpa"] | TUNED["lite_sdr"] | TUNED["lite_afr"]
TUNED["hps_seg"] = TUNED["hps_hpa"] | TUNED["hps_afr"]


@pytest.mark.parametrize("row", find_suite("tuned").rows)
def test_rows_of_the_tuned_suite_have_their_modules_in_the_tuned_setting(row: str) -> None:
    method = find_suite("tuned").experiment("world", row).method
    assert isinstance(method, CostMethodConfig)
    assert isinstance(method.tuner, Orthogonal)
    slots = ("fusion", "projection", "rectification", "alignment", "prototypes", "distillation", "geodesic")
    found = {slot: getattr(method.cost, slot) for slot in slots} | {"modulation": method.tuner.modulation}
    assert {slot: part for slot, part in found.items() if part is not None} == TUNED[row]
    assert (method.backbone.dense == "residual") == (row == "residual")


def test_the_regimes_of_the_tuned_suite_differ_in_what_their_names_say() -> None:
    suite = find_suite("tuned")
    first = suite.experiment("world", "baseline")
    for scale, names in (("names_459", 459), ("names_847", 847)):
        assert suite.experiment(scale, "baseline") == first
        assert suite.scales[scale].test == suite.scales["world"].test.replace(names=names)
    assert suite.experiment("hard", "baseline") == first
    assert suite.scales["hard"].test == suite.scales["world"].test.replace(hard=2)
    few = first.replace(data=first.data.replace(names="few"))
    assert suite.experiment("few", "baseline") == few
    assert suite.experiment("long", "baseline") == first.replace(training=first.training.replace(steps=1400))


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "benchmarks/suites").glob("*.yaml")), ids=str)
def test_suites_of_explanations_parse_and_their_results_are_theirs(path: Path) -> None:
    suite = find_suite(path)
    for row in suite.rows:
        suite.experiment("world", row)
    results = json.loads((path.parents[1] / f"results/ablation_{path.stem}.json").read_text())
    assert {row["name"]: row["title"] for row in results["rows"]} == {row: suite.row_title(row) for row in suite.rows}


def test_tables_are_whole() -> None:
    """Each module alone, pairs, all, none; for the drawn world and both sizes of CLIP."""
    counts = {name: (len(find_suite(name).rows), tuple(find_suite(name).scales)) for name in HYPERSPHERICAL}
    scales = ("world", "vitb", "vitl")
    assert counts == {"ahs_seg": (8, scales), "ahs_seg_lite": (10, scales), "hps_seg": (4, scales)}
    assert not set(packaged_suites()) & set(packaged_configs())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"baseline": "none"}, "baseline 'none' is not a row; those are a"),
        ({"rows": {"a": {"parts": ["x"]}}}, "row 'a' has part 'x'; known are "),
        ({"rows": {"a": {"partz": []}}}, "rows.a.partz: unknown key"),
    ],
)
def test_errors_name_what_is_wrong(change: dict, problem: str) -> None:
    good = {
        "title": "t",
        "baseline": "a",
        "rows": {"a": {}},
        "scales": {"w": {"config": "c", "test": {"name": "world"}}},
    }
    Suite.parse(good)
    with pytest.raises(ConfigError, match=problem):
        Suite.parse({**good, **change})


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ablation/ahs_seg/world", "a row of a table is called ablation/SUITE/SCALE/ROW"),
        ("ablation/ahs/world/full", "ahs: no such file, nor a packaged suite; those are ahs_seg, ahs_seg_lite"),
        ("ablation/hps_seg/world/sdr", "no row 'sdr'; there are baseline, hpa, afr, full"),
        ("ablation/hps_seg/vit/full", "no scale 'vit'; there are world, vitb, vitl"),
        ("nothing", "no packaged config of this name"),
    ],
)
def test_names_that_are_none_list_those_there_are(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        find_experiment(name)
