"""Device and numeric type of a method, copies of it, and what stays in float32."""

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ahs_seg.backbones.tokenizer import Tokens
from ahs_seg.inference.compiler import CompilerError
from ahs_seg.inference.model import InferenceModel, labels_of
from ahs_seg.inference.predict import predict
from ahs_seg.io.devices import DeviceError
from ahs_seg.io.precision import PrecisionError
from ahs_seg.methods import AhsSegConfig, ZeroShotConfig
from ahs_seg.methods.cost.correlation import cosine_cost
from ahs_seg.modules import fused_linear
from ahs_seg.modules.inference_form import InferenceForm, LinearForm, prepared_bytes
from ahs_seg.segmenter import Segmenter
from ahs_seg.tuners import Attention
from ahs_seg.vocabulary.vocabulary import Vocabulary
from tests.support.builders import random_backbone
from tests.support.drawn_images import drawn
from tests.support.small_methods import AHS_SEG_SMALL, CAT_SEG, EBSEG_SMALL, SCAN_SMALL, SHORT, h_clip
from tests.support.tiny_models import ColourMethod

WORDS = Vocabulary.parse("cat, sofa, lamp")
IMAGE = drawn(40, 49)
SHORT_TYPES = (torch.bfloat16, torch.float16)


def test_to_gives_the_same_object_and_checks_before_it_moves() -> None:
    model = InferenceModel(ColourMethod(), prompts=SHORT)
    assert model.eval() is model
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert model.to("cpu", "bf16") is model
    for call in (lambda: model.to("cpu", "int8"), lambda: model.to("cuda:77", "fp16")):
        with pytest.raises((PrecisionError, DeviceError)):
            call()
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.bfloat16)
    assert model.to(torch.float16).dtype == torch.float16
    assert model.to(dtype="fp32").dtype == torch.float32
    assert model.to("auto").to().device.type in ("cpu", "cuda")


def test_words_may_be_a_text() -> None:
    model, image, words = Segmenter(ColourMethod()), drawn(24, 32), "cat, sofa"
    parsed = Vocabulary.parse(words)
    assert np.array_equal(model.predictor(words)(image), model.predictor(parsed)(image))
    assert torch.equal(model.encode(words), model.encode(parsed))
    assert list(model.tiled(words).row_class) == [0, 1]
    (found,) = model.segment_many([image], words)
    assert found.vocabulary == parsed


def test_a_moved_model_prepares_its_words_again() -> None:
    model = InferenceModel(h_clip()[1], prompts=SHORT)
    before = model.predictor(WORDS)(IMAGE)

    def refused(tokens: Tokens) -> torch.Tensor:
        raise AssertionError("embeddings are kept")

    model.method.backbone.encode_text = refused  # type: ignore[method-assign]
    assert np.array_equal(model.to("cpu").predictor(WORDS)(IMAGE), before)


class Seen(TorchDispatchMode):
    """Records the types of what norms and softmax functions read, and of what matrix products read."""

    def __init__(self) -> None:
        super().__init__()
        self.exact: set[torch.dtype] = set()
        self.products: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(word in name for word in ("vector_norm", "_log_softmax")):
            self.exact.add(args[0].dtype)
        if name.split(".")[1] in ("mm", "addmm", "bmm", "linear", "matmul", "conv2d", "convolution"):
            self.products.add(args[1].dtype)
        return function(*args, **(kwargs or {}))


CONFIGS = {
    "cat_seg": CAT_SEG,
    "scan": SCAN_SMALL,
    "ebseg": EBSEG_SMALL,
    "zero_shot": ZeroShotConfig(),
}


@pytest.mark.parametrize(
    ("method", "dtype"), [*((name, torch.bfloat16) for name in CONFIGS), ("cat_seg", torch.float16)]
)
def test_norms_and_log_softmax_read_float32_while_products_are_short(method: str, dtype: torch.dtype) -> None:
    model = InferenceModel(CONFIGS[method].compose(random_backbone()), prompts=SHORT).to(dtype)
    model.encode(WORDS)
    with Seen() as seen:
        labels = model.predictor(WORDS)(IMAGE)
    assert seen.exact == {torch.float32}
    assert dtype in seen.products
    assert labels.shape == (40, 49)


def test_the_cosine_is_exact_under_autocast() -> None:
    generator = torch.Generator().manual_seed(0)
    dense, text = torch.randn(1, 24, 3, 3, generator=generator), torch.randn(5, 1, 24, generator=generator)
    exact = cosine_cost(dense, text)
    for dtype in SHORT_TYPES:
        with torch.autocast("cpu", dtype):
            assert torch.equal(cosine_cost(dense, text), exact)
            rounded = cosine_cost(dense.to(dtype), text)
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, exact)


