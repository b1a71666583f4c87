"""The report of an import says what became of every key, and what the file did not say."""

from pathlib import Path

from ahs_seg.checkpoints.importing.report import ImportReport

REPORT = ImportReport(
    source=Path("weights/a.pth"),
    kind="clip",
    clip="ViT-B/16",
    settings="12 heads in the image tower, 8 in the text tower, activation gelu",
    mapped={"a": ("x", "y")},
    ignored={f"step.{number}": "a constant" for number in range(5)},
    numbers=1234,
    notes=("2 keys begin with 'module.', which was removed",),
)


def test_it_says_what_no_key_shows() -> None:
    assert str(REPORT).splitlines() == [
        "a.pth: clip on ViT-B/16, 1,234 parameters",
        "  CLIP: 12 heads in the image tower, 8 in the text tower, activation gelu",
        "  2 keys begin with 'module.', which was removed",
        "  mapped: 1 keys, which give every weight of the model",
        "  ignored: a constant: step.0, step.1, step.2 and 2 more",
    ]


def test_the_listing_has_a_line_for_each_key() -> None:
    lines = REPORT.listing().splitlines()
    assert len(lines) == 6
    assert lines[0] == "a -> x y"
    assert lines[1] == "step.0 -> ignored: a constant"
