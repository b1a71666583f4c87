"""Parts of a model timed: every part and number of words, with operations that can be counted by hand."""

import pytest
import torch
import torch.nn.functional as F

from ahs_seg.config import ConfigError
from ahs_seg.evaluation import speed
from ahs_seg.evaluation.speed import PARTS, measure_parts, peak_mib, random_model, table
from ahs_seg.methods.base import Method
from ahs_seg.modules import fused_linear
from ahs_seg.modules.fused_linear import Activation
from ahs_seg.segmenter import Segmenter
from tests.support.training_runs import cat_seg


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "machine_limits", lambda **_: {"fp32, BLAS": 50.0, "copy": 5.0})


@pytest.mark.usefixtures("limits")
def test_every_part_has_its_row_for_every_number_of_words():
    method = cat_seg()
    assert isinstance(method, Method)
    result = measure_parts(Segmenter(method), [3, 5], rounds=1, side=24)
    rows = [(row["part"], row["words"]) for row in result["parts"]]
    assert rows == [("text tower", 64), *((part, count) for count in (3, 5) for part in PARTS)]
    head = [row["gflop"] for row in result["parts"] if row["part"] == "head"]
    assert head[0] is not None
    assert [row["gflop"] for row in result["parts"] if row["part"] == "whole image"] == [None, None]
    lines = list(table(result))
    assert len(lines) == 3 + len(rows)
    assert "copies: 5.0 GB/s" in lines[0]


def test_operations_are_two_for_each_product():
    left, right = torch.rand(3, 4), torch.rand(4, 5)
    assert speed._flop(lambda: left @ right) == 2 * 3 * 4 * 5


def test_operations_of_attention_are_those_of_its_two_products():
    b, h, n, d = 2, 3, 50, 16
    query, key, value = torch.rand(3, b, h, n, d)
    with torch.no_grad():
        assert speed._flop(lambda: F.scaled_dot_product_attention(query, key, value)) == 4 * b * h * n * n * d
        few = query[:, :, :7]
        assert speed._flop(lambda: F.scaled_dot_product_attention(few, key, value)) == 4 * b * h * 7 * n * d


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="PyTorch without oneDNN's products")
@pytest.mark.parametrize(("activation", "added"), [("gelu", False), ("none", True), ("none", False)])
def test_operations_of_a_packed_product_are_those_of_the_plain_one(activation: Activation, added: bool):
    rows, weight, bias = torch.rand(24, 32), torch.rand(48, 32), torch.rand(48)
    residual = torch.rand(24, 48) if added else None
    packed = fused_linear._pack(weight, len(rows))
    with torch.no_grad():
        plain = speed._flop(lambda: fused_linear.plain(rows, weight, bias, activation, residual))
        assert plain == 2 * 24 * 32 * 48
        assert speed._flop(lambda: fused_linear._run(rows, packed, bias, activation, residual)) == plain


def test_a_rate_is_compared_with_the_peak():
    row = speed._row("head", 20, 2.0, 100e9, 200.0)
    assert (row["gflop"], row["gflop_per_second"], row["of_peak"]) == (100.0, 50.0, 0.25)


def test_wrong_architectures_are_told():
    with pytest.raises(ConfigError, match="allowed are vit-b16, vit-l14"):
        random_model("vit-g14")


def test_memory_is_that_of_a_process():
    assert 10 < peak_mib() < 1e6
