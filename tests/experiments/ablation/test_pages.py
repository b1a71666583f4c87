"""A table's page, figures and markdown say what the statistics say."""

import re

from ahs_seg.experiments.ablation.markdown import markdown
from ahs_seg.experiments.ablation.pages import render_table, summary
from tests.support.ablation import losses, table
from tests.support.reports import Checker


def test_verdicts_of_clear_effects(found) -> None:
    verdicts = {row.name: {one.verdict for one in row.differences.values()} for row in found.compared}
    assert verdicts == {"nothing": {"unresolved"}, "better": {"resolved"}, "worse": {"resolved"}}
    text = summary(found)
    assert re.match(r"Resolved as better than H-CLIP: better \(all \+\d", text)
    assert "worse than H-CLIP: worse (all -" in text
    assert text.endswith("4 of 12 differences are unresolved.")


def test_the_page_is_whole_and_escaped(found) -> None:
    page = render_table(found, losses([row.name for row in found.rows]))
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "What &lt;parts&gt; are worth" in page
    assert "&lt;out of memory&gt;" in page
    assert page.count("<svg") == 4  # each for a wide page and for a phone
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", page)
    assert "#070809" not in page
    assert page.count("currentColor") > 10


def test_a_table_of_the_baseline_alone_has_a_page() -> None:
    alone = table({"H-CLIP": 0.0})
    page = render_table(alone, losses(["H-CLIP"]))
    assert "H-CLIP alone: nothing is compared." in page
    assert page.count("<svg") == 0
    assert markdown(alone).startswith("# What")
