"""The tokenizer of a directory, by the kind of its text tower; a tower without its own tokenizer reads other words."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.pretrained import read_settings
from ahs_seg.backbones.sentencepiece_files import read_pieces
from ahs_seg.backbones.tokenizer import Cleaning, ClipTokenizer, PieceTokenizer, TextRules
from ahs_seg.documents import DocumentError, read_text

TOKENIZER: Final = "tokenizer.json"
MAX_TOKENIZER_BYTES: Final = 256 * 2**20
"""Size of a tokenizer file; that of MetaCLIP 2 holds 900,000 pieces."""
START, END = "<|startoftext|>", "<|endoftext|>"
_FORMER_END: Final = 2
"""`eos_token_id` in files of early versions of `transformers`, whatever the end token is."""
CHINESE_CONTEXT: Final = 52
"""Tokens of a text in the training of Chinese-CLIP; its table has 512 positions."""
ALTCLIP_CONTEXT: Final = 77
"""Tokens of a text of AltCLIP's processor; its table has 514 positions."""
_UNKNOWN: Final = "[UNK]"
_LOST: Final = (
    "without the tokenizer of its training a text tower reads other words. Copy it from the model that this one was "
    "trained from"
)


def clip_tokenizer(directory: Path, text: Any) -> ClipTokenizer:
    """CLIP's tokenizer, for a text tower of this config."""
    tokenizer = read_tokenizer(directory, words=text.vocab_size, context=text.max_position_embeddings)
    if text.eos_token_id not in (tokenizer.rules.end, _FORMER_END, None) and text.eos_token_id < text.vocab_size:
        raise BackboneError(
            f"the tokenizer of {directory} ends texts with token {tokenizer.rules.end}, the text tower with token "
            f"{text.eos_token_id}; it is the tokenizer of another model"
        )
    return tokenizer


def read_tokenizer(directory: Path, *, words: int, context: int) -> ClipTokenizer:
    """CLIP's tokenizer of a directory, for a text tower with `words` token embeddings and `context` positions.

    Raises:
        BackboneError: there is none, it is damaged, or its token ids are not those of the embeddings.
    """
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    if (directory / TOKENIZER).is_file():
        core = _parsed(directory / TOKENIZER)
    elif vocabulary.is_file() and merges.is_file():
        core = _from_merges(vocabulary, merges)
    else:
        raise BackboneError(f"{directory} has no {TOKENIZER}, and no vocab.json with merges.txt; {_LOST}")
    start, end = _special(core, (START, END), directory, "CLIP's")
    _check_ids(core, directory, words)
    return ClipTokenizer(core, context=context, start=start, end=end)


def metaclip_2_tokenizer(directory: Path, text: Any) -> PieceTokenizer:
    """MetaCLIP 2's tokenizer: XLM-V's pieces with their case, or those of mT5 as SigLIP cleans texts for them."""
    core = _pieces(directory)
    start = core.token_to_id("<s>")
    (end,) = _special(core, ("</s>",), directory, "MetaCLIP 2's")
    _check_ids(core, directory, text.vocab_size)
    if text.eos_token_id != end:
        raise BackboneError(
            f"the tokenizer of {directory} ends texts with token {end}, the text tower with token {text.eos_token_id}; "
            "it is the tokenizer of another model"
        )
    cleaning: Cleaning = "none" if start is not None else "canonical"
    pad = core.token_to_id("<pad>")
    rules = TextRules(text.max_position_embeddings, start, end, end if pad is None else pad, cleaning=cleaning)
    return PieceTokenizer(core, rules)


def siglip_tokenizer(directory: Path, text: Any) -> PieceTokenizer:
    """The tokenizer of SigLIP (SentencePiece, padded with the end token) or SigLIP 2 (Gemma, with its own padding)."""
    core = _pieces(directory)
    if core.token_to_id("<eos>") is not None:
        end, pad = _special(core, ("<eos>", "<pad>"), directory, "SigLIP 2's")
    else:
        (end,) = _special(core, ("</s>",), directory, "SigLIP's")
        pad = end
    _check_ids(core, directory, text.vocab_size)
    return PieceTokenizer(
        core, TextRules(text.max_position_embeddings, None, end, pad, padded=True, cleaning="canonical")
    )


def tipsv2_tokenizer(directory: Path, text: Any) -> PieceTokenizer:
    """TIPSv2's tokenizer: pieces of small letters, with nothing around them."""
    if (directory / TOKENIZER).is_file():
        core = _parsed(directory / TOKENIZER)
    elif (directory / "tokenizer.model").is_file():
        core = read_pieces(directory / "tokenizer.model", lower=True)
    else:
        raise BackboneError(f"{directory} has no {TOKENIZER} and no tokenizer.model; {_LOST}")
    (pad,) = _special(core, ("<pad>",), directory, "TIPSv2's")
    _check_ids(core, directory, text.vocab_size)
    return PieceTokenizer(core, TextRules(text.max_position_embeddings, None, None, pad))


