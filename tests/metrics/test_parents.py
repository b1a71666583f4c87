"""Which classes are broader than others."""

from __future__ import annotations

import json

import pytest

from ahs_seg.metrics import ParentTable, propose_parents
from ahs_seg.metrics.parents import ParentTableError
from ahs_seg.vocabulary.vocabulary import Vocabulary

CHAIRS = ParentTable(source="test", parents={1: (0,)})
"""Class 1, armchair, is a kind of class 0, chair."""


def test_tables_are_read_by_label_or_index_and_by_benchmark(tmp_path):
    words = Vocabulary.parse("chair, armchair, table")
    path = tmp_path / "parents.json"
    for table in ({"armchair": ["chair"]}, {"1": [0]}, {"what": "x", "maps": {"my_rooms": {"1": [0]}, "b": {}}}):
        path.write_text(json.dumps(table))
        assert ParentTable.load(path, words, benchmark="my-rooms").parents == {1: (0,)}
    with pytest.raises(ParentTableError, match="no table for 'other'; there are my-rooms, b"):
        ParentTable.load(path, words, benchmark="other")
    path.write_text(CHAIRS.to_json(words))
    assert ParentTable.load(path, words).parents == CHAIRS.parents


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds a list"),
        ('{"armchair": "chair"}', "not a list of classes"),
        ('{"stool": [0]}', "no class 'stool'; allowed are labels and 0..2"),
        ('{"1": [3]}', "no class 3"),
        ('{"armchair": ["chair", 1]}', "'armchair' is its own parent; leave it out of its list"),
        ('{"armchair": ["chair"], "1": []}', r"'1' is class 1 \(armchair\), which is listed twice; join its lists"),
        ('{"1": [0], "01": [2]}', r"'01' is class 1 \(armchair\), which is listed twice"),
        ("{", "not a table of broader classes in JSON"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, message):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ParentTableError, match=message):
        ParentTable.load(tmp_path / "t.json", Vocabulary.parse("chair, armchair, table"))


def test_heads_of_names_are_proposed():
    words = Vocabulary.parse(
        ["chair", "swivel chair, desk chair", "chest", "chest of drawers", "armchair", "traffic light", "light"]
    )
    assert propose_parents(words).parents == {1: (0,), 3: (2,), 5: (6,)}
    bags = Vocabulary.parse(["bag, sack", "bag, handbag"])
    assert propose_parents(bags).parents == {0: (1,), 1: (0,)}
