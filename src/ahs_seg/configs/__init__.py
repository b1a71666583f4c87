"""Configs shipped with the package: experiments, ablation suites and fine-tunings, looked up by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from ahs_seg.config import ConfigError

SUITES: Final = "ablation"
"""Subfolder with the ablation suites."""
CROP_CLIPS: Final = "crop_clip"
"""Subfolder with the configs that fine-tune SCAN's second CLIP on masked crops."""


def packaged_configs() -> dict[str, Path]:
    """Paths of all packaged experiment configs by name, such as `cat_seg_vitb`."""
    root = Path(str(files("ahs_seg") / "configs"))
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}
    return {name: path for name, path in found.items() if path.parent.name not in (SUITES, CROP_CLIPS)}


def packaged_suites() -> dict[str, Path]:
    """Paths of all packaged ablation suites by name, such as `ahs_seg`."""
    folder = Path(str(files("ahs_seg") / "configs")) / SUITES
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def packaged_crop_clips() -> dict[str, Path]:
    """Paths of all packaged configs that fine-tune SCAN's second CLIP by name, such as `scan_vitl`."""
    folder = Path(str(files("ahs_seg") / "configs")) / CROP_CLIPS
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_crop_clip(config: Path | str) -> Path:
    """Path of a fine-tuning config, given by path or by packaged name.

    Raises:
        ConfigError: neither exists; the message lists the packaged names.
    """
    return _find(config, packaged_crop_clips())


def find_config(config: Path | str) -> Path:
    """Path of an experiment config, given by path or by packaged name.

    Raises:
        ConfigError: neither exists; the message lists the packaged names.
    """
    return _find(config, packaged_configs())


def _find(config: Path | str, known: dict[str, Path]) -> Path:
    if Path(config).is_file():
        return Path(config)
    if str(config) not in known:
        raise ConfigError(f"{config}: no such file and no packaged config of this name; those are {', '.join(known)}.")
    return known[str(config)]
