"""What an installed package carries: everything that is needed without the network, and nothing that is not."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import ahs_seg

ROOT = Path(__file__).parents[1]
PACKAGE = Path(ahs_seg.__file__).parent
LARGEST_CHECKPOINT = 12e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the files under version control, built away from them."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for path in [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")] + files_of_the_package():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    program = "import setuptools.build_meta as build, sys; print(build.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def files_of_the_package() -> list[Path]:
    return [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if name.startswith("ahs_seg/")}
    assert packed == {path.relative_to(PACKAGE.parent).as_posix() for path in files_of_the_package()}


def test_what_works_without_the_network_is_there(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    for name in ("py.typed", "configs/cat_seg_vitb.yaml", "configs/quickstart/cat_seg.yaml"):
        assert f"ahs_seg/{name}" in names
    for name in ("ade20k-150.txt", "coco-stuff-171.txt"):
        assert f"ahs_seg/vocabulary/classes/{name}" in names
    for name in ("config.json", "tokenizer.json", "model.safetensors", "preprocessor_config.json"):
        assert f"ahs_seg/assets/tiny_clip/{name}" in names
    assert wheel.getinfo("ahs_seg/assets/tiny_clip/model.safetensors").file_size < LARGEST_CHECKPOINT


def test_the_wheel_names_its_licence_and_command(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    licence = wheel.read(f"{folder}/licenses/LICENSE").decode()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert "ahs-seg = ahs_seg.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert f"Version: {ahs_seg.__version__}" in metadata
    assert "Requires-Python: >=3.11" in metadata


def test_the_package_declares_what_it_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [each for name, extra in project["optional-dependencies"].items() if name != "dev" for each in extra]
    declared = {canonical(requirement) for requirement in [*project["dependencies"], *extras]}
    distributions = packages_distributions()
    imported = {name for path in PACKAGE.rglob("*.py") for name in imports(path)}
    texts = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    asked_for = set(re.findall(r'require_package\("(\w+)"', texts))  # by a caller who has it, or is told to install it
    foreign = imported - set(sys.stdlib_module_names) - {"ahs_seg"} - asked_for
    missing = [name for name in foreign if not declared & set(map(canonical, distributions.get(name, [name])))]
    assert not missing


def test_every_dependency_is_pinned_for_ci() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonical(line) for line in lines if "==" in line}
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["dev"]]
    for each in extras["dev"]:  # an extra that `dev` takes in brings its own
        if own := re.fullmatch(r"ahs-seg\[([\w,]+)\]", each):
            required.remove(each)
            required += [one for name in own[1].split(",") for one in extras[name]]
    assert {canonical(each) for each in required} - pinned == set()


def canonical(requirement: str) -> str:
    """The name of a distribution as indexes spell it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module.split(".")[0]
