"""The segmentation service of the page without a browser: limits, cached features, results."""

import re
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ahs_seg.backbones.tokenizer import TextTooLongError
from ahs_seg.demo.web import LimitError, Limits, Workbench
from ahs_seg.demo.web.session import DOWNLOADS, Asked
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.windows import SlidingWindows
from ahs_seg.io.images import ImageError, read_image
from ahs_seg.methods import ZeroShotSegmenter
from ahs_seg.output.formats import FormatError
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import ImageFeatures, Output, Words
from ahs_seg.vocabulary.vocabulary import VocabularyError
from tests.support.builders import random_backbone
from tests.support.pretended_device import module_onto_device, pretended
from tests.support.small_methods import SMALL

WORDS = "sky, grass, red ball, wall"


@pytest.fixture(scope="module")
def plain() -> Segmenter:
    return Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))


@pytest.fixture
def bench() -> Workbench:
    def load() -> Segmenter:
        return Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))

    return Workbench({"tiny": load}, Limits(megapixels=1, names=6, name_length=20, seconds=30))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


def test_answers_are_the_segmenters(bench: Workbench, plain: Segmenter, image: Path) -> None:
    answer = bench.segment(image, WORDS, "tiny")
    expected = plain(image, WORDS)
    assert (answer.result.labels == expected.labels).all()
    assert (answer.result.scores == expected.scores).all()


def test_an_image_is_encoded_once(bench: Workbench, image: Path) -> None:
    first = bench.segment(image, WORDS, "tiny").times
    assert first.encoding is not None
    assert first.decoding is not None
    second = bench.segment(image, "sky, sea", "tiny").times
    assert second.encoding is None
    assert second.decoding is not None
    third = bench.segment(image, WORDS, "tiny").times
    assert (third.encoding, third.decoding) == (None, None)


def test_scores_at_a_pixel(bench: Workbench, image: Path) -> None:
    answer = bench.segment(image, "a=b; c, d, e, f, g", "tiny")
    result = answer.result
    for row, column in ((0, 0), (49, 69), (20, 33)):
        top = bench.scores_at(answer, row, column)
        assert len(top) == 5
        assert top[0][0] == result.classes[result.labels[row, column]]
        assert top[0][1] == pytest.approx(float(result.scores[row, column]), abs=1e-6)
        assert [score for _, score in top] == sorted((score for _, score in top), reverse=True)
    with pytest.raises(LimitError, match="outside of the image of 70 x 50"):
        bench.scores_at(answer, 50, 0)


def test_scores_at_a_pixel_of_a_model_on_a_device(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class InThisThread:  # where the device is pretended
        def submit(self, work: Callable[..., Any], *values: object) -> Future[Any]:
            (done := Future[Any]()).set_result(work(*values))
            return done

    words = ", ".join(f"thing {number}" for number in range(13))  # one more than the method keeps
    here = Workbench({"small": windowed})
    expected = here.scores_at(here.segment(image, words, "small"), 20, 33)
    segmenter = windowed()
    with pretended():
        module_onto_device(segmenter.method)
        there = Workbench({"small": lambda: segmenter})
        monkeypatch.setattr(there, "_worker", InThisThread())
        found = there.scores_at(there.segment(image, words, "small"), 20, 33)
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-4)


def windowed() -> Segmenter:
    torch.manual_seed(0)
    windows = SlidingWindows(side=72, kernel=64)
    return Segmenter(SMALL.build(random_backbone()), inference=InferenceConfig(windows=windows))


