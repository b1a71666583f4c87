"""Which device a name stands for, and what is said about those that are not there."""

import pytest
import torch

from ahs_seg.io.devices import DeviceError, check_device_name, find_device
from ahs_seg.training.launch import create_fabric
from ahs_seg.training.recipe import Recipe


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in (torch.cuda, torch.xpu, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
def test_processes_take_the_gpus_in_turn() -> None:
    assert [str(find_device("auto", rank=rank)) for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert find_device("cpu", rank=3) == torch.device("cpu")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert find_device(rank=1) == torch.device("cpu")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:99", "mps", "xpu:0", torch.device("cuda")])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(DeviceError, match=r"is not in this machine.*Here there is cpu"):
        find_device(name)


@pytest.mark.usefixtures("two_gpus")
def test_the_devices_that_are_there_are_listed() -> None:
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match=r"device 'cuda:2' is not in this machine.*cpu, cuda:0, cuda:1"):
        find_device("cuda:2")


@pytest.mark.usefixtures("two_gpus")
def test_a_number_is_that_of_a_gpu() -> None:
    assert find_device(1) == torch.device("cuda:1")
    with pytest.raises(DeviceError, match=r"device 'cuda:2' is not in this machine.*cuda:1"):
        find_device(2)
    for wrong in (-1, True, 999):
        with pytest.raises(DeviceError, match="is not known; allowed are auto, cpu, cuda, cuda:1 or 1"):
            find_device(wrong)


@pytest.mark.parametrize(
    "name", ["gpu", "0", "", "cuda:", "cuda:x", "CPU", "cpu:7", "meta", "cuda:100", "cuda:01", "cuda:٢"]
)
def test_a_name_of_no_device(name: str) -> None:
    with pytest.raises(DeviceError, match="is not known; allowed are auto, cpu, cuda"):
        check_device_name(name)


@pytest.mark.usefixtures("no_gpu")
def test_a_build_for_cpus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="built for CPUs only"):
        find_device("cuda")


@pytest.mark.usefixtures("no_gpu")
def test_auto_is_the_same_for_training_and_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device().type == "cpu"
    assert create_fabric(Recipe()).device == torch.device("cpu")
    with pytest.raises(DeviceError, match="Here there is cpu, mps; auto takes cpu"):
        find_device("cuda")
