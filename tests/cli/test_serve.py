"""What `ahs-seg serve` serves, under which limits; the page itself has its tests in `demo/web`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ahs_seg.demo.web.limits import Limits
from ahs_seg.demo.web.session import Workbench
from ahs_seg.demo.web.viewer import times_text
from tests.support.command_line import fails, output_of
from tests.support.drawn_images import drawn, save

pytestmark = pytest.mark.xdist_group("browser")  # whose process has gradio imported


class OverEvent:
    """An event that has happened already, so that the command ends instead of serving for ever."""

    def wait(self) -> None:
        return None


names: list[str] = []
"""Further names under which the last page was served."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Workbench, str, int]]:
    """What was served, on which host and port."""
    calls: list[tuple[Workbench, str, int]] = []
    names.clear()

    @contextmanager
    def serving(bench: Workbench, *, host: str, port: int, allowed_hosts: list[str]) -> Iterator[str]:
        calls.append((bench, host, port))
        names.extend(allowed_hosts)
        with monkeypatch.context() as patch:
            patch.setattr("threading.Event", OverEvent)
            yield f"http://{host}:{port}/"

    monkeypatch.setattr("ahs_seg.demo.web.serve.serving", serving)
    return calls


def test_a_model_is_served_to_this_machine_alone(model: Path, served: list[tuple[Workbench, str, int]]) -> None:
    text = output_of("serve", "--model", model)
    ((bench, host, port),) = served
    assert (bench.models, host, port) == ([model.parent.name], "127.0.0.1", 7860)
    assert bench.limits == Limits()
    assert f"Serving {model.parent.name} at http://127.0.0.1:7860/ (Ctrl-C stops)" in text


def test_every_option_reaches_the_page(model: Path, served: list[tuple[Workbench, str, int]]) -> None:
    limits: list[str | int] = ["--upload-mb", 3, "--megapixels", 4, "--names", 5, "--queue", 6, "--seconds", 7]
    output_of("serve", "--model", model, "--host", "0.0.0.0", "--port", 8123, "--allowed-host", "a.org", *limits)
    ((bench, host, port),) = served
    assert (host, port, names) == ("0.0.0.0", 8123, ["a.org"])
    assert bench.limits == Limits(upload_mb=3, megapixels=4, names=5, queue=6, seconds=7)


def test_what_is_no_model_is_told_before_anything_is_served(
    served: list[tuple[Workbench, str, int]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert "not a model directory" in fails(capsys, monkeypatch, "serve", "--model", "nowhere")
    assert str(tmp_path) in fails(capsys, monkeypatch, "serve", "--model", tmp_path)
    assert served == []


@pytest.mark.parametrize("port", ["99999", "0", "-1"])
def test_a_port_that_no_machine_has(
    port: str,
    served: list[tuple[Workbench, str, int]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "'--port'" in fails(capsys, monkeypatch, "serve", "--model", "nowhere", "--port", port)
    assert served == []


def test_without_gradio_the_extra_is_named_before_a_model_is_looked_for(
    served: list[tuple[Workbench, str, int]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'ahs-seg[web]'" in fails(capsys, monkeypatch, "serve", "--model", "nowhere")
    assert served == []


def test_type_threads_and_cache_reach_the_models(
    model: Path, served: list[tuple[Workbench, str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output_of("serve", "--model", model, "--dtype", "bf16", "--threads", 1, "--no-cache", "--device", "cpu")
    ((bench, _, _),) = served
    save(tmp_path / "a.png", drawn(32, 32, 0))
    answer = bench.segment(tmp_path / "a.png", "sky, sand", bench.models[0])
    assert times_text(answer).endswith("Computed in bf16.")
    assert not (tmp_path / "cache").exists()


def test_a_type_that_is_not_known_is_told_before_anything_is_served(
    model: Path,
    served: list[tuple[Workbench, str, int]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "dtype 'fp8' is not known" in fails(capsys, monkeypatch, "serve", "--model", model, "--dtype", "fp8")
    assert served == []
