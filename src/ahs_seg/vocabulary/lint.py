"""Checking and comparing class lists: what is wrong with one, and what tells two apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jaxtyping import Float
from torch import Tensor

from ahs_seg.vocabulary.vocabulary import ClassName, ClassSource, Vocabulary, VocabularyError, known_vocabularies

Level = Literal["error", "warning", "note"]
BACKGROUND: Final = frozenset(["background", "other", "others", "void", "nothing", "unlabeled", "unlabelled", "rest"])
NEAR: Final = 0.95
"""Cosine of the embeddings of two names from which they count as near-duplicates."""
LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: an error makes the list unusable, a warning may cost accuracy, a note is to know.

    `line` counts from 1, in a file as its editor does (None: the list as a whole).
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
    """What was found in a class list of `classes` lines, and what could not be checked."""

    source: str
    classes: int
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return all(finding.level != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {**asdict(self), "usable": self.usable}


@dataclass(frozen=True, slots=True)
class VocabularyDiff:
    """Labels that only one of two lists has, those that both have, and those of these whose words differ."""

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    common: tuple[str, ...]
    reworded: tuple[tuple[str, str, str], ...]

    @property
    def equal(self) -> bool:
        """Whether both have the same labels with the same words, in whatever order."""
        return not (self.only_first or self.only_second or self.reworded)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {**asdict(self), "equal": self.equal}


@dataclass(frozen=True, slots=True)
class LintModel:
    """What a model can say about class names; `Segmenter.lint_model()` makes one.

    `too_long` gives the message for a class whose prompts do not fit the text tower (None: they fit), `features` a unit
    vector for every class, `trained_on` the names of the training classes (empty: not known).
    """

    too_long: Callable[[ClassName], str | None]
    features: Callable[[Vocabulary], Float[Tensor, "t d"]]
    trained_on: tuple[str, ...] = ()


def lint_vocabulary(source: Path | str, model: LintModel | None = None, *, near: float = NEAR) -> LintReport:
    """Everything that is wrong or doubtful in a file of class names (or a known vocabulary), all at once.

    With a model also what depends on it: names too long for its tokenizer, names whose embeddings nearly coincide (a
    cosine of `near` or more), and classes it was trained on.

    Raises:
        VocabularyError: the file cannot be read.
    """
    lines = list(_lines(source))
    findings, entries = _spelling(lines)
    unchecked: tuple[str, ...] = ("near-duplicates, length in tokens and training classes: give a model",)
    if model is not None and entries:
        fitting, long = _fitting(entries, model)
        findings += [*long, *_near_duplicates(fitting, model, near), *_trained(entries, model)]
        unchecked = () if model.trained_on else ("training classes: the model does not say which they were",)
    order = sorted(findings, key=lambda one: (one.line is None, one.line or 0))
    return LintReport(str(source), len(lines), tuple(order), unchecked)


def diff_vocabularies(first: ClassSource, second: ClassSource) -> VocabularyDiff:
    """What two class lists have in common and what not; capitals do not count."""
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
    """The classes of a list with their names and synonyms, as JSON takes them."""
    vocabulary = Vocabulary.parse(source)
    return {
        "count": len(vocabulary),
        "classes": [
            {"index": index, "label": entry.label, "names": [list(words) for words in entry.synonyms]}
            for index, entry in enumerate(vocabulary.entries)
        ],
    }


_Line = tuple[int, str]
_Entry = tuple[int, ClassName]


def _lines(source: Path | str) -> Iterator[_Line]:
    if str(source) in known_vocabularies():
        known = Vocabulary.known(str(source)).entries
        yield from enumerate((f"{entry.label} = {'; '.join(entry.names)}" for entry in known), start=1)
        return
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VocabularyError(
            f"{source}: not a readable list of classes (utf-8 text), nor a known one ({error}); known are "
            f"{', '.join(known_vocabularies())}"
        ) from None
    yield from ((n, line) for n, line in enumerate(text.rstrip().splitlines(), start=1) if not line.startswith("#"))


def _spelling(lines: Sequence[_Line]) -> tuple[list[Finding], list[_Entry]]:
    """What can be said without a model, and the lines that are classes."""
    findings: list[Finding] = []
    entries: list[_Entry] = []
    for number, line in lines:
        if not line.strip():
            findings.append(Finding("error", "blank", number, "is blank; every class needs a name. Remove the line."))
            continue
        try:
            entries.append((number, ClassName.parse(line)))
        except VocabularyError as error:
            findings.append(Finding("error", "name", number, str(error)))
    if not entries:
        findings.append(Finding("error", "empty", None, "there are no classes; give one a line."))
        return findings, entries
    findings += _duplicates(entries)
    labels = {entry.label.casefold() for _, entry in entries}
    if not labels & BACKGROUND:
        message = (
            "no word for background: every pixel gets one of these classes, however little it fits. Add 'background' "
            "or names of what else is in the pictures, unless these classes cover all of it."
        )
        findings.append(Finding("note", "no-background", None, message))
    return findings, entries


def _duplicates(entries: Sequence[_Entry]) -> Iterator[Finding]:
    labels = Counter(entry.label.casefold() for _, entry in entries)
    lines: dict[str, int] = {}
    for number, entry in entries:
        words = [word for name in entry.synonyms for word in name]
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
    """The classes that the tokenizer takes, and a finding for each of the others."""
    fitting, long = [], []
    for number, entry in entries:
        message = model.too_long(entry)
        if message is None:
            fitting.append((number, entry))
        else:
            long.append(Finding("error", "too-long", number, message))
    return fitting, long


def _near_duplicates(entries: Sequence[_Entry], model: LintModel, near: float) -> Iterator[Finding]:
    """Pairs of classes, some rows at a time: a list of thousands has millions of pairs."""
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
                message = f"{other.label!r} is nearly {one.label!r} (line {where}) to the model: cosine {cosine:.3f}"
                yield Finding("warning", "near-duplicate", number, message)


def _trained(entries: Sequence[_Entry], model: LintModel) -> Iterator[Finding]:
    if not (names := model.trained_on):
        return
    trained = {word for name in names for word in _folded(ClassName.parse(name))}
    seen = [entry.label for _, entry in entries if any(word.casefold() in trained for word in _words(entry))]
    shown = ", ".join(seen[:LISTED]) + (f" and {len(seen) - LISTED} more" if len(seen) > LISTED else "")
    message = f"{len(seen)} of {len(entries)} classes are among the {len(names)} the model was trained on: {shown}"
    yield Finding("note", "trained", None, message.removesuffix(": "))


def _words(entry: ClassName) -> list[str]:
    return [word for name in entry.synonyms for word in name]


def _folded(entry: ClassName) -> list[str]:
    return [word.casefold() for word in _words(entry)]


def _plain(word: str) -> str:
    """A name without capitals, hyphens and the s of a plural: what differs only in these is one thing."""
    joined = "".join(character for character in word.casefold() if character.isalnum())
    return joined.removesuffix("s") if len(joined) > 3 and not joined.endswith("ss") else joined
