"""Packaged configs by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from ahs_seg.config import ConfigError

SUITES: Final = "ablation"
"""The folder of the ablation tables."""
CROP_CLIPS: Final = "crop_clip"
"""The folder of the fine-tunings of SCAN's second CLIP."""


def packaged_configs() -> dict[str, Path]:
    """Every packaged experiment by its name, such as `cat_seg_vitb`."""
    root = Path(str(files("ahs_seg") / "configs"))
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}
    return {name: path for name, path in found.items() if path.parent.name not in (SUITES, CROP_CLIPS)}


def packaged_suites() -> dict[str, Path]:
    """Every packaged ablation table by its name, such as `ahs_seg`."""
    folder = Path(str(files("ahs_seg") / "configs")) / SUITES
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def packaged_crop_clips() -> dict[str, Path]:
    """Every packaged fine-tuning of SCAN's second CLIP by its name, such as `scan_vitl`."""
    folder = Path(str(files("ahs_seg") / "configs")) / CROP_CLIPS
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_crop_clip(config: Path | str) -> Path:
    """The yaml file at this path, or the packaged fine-tuning of this name.

    Raises:
        ConfigError: neither exists; lists the packaged names.
    """
    return _find(config, packaged_crop_clips())


def find_config(config: Path | str) -> Path:
    """The yaml file at this path, or the packaged one of this name.

    Raises:
        ConfigError: neither exists; lists the packaged names.
    """
    return _find(config, packaged_configs())


def _find(config: Path | str, known: dict[str, Path]) -> Path:
    if Path(config).is_file():
        return Path(config)
    if str(config) not in known:
        raise ConfigError(f"{config}: no such file, nor a packaged config; those are {', '.join(known)}.")
    return known[str(config)]
