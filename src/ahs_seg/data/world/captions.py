"""Captions of drawn things: phrases with synonyms and dropped attributes, and whole sentences."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ahs_seg.data.world.names import COLOURS, SHAPES, STUFF, SYNONYMS, TEXTURES, Thing

SYNONYM_PROBABILITY: Final = 0.25
DROP_PROBABILITY: Final = 0.15
_NOUNS: Final = ("thing", "object", "shape")
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "stuff": STUFF,
    "colour": tuple(COLOURS),
    "texture": TEXTURES,
    "shape": SHAPES,
}
_SENTENCES: Final = (
    "a photo of a {} in the scene",
    "a photo of a {}",
    "a picture of a {}",
    "a {}",
    "{}",
    "there is a {} in the scene",
    "a photo of the {}",
    "an image of a {}",
)


class Phrase(NamedTuple):
    """Phrase for one thing or stuff, and the attributes it states (`None` for attributes it does not mention)."""

    text: str
    stuff: str | None
    colour: str | None
    texture: str | None
    shape: str | None

    def may_be(self, other: Phrase) -> bool:
        """Whether both phrases may describe the same thing."""
        if self.stuff is not None or other.stuff is not None:
            return self.stuff == other.stuff
        pairs = ((self.colour, other.colour), (self.texture, other.texture), (self.shape, other.shape))
        return all(a is None or b is None or a == b for a, b in pairs)


def phrase(name: Thing | str, rng: np.random.Generator, *, vary: float = 1.0) -> Phrase:
    """Random phrase for a thing or stuff; `vary` scales how often a synonym is used or an attribute dropped."""
    if isinstance(name, str):
        return Phrase(_word(name, rng, vary), name, None, None, None)
    dropped = rng.random(3) < DROP_PROBABILITY * vary * np.array([1.0, 1.0, 0.4])
    if dropped.all():
        dropped[0] = False
    words = [None if drop else _word(word, rng, vary) for word, drop in zip(name, dropped, strict=True)]
    if dropped[2]:
        words[2] = _NOUNS[rng.integers(len(_NOUNS))]
    stated = [None if drop else word for word, drop in zip(name, dropped, strict=True)]
    return Phrase(" ".join(word for word in words if word), None, *stated)


def hard_negative(item: Phrase, rng: np.random.Generator) -> Phrase:
    """Hard negative of a phrase: one of its attributes is replaced by a different value."""
    stated = [kind for kind in _KINDS if getattr(item, kind) is not None]
    kind = stated[rng.integers(len(stated))]
    old = getattr(item, kind)
    others = [word for word in _KINDS[kind] if word != old]
    new = others[rng.integers(len(others))]
    spelled = old if f" {old} " in f" {item.text} " else SYNONYMS[old]
    return item._replace(text=f" {item.text} ".replace(f" {spelled} ", f" {new} ").strip(), **{kind: new})


def sentence(text: str, rng: np.random.Generator) -> str:
    """Caption sentence from a random template, filled with a phrase."""
    return _SENTENCES[rng.integers(len(_SENTENCES))].format(text)


def caption(thing: Thing, kind: str, rng: np.random.Generator) -> str:
    """Caption of a photograph with one thing on one kind of stuff."""
    return sentence(f"{phrase(thing, rng).text} on {phrase(kind, rng).text}", rng)


def sample_captions(count: int, seed: int, things: list[Thing]) -> list[str]:
    """Random captions, used to train a tokenizer."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(things), size=count), rng.integers(len(STUFF), size=count)
    return [caption(things[thing], STUFF[kind], rng) for thing, kind in zip(*picks, strict=True)]


def _word(word: str, rng: np.random.Generator, vary: float) -> str:
    return SYNONYMS[word] if rng.random() < SYNONYM_PROBABILITY * vary else word
