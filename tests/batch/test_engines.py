"""Engines by their names."""

import pytest

from ahs_seg.batch.engines import engine_for
from ahs_seg.batch.jobs import ModelSource
from ahs_seg.batch.ray import RayEngine

MODEL = ModelSource("some/model")


def test_the_local_engine_is_this_process() -> None:
    assert engine_for("local", MODEL) is None
    with pytest.raises(ValueError, match="Ray cluster; give --engine ray"):
        engine_for("local", MODEL, workers=2)


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'spark'; allowed are local and ray"):
        engine_for("spark", MODEL)


@pytest.mark.parametrize(("workers", "expected"), [(None, 1), (3, 3)])
def test_ray_has_the_workers_asked_for(workers: int | None, expected: int) -> None:
    engine = engine_for("ray", MODEL, workers=workers)
    assert isinstance(engine, RayEngine)
    assert engine.workers == expected
