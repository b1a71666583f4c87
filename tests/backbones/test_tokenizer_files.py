"""The tokenizer of a directory belongs to its text tower, or the message says what does not fit."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import BertTokenizer

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.tokenizer_files import (
    altclip_tokenizer,
    chinese_clip_tokenizer,
    metaclip_2_tokenizer,
    read_tokenizer,
    siglip_tokenizer,
    tipsv2_tokenizer,
)
from tests.support.backbone_kinds import TINY_KINDS, pieces
from tests.support.clip_directories import clip_directory

DATA = Path(__file__).parent / "data"
XLM = ("<s>", "<pad>", "</s>", "<unk>")


def text(**values: Any) -> SimpleNamespace:
    usual = {"vocab_size": 200, "max_position_embeddings": 64, "eos_token_id": 2, "pad_token_id": 1}
    return SimpleNamespace(**{**usual, **values})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return clip_directory(tmp_path / "clip")


def saved(directory: Path, *special: str) -> Path:
    pieces(special).save(str(directory / "tokenizer.json"))
    return directory


@pytest.mark.parametrize(
    ("name", "start", "end", "pad", "context"),
    [
        ("siglip", None, 1, 1, 40),
        ("siglip2", None, 1, 0, 40),
        ("metaclip_2", 0, 2, 1, 40),
        ("chinese_clip", 2, 3, 0, 52),
        ("altclip", 0, 2, 1, 58),
    ],
)
def test_special_tokens_and_context_by_kind(
    tmp_path: Path, name: str, start: int | None, end: int, pad: int, context: int
) -> None:
    saved(tmp_path, *TINY_KINDS[name].special)
    read = {"siglip": siglip_tokenizer, "siglip2": siglip_tokenizer, "metaclip_2": metaclip_2_tokenizer}
    read |= {"chinese_clip": chinese_clip_tokenizer, "altclip": altclip_tokenizer}
    length = {"chinese_clip": 512, "altclip": 60}.get(name, 40)
    tokenizer = read[name](tmp_path, text(max_position_embeddings=length))
    rules = tokenizer.rules
    assert (rules.start, rules.end, rules.pad, rules.context) == (start, end, pad, context)
    assert rules.padded == name.startswith("siglip")
    assert (rules.cleaning == "canonical") == name.startswith("siglip")


def test_tipsv2_has_nothing_around_a_text(tmp_path: Path) -> None:
    tokenizer = tipsv2_tokenizer(saved(tmp_path, "<pad>", "<unk>"), text())
    rules = tokenizer.rules
    assert (rules.start, rules.end, rules.pad, rules.context, rules.padded) == (None, None, 0, 64, False)
    assert tokenizer(["a", "ab"]).ids[0, -1] == 0


def test_tipsv2_reads_small_letters_of_its_sentencepiece_model(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes((DATA / "spiece.model").read_bytes())
    tokenizer = tipsv2_tokenizer(tmp_path, text())
    assert tokenizer(["A Cat"]).ids.tolist() == tokenizer(["a cat"]).ids.tolist()


def test_a_text_of_altclip_has_77_tokens_at_most(tmp_path: Path) -> None:
    assert altclip_tokenizer(saved(tmp_path, *XLM), text(max_position_embeddings=514)).context == 77


def test_metaclip_2_on_the_pieces_of_mt5_begins_with_the_text(tmp_path: Path) -> None:
    tokenizer = metaclip_2_tokenizer(saved(tmp_path, "<pad>", "</s>", "<unk>"), text(eos_token_id=1))
    assert (tokenizer.rules.start, tokenizer.rules.pad, tokenizer.rules.cleaning) == (None, 0, "canonical")


def test_a_sentencepiece_model_is_a_tokenizer_and_is_saved_as_one(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes((DATA / "spiece.model").read_bytes())
    first = siglip_tokenizer(tmp_path, text())
    ids = json.loads((DATA / "spiece.json").read_text(encoding="utf-8"))["A photo of a Cat."]
    assert first(["A photo of a Cat."]).ids[0].tolist() == ids + [1] * (64 - len(ids))
    first.save(tmp_path)
    (tmp_path / "spiece.model").unlink()
    assert siglip_tokenizer(tmp_path, text()).fingerprint == first.fingerprint


@pytest.mark.parametrize("lower", [True, False])
def test_a_list_of_word_pieces_is_read_as_bert_reads_it(tmp_path: Path, lower: bool) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "猫", "狗", "a", "cat", "##s", "##fe", "ca", "Cat", "é", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    vocabulary = {word: index for index, word in enumerate(words)}
    expected = BertTokenizer(vocab=vocabulary, do_lower_case=lower)
    tokenizer = chinese_clip_tokenizer(tmp_path, text())
    for prompt in ("一只猫和a狗", "Cats.", "cafe é", "猫猫"):
        assert tokenizer([prompt]).ids[0].tolist() == expected(prompt).input_ids, prompt


@pytest.mark.parametrize(
    ("read", "special", "values", "message"),
    [
        (siglip_tokenizer, ("[CLS]", "[UNK]"), {}, "has no </s>; it is not SigLIP's"),
        (siglip_tokenizer, XLM, {"vocab_size": 30}, "token ids up to 40, the text tower has 30"),
        (metaclip_2_tokenizer, XLM, {"eos_token_id": 3}, "ends texts with token 2, the text tower with token 3"),
        (metaclip_2_tokenizer, ("<s>", "<unk>"), {}, "has no </s>"),
        (altclip_tokenizer, XLM, {"pad_token_id": 0}, "pads texts with token 1, .*from token 0"),
        (altclip_tokenizer, ("<s>", "</s>", "<unk>"), {}, "has no .*<pad>; it is not XLM-RoBERTa's"),
        (tipsv2_tokenizer, ("<unk>",), {}, "has no <pad>; it is not TIPSv2's"),
        (chinese_clip_tokenizer, XLM, {}, r"has no \[CLS\] and \[SEP\] and \[PAD\]; it is not a BERT's"),
    ],
)
def test_the_tokenizer_of_another_model_is_refused(
    tmp_path: Path, read: Any, special: tuple[str, ...], values: dict[str, int], message: str
) -> None:
    with pytest.raises(BackboneError, match=message):
        read(saved(tmp_path, *special), text(**values))


@pytest.mark.parametrize(
    ("name", "files"),
    [("siglip", "no spiece.model"), ("metaclip_2", "no spiece.model"), ("chinese_clip", "no vocab.txt")],
)
def test_without_any_tokenizer_its_files_are_named(tmp_path: Path, name: str, files: str) -> None:
    readers = {"siglip": siglip_tokenizer, "metaclip_2": metaclip_2_tokenizer, "chinese_clip": chinese_clip_tokenizer}
    with pytest.raises(BackboneError, match=rf"has no tokenizer\.json and {files}; without the tokenizer"):
        readers[name](tmp_path, text())
    with pytest.raises(BackboneError, match=r"has no tokenizer\.json; without the tokenizer"):
        altclip_tokenizer(tmp_path, text())
    with pytest.raises(BackboneError, match=r"has no tokenizer\.json and no tokenizer\.model"):
        tipsv2_tokenizer(tmp_path, text())


def test_a_tokenizer_that_is_not_clips_is_refused(tmp_path: Path) -> None:
    Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BackboneError, match=r"has no <\|startoftext\|>"):
        read_tokenizer(tmp_path, words=1, context=10)


def test_token_ids_beyond_the_embeddings_are_refused(directory: Path) -> None:
    with pytest.raises(BackboneError, match="token ids up to 258, the text tower has 258 token embeddings"):
        read_tokenizer(directory, words=258, context=10)


def test_vocabulary_and_merges_are_a_tokenizer(directory: Path) -> None:
    core = json.loads((directory / "tokenizer.json").read_text())
    (directory / "vocab.json").write_text(json.dumps(core["model"]["vocab"]))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    expected = read_tokenizer(directory, words=259, context=10)
    (directory / "tokenizer.json").unlink()
    found = read_tokenizer(directory, words=259, context=10)
    assert expected.rules == found.rules
