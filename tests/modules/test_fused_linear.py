"""A fused linear layer is the formula, whichever way computes it, and the way is chosen by measurement."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ahs_seg.modules import fused_linear
from ahs_seg.modules.fused_linear import Activation, Case, FusedLinear, packed_is_faster
from tests.support.tensors import randn

ACTIVATIONS: dict[Activation, Any] = {"none": lambda values: values, "gelu": F.gelu, "relu": F.relu}
CASE = Case(8, 8, 8, "none", residual=False, threads=1)
HAS_OPERATORS = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@pytest.fixture(autouse=True)
def small_products_are_tested(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fused_linear, "SMALLEST", 0)
    monkeypatch.setattr(fused_linear, "_faster", {})
    with torch.inference_mode():
        yield


def formula(
    rows: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation, residual: Tensor | None
) -> Tensor:
    values = rows.double() @ weight.double().T
    values = ACTIVATIONS[activation](values if bias is None else values + bias.double())
    return values if residual is None else values + residual.double()


def told(asked: list[Case], answer: bool) -> Callable[[Case], bool]:
    """A self-test that notes what it is asked."""

    def test(case: Case) -> bool:
        asked.append(case)
        return answer

    return test


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize(
    "packed", [False, pytest.param(True, marks=pytest.mark.skipif(not HAS_OPERATORS, reason="no oneDNN"))]
)
def test_both_ways_are_the_formula(
    monkeypatch: pytest.MonkeyPatch, activation: Activation, with_bias: bool, with_residual: bool, packed: bool
) -> None:
    monkeypatch.setattr(fused_linear, "_measure", lambda case: packed)
    rows, weight = randn(21, 24), randn(40, 24, seed=1)
    bias, residual = randn(40, seed=2) if with_bias else None, randn(21, 40, seed=3) if with_residual else None
    before = None if residual is None else residual.clone()
    rows, weight = rows.float(), weight.float()
    bias = None if bias is None else bias.float()
    residual = None if residual is None else residual.float()
    layer = FusedLinear(weight, bias)
    for _ in range(2):
        found = layer(rows, activation=activation, residual=residual)
        torch.testing.assert_close(
            found.double(), formula(rows, weight, bias, activation, residual), rtol=1e-5, atol=1e-5
        )
    assert layer.packed_bytes == (4 * 40 * 24 if packed else 0)
    assert before is None or residual is None or torch.equal(residual, before.float())
    few = layer(rows[:5], activation=activation, residual=None if residual is None else residual[:5])
    torch.testing.assert_close(few, found[:5], rtol=1e-5, atol=1e-5)


def test_the_choice_is_measured_once_for_a_size_even_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case] = []
    monkeypatch.setattr(fused_linear, "_measure", told(asked, True))
    weight = torch.zeros(16, 8)

    def ask() -> None:
        for rows in (70, 100, 127):
            assert packed_is_faster(rows, weight, "none", residual=False)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [Case(64, 8, 16, "none", residual=False, threads=torch.get_num_threads())]
    assert packed_is_faster(128, weight, "gelu", residual=True)
    assert fused_linear.choices() == dict.fromkeys(asked, True)
    assert asked[1:] == [Case(128, 8, 16, "gelu", residual=True, threads=torch.get_num_threads())]


def test_a_small_product_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "SMALLEST", 100 * 8 * 16)
    monkeypatch.setattr(fused_linear, "_measure", lambda case: True)
    weight = torch.zeros(16, 8)
    assert not packed_is_faster(99, weight, "none", residual=False)
    assert packed_is_faster(100, weight, "none", residual=False)


def test_the_self_test_does_not_touch_the_random_numbers_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case] = []
    monkeypatch.setattr(fused_linear, "_measure", told(asked, False))
    packed_is_faster(10**6, torch.empty(512, 128), "none", residual=False)
    packed_is_faster(10**6, torch.empty(4096, 4096), "none", residual=False)
    assert [case.rows for case in asked] == [1024, 64]
    monkeypatch.undo()
    state = torch.get_rng_state()
    fused_linear._measure(CASE)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not HAS_OPERATORS, reason="PyTorch without oneDNN")
@pytest.mark.parametrize(("times", "chosen"), [((1.0, 0.94), True), ((1.0, 0.96), False), ((1.0, 2.0), False)])
def test_packed_weights_need_a_margin(
    monkeypatch: pytest.MonkeyPatch, times: tuple[float, float], chosen: bool
) -> None:
    monkeypatch.setattr(fused_linear, "_best_times", lambda *ways: list(times))
    assert fused_linear._measure(CASE) is chosen


@pytest.mark.skipif(not HAS_OPERATORS, reason="PyTorch without oneDNN")
def test_wrong_packed_weights_are_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "_best_times", lambda *ways: [1.0, 0.1])
    assert fused_linear._measure(CASE)
    right = fused_linear._run

    def wrong(*arguments: Any) -> Tensor:
        return right(*arguments) * 1.001

    monkeypatch.setattr(fused_linear, "_run", wrong)
    assert not fused_linear._measure(CASE)
    monkeypatch.setattr(fused_linear, "_run", lambda *arguments: right(*arguments) * float("nan"))
    assert not fused_linear._measure(CASE)


def test_without_the_operators_the_layer_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "_best_times", lambda *ways: [1.0, 0.1])

    def refused(*arguments: Any) -> Tensor:
        raise NotImplementedError("could not run 'mkldnn::_linear_pointwise' with arguments from the 'CPU' backend")

    monkeypatch.setattr(fused_linear, "_run", refused)
    assert not fused_linear._measure(CASE)
    monkeypatch.undo()
    monkeypatch.setattr(fused_linear, "SMALLEST", 0)
    monkeypatch.setattr(fused_linear, "_faster", {})
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    rows, weight = torch.ones(3, 2), torch.ones(4, 2)
    assert FusedLinear(weight, None)(rows).tolist() == [[2.0] * 4] * 3


def test_the_shortest_times_in_turns() -> None:
    calls: list[str] = []

    def way(name: str) -> Tensor:
        calls.append(name)
        return torch.ones(1)

    times = fused_linear._best_times(lambda: way("a"), lambda: way("b"))
    assert "".join(calls) == "ab" * 5
    assert all(0 <= one < 1 for one in times)
