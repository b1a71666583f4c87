"""Checks of class lists: every fault at once, with its line."""

import json
from pathlib import Path

import pytest

from ahs_seg.checkpoints.model_dir import ModelDescription
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.lint import describe_vocabulary, diff_vocabularies, lint_vocabulary
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import VocabularyError, known_vocabularies
from tests.support.tiny_models import ColourMethod


def written(folder: Path, text: str) -> Path:
    path = folder / "classes.txt"
    path.write_text(text)
    return path


def found(report) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.line) for finding in report.findings]


@pytest.fixture
def segmenter() -> Segmenter:
    description = ModelDescription(trained_on=("Cat", "sofa, couch", "tree"))
    return Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",)), description=description)


def test_every_fault_at_once(tmp_path):
    path = written(
        tmp_path, "# a comment\ncat\n\nsofa, couch\nCat\ncouch, settee\n, lamp\ntraffic light\ntraffic-lights\n"
    )
    report = lint_vocabulary(path)
    assert found(report) == [
        ("blank", 3),
        ("duplicate", 5),
        ("shared-name", 6),
        ("name", 7),
        ("shared-name", 9),
        ("no-background", None),
    ]
    assert not report.usable
    assert [one.level for one in report.findings[:2]] == ["note", "error"]
    assert "line 2" in str(report.findings[1])
    assert "'traffic-lights' is also a name of line 8" in str(report.findings[4])
    assert json.loads(json.dumps(report.to_dict()))["usable"] is False
    assert "give a model" in report.unchecked[0]


def test_a_good_list(tmp_path):
    report = lint_vocabulary(written(tmp_path, "grass\nglass\nbackground\nvehicle = car; bus\n"))
    assert (found(report), report.usable, report.classes) == ([], True, 4)


def test_an_empty_list(tmp_path):
    assert found(lint_vocabulary(written(tmp_path, "# nothing\n"))) == [("empty", None)]


def test_what_depends_on_the_model(tmp_path, segmenter):
    path = written(tmp_path, f"cat\ncouch\nbackground\n{'x' * 60}\ncat.\n")
    report = lint_vocabulary(path, segmenter.lint_model(), near=2.0)
    assert found(report) == [("too-long", 4), ("shared-name", 5), ("trained", None)]
    assert report.findings[2].message == "2 of 5 classes are among the 3 the model was trained on: cat, couch"
    assert report.unchecked == ()


def test_near_duplicates_are_those_of_the_embeddings(tmp_path, segmenter):
    path = written(tmp_path, "cat\nlamp\nbackground\ncats\n")
    text = segmenter.text_features(["cat", "lamp", "background", "cats"])
    cosines = text @ text.T
    near = float(cosines.triu(1).max()) - 1e-6
    (finding,) = [
        one for one in lint_vocabulary(path, segmenter.lint_model(), near=near).findings if one.code == "near-duplicate"
    ]
    first, second = divmod(int(cosines.triu(1).argmax()), 4)
    names = ["cat", "lamp", "background", "cats"]
    assert finding.line == second + 1
    assert f"{names[second]!r} has nearly the embedding of {names[first]!r} (line {first + 1})" in finding.message
    assert f"{cosines[first, second]:.3f}" in finding.message


@pytest.mark.parametrize("name", known_vocabularies())
def test_known_lists_are_usable(name):
    assert lint_vocabulary(name).usable


def test_words_are_checked_like_a_file():
    report = lint_vocabulary("cat, sofa, couch, Cat")
    assert (report.classes, found(report)) == (4, [("duplicate", 4), ("no-background", None)])
    assert found(lint_vocabulary("cat")) == [("single", None)]


def test_twins_and_numbers(tmp_path):
    report = lint_vocabulary(written(tmp_path, "3: cat\n5: c\u200bat\n9: background\n"))
    assert found(report) == [("twin", 2), ("numbers", None)]
    assert report.usable


@pytest.mark.parametrize(("source", "message"), [("ade20k", "did you mean ade20k-150"), ("a.csv", "no such file")])
def test_mistakes_are_no_lists_of_one_class(source, message):
    with pytest.raises(VocabularyError, match=message):
        lint_vocabulary(source)


def test_an_unreadable_file(tmp_path):
    with pytest.raises(VocabularyError, match="not a readable list of classes"):
        lint_vocabulary(tmp_path / "nowhere.txt")


def test_diff():
    diff = diff_vocabularies("cat, sofa, lamp", ["Lamp", "sofa, couch", "tree"])
    assert (diff.only_first, diff.only_second, diff.common) == (("cat",), ("tree",), ("sofa", "lamp"))
    assert diff.reworded == (("sofa", "sofa", "sofa, couch"),)
    assert not diff.equal
    assert diff_vocabularies("a, b", "B, A").equal


def test_describe():
    assert describe_vocabulary({"vehicle": ["car, auto", "bus"]}) == {
        "count": 1,
        "classes": [{"index": 0, "label": "vehicle", "names": [["car", "auto"], ["bus"]]}],
    }
