"""Mean and standard deviation come from the files, or from the kind with a warning."""

import json
import logging
from pathlib import Path

import pytest

from ahs_seg.backbones.base import BackboneError
from ahs_seg.backbones.image_statistics import Numbers, read_statistics

HALF: Numbers = (0.5, 0.5, 0.5)


def read(directory: Path) -> tuple[Numbers, Numbers]:
    return read_statistics(directory, usual=(HALF, HALF), title="a SigLIP")


def test_a_directory_without_any_has_those_of_its_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path) == (HALF, HALF)
    assert "no preprocessor_config.json; images are normalised as for a SigLIP" in caplog.text


def test_files_come_first(tmp_path: Path) -> None:
    values = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "rescale_factor": 0.00392156862745098}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    assert read(tmp_path) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


@pytest.mark.parametrize("values", [{}, {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}])
def test_images_that_are_not_normalised_stay_as_they_are(tmp_path: Path, values: dict[str, list[float]]) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**values, "do_normalize": False}))
    assert read(tmp_path) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_half_of_them_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3}))
    with pytest.raises(BackboneError, match="has no image_std; each is a list of three numbers"):
        read(tmp_path)
