"""JSON and YAML of unknown origin: whatever a few bytes claim, reading them costs little."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml

from ahs_seg.config import Config, ConfigError, OneOf
from ahs_seg.documents import (
    MAX_DEPTH,
    MAX_YAML_VALUES,
    DocumentError,
    parse_json,
    parse_yaml,
    read_json,
    read_mapping,
    read_yaml,
)
from tests.support.memory import cost_of
from tests.support.nested_configs import Leaf, Root

NINES = "9" * 100_000


def doubled(levels: int) -> str:
    """A few lines that stand for 2 ** levels values."""
    lines = [f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x]", *lines])


def merged(levels: int) -> str:
    """The same with merge keys, which PyYAML multiplies while it builds the mapping."""
    lines = [f"a{level}: &a{level}\n  <<: [*a{level - 1}, *a{level - 1}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


BOMBS = {
    "doubled": doubled(40),
    "merged": merged(40),
    "wide": f"a: &a [{'x, ' * 1000}]\nb: [{'*a, ' * 1000}]",
    "chained": "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2_000)),
    "circle": "a: &a [*a]",
    "circle of two": "a: &a {b: &b [*a, *b]}",
    "circle as a key": "&a ? *a : b",
    "deep": "[" * 10_000,
    "deep and closed": "[" * 10_000 + "]" * 10_000,
    "deep mapping": "".join(f"{' ' * n}a:\n" for n in range(500)),
    "deep keys": "? " * 500 + "a",
    "many": "- x\n" * (2 * MAX_YAML_VALUES),
    "long": "#" * 2_000_000,
    "a number of many digits": NINES,
    "a number in sexagesimal": "1" + ":59" * 30_000,
    "a date of day 99": "2020-99-99",
    "an unhashable key": "? [a]\n: b",
    "no text": "\x00\x01",
    "a tag": "!!python/object/apply:os.system ['true']",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_yaml_that_stands_for_more_than_it_is_ends_at_once(text: str, tmp_path: Path) -> None:
    (path := tmp_path / "config.yaml").write_text(text)
    began = time.monotonic()
    with pytest.raises(DocumentError, match=r"config\.yaml"):
        read_yaml(path)
    assert time.monotonic() - began < 10


def test_the_memory_of_nested_aliases_follows_the_text(tmp_path: Path) -> None:
    (path := tmp_path / "config.yaml").write_text(BOMBS["doubled"])
    cost = cost_of(lambda: read_yaml(path), seconds=10)
    assert "expand to more than" in cost.error
    assert cost.mib < 20


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, y: 4}\nc: [*a, *a]",
        "a: &a [1, 2]\nb: [*a, {c: *a}]",
        "# nothing\n",
        "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1),
    ],
)
def test_anchors_that_people_write_mean_what_yaml_says(text: str) -> None:
    assert parse_yaml(text, source="x") == yaml.safe_load(text)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_that_is_nested_deeply(levels: int, start: str, end: str, tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text(start * levels + "1" + end * levels)
    with pytest.raises(DocumentError, match=r"a\.json is nested more than 100 levels deep"):
        read_json(path)


@pytest.mark.parametrize("text", [NINES, "{", "", '{"a": nan}', "[1,]"])
def test_text_that_is_no_json(text: str) -> None:
    with pytest.raises(DocumentError, match=r"^x is not readable as JSON"):
        parse_json(text, source="x")


def test_a_limit_of_the_caller_holds_and_takes_no_memory(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text("[1, 2]")
    assert read_json(path, limit=6) == [1, 2]
    with pytest.raises(DocumentError, match=r"a\.json has more than 5 bytes"):
        read_json(path, limit=5)
    assert cost_of(lambda: read_json(path, limit=2**40), seconds=10).mib < 20


def test_a_mapping_is_asked_for_by_what_is_there(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(DocumentError, match=r"a\.json holds a list, not a mapping"):
        read_mapping(path)


@pytest.mark.parametrize("read", [read_json, read_yaml], ids=["json", "yaml"])
def test_a_file_that_never_ends_is_not_read_to_its_end(read: Callable[[Path], object]) -> None:
    cost = cost_of(lambda: read(Path("/dev/zero")), seconds=10)
    assert "has more than" in cost.error
    assert cost.mib < 64 + 8  # each byte once, whatever the allocator has been told


class Numbers(Config):
    """Every kind of number."""

    count: int = 1
    share: float = 0.5
    pair: tuple[int, ...] = ()
    switch: bool = False


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("count", 10**30, "integers are between"),
        ("count", -(10**30), "integers are between"),
        pytest.param("count", 10**5000, "integers are between.*too large to show", id="thousands of digits"),
        ("count", True, "not true or false"),
        ("share", False, "not true or false"),
        ("share", float("nan"), "finite"),
        ("share", float("-inf"), "finite"),
        ("pair", (1, True), "not true or false"),
        ("pair", [1, 10**30], "integers are between"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused_by_key(key: str, value: object, reason: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)  .*{key}.*{reason}"):
        Numbers.parse({key: value})


def test_what_is_given_is_shown_in_part() -> None:
    with pytest.raises(ConfigError) as error:
        Numbers.parse({"count": "x" * 1_000_000})
    assert len(str(error.value)) < 500


def test_ordinary_numbers_stay_what_they_are() -> None:
    numbers = Numbers.parse({"count": 2**62, "share": 1, "pair": [1, 2], "switch": True})
    assert (numbers.count, numbers.share, numbers.pair, numbers.switch) == (2**62, 1.0, (1, 2), True)


def test_an_override_that_a_later_one_would_undo_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"override 'leaf\.steps=4' is undone by 'leaf=\{rates: \[1\]\}' after it; write"
    ):
        Root.parse({}, ["leaf.steps=4", "name=y", "leaf={rates: [1]}"])
    overrides = [
        "leaf.steps=4",
        "leaf.steps=5",
        "name=y",
        "name=z",
    ]  # the last one counts, e.g. after those of a script
    assert Root.parse({}, overrides) == Root(name="z", leaf=Leaf(steps=5))
    assert Root.parse({}, ["leaf={rates: [1]}"], preset=["leaf.steps=4"]) == Root(leaf=Leaf(rates=(1.0,)))
    assert Drawing.parse({}, ["back.radius=2", "back=null"]).back is None


class Shape(Config):
    """Base class of two."""


class Disc(Shape):
    """A shape."""

    name: Literal["disc"] = "disc"
    radius: int = 1


class Bar(Shape):
    """Another one."""

    name: Literal["bar"] = "bar"
    length: int = 1


AnyShape = Annotated[Shape, OneOf(Shape, (Disc, Bar), read=lambda text: Bar(length=len(text)))]


class Drawing(Config):
    """A config with shapes that a text may stand for."""

    front: AnyShape = Disc()
    back: AnyShape | None = None


@pytest.mark.parametrize("key", ["front", "back"])
def test_overrides_reach_below_a_text_that_stands_for_a_config(key: str) -> None:
    assert Drawing.parse({}, [f"{key}=abc"]) == Drawing.parse({key: "abc"}) == Drawing(**{key: Bar(length=3)})
    for values, overrides in (({}, [f"{key}=abc", f"{key}.length=5"]), ({key: "abc"}, [f"{key}.length=5"])):
        assert Drawing.parse(values, overrides) == Drawing(**{key: Bar(length=5)})
    told = rf"^override '{key}\.radius=5' is not valid:\n  {key}\.bar\.radius: unknown key; allowed are length, name "
    with pytest.raises(ConfigError, match=told):
        Drawing.parse({}, [f"{key}=abc", f"{key}.radius=5"])
