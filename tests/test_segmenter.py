import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ahs_seg.backbones.clip_config import ClipConfig
from ahs_seg.backbones.tokenizer import TextTooLongError, Tokens
from ahs_seg.checkpoints.model_dir import ModelDescription, save_model
from ahs_seg.data.world.dataset import WorldDataset
from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.windows import SlidingWindows
from ahs_seg.io.images import ImageError
from ahs_seg.methods import CatSegConfig, CostSegmenter, ZeroShotConfig
from ahs_seg.segmenter import Segmenter
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import Vocabulary, VocabularyError
from tests.support.builders import random_backbone
from tests.support.small_methods import COST, SHORT, h_clip
from tests.support.tiny_models import ColourMethod


@pytest.fixture
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((49, 40), Image.Resampling.BICUBIC))


METHODS = {
    "stub": ColourMethod,
    "h_clip": lambda: h_clip()[1],
    "cat_seg": lambda: CatSegConfig(cost=COST).compose(random_backbone()),
    "zero_shot": lambda: ZeroShotConfig(temperature=0.1).compose(random_backbone()),
}


@pytest.fixture(params=METHODS)
def segmenter(request) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(METHODS[request.param](), prompts=SHORT)


def test_labels_and_scores(segmenter, image):
    found = segmenter(image, "cat, sofa, lamp")
    assert found.classes == ["cat", "sofa", "lamp"]
    assert found.labels.shape == found.scores.shape == image.shape[:2]
    assert found.labels.dtype == np.int32
    assert set(np.unique(found.labels)) <= {0, 1, 2}
    assert 0 <= found.scores.min() <= found.scores.max() <= 1
    assert sum(found.areas().values()) == 40 * 49
    for name, mask in found.masks().items():
        assert np.array_equal(mask, found.labels == found.classes.index(name))
        assert mask.sum() == found.areas()[name]


def test_permuted_names_give_permuted_labels(segmenter, image):
    names = [f"thing {letter}" for letter in "abcdefghij"]
    order = np.random.default_rng(1).permutation(10)
    plain = segmenter(image, names)
    permuted = segmenter(image, [names[index] for index in order])
    same = order[permuted.labels] == plain.labels
    assert same.mean() > 0.999  # sums over classes in another order may turn a tie
    np.testing.assert_allclose(permuted.scores, plain.scores, atol=1e-5)


@pytest.mark.parametrize("windows", ["whole", "sliding"])
def test_predictor_gives_the_same_labels(segmenter, image, windows):
    inference = InferenceConfig.parse({}, [f"windows.name={windows}"])
    other = Segmenter(segmenter.method, prompts=SHORT, inference=inference)
    vocabulary = Vocabulary.parse("cat, sofa, lamp")
    assert np.array_equal(other.predictor(vocabulary)(image), other(image, vocabulary).labels)


def test_names_with_one_label_and_synonyms(image):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    apart = segmenter(image, "a, b, c, d")
    together = segmenter(image, {"first": ["a", "c"], "second": ["b", "d"]})
    assert np.array_equal(together.labels, apart.labels % 2)
    np.testing.assert_allclose(together.scores, apart.scores, atol=1e-6)  # other batches of text round differently
    best = Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",), synonyms="max"))
    assert np.array_equal(best(image, ["a, c", "b, d"]).labels, apart.labels % 2)


def test_tuning_is_merged_and_the_original_stays_as_it_is(image):
    method = h_clip()[1]
    segmenter = Segmenter(method, prompts=SHORT)
    assert segmenter.method.backbone.adapter is None
    assert method.backbone.adapter is not None
    before = segmenter(image, "cat, sofa, lamp")
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.zero_()
    assert np.array_equal(segmenter(image, "cat, sofa, lamp").scores, before.scores)


def test_class_pooling_follows_the_protocol():
    method = h_clip()[1]
    plain, protocol = Segmenter(method).method, Segmenter(method, inference=CAT_SEG_PROTOCOL).method
    assert isinstance(plain, CostSegmenter)
    assert isinstance(protocol, CostSegmenter)
    assert plain.head.class_pooling == method.head.class_pooling == 2
    assert protocol.head.class_pooling == 1


