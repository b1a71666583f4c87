"""Every packaged config is what its type says; nothing else gets in."""

from pathlib import Path

import pytest
import yaml

from ahs_seg.config import Config, ConfigError, read_yaml
from ahs_seg.configs import find_config, packaged_configs
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.methods import CatSegConfig, HClipConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation

NAMES = sorted(packaged_configs())


class Leaf(Config):
    """A config below another one."""

    steps: int = 3
    rates: tuple[float, ...] = (0.1,)


class Root(Config):
    """A config with one below it."""

    name: str = "x"
    leaf: Leaf = Leaf()


@pytest.fixture
def write(tmp_path: Path):
    def write_yaml(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write_yaml


@pytest.mark.parametrize("name", NAMES)
def test_packaged_configs_parse_and_survive_a_round_trip(name: str, write) -> None:
    experiment = Experiment.read(find_config(name))
    assert Experiment.read(write(experiment.to_yaml())) == experiment


@pytest.mark.parametrize("name", NAMES)
def test_packaged_configs_say_what_they_are(name: str) -> None:
    assert find_config(name).read_text().startswith("# ")


def test_published_configs_are_those_of_the_papers() -> None:
    for name in ("cat_seg_vitb", "cat_seg_vitl", "h_clip_vitb"):
        experiment = Experiment.read(find_config(name))
        recipe, published = experiment.training, OptimizerConfig(lr=2e-4, clip_multiplier=0.01, clip_norm=0.01)
        assert (recipe.steps, recipe.batch_size, recipe.optimizer) == (80_000, 4, published)
        assert recipe.ignore_as_negative
        assert experiment.method.cost == type(experiment.method)().cost
        assert experiment.inference.options == {"class_pooling": 1}
    assert isinstance(Experiment.read(find_config("cat_seg_vitl")).method, CatSegConfig)
    assert isinstance(Experiment.read(find_config("h_clip_vitb")).method, HClipConfig)


@pytest.mark.parametrize(
    ("name", "levels", "rate", "multiplier", "batch"),
    [("ahs_seg_vitb", (3, 7, 11), 2e-4, 0.01, 4), ("ahs_seg_vitl", (7, 15, 23), 1e-4, 0.005, 2)],
)
def test_configs_of_ahs_seg_are_those_of_its_documents(
    name: str, levels: tuple[int, ...], rate: float, multiplier: float, batch: int
) -> None:
    experiment = Experiment.read(find_config(name))
    method, recipe = experiment.method, experiment.training
    assert method.cost.fusion == FusionConfig(levels=levels)  # boundary loss 0.1
    assert method.cost.projection == ProjectionConfig()  # rank 64, losses 0.05 and 0.02
    assert method.tuner == Orthogonal(modulation=Modulation())  # energy loss 0.01
    assert (recipe.steps, recipe.batch_size) == (80_000, batch)
    assert recipe.optimizer == OptimizerConfig(lr=rate, clip_multiplier=multiplier, clip_norm=1.0)


def test_a_name_that_is_not_packaged_lists_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"cat_segg: no such file.*cat_seg_vitb"):
        find_config("cat_segg")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("nme: y", "nme"),
        ("leaf: {stepz: 4}", "leaf.stepz"),
        ("leaf: 7", "leaf"),
        ("leaf: {steps: many}", "leaf.steps"),
    ],
)
def test_errors_name_the_key(text: str, key: str, write) -> None:
    with pytest.raises(ConfigError, match=rf"(?m)^  {key}: "):
        Root.read(write(text))


def test_an_unknown_key_of_a_method_is_an_error() -> None:
    with pytest.raises(ConfigError, match="window_size: unknown key"):
        Experiment.read(find_config("cat_seg_vitb"), ["method.cost.window_size=12"])


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"cat_seg.*h_clip.*zero_shot"):
        Experiment.read(find_config("cat_seg_vitb"), ["method.name=dog_seg"])


def test_all_faults_are_told_at_once(write) -> None:
    with pytest.raises(ConfigError) as error:
        Root.read(write("nme: y\nleaf: {steps: many}"))
    assert "nme" in str(error.value)
    assert "leaf.steps" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "name: !!python/object/apply:os.system ['touch harm']",
        "name: !!python/name:os.system ''",
        "!!python/object:tests.test_configs.Leaf {}",
        "name: !custom x",
    ],
)
def test_tags_are_refused_and_not_executed(text: str, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="not plain yaml"):
        Root.read(write(text))
    with pytest.raises(ConfigError):
        Root.parse({}, [f"name={text.partition(': ')[2] or text}"])
    assert not (tmp_path / "harm").exists()


def test_overrides_reach_below_and_are_yaml() -> None:
    root = Root.parse({"leaf": {"steps": 5}}, ["leaf.rates=[0.5, 1]", "name=y", "leaf.steps=6"])
    assert root == Root(name="y", leaf=Leaf(steps=6, rates=(0.5, 1.0)))


def test_overrides_leave_the_given_values_alone() -> None:
    given = {"leaf": {"steps": 5}}
    Root.parse(given, ["leaf.steps=6"])
    assert given == {"leaf": {"steps": 5}}


@pytest.mark.parametrize("override", ["leaf.steps", "=4", "leaf..steps=4", "name.sub=4"])
def test_overrides_of_another_form_are_errors(override: str) -> None:
    with pytest.raises(ConfigError, match="override"):
        Root.parse({"name": "x"}, [override])


def test_configs_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Root().name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n- b", "holds a list"), ("name: [", "not plain yaml"), ("a: b: c", "not plain yaml")]
)
def test_files_that_are_no_config(text: str, message: str, write) -> None:
    with pytest.raises(ConfigError, match=message):
        read_yaml(write(text))


def test_an_empty_file_is_all_defaults(write) -> None:
    assert Root.read(write("")) == Root()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config file"):
        Root.read(tmp_path / "nowhere.yaml")


def test_yaml_is_plain_data() -> None:
    for path in packaged_configs().values():
        assert yaml.safe_load(path.read_text()) == read_yaml(path)


@pytest.mark.parametrize("size", ["vitb", "vitl"])
def test_configs_of_the_hyperspherical_methods_are_those_of_their_documents(size: str) -> None:
    for name, batch, clip in (("hps_seg", 4, 0.01), ("ahs_seg_lite", 16, 1.0)):
        experiment = Experiment.read(find_config(f"{name}_{size}"))
        recipe = experiment.training
        assert (recipe.steps, recipe.batch_size, recipe.optimizer) == (80_000, batch, OptimizerConfig(clip_norm=clip))
        assert experiment.method.cost == type(experiment.method)().cost
        assert experiment.method.tuner == HClipConfig().tuner
        small = Experiment.read(find_config(f"quickstart/{name}")).method
        plain = Experiment.read(find_config("quickstart/h_clip")).method
        parts = {"alignment", "prototypes", "rectification", "distillation", "geodesic"}
        for part in parts:
            assert getattr(small.cost, part) == getattr(experiment.method.cost, part)
        assert small.cost.model_dump(exclude=parts) == plain.cost.model_dump(exclude=parts)
