"""Configurations: yaml in, frozen objects out, errors that name the key."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

import pytest
import yaml
from pydantic import model_validator

from ahs_seg.config import Config, ConfigError
from ahs_seg.configs import packaged_configs
from ahs_seg.documents import read_yaml
from tests.support.nested_configs import Leaf, Root


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_yaml(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write_yaml


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("nme: y", "nme"),
        ("leaf: {stepz: 4}", "leaf.stepz"),
        ("leaf: 7", "leaf"),
        ("leaf: {steps: many}", "leaf.steps"),
    ],
)
def test_errors_name_the_key(text: str, key: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=rf"(?m)^  {key}: "):
        Root.read(write(text))


def test_all_faults_are_told_at_once(write: Callable[[str], Path]) -> None:
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
def test_tags_are_refused_and_not_executed(
    text: str, write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


class Typed(Config):
    """A config with fields of all types that a plain value may be meant for."""

    root: Path = Path()
    split: str | None = None
    count: int = 1
    share: float = 0.5
    hidden: bool = False
    size: Literal["seen", 20] = 20
    leaf: Leaf = Leaf()


@pytest.mark.parametrize(
    "text", ["2024", "1.10", "007", "2024-01-31", "no", "true", "1:30", "2024_01", "streets #2", "#2", "a\t#b", "-1"]
)
def test_a_text_that_yaml_reads_otherwise_is_the_value_of_a_path_or_a_text(text: str) -> None:
    assert Typed.parse({}, [f"root={text}", f"split={text}"]) == Typed(root=Path(text), split=text)


def test_a_text_is_found_beside_other_faults_and_in_a_group() -> None:
    with pytest.raises(ConfigError, match=r"^override 'cuont=2' is not valid:\n  cuont: unknown key[^\n]*$"):
        Typed.parse({}, ["root=2024", "cuont=2", "split=1.10"])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("root='streets #2'", Typed(root=Path("streets #2"))),
        ("split=null", Typed(split=None)),
        ("split=a#b", Typed(split="a#b")),
        ("count=0x10", Typed(count=16)),
        ("hidden=yes", Typed(hidden=True)),
        ("size=20", Typed(size=20)),
        ("leaf={rates: [1, 2]}  # both", Typed(leaf=Leaf(rates=(1.0, 2.0)))),
    ],
)
def test_values_of_other_types_remain_yaml(override: str, expected: Typed) -> None:
    assert Typed.parse({"split": "x"} if "split" in override else {}, [override]) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count=true", "count is a number, not true or false"),
        ("count=1.5", r"count: Input should be a valid integer, got a number with a fractional part .*given: 1\.5"),
        ("count=4 # four", r"count: Input should be a valid integer.*given: '4 # four'"),
        ("share=2024-01-31", "share: Input should be a valid number"),
        ("size=21", "size: Input should be 'seen' or 20"),
    ],
)
def test_a_number_that_is_not_valid_is_told_as_a_number(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Typed.parse({}, [override])


@pytest.mark.parametrize("override", ["leaf.steps", "=4", "leaf..steps=4", "name.sub=4"])
def test_overrides_of_another_form_are_errors(override: str) -> None:
    with pytest.raises(ConfigError, match="override"):
        Root.parse({"name": "x"}, [override])


def wrong(**values: Any) -> dict[str, Any]:
    """Values that a type checker would refuse."""
    return values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Root(**wrong(nme="y")),
            r"nme: unknown key; allowed are leaf, name; did you mean name\? \(given: 'y'\)",
        ),
        (
            lambda: Root(**wrong(leaf={"stepz": 4})),
            r"leaf\.stepz: unknown key; allowed are rates, steps; did you mean steps\? \(given: 4\)",
        ),
        (
            lambda: Root(**wrong(leaf={"steps": "many"})),
            r"leaf\.steps: Input should be a valid integer.*\(given: 'many'\)",
        ),
        (lambda: Root(**wrong(leaf=7)), r"leaf: Input should be a valid dictionary or instance of Leaf \(given: 7\)"),
        (lambda: Root().replace(nme="y"), "nme: unknown key"),
        (lambda: Root().replace(leaf={"steps": "many"}), r"leaf\.steps: Input should be"),
    ],
    ids=["key", "nested key", "nested value", "no config", "replaced key", "replaced value"],
)
def test_a_config_of_python_is_checked_like_one_of_yaml(make: Callable[[], Root], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^Root is not valid:\n  {message}"):
        make()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "leaf.stepz=4",
            r"^override 'leaf\.stepz=4' is not valid:\n  leaf\.stepz: unknown key; .*did you mean steps\?",
        ),
        ("steps=4", r"^override 'steps=4' is not valid:\n  steps: unknown key; .*did you mean leaf\.steps\?"),
        ("leaf.steps=many", r"^override 'leaf\.steps=many' is not valid:\n  leaf\.steps: Input should be"),
        ("lief.steps=4", r"^override 'lief\.steps=4' is not valid:\n  lief: unknown key; .*did you mean leaf\?"),
        ("zebra=4", r"^override 'zebra=4' is not valid:\n  zebra: unknown key; allowed are leaf, name \(given: 4\)"),
    ],
)
def test_a_wrong_override_is_named_and_not_the_file(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Root.parse({"name": "x"}, ["leaf.steps=3", override], source="packaged.yaml")


class Warm(Config):
    """A config whose values must fit one another."""

    steps: int = 9
    warmup: int = 1
    precision: str = "bf16"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.warmup >= self.steps:
            raise ValueError("warmup must be below steps")
        return self


class Run(Config):
    """A config with one that checks itself."""

    training: Warm = Warm()
    name: str = "x"


def test_a_fault_of_a_group_is_put_down_to_all_overrides_below_it() -> None:
    overrides = ["training.steps=7", "training.steps=2", "name=y", "training.warmup=2", "training.precision=fp32"]
    names = "override 'training.steps=2' and override 'training.warmup=2' and override 'training.precision=fp32'"
    with pytest.raises(ConfigError, match=f"^{names} are not valid:\n  training: .*warmup must be below steps"):
        Run.parse({}, overrides)
    names = "override 'training={steps: 2, warmup: 2}' and override 'training.precision=fp32'"
    with pytest.raises(ConfigError, match=f"^{re.escape(names)} are not valid:\n  training: "):
        Run.parse({}, ["training={steps: 2, warmup: 2}", "training.precision=fp32"])


def test_a_fault_of_the_whole_is_put_down_to_the_file_and_all_overrides() -> None:
    with pytest.raises(ConfigError, match=r"^a\.yaml and override 'warmup=9' are not valid:\n  \(top level\): "):
        Warm.parse({}, ["warmup=9"], source="a.yaml")


def test_a_fault_of_the_file_is_not_put_down_to_an_override() -> None:
    with pytest.raises(ConfigError, match=r"^packaged\.yaml is not valid:\n  nme: unknown key"):
        Root.parse({"name": "x", "nme": "y"}, ["leaf.steps=3"], source="packaged.yaml")
    with pytest.raises(ConfigError, match=r"^packaged\.yaml and override 'leaf\.stepz=3' are not valid:"):
        Root.parse({"name": "x", "nme": "y"}, ["leaf.stepz=3"], source="packaged.yaml")


def test_replace_gives_a_copy_with_other_values() -> None:
    root = Root(name="y", leaf=Leaf(steps=4))
    assert root.replace(name="z") == Root(name="z", leaf=Leaf(steps=4))
    assert root.replace(leaf={"steps": 5}).leaf == Leaf(steps=5)
    assert root == Root(name="y", leaf=Leaf(steps=4))


def test_configs_are_copied_and_pickled() -> None:
    root = Root(name="y", leaf=Leaf(steps=4))
    assert copy.deepcopy(root) == pickle.loads(pickle.dumps(root)) == root
    assert list(inspect.signature(Leaf).parameters) == ["steps", "rates"]


def test_configs_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Root().name = "y"


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n- b", "holds a list"), ("name: [", "not plain yaml"), ("a: b: c", "not plain yaml")]
)
def test_files_that_are_no_config(text: str, message: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=message):
        Root.read(write(text))


def test_an_empty_file_is_all_defaults(write: Callable[[str], Path]) -> None:
    assert Root.read(write("")) == Root()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config file"):
        Root.read(tmp_path / "nowhere.yaml")


def test_yaml_is_plain_data() -> None:
    for path in packaged_configs().values():
        assert yaml.safe_load(path.read_text()) == read_yaml(path)
