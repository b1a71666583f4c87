"""Check of labelled images before a training: what its label maps hold, and what cannot be learned from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ahs_seg.data.base import SegmentationDataset
from ahs_seg.data.findings import DataFinding, findings_between, findings_of
from ahs_seg.data.folder import LISTED_FAULTS
from ahs_seg.data.label_statistics import LabelStatistics, count_labels
from ahs_seg.errors import AhsSegError


class DataCheckError(AhsSegError, ValueError):
    """Nothing can be learned from the data; `findings` has the errors, the message has one line for each."""

    def __init__(self, findings: tuple[DataFinding, ...]) -> None:
        lines = [f"  {finding}" for finding in findings]
        super().__init__("\n".join([f"the data cannot be trained with, {len(findings)} found:", *lines]))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was counted in the training data, and in the validation data if there is any, and the findings."""

    training: LabelStatistics
    validation: LabelStatistics | None
    findings: tuple[DataFinding, ...]

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
        """Whether `ahs-seg train` accepts the data: no errors, and every file can be used."""
        parts = [found for found in (self.training, self.validation) if found is not None]
        return not self.errors and not any(found.faults or found.layout for found in parts)

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
            "trainable": self.trainable,
        }

    def __str__(self) -> str:
        tables = [_table(found) for found in (self.training, self.validation) if found is not None]
        lines = [f"{finding.level}: {finding}" for finding in self.findings] or ["nothing found"]
        for found in (self.training, self.validation):
            faults = () if found is None else (*found.layout, *found.faults)
            lines += [f"  {fault}" for fault in faults[:LISTED_FAULTS]]
            if len(faults) > LISTED_FAULTS:
                lines.append(f"  ... and {len(faults) - LISTED_FAULTS} more")
        return "\n\n".join([*tables, "\n".join(lines)])


def check_data(
    dataset: SegmentationDataset,
    validation: SegmentationDataset | None = None,
    *,
    titles: tuple[str, str] = ("training", "validation"),
    limit: int | None = None,
) -> DataCheck:
    """Count what label maps hold, and find classes without a pixel, shifted values, lossy masks and the like.

    At most `limit` samples of each dataset are read, evenly spaced; by default 1000 label maps of a folder, or 32
    samples of a dataset that makes them one by one. `titles` are the names of both in messages.
    """
    training = count_labels(dataset, titles[0], limit=limit)
    found = list(findings_of(training))
    if validation is None:
        return DataCheck(training, None, tuple(found))
    judged = count_labels(validation, titles[1], limit=limit)
    found += [*findings_of(judged), *findings_between(training, judged)]
    return DataCheck(training, judged, tuple(found))


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