def chinese_clip_tokenizer(directory: Path, text: Any) -> PieceTokenizer:
    """Chinese-CLIP's tokenizer, that of a Chinese BERT: `tokenizer.json` or `vocab.txt`."""
    vocabulary = directory / "vocab.txt"
    if (directory / TOKENIZER).is_file():
        core = _parsed(directory / TOKENIZER)
    elif vocabulary.is_file():
        core = _word_pieces(vocabulary)
    else:
        raise BackboneError(f"{directory} has no {TOKENIZER} and no vocab.txt; {_LOST}")
    start, end, pad = _special(core, ("[CLS]", "[SEP]", "[PAD]"), directory, "a BERT's")
    _check_ids(core, directory, text.vocab_size)
    return PieceTokenizer(core, TextRules(min(CHINESE_CONTEXT, text.max_position_embeddings), start, end, pad))


def altclip_tokenizer(directory: Path, text: Any) -> PieceTokenizer:
    """AltCLIP's tokenizer, that of XLM-RoBERTa; its positions begin after the padding id."""
    if not (directory / TOKENIZER).is_file():
        raise BackboneError(f"{directory} has no {TOKENIZER}; {_LOST}")
    core = _parsed(directory / TOKENIZER)
    start, end, pad = _special(core, ("<s>", "</s>", "<pad>"), directory, "XLM-RoBERTa's")
    _check_ids(core, directory, text.vocab_size)
    if text.pad_token_id != pad:
        raise BackboneError(
            f"the tokenizer of {directory} pads texts with token {pad}, the text tower counts positions from token "
            f"{text.pad_token_id}; it is the tokenizer of another model"
        )
    context = min(ALTCLIP_CONTEXT, text.max_position_embeddings - pad - 1)
    return PieceTokenizer(core, TextRules(context, start, end, pad))


def _pieces(directory: Path) -> Tokenizer:
    """The pieces of `tokenizer.json`, or of the SentencePiece model that a repository has instead."""
    if (directory / TOKENIZER).is_file():
        return _parsed(directory / TOKENIZER)
    if (directory / "spiece.model").is_file():
        return read_pieces(directory / "spiece.model")
    raise BackboneError(f"{directory} has no {TOKENIZER} and no spiece.model; {_LOST}")


def _special(core: Tokenizer, words: Collection[str], directory: Path, whose: str) -> list[int]:
    ids = [core.token_to_id(word) for word in words]
    known = [index for index in ids if index is not None]
    if len(known) < len(ids):
        raise BackboneError(f"the tokenizer of {directory} has no {' and '.join(words)}; it is not {whose}")
    return known


def _check_ids(core: Tokenizer, directory: Path, words: int) -> None:
    highest = max(core.get_vocab(with_added_tokens=True).values())
    if highest >= words:
        raise BackboneError(
            f"the tokenizer of {directory} has token ids up to {highest}, the text tower has {words} token embeddings; "
            "it is the tokenizer of another model"
        )


def _parsed(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(read_text(path, MAX_TOKENIZER_BYTES))
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None
    except Exception as error:  # noqa: BLE001  # the library has no exception class of its own
        raise BackboneError(f"{path} is not a tokenizer of the tokenizers library ({error})") from None


def _from_merges(vocabulary: Path, merges: Path) -> Tokenizer:
    from transformers import CLIPTokenizer  # takes half a second, and few directories have no tokenizer.json

    try:
        lines = read_text(merges, MAX_TOKENIZER_BYTES).splitlines()
        pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
        core: Tokenizer = CLIPTokenizer(vocab=read_settings(vocabulary), merges=pairs).backend_tokenizer
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None
    except Exception as error:  # noqa: BLE001  # the library has no exception class of its own
        raise BackboneError(f"{vocabulary} and {merges.name} are not the tokenizer of a CLIP ({error})") from None
    return core


def _word_pieces(path: Path) -> Tokenizer:
    """The tokenizer of a BERT from the list of its word pieces, one a line."""
    try:
        words = read_text(path, MAX_TOKENIZER_BYTES).split("\n")
    except (OSError, DocumentError) as error:
        raise BackboneError(str(error)) from None
    settings = path.parent / "tokenizer_config.json"
    lower = read_settings(settings).get("do_lower_case", True) is not False if settings.is_file() else True
    vocabulary = {word.rstrip("\r"): index for index, word in enumerate(words) if word or index < len(words) - 1}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token=_UNKNOWN))
    core.normalizer = normalizers.BertNormalizer(lowercase=lower)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return core