def test_limits_say_what_to_do(bench: Workbench, image: Path, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match=r"7 names; this page takes up to 6\. Remove some"):
        bench.segment(image, "a, b, c, d, e, f, g", "tiny")
    with pytest.raises(LimitError, match="8 names"):
        bench.segment(image, "a=b; c; d\ne=f; g; h\ni\nj", "tiny")
    with pytest.raises(LimitError, match="150 names"):
        bench.segment(image, "ade20k-150", "tiny")
    with pytest.raises(LimitError, match=r"Name 1 .* has 25 characters"):
        bench.segment(image, 25 * "x", "tiny")
    with pytest.raises(VocabularyError, match="No class names yet"):
        bench.segment(image, " ,\n", "tiny")
    with pytest.raises(LimitError, match="no model 'huge' here; choose one of tiny"):
        bench.segment(image, "sky", "huge")
    Image.new("L", (2000, 600)).save(tmp_path / "wide.png")
    with pytest.raises(ImageError, match="2000x600 is 1,200,000 pixels; at most 1,000,000"):
        bench.segment(tmp_path / "wide.png", "sky", "tiny")
    (tmp_path / "heavy.png").write_bytes(bytes(21_000_000))
    with pytest.raises(LimitError, match=r"21\.0 MB; this page takes up to 20 MB"):
        bench.segment(tmp_path / "heavy.png", "sky", "tiny")


def test_names_of_everything_else_are_one_class(bench: Workbench, plain: Segmenter, image: Path) -> None:
    answer = bench.segment(image, "sky, grass", "tiny", background="wall, sea")
    expected = plain(image, "sky, grass", background=["wall", "sea"])
    assert answer.result.classes == ["sky", "grass", "background"]
    assert (answer.result.labels == expected.labels).all()
    assert answer.asked == Asked("sky, grass", "wall, sea", 0.0)


def test_pixels_without_confidence_are_unknown(bench: Workbench, plain: Segmenter, image: Path) -> None:
    least = float(np.median(plain(image, WORDS).scores))
    answer = bench.segment(image, WORDS, "tiny", unknown_below=least)
    assert (answer.result.labels == plain(image, WORDS, unknown_below=least).labels).all()
    assert 0.3 < answer.result.unknown.mean() < 0.7


def test_a_model_without_confidences_says_so(image: Path) -> None:
    scores = Segmenter(SMALL.build(random_backbone()))
    with pytest.raises(LimitError, match="the model 'plain' are not known, since it has no calibration: set “Unknown"):
        Workbench({"plain": lambda: scores}).segment(image, WORDS, "plain", unknown_below=0.5)


def test_a_word_that_is_too_long_costs_that_word(image: Path, plain: Segmenter) -> None:
    bench = Workbench({"tiny": lambda: Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))})
    tokens, characters = "many words " * 10, "x" * 200
    answer = bench.segment(image, f"sky, {tokens}, grass, {characters}", "tiny")
    assert (answer.result.labels == plain(image, "sky, grass").labels).all()
    assert answer.notes == (
        f"Name 4 ('{24 * 'x'}' …) has 201 characters; this page takes up to 120.",
        "'many words many words ma' … has more tokens than the text encoder of tiny takes.",
    )
    with pytest.raises(TextTooLongError):
        bench.segment(image, tokens, "tiny")


@pytest.mark.parametrize(
    ("words", "notices"),
    [
        ("sky", ["'sky' is the only class, so every pixel will be 'sky'"]),
        ("sky, 猫, grass", ["trained on English and cannot read '猫'; their labels mean nothing"]),
        ("caf\u00e9, cafe\u0301, grass", ["looks like the class of item 1"]),
        ("bag\nbag, purse\nsky", ["these names belong to several classes .* 'bag'"]),
        ("1: sky\n3: grass\n4: wall", ["have gaps; their labels are 0 to 2"]),
        (f"sky, {'many words ' * 7}", ["'sky' is the only class"]),
        (WORDS, []),
    ],
    ids=["single", "script", "twins", "shared", "gaps", "single left", "plain"],
)
def test_every_visitor_is_told_what_the_words_become(words: str, notices: list[str], image: Path) -> None:
    def load() -> Segmenter:
        segmenter = Segmenter(ZeroShotSegmenter(random_backbone(), temperature=0.01))
        segmenter.method.backbone.languages = ("en",)
        return segmenter

    bench = Workbench({"tiny": load})
    for _ in range(2):
        answer = bench.segment(image, words, "tiny")
        assert len(answer.notices) == len(notices)
        assert all(re.search(text, said) for text, said in zip(notices, answer.notices, strict=True))
    assert bench.segment(image, WORDS, "tiny").notices == ()


