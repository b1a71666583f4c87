"""The mutants of a small source, and which of them a test would have to notice."""

import ast
from pathlib import Path

import ahs_seg
from tests.mutants.changes import mutants
from tests.mutants.places import EQUIVALENT, PLACES
from tests.mutants.run import chosen, summary

SOURCE = '''
LIMIT: int = 3

def share(part: float, whole: float, *, strict: bool = True) -> float:
    """The share."""
    if strict and part > whole:
        raise ValueError("more than 1 whole")
    return min(part / whole, 1.0) - 0
'''


def test_operators_constants_conditions_and_arguments_are_changed_one_at_a_time() -> None:
    found = mutants(SOURCE)
    assert {one.what for one in found} == {
        "3 -> 4",
        "True -> False",
        "strict and part > whole -> strict or part > whole",
        "part > whole -> part >= whole",
        "part / whole -> part * whole",
        "min(part / whole, 1.0) -> min(1.0, part / whole)",
        "1.0 -> 2.0",
        "min(part / whole, 1.0) - 0 -> min(part / whole, 1.0) + 0",
        "min(part / whole, 1.0) - 0 -> min(part / whole, 1.0)",
        "0 -> 1",
    }
    assert {one.function for one in found} == {"", "share"}
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for one in found:
        changed = one.source.splitlines()
        assert len(changed) == len(plain)
        assert sum(first != second for first, second in zip(changed, plain, strict=True)) == 1, one.what


def test_every_place_has_its_tests_and_enough_mutants() -> None:
    tests = Path(__file__).parents[1]
    for module, files in PLACES.items():
        assert (Path(ahs_seg.__file__).parent / module).is_file(), module
        assert all((tests / file).exists() for file in files), module
    assert all(key.partition(": ")[0] in PLACES and reason for key, reason in EQUIVALENT.items())


def test_the_seed_decides_which_are_tried_and_every_module_has_its_turn() -> None:
    places = ["modules/resize.py", "modules/geodesic.py", "metrics/sg_iou.py"]
    first, again, other = (chosen(seed, 12, places) for seed in (0, 0, 1))
    assert [one.key for _, one in first] == [one.key for _, one in again] != [one.key for _, one in other]
    assert {name for name, _ in first[:3]} == set(places)


def test_the_summary_names_survivors() -> None:
    text = summary(
        {"a.py: f: 1 -> 2": "survived", "a.py: f: x < y -> x <= y": "noticed", "b.py: g: 3 -> 4": "too long"}
    )
    assert text.splitlines() == ["2 of 3 mutants were noticed, 0 change nothing", "  a.py: f: 1 -> 2: no test notices"]
