"""A text stands for a known list, a file, or names; a mistake is never a class that gets every pixel."""

from pathlib import Path

import pytest

from ahs_seg.vocabulary.class_list import items_of, known_items
from ahs_seg.vocabulary.class_name import VocabularyError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("cat\nsofa\n")
    return tmp_path


def labels(source: Path | str) -> list[str]:
    return [item.entry().label for item in items_of(source).items]


def test_files_by_name(here: Path) -> None:
    (here / "my classes.csv").write_text("name\ncat\nsofa\n")
    (here / "words.list").write_text("cat\nsofa\n")
    (here / "one.txt").write_text("cat, sofa\n")
    (here / "one.json").write_text('["cat, sofa"]')
    for source in ("words.txt", here / "words.txt", "./words.txt", "my classes.csv", "words.list", "one.txt"):
        assert labels(source) == ["cat", "sofa"], source
    assert labels("one.json") == ["cat"]


def test_home_folders(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert labels("~/words.txt") == ["cat", "sofa"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("word.txt", r"word\.txt: not a readable list.*no such file; beside it are words\.txt"),
        ("sub/words.json", r"no such file\. Give the path of a file"),
        ("words.text", r"'words\.text' looks like a file, and there is none"),
        ("./classes", "looks like a file"),
        ("/nowhere/classes", "looks like a file"),
        ("ade20k", r"'ade20k'; did you mean ade20k-150 or ade20k-847\? If it is a class.*'ade20k, background'"),
        ("Pascal_VOC", "did you mean pascal-voc-20 or pascal-voc-20b"),
    ],
)
def test_mistakes_are_errors_with_a_suggestion(text: str, message: str) -> None:
    with pytest.raises(VocabularyError, match=message):
        items_of(text)


def test_a_missing_path_has_neighbours(here: Path) -> None:
    with pytest.raises(VocabularyError, match=r"beside it are .*words\.txt"):
        items_of(here / "wards.txt")
    with pytest.raises(VocabularyError, match="no such file"):
        items_of(here / "nowhere" / "words.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat", ["cat"]),
        ("TV/monitor", ["TV/monitor"]),
        ("ade20k, background", ["ade20k", "background"]),
        ("cat, dog.txt", ["cat", "dog.txt"]),
        ("cat\ndog.txt", ["cat", "dog.txt"]),
        ("x" * 5000 + ".list", ["x" * 5000 + ".list"]),
        ("a\0.list", None),
        ("~no-such-user, bar", ["~no-such-user", "bar"]),
        ("~no-such-user/words.txt", None),
    ],
)
def test_names_stay_names(text: str, expected: list[str] | None) -> None:
    if expected is None or len(text) > 255:
        with pytest.raises(VocabularyError):
            labels(text)
    else:
        assert labels(text) == expected


def test_a_folder_is_no_list(here: Path) -> None:
    (here / "photos.txt").mkdir()
    with pytest.raises(VocabularyError, match="not a readable list"):
        items_of(here / "photos.txt")


def test_known_lists_keep_their_lines() -> None:
    assert len(known_items("ade20k-847").items) == 847
    assert items_of("ADE20K-150") == known_items("ade20k-150")
