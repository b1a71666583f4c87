"""Names of numeric types, what a device can compute, and in which type products are computed."""

import pytest
import torch

from ahs_seg.io.precision import PrecisionError, check_precision, computing_in, dtype_name, find_dtype, has_instructions

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        (["fp32", "float32", "float", torch.float32], torch.float32),
        (["bf16", "bfloat16", torch.bfloat16], torch.bfloat16),
        (["fp16", "float16", "half", torch.float16], torch.float16),
    ],
)
def test_every_spelling_of_a_type(names: list[str], dtype: torch.dtype) -> None:
    assert [find_dtype(name) for name in names] == [dtype] * len(names)
    assert dtype_name(dtype) == names[0]


@pytest.mark.parametrize("name", ["int8", "", "FP16", torch.float64, "fp8"])
def test_a_name_of_no_type(name: str) -> None:
    with pytest.raises(PrecisionError, match="is not known; allowed are fp32, bf16 and fp16"):
        find_dtype(name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_are_computed_in_the_type_and_the_rest_is_not(dtype: torch.dtype) -> None:
    values = torch.eye(3)
    with computing_in(dtype, CPU):
        assert (values @ values).dtype == dtype
        assert (values + values).dtype == torch.float32
    with computing_in(torch.float32, CPU):
        assert (values @ values).dtype == torch.float32


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_without_instructions_is_told(
    has: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ahs_seg.io.precision.has_instructions", lambda dtype, device: has)
    check_precision(torch.float32, CPU)
    assert caplog.records == []
    check_precision(torch.bfloat16, CPU)
    assert ["this CPU has no instructions for bf16" in record.message for record in caplog.records] == [True] * (
        not has
    )


def test_what_the_cpu_says_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = torch.ops.mkldnn
    assert has_instructions(torch.float32, CPU)
    assert has_instructions(torch.bfloat16, CPU) == asked._is_mkldnn_bf16_supported()
    assert has_instructions(torch.float16, CPU) == asked._is_mkldnn_fp16_supported()
    for capability, expected in (((7, 5), False), ((8, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert has_instructions(torch.bfloat16, torch.device("cuda")) is expected
        assert has_instructions(torch.float16, torch.device("cuda"))


def test_a_device_without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: False)
    with pytest.raises(PrecisionError, match="computes in fp32 only on mps"):
        check_precision(torch.float16, torch.device("mps"))
    check_precision(torch.float32, torch.device("mps"))
