"""The ways to call a segmenter, and what the results offer."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.errors import SampleError
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.top_k import OutputOptionsError
from ahs_seg.io.images import ImageError, ImageSource
from ahs_seg.io.overwrite import OverwriteError
from ahs_seg.output.calibration import IDENTITY_CALIBRATION, CalibrationError
from ahs_seg.output.segmentation import Segmentation
from ahs_seg.segmenter import Segmenter
from ahs_seg.types import IGNORE
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import VocabularyError
from tests.support.small_methods import SHORT, h_clip
from tests.support.tiny_models import ColourMethod

WORDS = "cat, sofa, lamp"


@pytest.fixture
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((49, 40), Image.Resampling.BICUBIC))


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(ColourMethod(), prompts=SHORT)


@pytest.fixture
def mixed(image, tmp_path: Path) -> list:
    """A readable file, a broken file, an array and an array that is no image."""
    Image.fromarray(image).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    return [tmp_path / "a.png", tmp_path / "b.png", image, np.zeros(3)]


def test_lists_give_lists(segmenter, image):
    assert [sum(one.areas().values()) for one in segmenter([image, image], WORDS)] == [40 * 49] * 2
    assert segmenter([], WORDS) == []


def test_one_bad_image_of_several_is_an_error_that_names_its_index_and_source(segmenter, mixed):
    with pytest.raises(SampleError, match=r"^images\[1\]: .*b\.png: empty, or not in a supported format") as error:
        segmenter(mixed, WORDS)
    assert isinstance(error.value.__cause__, ImageError)


def test_bad_images_of_several_can_be_left_out(segmenter, mixed, caplog):
    first, second = segmenter(mixed, WORDS, on_error="skip")
    assert np.array_equal(first.labels, second.labels)
    assert [record.message.split(":")[0] for record in caplog.records] == ["left out images[1]", "left out images[3]"]


def test_bad_images_of_several_can_be_returned_as_errors(segmenter, mixed, caplog):
    found = segmenter(tuple(mixed), WORDS, on_error="return")
    assert [type(one) for one in found] == [Segmentation, SampleError, Segmentation, SampleError]
    assert "images[3]: array" in str(found[3])
    assert caplog.records == []


@pytest.mark.parametrize("mode", ["raise", "skip", "return"])
def test_iterators_meet_bad_images_when_they_come_to_them(segmenter, mixed, mode):
    found = segmenter(iter(mixed), WORDS, on_error=mode)
    assert isinstance(next(found), Segmentation)
    if mode == "raise":
        with pytest.raises(SampleError, match=r"images\[1\]"):
            next(found)
        return
    expected = [SampleError, Segmentation, SampleError] if mode == "return" else [Segmentation]
    assert [type(one) for one in found] == expected


def test_any_failure_of_one_image_is_that_of_the_image_alone(segmenter, image, monkeypatch):
    from ahs_seg import segmenter as module

    def read(source):
        if isinstance(source, str):
            raise error
        return source

    monkeypatch.setattr(module, "read_source", read)
    error: BaseException = RuntimeError("odd")
    found = segmenter([image, "x.png"], WORDS, on_error="return")
    assert str(found[1]) == "images[1] (x.png): RuntimeError: odd"
    assert found[1].__cause__ is error
    for costly in (MemoryError(), torch.cuda.OutOfMemoryError()):
        error = costly
        assert "not enough memory for this image" in str(segmenter([image, "x.png"], WORDS, on_error="return")[1])
    fatal_errors: tuple[BaseException, ...] = (OSError(28, "No space left on device"), KeyboardInterrupt())
    for fatal in fatal_errors:
        error = fatal
        with pytest.raises(type(fatal)):
            segmenter([image, "x.png"], WORDS, on_error="skip")


def test_the_error_of_one_image_is_always_raised(segmenter, image):
    with pytest.raises(OutputOptionsError, match="given with one image, whose error is always raised"):
        segmenter(image, WORDS, on_error="skip")
    with pytest.raises(ImageError):
        segmenter(np.zeros(3), WORDS, on_error="raise")


def test_iterators_are_read_one_image_at_a_time(segmenter, image):
    taken = []

    def images():
        for index in range(3):
            taken.append(index)
            yield image

    found = segmenter(images(), WORDS)
    assert taken == []
    assert isinstance(next(found), Segmentation)
    assert taken == [0]
    assert len(list(found)) == 2
    with pytest.raises(VocabularyError):
        segmenter(images(), "")


def test_background_words_are_a_last_class(segmenter, image):
    found = segmenter(image, WORDS, background=["wall", "floor"])
    apart = segmenter(image, "cat, sofa, lamp, wall, floor")
    assert found.classes == ["cat", "sofa", "lamp", "background"]
    assert np.array_equal(found.labels, np.minimum(apart.labels, 3))
    for background in ([" "], "wall"):
        with pytest.raises(VocabularyError):
            segmenter(image, WORDS, background=background)
    with pytest.raises(VocabularyError, match="without a background"):
        segmenter(image, "cat, background", background=["wall"])


def test_top_classes_and_log_odds(segmenter, image):
    plain = segmenter(image, WORDS)
    found = segmenter(image, WORDS, top_k=2, return_logits=True)
    assert np.array_equal(found.labels, plain.labels)
    assert np.array_equal(found.scores, plain.scores)
    assert found.top_labels.shape == found.top_scores.shape == (2, 40, 49)
    assert found.logits.shape == (3, 40, 49)
    assert np.array_equal(found.logits.argmax(0), plain.labels)
    (first, score), (second, lower) = found.top(7, 11)
    assert first == found.classes[plain.labels[7, 11]]
    assert second != first
    assert score == plain.scores[7, 11] >= lower
    assert plain.top(7, 11) == [(first, pytest.approx(score))]
    assert segmenter(image, WORDS, top_k=9).top_labels.shape[0] == 3
    with pytest.raises(ValueError, match="top_k=0"):
        segmenter(image, WORDS, top_k=0)


def test_unknown_pixels(segmenter, image, tmp_path: Path):
    with pytest.raises(CalibrationError, match=r"segmenter\.calibrate"):
        segmenter(image, WORDS, unknown_below=0.5)
    with pytest.raises(CalibrationError, match="has no calibration"):
        _ = segmenter(image, WORDS).confidence
    segmenter.calibration = IDENTITY_CALIBRATION
    plain = segmenter(image, WORDS)
    threshold = float(np.median(plain.scores))
    found = segmenter(image, WORDS, unknown_below=threshold, top_k=2)
    np.testing.assert_allclose(found.confidence, plain.scores, atol=1e-6)
    assert np.array_equal(found.labels, np.where(plain.scores < np.float32(threshold), IGNORE, plain.labels))
    assert 0.4 < found.unknown.mean() < 0.6
    assert sum(found.areas().values()) == (~found.unknown).sum()
    assert np.array_equal(found.top_labels[0], plain.labels)
    assert np.array_equal(found.overlay()[found.unknown & (found.overlay() == image).all(-1)].size > 0, True)
    assert not segmenter(image, WORDS, unknown_below=0.0).unknown.any()
    everything = segmenter(image, WORDS, unknown_below=1.0)
    assert everything.areas() == {}
    assert everything.top(0, 0) == []
    for name in ("x.png", "x.jpg", "x.json", "x.txt", "x.npz"):
        assert everything.save(tmp_path / name).exists()
    with pytest.raises(ValueError, match=r"unknown_below=1\.5"):
        segmenter(image, WORDS, unknown_below=1.5)


def test_calibrated_confidences_are_nearer_to_the_truth_on_scenes_not_used_for_it():
    from ahs_seg.backbones.clip_config import TINY, ClipConfig
    from ahs_seg.methods import ZeroShotConfig
    from ahs_seg.output.calibration import Reliability

    segmenter = Segmenter(ZeroShotConfig(backbone=ClipConfig(source=TINY)).build())
    found = segmenter.calibrate(WorldDataset(seed=5, count=24, names=20))
    assert found.source == "24 images with 20 classes"
    raw, calibrated = Reliability(), Reliability()
    scenes = WorldDataset(seed=6, count=16, names=20)
    for index in range(len(scenes)):
        sample = scenes[index]
        result, known = segmenter(sample.image, scenes.vocabulary), sample.labels != IGNORE
        right = (result.labels == sample.labels)[known]
        raw.add(result.scores[known], right)
        calibrated.add(result.confidence[known], right)
    assert calibrated.error() < raw.error() / 2
    assert calibrated.error() < 0.06


def test_the_calibration_travels_with_the_model(tmp_path: Path, image):
    config, method = h_clip()
    save_model(method, ModelDescription(method=config, prompts=SHORT), tmp_path / "plain")
    segmenter = Segmenter.from_pretrained(tmp_path / "plain")
    assert segmenter.calibration is None
    segmenter.calibration = IDENTITY_CALIBRATION
    segmenter.save_pretrained(tmp_path / "calibrated")
    assert Segmenter.from_pretrained(tmp_path / "calibrated").calibration == IDENTITY_CALIBRATION
    cheaper = InferenceConfig(batch=4, memory_mb=99)  # results by rounding only
    assert Segmenter.from_pretrained(tmp_path / "calibrated", inference=cheaper).calibration == IDENTITY_CALIBRATION
    other = Segmenter.from_pretrained(tmp_path / "calibrated", inference=InferenceConfig(shortest_edge=64))
    assert other.calibration is None
    other = Segmenter.from_pretrained(tmp_path / "calibrated", prompts=PromptConfig(templates=("the {}",)))
    assert other.calibration is None


def test_features_are_what_is_compared_with_words(image):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    dense, pooled = segmenter.features(image), segmenter.features(image, pooled=True)
    text = segmenter.text_features({"animal": ["cat", "dog"], "lamp": "lamp"})
    assert dense.shape == (16, 4, 4)
    assert pooled.shape == (16,)
    assert text.shape == (2, 16)
    torch.testing.assert_close(text.norm(dim=-1), torch.ones(2))
    cat, dog, lamp = segmenter.text_features("cat, dog, lamp")
    torch.testing.assert_close(text[0], F.normalize(cat + dog, dim=-1))
    torch.testing.assert_close(text[1], lamp)
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    shown = F.interpolate(pixels, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(dense, segmenter.method.backbone.encode_image(shown).dense[0])


def test_results_do_not_depend_on_what_else_runs(image):
    segmenter = Segmenter(h_clip()[1], prompts=SHORT)
    calls: list[dict[str, Any]] = [
        {"classes": WORDS},
        {"classes": WORDS, "top_k": 3},
        {"classes": "dog, bird", "return_logits": True},
        {"classes": ["lamp", "sofa"], "background": ["wall"]},
    ]
    expected = [Segmenter(h_clip()[1], prompts=SHORT)(image, **call) for call in calls]

    def at_once() -> list[Segmentation]:
        found: dict[int, list[Segmentation]] = {}

        def work(index: int) -> None:
            results: Any = segmenter([image[:, ::-1], image], **calls[index % 4])
            found[index] = results

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[index][1] for index in range(8)]

    for index, one in enumerate(at_once()):  # words are encoded in other batches, which round differently
        np.testing.assert_allclose(one.scores, expected[index % 4].scores, atol=1e-5)
        assert (one.labels == expected[index % 4].labels).mean() > 0.999
    alone = [segmenter(image, **call) for call in calls]
    for index, one in enumerate(at_once()):
        assert np.array_equal(one.scores, alone[index % 4].scores)
        assert np.array_equal(one.labels, alone[index % 4].labels)


@pytest.mark.parametrize("spelling", ["path", "text", "opened", "link"])
def test_a_result_is_not_saved_in_the_place_of_its_image(
    segmenter: Segmenter, image: np.ndarray, tmp_path: Path, spelling: str
) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    before = path.read_bytes()
    (tmp_path / "link.png").symlink_to(path)
    with Image.open(path) as opened:
        sources: dict[str, ImageSource] = {
            "path": path,
            "text": str(path),
            "opened": opened,
            "link": tmp_path / "link.png",
        }
        result = segmenter(sources[spelling], WORDS)
    for place in (path, tmp_path / "link.png"):
        with pytest.raises(OverwriteError, match=r"is the input .*Give another path"):
            result.save(place)
    assert path.read_bytes() == before
    assert result.save(tmp_path / "labels.png").exists()
