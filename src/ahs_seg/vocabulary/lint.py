"""Checks of a class list for errors and doubtful names, and a comparison of two class lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jaxtyping import Float
from torch import Tensor

from ahs_seg.vocabulary.class_list import items_of
from ahs_seg.vocabulary.class_name import with_full_labels
from ahs_seg.vocabulary.class_texts import ClassItem
from ahs_seg.vocabulary.twins import entries_of
from ahs_seg.vocabulary.vocabulary import ClassName, ClassSource, Vocabulary, VocabularyError

Level = Literal["error", "warning", "note"]
BACKGROUND: Final = frozenset(["background", "other", "others", "void", "nothing", "unlabeled", "unlabelled", "rest"])
NEAR: Final = 0.95
"""Cosine similarity of two text embeddings at or above which the names count as near-duplicates."""
LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about a class list: an error makes it unusable, a warning may cost accuracy, a note is information.

    `line` is the number of the line in a file, or of the class in other lists, starting at 1 (None: the finding
    concerns the whole list).
    """

    level: Level
    code: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        return f"{self.level}: {place}{self.message} [{self.code}]"


@dataclass(frozen=True, slots=True)
class LintReport:
    """Result of checking a class list of `classes` lines: the findings, and the checks that were not possible."""

    source: str
    classes: int
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the list has no errors."""
        return all(finding.level != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All fields as a dictionary, ready for JSON."""
        return {**asdict(self), "usable": self.usable}


@dataclass(frozen=True, slots=True)
class VocabularyDiff:
    """Difference of two class lists: labels in only one of them, labels in both, common labels with different names."""

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    common: tuple[str, ...]
    reworded: tuple[tuple[str, str, str], ...]

    @property
    def equal(self) -> bool:
        """Whether both lists have the same labels with the same names, in any order."""
        return not (self.only_first or self.only_second or self.reworded)

    def to_dict(self) -> dict[str, Any]:
        """All fields as a dictionary, ready for JSON."""
        return {**asdict(self), "equal": self.equal}


@dataclass(frozen=True, slots=True)
class LintModel:
    """Model-dependent inputs of the check: prompt length, text embeddings, training classes (`Segmenter.lint_model()`).

    `too_long` returns an error message for a class whose prompts exceed the context length of the text encoder (None:
    they fit), `features` one unit-length text embedding per class; `trained_on` are the names of the training classes
    (empty: not known).
    """

    too_long: Callable[[ClassName], str | None]
    features: Callable[[Vocabulary], Float[Tensor, "t d"]]
    trained_on: tuple[str, ...] = ()


def lint_vocabulary(source: Path | str, model: LintModel | None = None, *, near: float = NEAR) -> LintReport:
    """Report of all errors and doubtful names in a class list: a file, a known vocabulary, or the names themselves.

    With a model, the report also covers names too long for its text encoder, names with nearly equal text embeddings (a
    cosine similarity of `near` or more), and classes the model was trained on.

    Raises:
        VocabularyError: the file cannot be read, or a single word is nearly the name of a known vocabulary or a file.
    """
    found = items_of(source)
    findings, entries = _spelling(found.items)
    findings += [Finding("note", "blank", number, "is blank and left out") for number in found.blank]
    findings += [Finding("warning", "numbers", None, text) for text in found.notices]
    unchecked: tuple[str, ...] = ("near-duplicates, length in tokens and training classes: give a model",)
    if model is not None and entries:
        fitting, long = _fitting(entries, model)
        findings += [*long, *_near_duplicates(fitting, model, near), *_trained(entries, model)]
        unchecked = () if model.trained_on else ("training classes: the model does not say which they were",)
    order = sorted(findings, key=lambda one: (one.line is None, one.line or 0))
    return LintReport(str(source), len(found.items), tuple(order), unchecked)


def diff_vocabularies(first: ClassSource, second: ClassSource) -> VocabularyDiff:
    """Common and differing classes of two class lists; upper and lower case are not distinguished."""
    one, two = _by_label(first), _by_label(second)
    common = [key for key in one if key in two]
    return VocabularyDiff(
        only_first=tuple(entry.label for key, entry in one.items() if key not in two),
        only_second=tuple(entry.label for key, entry in two.items() if key not in one),
        common=tuple(one[key].label for key in common),
        reworded=tuple(
            (one[key].label, "; ".join(one[key].names), "; ".join(two[key].names))
            for key in common
            if _folded(one[key]) != _folded(two[key])
        ),
    )


def _by_label(source: ClassSource) -> dict[str, ClassName]:
    return {entry.label.casefold(): entry for entry in Vocabulary.parse(source).entries}


def describe_vocabulary(source: ClassSource) -> dict[str, Any]:
    """Classes of a list with their names and synonyms, ready for JSON."""
    vocabulary = Vocabulary.parse(source)
    return {
        "count": len(vocabulary),
        "classes": [
            {"index": index, "label": entry.label, "names": [list(words) for words in entry.synonyms]}
            for index, entry in enumerate(vocabulary.entries)
        ],
    }


