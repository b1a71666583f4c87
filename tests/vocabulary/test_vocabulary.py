from pathlib import Path
from typing import Any

import pytest

from ahs_seg.vocabulary.notices import notice
from ahs_seg.vocabulary.vocabulary import (
    ClassName,
    Vocabulary,
    VocabularyError,
    VocabularyRow,
    background_names,
    known_vocabularies,
    warn_of_single_class,
)
from tests.support.shape_checks import unchecked

SIZES = {
    "ade20k-150": 150,
    "ade20k-847": 847,
    "coco-stuff-171": 171,
    "pascal-context-459": 459,
    "pascal-context-59": 59,
    "pascal-voc-20": 20,
    "pascal-voc-20b": 21,
}

# Classes of ADE20K-847 with the same first synonym, as recorded from CAT-Seg's list.
ADE_COLLISIONS = {
    "bag": (114, 191, 252),
    "pot": (130, 188),
    "basket": (137, 371),
    "screen": (147, 153),
    "pier": (174, 255),
    "control panel": (208, 768),
    "pipe": (214, 412),
    "grill": (229, 663),
    "patio": (235, 280),
}


def test_every_source_gives_the_same_vocabulary(tmp_path: Path):
    file = tmp_path / "classes.txt"
    file.write_text("\ufeff# a comment\ncat\n  sofa \nlamp\n\n", encoding="utf-8")
    expected = Vocabulary((ClassName("cat", ("cat",)), ClassName("sofa", ("sofa",)), ClassName("lamp", ("lamp",))))
    sources: list[Any] = [
        "cat, sofa, lamp",
        "cat\nsofa\r\nlamp\n",
        ["cat", " sofa", "lamp"],
        ("cat", "sofa", "lamp"),
        (name for name in ("cat", "sofa", "lamp")),
        {"cat": "cat", "sofa": ["sofa"], "lamp": ("lamp",)},
        file,
        str(file),
        expected,
    ]
    assert [Vocabulary.parse(source) for source in sources] == [expected] * len(sources)
    assert len({Vocabulary.parse("cat, sofa, lamp"), expected}) == 1
    assert expected.labels == ["cat", "sofa", "lamp"]
    assert len(expected) == 3


def test_synonyms_and_shared_labels():
    lines = ["sofa, couch", "vehicle = car, automobile; bus", "lamp"]
    vocabulary = Vocabulary.parse(lines)
    assert vocabulary == Vocabulary.parse("\n".join(lines))
    assert vocabulary.labels == ["sofa", "vehicle", "lamp"]
    assert vocabulary.entries[1].synonyms == (("car", "automobile"), ("bus",))
    assert vocabulary == Vocabulary.parse(
        {"sofa": "sofa, couch", "vehicle": ["car, automobile", "bus"], "lamp": "lamp"}
    )
    firsts = [
        VocabularyRow(0, ("sofa",)),
        VocabularyRow(1, ("car",)),
        VocabularyRow(1, ("bus",)),
        VocabularyRow(2, ("lamp",)),
    ]
    assert vocabulary.rows("first") == firsts
    means = [
        VocabularyRow(0, ("sofa", "couch")),
        VocabularyRow(1, ("car", "automobile")),
        VocabularyRow(1, ("bus",)),
        VocabularyRow(2, ("lamp",)),
    ]
    assert vocabulary.rows("mean") == means
    words = ["sofa", "couch", "car", "automobile", "bus", "lamp"]
    assert [row.words for row in vocabulary.rows("max")] == [(word,) for word in words]
    assert [row.class_index for row in vocabulary.rows("max")] == [0, 0, 1, 1, 1, 2]


def test_known_vocabularies_have_their_sizes():
    assert {name: len(Vocabulary.known(name)) for name in known_vocabularies()} == SIZES
    assert Vocabulary.parse(" pascal-voc-20 ") == Vocabulary.known("pascal-voc-20")


def test_known_vocabularies_keep_the_order_of_the_benchmarks():
    assert Vocabulary.known("ade20k-150").labels[:8] == [
        *("wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed"),
    ]
    coco = Vocabulary.known("coco-stuff-171").labels
    assert (coco[0], coco[79], coco[80], coco[170]) == ("person", "toothbrush", "banner", "wood")
    voc = Vocabulary.known("pascal-voc-20b")
    assert voc.labels == [*Vocabulary.known("pascal-voc-20").labels, "background"]
    names = {name for entry in voc.entries for name in entry.names}
    assert names == set(Vocabulary.known("pascal-context-59").labels)


def test_collisions_of_ade_847():
    vocabulary = Vocabulary.known("ade20k-847")
    assert vocabulary.collisions("first") == ADE_COLLISIONS
    assert vocabulary.collisions("mean") == {}
    assert len(set(vocabulary.labels)) == 847
    assert [vocabulary.labels[index] for index in (114, 252)] == ["bag", "bag, handbag, pocketbook, purse"]


