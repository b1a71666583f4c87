"""The first minutes of a newcomer, recorded: the README's commands in a fresh clone, with a hub on this machine.

    python -m benchmarks.first_minutes

Clones this repository, runs every shell and Python block of the README up to "Without any download" in the order of
the page, the page included, and writes what a terminal shows, with times, to `benchmarks/results/first_minutes.txt`.
The published checkpoint is a stand-in of random weights in the authors' layout, so that the time that 600 MB take to
download is not in it, nor is a label worth anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from ahs_seg.io.atomic import write_text
from tests.support.hub_server import Hub, serving
from tests.support.official import byte_tokenizer_file, save_original, tiny_state

ROOT: Final = Path(__file__).parents[1]
RESULT: Final = ROOT / "benchmarks" / "results" / "first_minutes.txt"
BLOCK: Final = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)
OF_PIP: Final = re.compile(
    r"\s*(Collecting|Downloading|Using|Requirement|Processing|Obtaining|Looking|WARNING: Loc|Preparing|Getting|"
    r"Checking|Build|Installing|Attempting|Created|Stored|  |\u2501)"
)
"""Lines of pip about single packages, of which there are hundreds."""
PATIENCE: Final = 300
CLIP_OF_THE_HUB: Final = "openai/clip-vit-base-patch16"


def blocks() -> Iterator[tuple[str, str]]:
    """Language and text of the README's blocks, without the one that needs a whole CLIP of the hub."""
    page = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Without any download")[0]
    for language, code in BLOCK.findall(page):
        if CLIP_OF_THE_HUB not in code:
            yield language, code


def commands(code: str) -> Iterator[str]:
    """The commands of a shell block, without comments."""
    for line in code.replace("\\\n", " ").splitlines():
        if command := line.partition("    #")[0].strip():
            yield command


class Terminal:
    """Runs commands in a clone as a shell does that has the environment activated, and keeps what is shown."""

    def __init__(self, clone: Path, environment: dict[str, str]) -> None:
        self.clone = clone
        self.environment = {**environment, "PATH": f"{clone / '.venv/bin'}:{environment['PATH']}"}
        self.began = time.monotonic()
        self.shown: list[str] = []

    def run(self, command: str, *, code: str | None = None) -> None:
        """Run a command, or `code` in Python; a failure ends the recording."""
        words = ["python", "-c", code] if code else ["bash", "-c", command]
        began = time.monotonic()
        done = subprocess.run(
            words, cwd=self.clone, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._note(command, done.stdout, time.monotonic() - began)
        if done.returncode:
            sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}")

    def serve(self, command: str) -> None:
        """Start the page, and stop it once it answers."""
        began = time.monotonic()
        with tempfile.TemporaryFile("w+") as shown:
            process = subprocess.Popen(
                command.split(), cwd=self.clone, env=self.environment, stdout=shown, stderr=subprocess.STDOUT
            )
            while time.monotonic() - began < PATIENCE and not answers("http://127.0.0.1:7860"):
                time.sleep(0.2)
            seconds = time.monotonic() - began
            process.terminate()
            process.wait(PATIENCE)
            shown.seek(0)
            self._note(command, shown.read() + "(the page answers)\n", seconds)

    def _note(self, command: str, shown: str, seconds: float) -> None:
        lines = [line.rpartition("\r")[2] for line in shown.splitlines() if not OF_PIP.match(line)]
        kept = lines if len(lines) < 40 else [*lines[:5], f"... {len(lines) - 10} lines ...", *lines[-5:]]
        text = "".join(f"{line[:160]}\n" for line in kept).replace(str(self.clone.parent), "~")
        after = time.monotonic() - self.began
        self.shown.append(f"$ {command}\n{text}[{seconds:.1f} s; {after / 60:.1f} minutes after the start]\n")


def answers(address: str) -> bool:
    """Whether a page is there."""
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def main() -> None:
    """Record, and write the recording."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        weights = save_original(tiny_state(), home / "small.pth").read_bytes()
        words = byte_tokenizer_file(home).read_bytes()
        files = {
            "spaces/hamacojr/CAT-Seg-weights": {"model_base.pth": weights},
            CLIP_OF_THE_HUB: {"tokenizer.json": words},
        }
        with serving(Hub(files)) as hub:
            own = {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1", "HOME": folder, "COLUMNS": "120"}
            kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
            pip = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
            terminal = Terminal(home / "ahs-seg", {**kept, **pip, **own})
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(terminal.clone)], check=True)
            for language, code in blocks():
                if language == "python":
                    terminal.run("python  # " + code.replace("\n", "\n> ").rstrip("\n> "), code=code)
                    continue
                for command in commands(code):
                    if command.startswith("ahs-seg serve"):
                        terminal.serve(command)
                    elif not command.startswith("source"):
                        terminal.run(command)
    write_text(RESULT, "\n".join(terminal.shown))
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
