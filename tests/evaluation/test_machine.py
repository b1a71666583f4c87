"""Limits of the machine, and calls that take turns."""

import pytest

from ahs_seg.evaluation.machine import ALLOCATORS, best_product, in_turns, machine_limits


def test_calls_take_turns_and_the_first_turn_is_not_counted():
    order: list[str] = []
    seconds = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert all(0 <= value < 1 for value in seconds.values())


def test_the_machine_multiplies_and_copies():
    found = machine_limits(side=64, rounds=1)
    assert {"fp32, BLAS", "fp32, oneDNN", "copy"} <= set(found)
    assert all(value > 0 for value in found.values())


def test_the_best_product_is_of_the_type_or_of_any():
    limits = {"fp32, BLAS": 90.0, "fp32, oneDNN": 120.0, "bf16": 300.0, "copy": 900.0}
    assert (best_product(limits, "fp32"), best_product(limits, "bf16"), best_product(limits, "fp16")) == (120, 300, 300)


@pytest.mark.parametrize("name", ["default", "keeping"])
def test_settings_of_the_allocator_are_those_of_glibc(name: str):
    assert all(key.startswith("MALLOC_") and key.endswith("_") for key in ALLOCATORS[name])
    assert bool(ALLOCATORS[name]) is (name == "keeping")