def test_scores_change_a_little_and_are_float32() -> None:
    model = InferenceModel(h_clip()[1], prompts=SHORT)
    table = SHORT.table(WORDS)
    exact = predict(model.method, IMAGE, model.encode(WORDS), model.inference)
    for dtype in SHORT_TYPES:
        found = predict(model.to(dtype).method, IMAGE, model.encode(WORDS), model.inference, row_class=table.row_class)
        assert found.scores.dtype == torch.float32
        assert 0 < float((found.scores - exact.scores).abs().max()) < 0.05
        assert labels_of(found).dtype == np.int32
    again = predict(model.to("cpu", "fp32").method, IMAGE, model.encode(WORDS), model.inference)
    assert torch.equal(again.scores, exact.scores)


def test_every_part_of_the_cost_family_computes_in_short_types() -> None:
    method = AhsSegConfig(cost=AHS_SEG_SMALL, tuner=Attention()).compose(random_backbone())
    model = InferenceModel(method, prompts=SHORT)
    exact = predict(model.method, IMAGE, model.encode(WORDS), model.inference).scores
    found = predict(model.to(dtype="bf16").method, IMAGE, model.encode(WORDS), model.inference).scores
    assert found.dtype == torch.float32
    assert 0 < float((found - exact).abs().max()) < 0.1


def test_features_are_float32_in_every_type() -> None:
    model = InferenceModel(h_clip()[1], prompts=SHORT)
    exact = model.features(IMAGE)
    rounded = model.to(torch.bfloat16).features(IMAGE)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_give_equal_results_and_are_independent(copied: Callable[[Segmenter], Segmenter]) -> None:
    model = Segmenter(h_clip()[1], prompts=SHORT)
    before = model(IMAGE, WORDS)
    twin = copied(model.to(dtype="bf16"))
    assert twin.dtype == torch.bfloat16
    model.to(dtype="fp32")
    assert twin.cache is not model.cache
    assert np.array_equal(twin.to(dtype="fp32")(IMAGE, WORDS).scores, before.scores)
    with torch.no_grad():
        for parameter in twin.method.parameters():
            parameter.zero_()
    assert np.array_equal(model(IMAGE, WORDS).scores, before.scores)
    lock = threading.Thread(target=lambda: twin.encode(Vocabulary.parse("dog")))
    lock.start()
    lock.join(20)
    assert not lock.is_alive()


def forms_of(model: InferenceModel) -> int:
    return sum(isinstance(one, InferenceForm) for one in model.method.modules())


@pytest.mark.parametrize("config", [AhsSegConfig(cost=AHS_SEG_SMALL, tuner=Attention()), CAT_SEG])
def test_a_model_has_its_inference_form_with_the_labels_of_the_plain_one(config: Any) -> None:
    method = config.compose(random_backbone())
    model = InferenceModel(method, prompts=SHORT)
    assert forms_of(model) == 4
    assert list(model.method.state_dict()) == list(method.for_inference().state_dict())
    found = predict(model.method, IMAGE, model.encode(WORDS), model.inference)
    assert model.optimize(False) is model
    assert forms_of(model) == 0
    exact = predict(model.method, IMAGE, model.encode(WORDS), model.inference)
    plain = predict(method.for_inference(), IMAGE, model.encode(WORDS), model.inference)
    assert torch.equal(exact.scores, plain.scores)
    assert torch.equal(exact.labels, plain.labels)
    torch.testing.assert_close(found.scores, exact.scores, rtol=1e-4, atol=1e-6)
    assert (found.labels != exact.labels).sum() <= 2


def test_packing_all_layers_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "packed_is_faster", lambda *_, **__: torch.backends.mkldnn.is_available())
    model = InferenceModel(CAT_SEG.compose(random_backbone()), prompts=SHORT)
    few = forms_of(model)
    exact = predict(model.optimize(False).method, IMAGE, model.encode(WORDS), model.inference)
    assert forms_of(model.optimize(pack_all=True)) > few
    found = predict(model.method, IMAGE, model.encode(WORDS), model.inference)
    torch.testing.assert_close(found.scores, exact.scores, rtol=1e-4, atol=1e-6)
    backbone = model.method.backbone
    assert any(isinstance(one, LinearForm) for one in backbone.blocks("vision").modules())
    assert prepared_bytes(model.method) > 0 or not torch.backends.mkldnn.is_available()
    assert forms_of(model.optimize()) == few
    assert prepared_bytes(model.method) == 0


def test_compiling_is_refused_without_a_compiler_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = InferenceModel(CAT_SEG.compose(random_backbone()), prompts=SHORT)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompilerError):
        model.optimize(compile=True)
    assert forms_of(model) == 4
    monkeypatch.undo()
    monkeypatch.setenv("CXX", "python3")
    model.optimize(compile=True)
    assert forms_of(model) == 0
    assert compiled(model) == 6
    assert compiled(copy.deepcopy(model)) == 0
    assert (compiled(model.optimize()), forms_of(model)) == (0, 4)
    whole = InferenceModel(ZeroShotConfig().compose(random_backbone()), prompts=SHORT)
    assert (compiled(whole.optimize(compile=True)), compiled(whole.optimize())) == (1, 0)


def compiled(model: InferenceModel) -> int:
    return sum(one._compiled_call_impl is not None for one in model.method.modules())