def test_names_are_encoded_once(image, monkeypatch):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    calls: list[int] = []
    plain = segmenter.method.backbone.encode_text

    def counted(tokens: Tokens) -> torch.Tensor:
        calls.append(len(tokens))
        return plain(tokens)

    monkeypatch.setattr(segmenter.method.backbone, "encode_text", counted)
    segmenter.encode(Vocabulary.parse("cat, sofa"))
    segmenter(image, "cat, sofa")
    segmenter(image, "sofa, lamp, cat")
    assert calls == [2, 1]


def test_changed_weights_change_the_result(image):
    segmenter = Segmenter(h_clip()[1], prompts=SHORT)
    before = segmenter(image, "cat, sofa, lamp")
    torch.nn.init.normal_(segmenter.method.backbone.model.text_projection.weight.data)
    assert not np.array_equal(segmenter(image, "cat, sofa, lamp").scores, before.scores)


def test_from_pretrained(image, tmp_path: Path):
    config, method = h_clip()
    save_model(method, ModelDescription(method=config, prompts=SHORT), tmp_path / "model")
    segmenter = Segmenter.from_pretrained(
        tmp_path / "model",
        inference=InferenceConfig(windows=SlidingWindows()),
        cache=TextCache(tmp_path / "text"),
    )
    assert segmenter.prompts == SHORT
    expected = Segmenter(method, prompts=SHORT, inference=segmenter.inference)(image, "cat, sofa, lamp")
    found = segmenter(image, "cat, sofa, lamp")
    assert np.array_equal(found.labels, expected.labels)
    assert len(list((tmp_path / "text").rglob("*.safetensors"))) == 1


def test_threads_get_what_one_gets(image):
    segmenter = Segmenter(h_clip()[1], prompts=SHORT)
    lists = ["cat, sofa", "lamp", "sofa, lamp, cat", "dog, cat, bird"]
    expected = [Segmenter(h_clip()[1], prompts=SHORT)(image, names).labels for names in lists]
    found: dict[int, np.ndarray] = {}

    def segment(index: int) -> None:
        found[index] = segmenter(image, lists[index % 4]).labels

    jobs = [threading.Thread(target=segment, args=(index,)) for index in range(12)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(found) == 12
    assert all(np.array_equal(labels, expected[index % 4]) for index, labels in found.items())


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ("", VocabularyError, "empty"),
        ([], VocabularyError, "empty"),
        ("cat, ,sofa", VocabularyError, "name 2 is blank"),
        ("cat, sofa, cat", VocabularyError, "'cat'"),
        (["cat", "a name with many more letters than forty"], TextTooLongError, "class 'a name with"),
    ],
)
def test_bad_names_are_explained(segmenter, image, classes, error, message):
    with pytest.raises(error, match=message):
        segmenter(image, classes)


def test_names_that_stand_for_two_classes_are_reported_once(image, caplog):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    names = ["lamp", "bag", "bag, purse"]
    found = segmenter(image, names)
    segmenter(image, names)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'first'" in caplog.text
    assert "'bag' (1, 2)" in caplog.text
    assert 2 not in found.labels
    Segmenter(ColourMethod(), prompts=PromptConfig(templates=("a {}",), synonyms="mean"))(image, names)
    assert len(caplog.records) == 1


def test_bad_images_are_explained(tmp_path: Path):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    with pytest.raises(ImageError, match="no such file"):
        segmenter(tmp_path / "missing.jpg", "cat")
    with pytest.raises(ImageError, match="shape"):
        segmenter(np.zeros((2, 3, 4, 5, 3), np.uint8), "cat")


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (2, 1)])
@pytest.mark.parametrize("windows", ["whole", "sliding"])
def test_any_size(segmenter, size, windows):
    inference = InferenceConfig.parse({}, [f"windows.name={windows}"])
    other = Segmenter(segmenter.method, prompts=SHORT, inference=inference)
    assert other(np.full((*size, 3), 90, np.uint8), "cat, sofa").labels.shape == size


