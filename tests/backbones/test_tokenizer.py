"""The byte-pair tokenizer of CLIP."""

from tests.support.builders import byte_tokenizer


def test_tokenizer_cleans_and_pads() -> None:
    tokens = byte_tokenizer()(["  A &amp;amp;  B ", "a"])
    assert tokens.ids.shape == (2, 7)
    assert tokens.ends.tolist() == [6, 2]
    assert tokens.ids[1, 3:].tolist() == [0] * 4
    same = byte_tokenizer()(["a & b"])
    assert same.ids.tolist() == tokens.ids[:1].tolist()
