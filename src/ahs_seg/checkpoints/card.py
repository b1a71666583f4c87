"""Model cards: description, usage, and scores with their protocol and provenance."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from ahs_seg.checkpoints.model_dir import CARD, LIBRARY, ModelDescription, read_description
from ahs_seg.io.atomic import write_text
from ahs_seg.io.outside_text import markdown_text, on_one_line
from ahs_seg.io.provenance import Provenance
from ahs_seg.metrics import Scores

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_COLUMNS: Final = {
    "mIoU": "miou",
    "mIoU, predicted too": "miou_with_predicted",
    "fwIoU": "fwiou",
    "mACC": "macc",
    "pACC": "pacc",
    "seen": "seen",
    "unseen": "unseen",
    "harmonic": "harmonic",
}


@runtime_checkable
class Evaluated(Protocol):
    """The fields of an `EvaluationReport` that a model card shows."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def protocol(self) -> str:
        """The inference protocol: how images were resized and split into views, and outputs merged."""

    @property
    def images(self) -> int:
        """Number of evaluated images."""

    @property
    def scores(self) -> Scores:
        """The scores, in [0, 1]."""

    @property
    def provenance(self) -> Provenance:
        """Versions, hardware and commit of the measurement."""


def write_card(
    directory: Path | str,
    reports: Sequence[Evaluated] = (),
    *,
    title: str | None = None,
    licence: str | None = None,
    description: ModelDescription | None = None,
) -> Path:
    """Write the model card `README.md` into a model directory and return its path.

    `title` is the name of the repository on the hub. `description` is that of the directory (None: it is read from
    there; for a method of your own pass the result of `read_description`).
    """
    target = Path(directory)
    description = description or read_description(target)
    text = model_card(description, reports, title=title or target.resolve().name, licence=licence)
    write_text(target / CARD, text)
    return target / CARD


def model_card(
    description: ModelDescription, reports: Sequence[Evaluated] = (), *, title: str, licence: str | None = None
) -> str:
    """The model card as Markdown with the YAML header of the hub; every score has its dataset and protocol.

    `licence` is a licence identifier of the hub such as "apache-2.0"; None: the card states no licence.
    """
    heading = markdown_text(title.rpartition("/")[2])
    sections = [_header(description, reports, title, licence), f"# {heading}", _summary(description), _usage(title)]
    if reports:
        sections += ["## Scores", _table(reports), _measured(reports)]
    if description.trained_on:
        names = ", ".join(map(markdown_text, description.trained_on))
        sections += [f"## Trained with {len(description.trained_on)} class names", names]
    return "\n\n".join(sections) + "\n"


def _header(description: ModelDescription, reports: Sequence[Evaluated], title: str, licence: str | None) -> str:
    from huggingface_hub import ModelCardData  # takes a while, and only cards need it

    data = ModelCardData(
        library_name=LIBRARY,
        license=licence,
        pipeline_tag="image-segmentation",
        tags=["open-vocabulary", "semantic-segmentation", description.method.name],
        base_model=_base(description),
        model_name=title.rpartition("/")[2],
        eval_results=[_result(report) for report in reports] or None,
    )
    return f"---\n{data.to_yaml()}\n---"


def _result(report: Evaluated) -> EvalResult:
    from huggingface_hub import EvalResult  # as above

    return EvalResult(
        task_type="image-segmentation",
        dataset_type=re.sub(r"\W+", "-", report.dataset).strip("-").lower(),
        dataset_name=report.dataset,
        metric_type="mean_iou",
        metric_name=f"mIoU ({report.protocol})",
        metric_value=report.scores.miou,
    )


def _base(description: ModelDescription) -> str | None:
    source = description.method.backbone.source
    return source if re.fullmatch(r"openai/[\w.-]+", source) else None


def _summary(description: ModelDescription) -> str:
    method = description.method
    paper = " ".join((type(method).__doc__ or "").split("\n")[0].split())
    clip = _base(description)
    backbone = f"{clip} at {method.backbone.resolution} pixels" if clip else "a CLIP of its own"
    return (
        f"Open-vocabulary semantic segmentation: name classes in plain words, get a label for every pixel. Method "
        f"`{method.name}`: {paper} Backbone: {backbone}. {_trained(description)}"
    )


def _trained(description: ModelDescription) -> str:
    training = description.origin
    if training is None:
        return "What images it was trained on is not recorded."
    return f"Trained on: {markdown_text(str(training))}."


def _usage(title: str) -> str:
    in_python, in_shell = json.dumps(on_one_line(title), ensure_ascii=False), shlex.quote(on_one_line(title))
    fence = "`" * (1 + max(map(len, re.findall("`+", title)), default=0))
    return f"""## Use

`pip install git+https://github.com/ahs-seg/ahs-seg` (it is not on PyPI yet), then

```python
from ahs_seg import Segmenter

segmenter = Segmenter.from_pretrained({in_python})
segmentation = segmenter("photo.jpg", "cat, sofa, lamp")
```

or {fence}ahs-seg segment photos/ --model {in_shell} --classes "cat, sofa, lamp"{fence}.
Loading the model executes no code from its files."""


def _table(reports: Sequence[Evaluated]) -> str:
    used = {title: key for title, key in _COLUMNS.items() if any(getattr(r.scores, key) is not None for r in reports)}
    lines = [f"| data | protocol | images | {' | '.join(used)} |", "|---|---|---:|" + "---:|" * len(used)]
    for report in reports:
        numbers = " | ".join(_percent(getattr(report.scores, key)) for key in used.values())
        lines.append(
            f"| {markdown_text(report.dataset)} | {markdown_text(report.protocol)} | {report.images} | {numbers} |"
        )
    return "\n".join(lines)


def _percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.2f}"


def _measured(reports: Sequence[Evaluated]) -> str:
    notes = [
        "Percent. mIoU is the mean over classes that the ground truth contains; the second column also counts classes "
        "that were only predicted. Seen classes are those whose name equals a class name of the training."
    ]
    places = dict.fromkeys(_place(report.provenance) for report in reports)
    return "\n".join(notes + [f"Measured with {place}." for place in places])


def _place(origin: Provenance) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    hardware = ", ".join(str(origin.hardware[key]) for key in ("processor", "gpu") if key in origin.hardware)
    return f"{versions} on {hardware}" + (f", commit {origin.commit}" if origin.commit else "")
