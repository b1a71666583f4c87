"""`import ahs_seg` shows everything a user needs, imports nothing, and is all that the documentation imports."""

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import FunctionType

import pytest

import ahs_seg

ROOT = Path(__file__).parents[1]
FACE = ast.parse(Path(ahs_seg.__file__).read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
SEGMENT = """Segmenter Segmentation Vocabulary known_vocabularies lint_vocabulary diff_vocabularies PromptConfig
    InferenceConfig TextCache WholeImage SlidingWindows ImageWindows TileConfig segment_files BatchConfig BatchSummary
    ModelSource Exporter ExportItem open_format IDENTITY_CALIBRATION register_pipeline
    AhsSegModel AhsSegPipeline AhsSegProcessor"""
TRAIN = """train ExperimentResult Experiment run_experiment AblationOptions run_ablation Recipe OptimizerConfig
    Augmentation Resize Crop ColourJitter Sample SegmentationDataset FolderDataset WorldDataset check_data IGNORE
    CocoData CvatData LabelStudioData ColouredData HubData TrainingCallback TrainingProgress"""
MEASURE = "evaluate EvaluationReport merge_reports EvaluationJob evaluate_model find_protocol own_protocol"
METHODS = """CatSegConfig HClipConfig AhsSegConfig AhsSegLiteConfig HpsSegConfig ScanConfig EBSegConfig ZeroShotConfig
    ClipConfig Orthogonal Attention Frozen Full"""
EXTEND = "AhsSegError Method BaseMethodConfig Output Tuner TunerConfig DatasetConfig"
MODELS = "ModelDescription load_model read_description save_model write_card push_to_hub KNOWN_CHECKPOINTS"
PUBLIC = {"__version__", *" ".join((SEGMENT, TRAIN, MEASURE, METHODS, EXTEND, MODELS)).split()}
"""A new public name is a promise: write it here, too."""


def test_the_public_names_are_these() -> None:
    assert set(ahs_seg.__all__) == PUBLIC
    assert len(ahs_seg.__all__) == len(PUBLIC)
    assert dir(ahs_seg) == sorted(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(ahs_seg, name)
    if isinstance(value, type | FunctionType):
        assert value.__name__ == name
        assert value.__doc__


def test_type_checkers_see_what_is_imported_at_run_time() -> None:
    (checked,) = (node for node in FACE.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(imported) == PUBLIC - {"__version__"}
    for name, module in imported.items():
        assert getattr(importlib.import_module(module or ""), name) is getattr(ahs_seg, name)


def test_another_name_is_an_error_that_lists_the_public_ones() -> None:
    with pytest.raises(AttributeError, match=r"no 'Segmentor'.*Segmenter"):
        _ = ahs_seg.Segmentor


def test_the_version_is_that_of_the_installed_package() -> None:
    assert ahs_seg.__version__ == metadata.version("ahs-seg")


def test_importing_the_package_imports_no_other() -> None:
    program = (
        "import sys, time; before = set(sys.modules); began = time.process_time(); import ahs_seg\n"
        "assert time.process_time() - began < 0.2\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - {'ahs_seg'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) <= sys.stdlib_module_names


def python_in(path: Path) -> Iterator[str]:
    """The Python code of a page or a notebook, block by block."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        yield from ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    else:
        yield from re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL)


def private_uses(code: str) -> Iterator[str]:
    """What code takes of the package beside its public names."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ahs_seg":
            if node.module != "ahs_seg":
                yield f"from {node.module} import"
            yield from (alias.name for alias in node.names if alias.name not in PUBLIC)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ahs_seg."))
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ahs_seg" and node.attr not in PUBLIC:
            yield ast.unparse(node)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documentation_imports_only_public_names(path: Path) -> None:
    assert [use for code in python_in(path) for use in private_uses(code)] == []
    text = re.sub(r"`ahs_seg\.[\w.]+:[\w.]+`", "", path.read_text(encoding="utf-8"))  # constants in a table of limits
    prose = re.findall(r"(?<![\w./])ahs_seg\.(\w+)", text)
    assert [name for name in prose if name not in PUBLIC and name not in ("json", "md", "png", "py", "yaml")] == []


@pytest.mark.parametrize(
    "code",
    ["from ahs_seg.io import images", "import ahs_seg.io", "from ahs_seg import io", "import ahs_seg\nahs_seg.io"],
)
def test_the_check_of_documentation_finds(code: str) -> None:
    assert list(private_uses(code))
