"""Tables as Markdown; that the pages show those of the results is a test of `benchmarks.evidence_check`."""

from ahs_seg.experiments.ablation.markdown import by_chance, markdown


def test_markdown_has_every_row_and_both_intervals(found) -> None:
    text = markdown(found)
    better = found.row("better").differences["unseen"]
    value, low = f"**{100 * better.difference:+.1f}**", f"[{100 * better.student.low:+.1f}, "
    line = next(line for line in text.splitlines() if line.startswith("| better | **"))
    assert value in line
    assert low in line
    assert line.count("resolved") == 4
    assert "| H-CLIP | " in text
    assert "1,000,000" in text
    assert "+1,234" in text
    assert "reaches 2.0 points" in text
    assert by_chance(found) == "12 differences at 95 %: some 0.6 intervals miss by chance."
    assert r"full, seed 2 failed: \<out of memory>" in text  # literally, and no markup