_Entry = tuple[int, ClassName]


def _spelling(items: Sequence[ClassItem]) -> tuple[list[Finding], list[_Entry]]:
    """Findings that need no model, and the items that are valid classes."""
    findings: list[Finding] = []
    valid: list[ClassItem] = []
    for item in items:
        if item.names is None and not item.text.strip():
            findings.append(
                Finding("error", "blank", item.number, "is blank; every class needs a name. Remove the line.")
            )
            continue
        try:
            item.entry()
        except VocabularyError as error:
            findings.append(Finding("error", "name", item.number, str(error)))
        else:
            valid.append(item)
    found, merged = entries_of(valid)
    entries = with_full_labels(found)
    findings += [Finding("warning", "twin", valid[index].number, text) for index, text in merged]
    numbered = list(
        zip([item.number for index, item in enumerate(valid) if index not in dict(merged)], entries, strict=True)
    )
    if not numbered:
        findings.append(Finding("error", "empty", None, "there are no classes; give one a line."))
        return findings, numbered
    findings += _duplicates(numbered)
    labels = {entry.label.casefold() for entry in entries}
    if len(entries) == 1:
        message = (
            f"{entries[0].label!r} is the only class, so it gets every pixel of every image. Name what else is in the "
            "images, or add 'background'."
        )
        findings.append(Finding("warning", "single", None, message))
    elif not labels & BACKGROUND:
        message = (
            "no background class: every pixel is assigned one of these classes, even where none fits. Add 'background' "
            "or names of what else is in the images, unless these classes cover all of it."
        )
        findings.append(Finding("note", "no-background", None, message))
    return findings, numbered


def _duplicates(entries: Sequence[_Entry]) -> Iterator[Finding]:
    labels = Counter(entry.label.casefold() for _, entry in entries)
    lines: dict[str, int] = {}
    for number, entry in entries:
        words = entry.words
        if labels[entry.label.casefold()] > 1 and len(words) == 1 and entry.label.casefold() in lines:
            where = lines[entry.label.casefold()]
            yield Finding("error", "duplicate", number, f"{entry.label!r} is also line {where}; keep one of them.")
        else:
            for word in words:
                if (where := lines.get(_plain(word), lines.get(word.casefold(), number))) != number:
                    yield Finding(
                        "warning", "shared-name", number, f"{word!r} is also a name of line {where}; they compete."
                    )
        for word in words:
            lines.setdefault(word.casefold(), number)
            lines.setdefault(_plain(word), number)


def _fitting(entries: Sequence[_Entry], model: LintModel) -> tuple[list[_Entry], list[Finding]]:
    """Classes whose prompts fit the text encoder, and one finding for each class that does not fit."""
    fitting, long = [], []
    for number, entry in entries:
        message = model.too_long(entry)
        if message is None:
            fitting.append((number, entry))
        else:
            long.append(Finding("error", "too-long", number, message))
    return fitting, long


def _near_duplicates(entries: Sequence[_Entry], model: LintModel, near: float) -> Iterator[Finding]:
    """Findings for pairs of classes with nearly equal text embeddings; compared block by block to bound memory."""
    single = list({entry.label.casefold(): (number, entry) for number, entry in reversed(entries)}.values())[::-1]
    if not single:
        return
    text = model.features(Vocabulary(tuple(entry for _, entry in single)))
    for start in range(0, len(text), 256):
        for row, column in (text[start : start + 256] @ text.T >= near).nonzero().tolist():
            first, second = start + row, column
            (where, one), (number, other) = single[first], single[second]
            if first < second:
                cosine = float(text[first] @ text[second])
                message = (
                    f"{other.label!r} has nearly the embedding of {one.label!r} (line {where}): cosine {cosine:.3f}"
                )
                yield Finding("warning", "near-duplicate", number, message)


def _trained(entries: Sequence[_Entry], model: LintModel) -> Iterator[Finding]:
    if not (names := model.trained_on):
        return
    trained = {word for name in names for word in _folded(ClassName.parse(name))}
    seen = [entry.label for _, entry in entries if any(word.casefold() in trained for word in entry.words)]
    shown = ", ".join(seen[:LISTED]) + (f" and {len(seen) - LISTED} more" if len(seen) > LISTED else "")
    message = f"{len(seen)} of {len(entries)} classes are among the {len(names)} the model was trained on: {shown}"
    yield Finding("note", "trained", None, message.removesuffix(": "))


def _folded(entry: ClassName) -> list[str]:
    return [word.casefold() for word in entry.words]


def _plain(word: str) -> str:
    """Name in lower case without punctuation, blanks and plural "s", to detect names that differ only in these."""
    joined = "".join(character for character in word.casefold() if character.isalnum())
    return joined.removesuffix("s") if len(joined) > 3 and not joined.endswith("ss") else joined