def test_any_source(image, tmp_path: Path):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    Image.fromarray(image).save(tmp_path / "photo.png")
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    sources = [image, tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(image), tensor]
    results = [segmenter(source, "cat, sofa, lamp").labels for source in sources]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_predictor_and_many_images_read_arrays_as_a_call_does(image):
    segmenter = Segmenter(ColourMethod(), prompts=SHORT)
    vocabulary = Vocabulary.parse("cat, sofa, lamp")
    predict = segmenter.predictor(vocabulary)
    forms = [image / 255, image.astype(np.uint16) * 257, torch.from_numpy(image.copy()).permute(2, 0, 1)]
    for given, expected in [*((form, image) for form in forms), (image[::-1], image[::-1].copy())]:
        labels = segmenter(expected, vocabulary).labels
        assert np.array_equal(predict(given), labels)
        (result,) = segmenter.segment_many([given], vocabulary)
        assert np.array_equal(result.labels, labels)
        assert np.array_equal(result.image, expected)


def test_a_result_says_when_the_model_is_out_of_its_depth(image):
    """Twelve words that the packaged CLIP does not know have scores near chance at a high temperature."""
    description = ModelDescription(method=ZeroShotConfig(backbone=ClipConfig(source="tiny"), temperature=10.0))
    segmenter = Segmenter(description.method.build(), prompts=SHORT, description=description)
    words = "cat, sofa, lamp, road, tree, bus, dog, boat, chair, table, car, bed"
    assert "drawn scenes only" in segmenter(image, words).warnings[0]
    assert "drawn scenes only" in segmenter.segment_many([image], Vocabulary.parse(words))[0].warnings[0]
    assert "near chance" in Segmenter(segmenter.method, prompts=SHORT)(image, words).warnings[0]
    certain = Segmenter(ZeroShotConfig(temperature=1e-4).compose(segmenter.method.backbone), prompts=SHORT)
    assert certain(image, words).warnings == ()
    assert repr(segmenter) == "Segmenter(zero_shot on tiny, trained on: drawn scenes)"


def test_calibration_measures_how_certain_the_model_is_at_home(tmp_path: Path):
    scenes = WorldDataset(seed=5, count=3, names=20)
    segmenter = Segmenter.from_pretrained("clip:tiny")
    segmenter.calibrate(scenes)
    reached = [float(segmenter(scenes[index].image, scenes.vocabulary).scores.mean()) for index in range(3)]
    saved = Segmenter.from_pretrained(segmenter.save_pretrained(tmp_path / "model"))
    assert saved.description is not None
    assert saved.description.training is not None
    assert saved.description.training.certainty == pytest.approx(0.85 * np.quantile(reached, 0.02), abs=1e-5)
    assert saved.description.training.kind == "drawn scenes"
    other = Segmenter.from_pretrained(tmp_path / "model", inference=InferenceConfig(shortest_edge=80))
    assert other.description is not None
    assert other.description.training is not None
    assert other.description.training.certainty is None


def test_a_loaded_model_is_merged_without_a_copy_and_a_given_method_is_copied(tmp_path: Path) -> None:
    method = ZeroShotConfig(backbone=ClipConfig(source="tiny")).build()
    assert Segmenter(method).method is not method
    assert Segmenter(method, own=True).method is method


def test_texts_of_a_loaded_model_are_kept_and_those_of_a_method_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = Vocabulary.parse("cat, dog")
    expected = Segmenter(ZeroShotConfig(backbone=ClipConfig(source="tiny")).build()).encode(words)
    assert torch.equal(Segmenter.from_pretrained("clip:tiny", cache=TextCache()).encode(words), expected)
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        assert torch.equal(Segmenter.from_pretrained("clip:tiny").encode(words), expected)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
