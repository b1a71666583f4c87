"""Configs of detectron2: bases, literals, and tags that are never executed."""

from pathlib import Path

import pytest

from ahs_seg.checkpoints.importing.convert_config import translate_config
from ahs_seg.checkpoints.importing.detectron2_yaml import Tagged, read_detectron2
from ahs_seg.config import ConfigError


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
    with pytest.raises(ConfigError, match=r"not of the form KEY\.SUB=value"):
        read_detectron2(tmp_path / "one.yaml", ["A.F"])
