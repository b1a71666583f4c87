"""The direction of imports and the rules of the house, read from the source without running it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import typer

import ahs_seg
from ahs_seg.cli import app
from tests.support.import_graph import ORDER, arrows_up, circles, imports_of, room_arrows, room_of
from tests.support.mirror import without_mirror, without_module

pytestmark = pytest.mark.xdist_group("architecture")  # every file is parsed once
ROOT = Path(ahs_seg.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LINES = 300
FUNCTION_LINES = 50
COMMANDS = cast(typer.core.TyperGroup, typer.main.get_command(app)).commands
LOOSE = {"__init__", "__main__", "config", "documents", "errors", "segmenter", "types"}
"""The modules of the layout that are no folders."""

ONLY_IN = {
    "lightning_fabric": {"training"},
    "tensorboard": {"training"},
    "wandb": {"training"},
    "mlflow": {"training"},
    "typer": {"cli"},
    "gradio": {"demo"},
    "jinja2": {"experiments"},
    "rasterio": {"output", "io"},
    "av": {"io"},
    "ray": {"batch"},
    "supervision": {"integrations", "output"},
    "fiftyone": {"integrations"},
    "pandas": {"integrations"},
    "datasets": {"data"},
    "onnx": {"checkpoints"},
    "onnxruntime": {"checkpoints"},
    "openvino": {"checkpoints"},
}
NEVER = {"torchvision", "timm", "open_clip", "detectron2", "mmcv", "cv2", "joblib", "dill", "shelve", "marshal"}
# Some files of others are pickles. These files read them without executing anything, and say how.
READERS = {"io/pickle_scan.py", "io/pickles.py", "checkpoints/importing/torchscript.py", "data/prepare/pickles.py"}
FORBIDDEN_CALLS = {"pickle.load", "pickle.loads", "pickle.Unpickler", "torch.jit.load", "torch.hub.load"}
FORBIDDEN_CALLS |= {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
UNSAFE_OPTIONS = ("allow_pickle", "trust_remote_code")
WRITERS = {
    "io/atomic.py": "the safe writer",
    "io/drafts.py": "the part of the safe writer that puts directories into their place",
    "io/film.py": "FFmpeg writes to a draft of the safe writer",
    "io/journal.py": "appends records, each flushed at once",
    "data/prepare/archives.py": "opens a draft of the safe writer",
    "data/prepare/downloads.py": "grows a partial file that a later call goes on with",
    "experiments/ablation/workers.py": "the log that a child process appends to",
    "output/formats/geotiff.py": "rasterio writes to a draft of the safe writer",
    "training/checkpoint.py": "renames directories: damaged ones, and those about to be removed",
    "training/loggers.py": "appends rows to a table",
}
"""Files that write or rename by themselves, and why."""
RAW_WRITERS = {"os.replace", "os.rename", "shutil.move"}
RAW_WRITERS |= {f"tempfile.{name}" for name in ("NamedTemporaryFile", "mkstemp", "mkdtemp")}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def drawn_arrows() -> dict[tuple[str, str], list[str]]:
    return room_arrows(ROOT)


def test_every_room_has_its_place_in_the_layout() -> None:
    assert {room_of(path, ROOT) for path in FILES} <= {room for line in ORDER for room in line}


def test_no_module_lies_loose_in_the_root() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == LOOSE


def test_imports_point_up_the_layout() -> None:
    assert arrows_up(drawn_arrows()) == []


def test_rooms_form_no_circle() -> None:
    assert circles(drawn_arrows()) == []


@pytest.mark.parametrize(
    ("line", "up"), [("from ahs_seg.cli import app", 1), ("from ahs_seg.types import IGNORE", 0)], ids=["up", "down"]
)
def test_the_check_of_arrows_finds(tmp_path: Path, line: str, up: int) -> None:
    for room in ("types", "data", "cli"):
        (tmp_path / f"{room}.py").write_text(line if room == "data" else "", encoding="utf-8")
    assert len(arrows_up(room_arrows(tmp_path))) == up


def test_the_check_of_circles_finds(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("import ahs_seg.metrics", encoding="utf-8")
    (tmp_path / "metrics.py").write_text("from ahs_seg.tuners import Frozen", encoding="utf-8")
    (tmp_path / "tuners.py").write_text("from ahs_seg import data", encoding="utf-8")
    assert circles(room_arrows(tmp_path)) == [{"data", "metrics", "tuners"}]


def test_optional_packages_stay_in_their_folder() -> None:
    faults = [
        f"{name_of(path)} imports {package}"
        for path in FILES
        for package in {module.split(".")[0] for module in imports_of(parsed(path))}
        if package in NEVER or room_of(path, ROOT) not in ONLY_IN.get(package, {room_of(path, ROOT)})
    ]
    assert not faults


def test_every_module_has_its_tests() -> None:
    assert without_mirror(ROOT, TESTS) == set()


def test_every_test_file_mirrors_a_module() -> None:
    assert without_module(ROOT, TESTS) == set()


def test_the_check_of_mirrors_finds(tmp_path: Path) -> None:
    for file in ("package/a/one.py", "package/a/two.py", "package/a/errors.py", "tests/a/test_one_more.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        code = "class WrongError(ValueError): ..." if file.endswith("errors.py") else "def run():\n    return 1"
        (tmp_path / file).write_text(code, encoding="utf-8")
    (tmp_path / "tests/a/test_two.py").touch()
    (tmp_path / "tests/a/test_three.py").touch()
    assert without_mirror(tmp_path / "package", tmp_path / "tests") == {"a/one.py"}
    assert without_module(tmp_path / "package", tmp_path / "tests") == {"a/test_three.py"}


def test_tests_share_through_support_only() -> None:
    """What two test files need lies in `tests/support`; no file imports from a test file or from a conftest."""
    files = [*TESTS.rglob("*.py"), *(TESTS.parent / "benchmarks").rglob("*.py")]
    faults = [
        f"{path.relative_to(TESTS.parent)} imports {module}"
        for path in files
        for module in imports_of(parsed(path))
        if module.startswith("tests.") and re.search(r"\.(test_\w+|conftest)(\.|$)", module)
    ]
    assert faults == []


def test_tests_fork_through_support_only() -> None:
    """A child that frees what waits for threads of its parent never ends, and its parent waits for it."""
    forks = re.compile(r"\.Process\(|os\.fork\(")
    files = [path for path in TESTS.rglob("*.py") if path != Path(__file__) and forks.search(path.read_text())]
    own = {"campaign/driver.py", "campaign/surroundings.py", "support/programs/killed.py", "mutants/run.py"}
    assert {path.relative_to(TESTS).as_posix() for path in files} == own | {"support/forks.py"}


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


def write_faults(tree: ast.AST) -> Iterator[str]:
    """Calls that open a file for writing, write it in place or give it another name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function, arguments = ast.unparse(node.func), [*node.args[:2], *(keyword.value for keyword in node.keywords)]
        modes = [one.value for one in arguments if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        name = function.rpartition(".")[2]
        opened = name == "open" and any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
        renamed = name in ("replace", "rename") and len(node.args) == 1 and not node.keywords
        if opened or renamed or function in RAW_WRITERS or function.endswith((".write_text", ".write_bytes")):
            yield function


def test_files_are_written_by_the_safe_writer() -> None:
    writers = {name_of(path): faults for path in FILES if (faults := list(write_faults(parsed(path))))}
    assert {name: faults for name, faults in writers.items() if name not in WRITERS} == {}
    assert set(WRITERS) - set(writers) == set(), "no longer needed in the list"


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ('open(path, "w")', 1),
        ('path.open("ab")', 1),
        ('path.open(mode="x", encoding="utf-8")', 1),
        ("path.write_text(text)", 1),
        ("os.replace(a, b)", 1),
        ("draft.replace(path)", 1),
        ('path.open("rb")', 0),
        ('open(path, encoding="utf-8")', 0),
        ('text.replace("a", "b")', 0),
        ("write_text(path, text)", 0),
    ],
)
def test_the_check_of_writing_finds(line: str, count: int) -> None:
    assert len(list(write_faults(ast.parse(line)))) == count


