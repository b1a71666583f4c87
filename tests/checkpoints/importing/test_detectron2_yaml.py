"""Configs of detectron2: bases, literals, and tags that are never executed."""

from pathlib import Path

import pytest

from ahs_seg.checkpoints.importing.convert_config import translate_config
from ahs_seg.checkpoints.importing.detectron2_yaml import Tagged, config_files, read_detectron2
from ahs_seg.config import ConfigError
from ahs_seg.documents import read_text


def test_tags_are_kept_and_never_executed(folder: Path) -> None:
    victim = folder / "made"
    text = f"""
_BASE_: vitb.yaml
INPUT:
  MIN_SIZE_TRAIN: !!python/object/apply:os.mkdir ["{victim}"]
  MAX_SIZE_TRAIN: !!python/tuple [1, 2]
SOLVER:
  STEPS: !other {{a: 1}}
"""
    (folder / "evil.yaml").write_text(text)
    values = read_detectron2(folder / "evil.yaml")
    assert values["INPUT.MIN_SIZE_TRAIN"] == Tagged("!!python/object/apply:os.mkdir")
    assert values["INPUT.MAX_SIZE_TRAIN"] == [1, 2]
    translation = translate_config(folder / "evil.yaml")
    assert (
        "would run code (!!python/object/apply:os.mkdir); it was not run" in translation.dropped["INPUT.MIN_SIZE_TRAIN"]
    )
    assert not victim.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_BASE_: nowhere.yaml", r"nowhere\.yaml, the base of .*a\.yaml, cannot be read"),
        ("_BASE_: a.yaml", r"its base configs are circular: a\.yaml -> a\.yaml"),
        ("_BASE_: 5", r"a\.yaml: _BASE_ is 5; give a path, a list of paths, or remove it"),
        ("_BASE_:", "_BASE_ is None; give a path"),
        ("_BASE_: [b.yaml, [c.yaml]]", r"_BASE_ is \['c\.yaml'\]; give a path"),
        ('_BASE_: "~no-such-user/x"', r"~no-such-user.x, the base of .*a\.yaml, cannot be read"),
        ('_BASE_: "a\\0b"', r"the base of .*a\.yaml, cannot be read"),
        ("A: &x [1, *x]", r"aliases \(\*name\) nest too deeply, or in a circle"),
        ("[1, 2]", "holds a list"),
        ("A: [", "not plain yaml"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_detectron2(tmp_path / "a.yaml")


def test_several_bases_and_literals(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("A:\n  B: 1\n  C: (1, 2)\n  D: (x\n")
    (tmp_path / "two.yaml").write_text("A: {B: 2}\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text('_BASE_: ["../one.yaml", "../two.yaml"]\nA: {E: "[1.5, None]"}\n')
    assert read_detectron2(tmp_path / "sub" / "a.yaml", ["A.F=hello"]) == {
        "A.B": 2,
        "A.C": [1, 2],
        "A.D": "(x",
        "A.E": [1.5, None],
        "A.F": "hello",
    }
    assert {path.name for path in config_files(tmp_path / "sub" / "a.yaml")} == {"a.yaml", "one.yaml", "two.yaml"}
    with pytest.raises(ConfigError, match=r"not of the form KEY\.SUB=value"):
        read_detectron2(tmp_path / "one.yaml", ["A.F"])


def test_a_base_of_many_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for level in range(5):
        (tmp_path / f"{level}.yaml").write_text(f"_BASE_: {[f'{level + 1}.yaml'] * 9}\nA: {{B{level}: {level}}}\n")
    (tmp_path / "5.yaml").write_text("A: {B0: 5, C: 5}\n")
    read: list[str] = []

    def counted(path: Path, limit: int) -> str:
        read.append(path.name)
        return read_text(path, limit)

    monkeypatch.setattr("ahs_seg.checkpoints.importing.detectron2_yaml.read_text", counted)
    assert read_detectron2(tmp_path / "0.yaml") == {"A.C": 5, **{f"A.B{level}": level for level in range(5)}}
    assert read == [f"{level}.yaml" for level in range(6)]


def test_one_base_is_not_changed_by_another(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("A: {B: 1}\n")
    (tmp_path / "two.yaml").write_text("_BASE_: one.yaml\nA: {B: 2, C: 2}\n")
    (tmp_path / "a.yaml").write_text("_BASE_: [one.yaml, two.yaml, one.yaml]\n")
    assert read_detectron2(tmp_path / "a.yaml") == {"A.B": 1, "A.C": 2}


def test_the_number_of_bases_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("_BASE_: [" + "b.yaml, " * 60 + "]")
    (tmp_path / "b.yaml").write_text("A: 1")
    with pytest.raises(ConfigError, match=r"more than 50 base configs are named; join some of them"):
        read_detectron2(tmp_path / "a.yaml")


def test_what_is_nearly_a_literal_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('A: "[{[]: 1}]"')
    assert read_detectron2(tmp_path / "a.yaml") == {"A": "[{[]: 1}]"}