def test_words_are_never_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("secret\n")
    vocabulary, _ = Limits().words(str(tmp_path / "words.txt"))
    assert vocabulary.labels == [str(tmp_path / "words.txt")]


def test_a_slow_request_is_answered_in_time(image: Path) -> None:
    released = threading.Event()

    class Slow(ZeroShotSegmenter):
        def encode(self, images: Tensor) -> ImageFeatures:
            released.wait(20)
            return super().encode(images)

        def for_inference(self, options: Mapping[str, Any] | None = None) -> Self:
            del options
            return self

    bench = Workbench({"slow": lambda: Segmenter(Slow(random_backbone(), temperature=0.01))}, Limits(seconds=1))
    began = time.monotonic()
    with pytest.raises(LimitError, match="took longer than 1 seconds, the most this page spends"):
        bench.segment(image, "sky", "slow")
    assert time.monotonic() - began < 10
    released.set()
    assert bench.segment(image, "sky", "slow").result.classes == ["sky"]


def test_the_wait_for_another_request_is_not_time_of_its_own(image: Path) -> None:
    class Slow(ZeroShotSegmenter):
        def decode(self, features: ImageFeatures, text: Words) -> Output:
            time.sleep(1.6)
            return super().decode(features, text)

    bench = Workbench({"slow": lambda: Segmenter(Slow(random_backbone(), temperature=0.01))}, Limits(seconds=3))
    bench.ready()
    with ThreadPoolExecutor(3) as visitors:
        answers = [visitors.submit(bench.segment, image, words, "slow") for words in ("sky", "grass", "wall")]
    assert [one.result().result.classes for one in answers] == [["sky"], ["grass"], ["wall"]]


def test_reading_the_image_is_time_of_the_request(
    bench: Workbench, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*given: Any, **named: Any) -> object:
        time.sleep(1.1)
        return read_image(*given, **named)

    bench.ready()
    bench.limits = Limits(seconds=1)
    monkeypatch.setattr("ahs_seg.demo.web.session.read_image", slow)
    with pytest.raises(LimitError, match="took longer than 1 seconds"):
        bench.segment(image, "sky", "tiny")


def test_exports(bench: Workbench, image: Path, tmp_path: Path) -> None:
    answer = bench.segment(image, WORDS, "tiny")
    path = bench.export(answer, "png", tmp_path)
    assert path.name == "noise-png.zip"
    with zipfile.ZipFile(path) as archive:
        assert sorted(Path(name).name for name in archive.namelist()) == ["noise.classes.json", "noise.png"]
    assert bench.export(answer, "overlay", tmp_path).name == "noise-overlay.png"


def test_downloads_hold_nothing_but_the_files_of_their_format(bench: Workbench, image: Path, tmp_path: Path) -> None:
    answer = bench.segment(image, WORDS, "tiny")
    several = {}
    for kind in DOWNLOADS:
        if kind != "geotiff":  # the source has no georeference
            path = bench.export(answer, kind, tmp_path)
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    several[kind] = sorted(archive.namelist())
    assert several == {
        "png": ["noise.classes.json", "noise.png"],
        "yolo": ["data.yaml", "images/noise.png", "labels/noise.txt"],
        "labelstudio": ["labelstudio.json", "labelstudio.xml"],
    }


def test_a_film_needs_a_video(bench: Workbench, image: Path, tmp_path: Path) -> None:
    (folder := tmp_path / "downloads").mkdir()
    with pytest.raises(FormatError, match="The format 'video' has no file for an image; choose one of png, overlay,"):
        bench.export(bench.segment(image, WORDS, "tiny"), "video", folder)
    assert list(folder.iterdir()) == []
