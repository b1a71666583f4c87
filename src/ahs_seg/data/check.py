"""Check of labelled images before a training: what its label maps hold, and what cannot be learned from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.findings import DataFinding, findings_between, findings_of
from ahs_seg.data.folder import LISTED_FAULTS, FolderDataset
from ahs_seg.data.label_statistics import MAX_SAMPLES, LabelStatistics, count_labels
from ahs_seg.errors import AhsSegError
from ahs_seg.vocabulary.notices import notice

_ABOUT_VALUES: Final = frozenset(["black-and-white", "starts-at-1", "no-name", "nothing-labelled", "lossy"])


class DataCheckError(AhsSegError, ValueError):
    """Nothing can be learned from the data; `findings` has the errors, the message has one line for each."""

    def __init__(self, findings: tuple[DataFinding, ...]) -> None:
        lines = [f"  {finding}" for finding in findings]
        super().__init__("\n".join([f"the data cannot be trained with, {len(findings)} found:", *lines]))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was counted in the training data, and in the validation data if there is any, and the findings.

    `refused` are the problems of files for which `ahs-seg train` refuses a folder, one line each; other datasets leave
    such images out.
    """

    training: LabelStatistics
    validation: LabelStatistics | None
    findings: tuple[DataFinding, ...]
    refused: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[DataFinding, ...]:
        """Findings that make training useless."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[DataFinding, ...]:
        """Findings that cost accuracy."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    @property
    def trainable(self) -> bool:
        """Whether `ahs-seg train` accepts the data: no errors, and every file of a folder can be used."""
        return not self.errors and not self.refused

    def raise_errors(self) -> None:
        """Raise the errors, if there are any.

        Raises:
            DataCheckError: there are.
        """
        if self.errors:
            raise DataCheckError(self.errors)

    def to_dict(self) -> dict[str, Any]:
        """All counts and findings, ready for JSON."""
        parts = {"training": self.training, "validation": self.validation}
        return {
            **{part: None if found is None else _plain(found) for part, found in parts.items()},
            "findings": [asdict(finding) for finding in self.findings],
            "refused": list(self.refused),
            "trainable": self.trainable,
        }

    def __str__(self) -> str:
        parts = [found for found in (self.training, self.validation) if found is not None]
        lines = [f"{finding.level}: {finding}" for finding in self.findings]
        if self.refused:
            lines.append(f"error: {len(self.refused):,} faults of files, for which `ahs-seg train` refuses the data")
        counted = [fault for found in parts for fault in (*found.layout, *found.faults)]
        faults = list(dict.fromkeys([*self.refused, *counted]))
        lines += [f"  {fault}" for fault in faults[:LISTED_FAULTS]]
        if len(faults) > LISTED_FAULTS:
            lines.append(f"  ... and {len(faults) - LISTED_FAULTS} more")
        return "\n\n".join([*map(_table, parts), "\n".join(lines or ["nothing found"])])


def check_data(
    dataset: SegmentationDataset,
    validation: SegmentationDataset | None = None,
    *,
    titles: tuple[str, str] = ("training", "validation"),
    limit: int | None = None,
) -> DataCheck:
    """Count what label maps hold, and find classes without a pixel, shifted values, lossy masks and the like.

    At most `limit` samples of each dataset are read, evenly spaced; by default 1000 label maps of a folder, or 32
    samples of a dataset that makes them one by one. `titles` are the names of both in messages. Images are not decoded
    where label maps are files of their own; `file_faults` reads everything.
    """
    training = count_labels(dataset, titles[0], limit=limit)
    found = list(findings_of(training))
    if validation is None:
        return DataCheck(training, None, tuple(found), _refused(dataset, training))
    judged = count_labels(validation, titles[1], limit=limit)
    found += [*findings_of(judged), *findings_between(training, judged)]
    refused = (*_refused(dataset, training), *_refused(validation, judged))
    return DataCheck(training, judged, tuple(found), refused)


def tell_findings(dataset: SegmentationDataset, title: str) -> None:
    """Say what some label maps of a folder show of values that mean something else than what is read from them."""
    if isinstance(dataset, FolderDataset):
        for finding in findings_of(count_labels(dataset, title, limit=MAX_SAMPLES)):
            if finding.code in _ABOUT_VALUES:
                notice(str(finding))


def check_files(*datasets: SegmentationDataset | None) -> None:
    """Read every file of the datasets that are folders; other datasets leave out what cannot be used.

    Raises:
        FolderError: files of a folder are missing, damaged or do not fit together; see `FolderDataset.check`.
    """
    for dataset in datasets:
        if isinstance(dataset, FolderDataset):
            dataset.check()


def file_faults(*datasets: SegmentationDataset) -> tuple[str, ...]:
    """The problems for which `check_files` refuses datasets, one line each, after reading every file."""
    return tuple(fault for one in datasets if isinstance(one, FolderDataset) for fault in one.faults())


def _refused(dataset: SegmentationDataset, found: LabelStatistics) -> tuple[str, ...]:
    return (*found.layout, *found.faults) if isinstance(dataset, FolderDataset) else ()


def _plain(found: LabelStatistics) -> dict[str, Any]:
    values = asdict(found)
    classes = zip(found.classes, found.pixels, found.maps, strict=True)
    values["classes"] = [{"name": name, "pixels": pixels, "maps": maps} for name, pixels, maps in classes]
    return {key: value for key, value in values.items() if key not in ("pixels", "maps")}


def _table(found: LabelStatistics) -> str:
    total = sum(found.pixels) + found.unlabelled + sum(found.outside.values())
    rows = [*zip(found.classes, found.pixels, found.maps, strict=True)]
    width = max(len("(without a class)"), *(len(name) for name in found.classes))
    lines = [f"{found.title}: {found.extent}", f"{'class':{width}}  {'pixels':>15}  {'share':>7}  {'maps':>7}"]
    lines += [
        f"{name:{width}}  {pixels:>15,}  {pixels / max(total, 1):>7.2%}  {maps:>7,}" for name, pixels, maps in rows
    ]
    lines.append(f"{'(without a class)':{width}}  {found.unlabelled:>15,}  {found.unlabelled / max(total, 1):>7.2%}")
    return "\n".join(lines)
