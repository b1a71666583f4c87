"""Places are compared by what they are, not by how they are spelled."""

from pathlib import Path

import pytest

from ahs_seg.io.drafts import FILE_ENDING
from ahs_seg.io.overwrite import (
    OutputFolder,
    OverwriteError,
    check_holds_none,
    check_output_file,
    check_replaceable,
    leads_outside,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "deep" / "a.png").write_text("a")
    (tmp_path / "link").symlink_to("photos")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "spelled", ["photos", "./photos", "other/../photos", "link", "photos/deep", ".", "{root}/photos"]
)
def test_a_folder_holds_a_file_however_it_is_spelled(folder: Path, spelled: str) -> None:
    output = OutputFolder(Path(spelled.format(root=folder)))
    assert output.holds(Path("photos/deep/a.png"))
    assert output.holds(folder / "link" / "deep" / "a.png")
    assert not output.holds(folder.parent)


def test_a_folder_elsewhere_or_not_there_holds_nothing(folder: Path) -> None:
    for output in (OutputFolder(Path("other")), OutputFolder(Path("new")), OutputFolder(None)):
        assert not output.holds(Path("photos/deep/a.png"))
    (folder / "other" / "a.png").symlink_to(folder / "photos" / "deep" / "a.png")
    assert OutputFolder(Path("other")).holds(Path("other/a.png")), "the link itself would be replaced"
    (folder / "photos" / "b.png").symlink_to(folder / "other" / "b.png")
    (folder / "other" / "b.png").write_text("b")
    assert OutputFolder(Path("other")).holds(Path("photos/b.png")), "its target would be replaced"


def test_an_output_file_is_no_input(folder: Path) -> None:
    model = folder / "photos" / "deep" / "a.png"
    (folder / "hard.png").hardlink_to(model)
    (folder / "soft.png").symlink_to(model)
    for spelled in ("photos/deep/a.png", "link/deep/../deep/a.png", "hard.png", "soft.png"):
        with pytest.raises(OverwriteError, match="Give another path"):
            check_output_file(Path(spelled), [None, model])
    with pytest.raises(OverwriteError, match="is a file of the input"):
        check_output_file(Path("link/deep/a.png"), [folder / "photos"])
    check_output_file(Path("photos/report.json"), [folder / "photos"])
    check_output_file(Path("report.json"), [model, folder / "photos", None])


def test_a_directory_is_replaced_only_by_its_like(folder: Path) -> None:
    model = folder / "model"

    def check() -> None:
        check_replaceable(model, "a model", alike=lambda place: (place / "a.json").exists(), names=["a.json"])

    for _ in range(2):  # new, then empty
        check()
        model.mkdir(exist_ok=True)
    (model / f".a.json.abcd1234{FILE_ENDING}").write_text("of a killed run")
    check()
    (model / "thesis.tex").write_text("years of work")
    with pytest.raises(OverwriteError, match=r"model: holds other files, and a model is written as a whole directory"):
        check()
    (model / "a.json").write_text("{}")
    with pytest.raises(OverwriteError, match=r"model: holds thesis\.tex besides a model.* Move it to another place"):
        check()
    (model / "thesis.tex").rename(model / ".DS_Store")
    check()


def test_a_file_is_not_replaced_by_a_directory(folder: Path) -> None:
    with pytest.raises(OverwriteError, match=r"a\.png: is a file, and a model is written as a directory"):
        check_replaceable(folder / "photos/deep/a.png", "a model", alike=lambda _: True, names=["a.png"])


def test_an_input_is_not_in_a_directory_that_is_replaced(folder: Path) -> None:
    with pytest.raises(OverwriteError, match=r"holds the input .*a\.png"):
        check_holds_none(Path("./other/../photos"), [None, folder / "photos/deep/a.png"])
    check_holds_none(Path("other"), [None, folder / "photos/deep/a.png", Path("nowhere")])


def test_names_that_lead_outside_of_a_folder() -> None:
    assert not any(leads_outside(name) for name in ["a", "a/b", "a.b/..c", "a:b"])
    assert all(leads_outside(name) for name in ["", ".", "..", "../a", "a/../b", "/a"])
    assert leads_outside(Path("/"))


def test_names_of_classes_that_are_no_path_are_no_input(folder: Path) -> None:
    """A list of names may be longer than a file name."""
    names = Path("cat, dog, " * 50)
    check_holds_none(Path("photos"), [names])
    check_output_file(Path("photos/deep/a.png"), [names])
