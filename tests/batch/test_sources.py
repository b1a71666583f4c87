"""What inputs stand for."""

from pathlib import Path

import pytest

from ahs_seg.batch import list_sources
from ahs_seg.batch.sources import RESULTS, BatchError, InputSource, LeftOut
from ahs_seg.io.folder_lock import FOLDER


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = [
        "a/x.jpg",
        "a/deep/y.PNG",
        "a/notes.txt",
        "a/.hidden/z.jpg",
        "a/.z.jpg",
        "b/x.jpg",
        "b/clip.mp4",
        "one.tif",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs: str, **options) -> list[str]:
    return [source.name for source in list_sources(inputs, **options)]


def test_folders_files_and_patterns(tree):
    assert names("a") == ["deep/y", "x"]
    assert names("one.tif", "a") == ["one", "deep/y", "x"]
    assert names("a/**/*.PNG") == ["deep/y"]
    assert names("?/x.jpg") == ["a/x", "b/x"]
    assert names("b") == ["clip", "x"]
    assert [source.is_video for source in list_sources(["b"])] == [True, False]


def test_one_input_needs_no_list(tree):
    for one in ("a", tree / "a", "a/**/*.*"):
        assert [source.name for source in list_sources(one)] == names(one) == ["deep/y", "x"]
    (source,) = list_sources("one.tif", output="out")
    assert list(list_sources(source)) == [source]


def test_a_file_counts_once(tree):
    assert names("a", "a/x.jpg", tree / "a" / "x.jpg") == ["deep/y", "x"]


def test_results_are_not_inputs(tree):
    (tree / "a" / "out").mkdir()
    (tree / "a" / "out" / "x.png").touch()
    assert names("a") == ["deep/y", "out/x", "x"]
    assert names("a", output=Path("a/out")) == ["deep/y", "x"]


def test_results_in_a_pattern_that_a_shell_has_expanded_are_no_inputs(tree):
    for folder in ("a/out", "a/second"):
        (tree / folder / FOLDER).mkdir(parents=True)
        (tree / folder / FOLDER / "run.json").touch()
        (tree / folder / "x.png").touch()
    (tree / "a" / "notes.txt").unlink()
    expanded = sorted(str(path) for path in Path("a").glob("[!.]*"))
    found = list_sources(expanded, output="new")
    assert [source.name for source in found] == ["y", "x"]
    assert found.left_out == (LeftOut(RESULTS, 2, "a/out"),)
    assert list_sources(expanded, output="a/out").left_out == (LeftOut(RESULTS, 1, "a/second"),)
    assert names("a/out") == ["x"]
    assert names("one.tif", "a/out") == ["one", "x"]


def test_images_that_differ_in_the_extension_keep_it(tree):
    (tree / "a" / "x.png").touch()
    (tree / "a" / "X.bmp").touch()  # some file systems do not tell it from x
    assert sorted(names("a")) == ["X_bmp", "deep/y", "x_jpg", "x_png"]


def test_two_folders_with_the_same_names(tree):
    with pytest.raises(ValueError, match=r"a/x.jpg and b/x.jpg are both called 'x.jpg'.*Give the folder above"):
        list_sources(["a", "b"])
    assert names(".") == ["a/deep/y", "a/x", "b/clip", "b/x", "one"]


@pytest.mark.parametrize("given", ["nowhere", "a/notes.txt/x", "a/*.gif", "a/.hidden"])
def test_nothing_there(tree, given):
    (tree / "a" / ".hidden" / "z.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"no such file|no images in"):
        list_sources([given])


def test_a_pattern_that_leads_upwards_after_a_wildcard_names_results_in_their_folder(tree):
    assert names("a/*/../../b/*.jpg") == ["x"]
    assert names("a/*/../*.jpg") == ["x"]
    assert names("a/../b/*.jpg") == ["x"]
    assert names("*/../one.tif") == ["one"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "", ".."])
def test_a_name_that_leads_outside_of_the_results_is_refused(name):
    with pytest.raises(BatchError, match=r"x\.png: its results cannot be called '.*a relative path without '\.\.'"):
        InputSource(Path("x.png"), name)