def test_collisions_follow_the_rule():
    vocabulary = Vocabulary.parse("seat = chair, sofa\nsofa, couch\nsettee = Couch, sofa\nlamp")
    assert vocabulary.collisions("first") == {}
    assert vocabulary.collisions("mean") == {"sofa, couch": (1, 2)}
    assert vocabulary.collisions("max") == {"sofa": (0, 1, 2), "couch": (1, 2)}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "list is empty.*at least one"),
        ("  \n", "list is empty"),
        ([], "list is empty"),
        ({}, "list is empty"),
        ("cat,, sofa", "name 2 is blank"),
        ("cat;; sofa", "name 2 is blank"),
        (["cat", "  "], "item 2 is blank"),
        (["sofa, , couch"], r"'sofa' has a blank name"),
        (["= car"], "'' has a blank name"),
        (["car ="], "'car' has a blank name"),
        ({"car": []}, "'car' has a blank name"),
        ({"": "car"}, "'' has a blank name"),
        (["cat", "Sofa", "cat", "sofa"], "2 label.*'cat', 'sofa'.*one entry"),
        (["cat", "sofa, Sofa"], "'sofa' lists the name 'Sofa' more than once"),
        ("vehicle = car; bus, truck, vehicle = tram", "1 label.*'vehicle'"),
        (["cat", 3], r"item 2 is 3 \(int\)"),
        (7, "given as int.*give a text"),
        (b"cat", r"item 1 is 99 \(int\)"),
        ({"cat": 3.5}, "'cat': 3.5 is not a label"),
        ({1.5: "cat"}, "1.5: 'cat' is not a label"),
        ({1: "cat", "1": "dog"}, "two classes have the number 1"),
        ({"cat": [None]}, "'cat' has the name None"),
        ("missing.txt", "missing.txt: not a readable list.*no such file"),
    ],
)
def test_bad_names_are_explained(source, message):
    with unchecked(), pytest.raises(VocabularyError, match=message):
        Vocabulary.parse(source)


def test_bad_files_are_explained(tmp_path: Path):
    file = tmp_path / "classes.txt"
    file.write_text("cat\n\nsofa\n")
    with pytest.raises(VocabularyError, match=r"classes\.txt, line 2 is blank"):
        Vocabulary.read(file)
    file.write_text("# nothing else\n")
    with pytest.raises(VocabularyError, match="list is empty"):
        Vocabulary.read(file)
    file.write_bytes(b"caf\xe9\n")
    with pytest.raises(VocabularyError, match="utf-8"):
        Vocabulary.read(file)


def test_unknown_vocabulary_lists_the_known():
    with pytest.raises(VocabularyError, match=r"'ade'.*ade20k-150, ade20k-847"):
        Vocabulary.known("ade")


def test_upper_case_names_of_known_lists():
    assert Vocabulary.parse("ADE20K-150") == Vocabulary.known("ade20k-150")
    assert Vocabulary.known("Pascal_VOC_20") == Vocabulary.known("pascal-voc-20")


def test_twins_are_merged_with_a_notice(caplog):
    notice.cache_clear()
    assert Vocabulary.parse(["caf\u00e9", "cat", "cafe\u0301"]).labels == ["caf\u00e9", "cat"]
    assert len(caplog.messages) == 1
    assert "item 3" in caplog.text
    assert "U+0301" in caplog.text


def test_numbers_of_a_mapping_are_the_order():
    assert Vocabulary.parse({1: "sofa", 0: "cat"}).labels == ["cat", "sofa"]
    assert Vocabulary.parse({"cat": 1, "sofa": 0}).labels == ["sofa", "cat"]


def test_a_list_for_label_maps_has_no_doubtful_positions(tmp_path: Path):
    path = tmp_path / "classes.txt"
    for text, message in {
        "0: cat\n2: dog\n": "have gaps",
        "1: cat\n2: dog\n": "do not begin with 0",
        "cat\nc\u200bat\n": "looks like the class of",
    }.items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(VocabularyError, match=message):
            Vocabulary.read(path)
        assert len(Vocabulary.parse(path)) <= 2
    path.write_text("0: cat\n1: dog\n")
    assert Vocabulary.read(path).labels == Vocabulary.read(str(path)).labels == ["cat", "dog"]
    path.write_text("sofa, couch\n")
    assert Vocabulary.read(path).labels == ["sofa"]


def test_lists_add_up(caplog):
    notice.cache_clear()
    joined = Vocabulary.join(["cat, dog", ["Dog, puppy", "lamp"], "pascal-voc-20"])
    assert joined.labels[:3] == ["cat", "dog", "lamp"]
    assert len(joined) == 3 + 20 - 2
    assert joined.entries[1].names == ("dog",)
    assert "taken once: Dog, cat, dog" in caplog.text
    with pytest.raises(VocabularyError, match="list is empty"):
        Vocabulary.join([])


def test_a_single_class_is_warned_of(caplog):
    notice.cache_clear()
    warn_of_single_class(Vocabulary.parse("cat, dog"))
    warn_of_single_class(Vocabulary.parse("cat").with_background(["wall"]))
    assert caplog.messages == []
    warn_of_single_class(Vocabulary.parse("cat"))
    assert "every pixel will be 'cat'" in caplog.text
    assert "--background" in caplog.text


def test_background_names():
    assert background_names("wall，floor;".rstrip(";")) == ["wall", "floor"]
    with pytest.raises(VocabularyError, match="blank name"):
        background_names("wall,,floor")
    assert Vocabulary.parse("cat, dog").with_background(["wall", "floor"]).labels == ["cat", "dog", "background"]
    for vocabulary, names in (("cat, dog", "wall"), ("cat, background", ["wall"])):
        with pytest.raises(VocabularyError, match="give a list of names"):
            Vocabulary.parse(vocabulary).with_background(names)


def test_every_synonym_has_a_row_of_its_own_if_the_best_one_counts():
    rows = Vocabulary.parse(["cat, kitten, tomcat", "dog"]).rows("max")
    assert [(row.words, row.class_index) for row in rows] == [
        (("cat",), 0),
        (("kitten",), 0),
        (("tomcat",), 0),
        (("dog",), 1),
    ]
    joined = Vocabulary.parse(["cat, kitten", "dog"]).rows("joined")
    assert [(row.class_index, row.words) for row in joined] == [(0, ("cat, kitten",)), (1, ("dog",))]
