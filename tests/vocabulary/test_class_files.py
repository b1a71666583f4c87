"""Class lists in the files of other tools."""

from pathlib import Path

import pytest

from ahs_seg.documents import MAX_DOCUMENT_BYTES, MAX_YAML_BYTES
from ahs_seg.vocabulary.class_files import HOLDERS, READERS, document_items, mapping_items, read_items, table_items
from ahs_seg.vocabulary.class_name import VocabularyError

THREE = {
    "plain.txt": "cat\nsofa\nlamp\n",
    "bom.txt": "\ufeffcat\r\nsofa\r\nlamp\r\n",
    "darknet.names": "cat\nsofa\nlamp",
    "one.csv": "cat\nsofa\nlamp\n",
    "row.csv": "cat,sofa,lamp\n",
    "header.csv": "id,name\n0,cat\n1,sofa\n2,lamp\n",
    "excel.csv": "\ufeffid;name;colour\r\n2;lamp;red\r\n0;cat;blue\r\n1;sofa;green\r\n",
    "camvid.csv": "name,r,g,b\ncat,64,128,64\nsofa,192,0,128\nlamp,0,128,192\n",
    "label.csv": "label,name\n0,cat\n1,sofa\n2,lamp\n",
    "numbers.csv": "0,cat\n1,sofa\n2,lamp\n",
    "quoted.csv": '# comment\nname\n"cat"\n\n"sofa"\n"lamp"\n',
    "table.tsv": "index\tclass\n0\tcat\n1\tsofa\n2\tlamp\n",
    "list.json": '["cat", "sofa", "lamp"]',
    "hf.json": '{"model_type": "segformer", "id2label": {"2": "lamp", "0": "cat", "1": "sofa"}}',
    "label2id.json": '{"label2id": {"cat": 0, "lamp": 2, "sofa": 1}}',
    "coco.json": '{"images": [], "categories": [{"id": 2, "name": "sofa"}, {"id": 1, "name": "cat"}, '
    '{"id": 3, "name": "lamp"}]}',
    "ids.json": '{"0": "cat", "1": "sofa", "2": "lamp"}',
    "ours.json": '{"classes": ["cat", "sofa", "lamp"]}',
    "list.yaml": "- cat\n- sofa # a comment\n- lamp\n",
    "yolo.yaml": "path: x\nnc: 3\nnames:\n  0: cat\n  1: sofa\n  2: lamp\n",
    "old.yml": "names: [cat, sofa, lamp]\ntrain: a\n",
    "numbered.yaml": "0: cat\n1: sofa\n2: lamp\n",
    "UPPER.JSON": '["cat", "sofa", "lamp"]',
}


@pytest.mark.parametrize("name", THREE)
def test_every_file_of_three_classes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(THREE[name].encode())
    found = read_items(path)
    assert [item.entry().label for item in found.items] == ["cat", "sofa", "lamp"]
    assert found.notices == ()


def test_names_and_synonyms() -> None:
    found = table_items("sofa,couch\nlamp,\n", "a.csv")
    assert [item.entry().synonyms for item in found.items] == [(("sofa", "couch"),), (("lamp",),)]
    ade = table_items("Idx,Ratio,Name\n1,0.1,wall\n2,0.1,building;edifice\n", "ade.csv")
    assert [item.entry().names for item in ade.items] == [("wall",), ("building", "edifice")]
    assert "do not begin with 0" in ade.faults[0]
    mapped = document_items({"vehicle": ["car", "bus"], "sky": "sky, heaven"}, "a.json")
    assert [item.entry().names for item in mapped.items] == [("car", "bus"), ("sky, heaven",)]
    nested = document_items([["sofa", "couch"], "lamp"], "a.yaml")
    assert [(item.entry().label, item.entry().names) for item in nested.items] == [
        ("sofa", ("sofa", "couch")),
        ("lamp", ("lamp",)),
    ]


def test_a_line_break_between_quotes_is_a_blank() -> None:
    for ending in ("\n", "\r\n", "\r"):
        found = table_items(f'name,x{ending}"traffic{ending}light" ,1{ending}"cat",2', "a.csv")
        assert [(item.entry().label, item.number) for item in found.items] == [("traffic light", 3), ("cat", 4)]


@pytest.mark.parametrize("text", ["", "\n", ",,\n", '"#a"\n', '"",""'])
def test_a_table_without_words_has_no_classes(text: str) -> None:
    assert table_items(text, "a.csv").items == ()


def test_a_mapping_of_python() -> None:
    assert [item.text for item in mapping_items({1: "sofa", 0: "cat"}, "classes").items] == ["cat", "sofa"]
    assert "have gaps" in mapping_items({0: "cat", 7: "sofa"}, "classes").notices[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not readable as JSON"),
        ("a.json", "7", "holds a int; class names are a list, a mapping"),
        ("a.json", '["cat", 3]', r"item 2 is 3 \(int\); a class name is a text"),
        ("a.json", '{"names": {"0": "cat", "00": "dog"}}', "names: two classes have the number 0"),
        ("a.json", '{"categories": [{"id": 1}]}', "categories, item 1 has no name; give it under one of name"),
        ("a.json", '{"cat": 1.5}', "is not a label with its name"),
        ("a.json", '{"cat": [1]}', "'cat' has the name 1"),
        ("a.json", "[" * 200 + "]" * 200, "levels deep"),
        ("a.yaml", "- !!python/object:os.system x", "not plain yaml"),
        ("a.yaml", "- no\n- yes", r"item 1 is False \(bool\)"),
        ("a.csv", "name,x\n,y\n", "line 2 is blank"),
        ("a.csv", 'name\n"cat\ndog\n', r"a\.csv: a quote is opened and not closed"),
        ("a.csv", 'name\ncat\n"dog', "a quote is opened and not closed"),
        ("a.csv", f"cat\n{'9' * 5000},dog\n", "a number has 5,000 digits; numbers of classes have 18 at most"),
        ("a.csv", f"id,name\n{'9' * 5000},dog\n", "a number has 5,000 digits"),
        ("a.txt", b"caf\xe9", "not a readable list of classes .utf-8 text."),
    ],
)
def test_wrong_files_are_explained(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(VocabularyError, match=message):
        [item.entry() for item in read_items(path).items][99]  # none has so many


@pytest.mark.parametrize(("name", "limit"), [("a.txt", MAX_DOCUMENT_BYTES), ("a.csv", MAX_DOCUMENT_BYTES)])
def test_sizes_are_compared_with_limits(name: str, limit: int, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(limit + 1)
    with pytest.raises(VocabularyError, match=f"has more than {limit:,} bytes"):
        read_items(tmp_path / name)


def test_yaml_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- " + "x" * MAX_YAML_BYTES)
    with pytest.raises(VocabularyError, match="YAML may have"):
        read_items(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text(
        "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{n}: [*b, *b]\n" for n in range(2000))
    )
    with pytest.raises(VocabularyError, match="expand to more than"):
        read_items(tmp_path / "a.yaml")


def test_what_is_read_is_listed() -> None:
    assert {".txt", ".names", ".csv", ".tsv", ".json", ".yaml", ".yml"} == set(READERS)
    assert HOLDERS[0] == "id2label"
