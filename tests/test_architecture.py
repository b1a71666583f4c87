"""The direction of imports and the rules of the house, read from the source without running it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import ahs_seg
from ahs_seg.cli import app

ROOT = Path(ahs_seg.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LINES = 300
FUNCTION_LINES = 50

# Lines of the layout, from the parts to the commands. A unit (a file or a folder of the package) imports from lines
# above its own; within its line only what is named here.
LAYOUT: list[dict[str, set[str]]] = [
    {
        "types": set(),
        "config": set(),
        "files": set(),
        "progress": set(),
        "palette": {"types"},
        "provenance": {"config"},
        "configs": {"config"},
        "templates": set(),
        "vocabulary": set(),
        "overlap": {"config", "vocabulary"},
        "prompts": {"config", "templates", "vocabulary"},
    },
    {"layers": set(), "backbones": {"layers"}, "tuners": {"backbones"}, "heads": {"layers"}, "losses": {"layers"}},
    {"methods": set()},
    {
        "merging": set(),
        "proposals": {"merging"},
        "windows": set(),
        "inference": {"merging", "proposals", "windows"},
        "tiling": {"inference", "merging", "windows"},
        "protocols": {"inference", "windows"},
        "metrics": set(),
        "ranking": {"inference", "merging"},
        "data": set(),
        "checkpoints": {"calibration", "inference", "metrics"},
        "legend": set(),
        "formats": {"data", "legend"},
        "calibration": {"data"},
        "html_view": {"formats"},
        "segmentation": {"calibration", "data", "formats", "html_view"},
        "answering": {"calibration", "inference", "ranking", "segmentation"},
        "text_store": set(),
        "text_cache": {"text_store"},
        "wording": {"inference", "text_cache"},
    },
    {
        "segmenter": set(),
        "pipeline": {"segmenter"},
        "evaluation": set(),
        "report": {"evaluation"},
        "suite": {"evaluation", "report", "segmenter"},
        "batch": {"segmenter"},
        "wordlists": {"segmenter"},
        "training": {"evaluation", "report", "segmenter"},
        "ablation": {"evaluation", "report", "segmenter", "suite", "training"},
    },
    {"demo": set(), "cli": {"demo"}},
]
STRANGERS = {("data", "methods"), ("methods", "data")}
ONLY_IN = {
    "lightning": {"training"},
    "tensorboard": {"training"},
    "typer": {"cli"},
    "gradio": {"demo"},
    "jinja2": {"report"},
    "rasterio": {"formats", "batch"},
    "av": {"batch"},
    "ray": {"batch"},
}
NEVER = {"torchvision", "timm", "open_clip", "detectron2", "mmcv", "cv2", "joblib", "dill", "shelve", "marshal"}
# Some files of others are pickles. These files read them without executing anything, and say how.
READERS = {"checkpoints/pickles.py", "checkpoints/torchscript.py", "data/prepare/pickles.py"}
FORBIDDEN_CALLS = {"pickle.load", "pickle.loads", "pickle.Unpickler", "torch.jit.load", "torch.hub.load"}
FORBIDDEN_CALLS |= {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
UNSAFE_OPTIONS = ("allow_pickle", "trust_remote_code")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def unit_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that a file imports, at its top or inside its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def allowed_units() -> dict[str, set[str]]:
    above: set[str] = set()
    result = {}
    for line in LAYOUT:
        for unit, beside in line.items():
            assert beside <= line.keys(), f"{unit}: {beside - line.keys()} stand on another line"
            result[unit] = (above | beside) - {other for one, other in STRANGERS if one == unit}
        above |= line.keys()
    return result


def test_every_file_has_its_place_in_the_layout() -> None:
    assert {unit_of(path) for path in FILES} - {"__init__"} == set(allowed_units())


def test_imports_point_up_the_layout() -> None:
    faults = []
    for path in FILES:
        allowed = allowed_units().get(unit_of(path), set()) | {unit_of(path), "__version__"}
        modules = [module.split(".") for module in imports_of(parsed(path)) if module.split(".")[0] == "ahs_seg"]
        faults += [f"{name_of(path)} imports {unit}" for unit in {module[1] for module in modules} - allowed]
    assert not faults


def test_optional_packages_stay_in_their_folder() -> None:
    faults = [
        f"{name_of(path)} imports {package}"
        for path in FILES
        for package in {module.split(".")[0] for module in imports_of(parsed(path))}
        if package in NEVER or unit_of(path) not in ONLY_IN.get(package, {unit_of(path)})
    ]
    assert not faults


def test_nothing_executes_on_load() -> None:
    faults = []
    for path in FILES:
        tree, reader = parsed(path), name_of(path) in READERS
        if not reader and {"pickle", "pickletools"} & {module.split(".")[0] for module in imports_of(tree)}:
            faults.append(f"{name_of(path)} imports pickle")
        faults += [f"{name_of(path)}: {fault}" for fault in call_faults(tree, reader=reader)]
    assert not faults


def call_faults(tree: ast.AST, *, reader: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if function in FORBIDDEN_CALLS:
                yield function
            if function == "torch.load" and not (reader and options.get("weights_only") == "True"):
                yield "torch.load"
            yield from (f"{name}={options[name]}" for name in UNSAFE_OPTIONS if options.get(name, "False") != "False")
            if function.endswith(".load_state_dict") and options.get("strict", "True") != "True":
                yield "load_state_dict that is not strict"


@pytest.mark.parametrize(
    "line",
    ["pickle.load(f)", "torch.load(f)", "eval(t)", "yaml.load(t)", "np.load(f, allow_pickle=True)"],
)
def test_the_check_of_calls_finds(line: str) -> None:
    assert list(call_faults(ast.parse(line), reader=False))


def test_the_only_unpickler_chooses_its_classes_itself() -> None:
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases):
                assert name_of(path) in READERS
                assert "find_class" in {item.name for item in node.body if isinstance(item, ast.FunctionDef)}


def test_a_file_is_one_idea() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*FILES, *TESTS.rglob("*.py")]}
    assert {str(path): count for path, count in lengths.items() if count > LINES} == {}
    assert not [path for path in lengths if path.name == "utils.py"]


def test_functions_fit_on_a_page() -> None:
    functions = [
        (f"{name_of(path)}: {node.name}", length_of(node))
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
    ]
    assert [name for name, length in functions if length > FUNCTION_LINES] == []


def length_of(function: ast.FunctionDef) -> int:
    """Lines of the body below the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("command", ["", *typer.main.get_command(app).commands])
def test_help_is_instant(command: str) -> None:
    program = (
        "import sys\n"
        "from ahs_seg.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'lightning', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    words = [sys.executable, "-c", program, *command.split(), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
