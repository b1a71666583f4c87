"""Training-free segmentation on the test scenes of the method tables, at the prompts that the methods use.

    python -m benchmarks.baselines [--scenes 300] [--others 30]

The forms of `experiments.quickstart.BASELINES` with the packaged tiny CLIP, with one template and with the 14 of
`vild`, on the scenes of the quickstart: 150 names, and the other vocabularies. Nothing is random. Writes
`benchmarks/results/baselines.json`.
"""

from __future__ import annotations

import json
from typing import Any

from ahs_seg.data.config import WorldData
from ahs_seg.data.world.names import seen_names
from ahs_seg.evaluation import evaluate
from ahs_seg.experiments.quickstart import BASELINES, OTHER_VOCABULARIES
from ahs_seg.io.provenance import provenance
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from benchmarks.stored import command_line, store

PROMPTS = (PromptConfig(), PromptConfig(templates="vild"))


def rows_of(name: str, prompts: PromptConfig, scenes: int, others: int) -> list[dict[str, Any]]:
    """The scores of a form on every vocabulary."""
    segmenter, rows = Segmenter(BASELINES[name].build(), prompts=prompts), []
    for names in (150, *OTHER_VOCABULARIES):
        dataset = WorldData(scenes="test", count=scenes if names == 150 else others, names=names).open()
        found = evaluate(
            segmenter.predictor(dataset.vocabulary),
            dataset,
            method=name,
            name=f"world-{names}",
            protocol=segmenter.inference.title,
            seen=seen_names(),
            progress=False,
        ).scores
        scores = {key: getattr(found, key) for key in ("miou", "seen", "unseen", "harmonic")}
        texts = len(prompts.texts)
        rows.append({"form": name, "templates": texts, "names": names, "scenes": len(dataset), "scores": scores})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--others", type=int, default=30)
    given = parser.parse_args()
    made = provenance()
    rows = [
        row for name in BASELINES for prompts in PROMPTS for row in rows_of(name, prompts, given.scenes, given.others)
    ]
    store("baselines", {"rows": rows}, made)


if __name__ == "__main__":
    main()
