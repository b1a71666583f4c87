"""Agreement of labels of exported graphs with those of PyTorch, and their mIoU; also with 8 bits.

    python -m benchmarks.runtime_agreement MODEL [--scenes 300] [--names 150]

MODEL is a directory as `make quickstart` writes it. It is exported first, which takes about a minute; runtimes that are
not installed are left out. Labels are compared on test scenes of the drawn world. Writes
`benchmarks/results/runtime_agreement.json`.
"""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ahs_seg.checkpoints.exporting.sessions import RUNTIMES
from ahs_seg.data.config import WorldData
from ahs_seg.io.provenance import provenance
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from benchmarks.precision import measured
from benchmarks.stored import command_line, store


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--names", type=int, default=150)
    given = parser.parse_args()
    made = provenance().replace(command=("runtime_agreement.py", "MODEL"))
    data = WorldData.parse({"scenes": "test", "count": given.scenes, "names": given.names}).open()
    plain, exact = Segmenter.from_pretrained(given.model, device="cpu"), list[Segmentation]()
    assert plain.description is not None
    rows: list[dict[str, Any]] = [{"program": "PyTorch", **measured(plain, data, "fp32", exact)}]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = {runtime: kind for runtime, (_, kind) in RUNTIMES.items() if find_spec(runtime)}
        plain.export(folder / "exact", tuple(kinds.values()))
        sides = {runtime: (folder / "exact", runtime) for runtime in kinds}
        if "onnx" in kinds.values():
            plain.export(folder / "int8", "onnx", int8=True)
            sides["onnxruntime, image tower in 8 bits"] = (folder / "int8", "onnxruntime")
        for title, (directory, runtime) in sides.items():
            other = Segmenter.from_pretrained(directory, runtime=runtime)  # type: ignore[arg-type]  # a key of RUNTIMES
            rows.append({"program": title, **measured(other, data, "fp32", exact)})
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "method": plain.description.method.name,
        "scenes": given.scenes,
        "names": given.names,
        "rows": rows,
    }
    store("runtime_agreement", result, made)


if __name__ == "__main__":
    main()
