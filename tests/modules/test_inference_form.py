"""Inference forms share everything with the modules they replace, and step aside where they do not apply."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ahs_seg.modules import fused_linear
from ahs_seg.modules.inference_form import LinearForm, prepared_bytes, put_forms, put_plain
from tests.support.pretended_device import module_onto_device, onto_device, pretended


class Own(nn.Linear):
    """A linear layer of somebody else."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.shared = nn.Linear(8, 8)
        self.again = self.shared
        self.own = Own(8, 8)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(8, 3))

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = self.rest(self.own(self.again(self.shared(self.first(values)))))
        return result


@pytest.fixture(autouse=True)
def always_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_linear, "SMALLEST", 0)
    monkeypatch.setattr(fused_linear, "_faster", {})
    monkeypatch.setattr(fused_linear, "_best_times", lambda *ways: [1.0, 0.1])


def nets() -> tuple[Net, Net]:
    torch.manual_seed(0)
    plain = Net().eval()
    formed = copy.deepcopy(plain)
    put_forms(formed, [LinearForm])
    return plain, formed


def kinds(net: nn.Module) -> list[type[nn.Module]]:
    return [type(one) for one in net.modules()]


VALUES = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def close(one: nn.Module, other: nn.Module) -> bool:
    return torch.allclose(one(VALUES), other(VALUES), rtol=1e-5, atol=1e-6)


def test_only_the_class_itself_is_replaced_and_everything_is_shared() -> None:
    plain, formed = nets()
    assert [type(formed.first), type(formed.own), type(formed.rest[1])] == [LinearForm, Own, LinearForm]
    assert formed.shared is formed.again
    assert list(formed.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in formed.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert close(formed, plain)
    put_plain(formed)
    assert kinds(formed) == kinds(plain)
    assert formed.shared is formed.again
    assert close(formed, plain)


def test_packed_memory_is_that_of_the_weights_once_and_is_freed() -> None:
    _, formed = nets()
    assert prepared_bytes(formed) == 0
    with torch.inference_mode():
        formed(VALUES)
    packed = prepared_bytes(formed)
    assert packed in (0, 4 * (6 * 8 + 8 * 8 + 8 * 3))
    assert packed > 0 or not torch.backends.mkldnn.is_available()
    put_plain(formed)
    assert prepared_bytes(formed) == 0


def pickled(net: Net) -> Net:
    again: Net = pickle.loads(pickle.dumps(net))
    return again


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_are_forms_of_their_own(copied: Any) -> None:
    plain, formed = nets()
    close(formed, plain)
    twin = copied(formed)
    assert kinds(twin) == kinds(formed)
    assert prepared_bytes(twin) == 0
    assert close(twin, plain)
    with torch.no_grad():
        formed.first.weight.zero_()
    assert close(twin, plain)
    assert not close(formed, plain)


def test_changed_weights_are_packed_again() -> None:
    plain, formed = nets()
    close(formed, plain)
    for net in (plain, formed):
        with torch.no_grad():
            net.first.weight.mul_(2)
        net.load_state_dict({key: value + 0.1 for key, value in net.state_dict().items()})
    assert close(formed, plain)
    formed.first.weight = nn.Parameter(torch.zeros(8, 6))
    plain.first.weight = nn.Parameter(torch.zeros(8, 6))
    assert close(formed, plain)


def test_gradients_types_and_traces_are_those_of_the_plain_module(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, formed = nets()

    def refused(self: LinearForm) -> Any:
        raise AssertionError("the form computes")

    monkeypatch.setattr(LinearForm, "prepare", refused)
    formed(VALUES).sum().backward()
    plain(VALUES).sum().backward()
    for one, other in zip(formed.parameters(), plain.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(formed(VALUES), plain(VALUES))
    with torch.no_grad():
        assert torch.equal(torch.jit.trace(formed, VALUES, check_trace=False)(VALUES), plain(VALUES))
        assert torch.equal(torch.export.export(formed, (VALUES,), strict=False).module()(VALUES), plain(VALUES))
        assert torch.equal(formed.double()(VALUES.double()), plain.double()(VALUES.double()))
    with pretended(), torch.inference_mode():
        module_onto_device(formed.float())(onto_device(VALUES))
    with torch.inference_mode(), pytest.raises(AssertionError, match="the form computes"):
        nets()[1](VALUES)


def test_hooks_are_called() -> None:
    plain, formed = nets()
    seen: list[str] = []
    handle = plain.first.register_forward_hook(lambda *_: seen.append("plain"))
    put_forms(plain, [LinearForm])
    assert type(plain.first) is nn.Linear
    formed.first.register_forward_hook(lambda *_: seen.append("form"))
    assert close(formed, plain)
    assert seen == ["form", "plain"]
    handle.remove()