def test_the_only_unpickler_chooses_its_classes_itself() -> None:
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any("Unpickler" in ast.unparse(base) for base in node.bases):
                assert name_of(path) in READERS
                assert "find_class" in {item.name for item in node.body if isinstance(item, ast.FunctionDef)}


def test_configs_are_changed_by_replace_which_validates() -> None:
    files = [*FILES, *TESTS.rglob("*.py"), *(TESTS.parent / "benchmarks").glob("*.py")]
    assert {str(path): lines for path in files if (lines := unchecked_copies(parsed(path)))} == {}
    assert unchecked_copies(ast.parse("a.replace(b=1)\na.model_copy()\na.model_copy(update={'b': 1})")) == [3]


def unchecked_copies(tree: ast.AST) -> list[int]:
    """The lines of `model_copy(update=...)`, which takes any value."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".model_copy") and node.keywords
    ]


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


def test_help_is_instant() -> None:
    """The help of every command is shown by one process, without a package that takes long to import."""
    program = (
        "import sys\n"
        "from ahs_seg.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    sys.argv = ['ahs-seg', *command.split(), '--help']\n"
        "    try:\n        main()\n"
        "    except SystemExit as end:\n        assert not end.code, command\n"
        "    heavy = {'torch', 'transformers', 'lightning_fabric', 'numpy'} & set(sys.modules)\n"
        "    assert not heavy, (command, heavy)\n"
    )
    words = [sys.executable, "-c", program, "", *COMMANDS]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage") == len(words) - 3
