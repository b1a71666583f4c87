"""Time and memory of one CAT-Seg forward pass that aggregates all classes of a large vocabulary.

    python -m benchmarks.all_classes [--classes 847 10000]

CAT-Seg at ViT-B/16 size, generated weights, text cached, one thread. By default a method keeps the 256 most similar
classes; this measures the cost of keeping all. Writes `benchmarks/results/all_classes.json`.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F

from benchmarks.cost_family import build
from benchmarks.measure import measure
from benchmarks.stored import command_line, store


@torch.no_grad()
def main() -> None:
    """Measure each vocabulary size once and write the JSON file."""
    parser = command_line(__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[847, 10_000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    method, image, rows = build(), torch.rand(1, 3, 384, 384), []
    method.keep = None
    method(image, F.normalize(torch.randn(20, 1, 512), dim=-1))
    for classes in options.classes:
        text = F.normalize(torch.randn(classes, 1, 512), dim=-1)
        result = measure(partial(method, image, text))
        rows.append({"classes": classes, "seconds": round(result.seconds, 1), "peak_mib": round(result.peak_mib)})
        print(rows[-1], flush=True)
    store("all_classes", {"forward": rows})


if __name__ == "__main__":
    main()
