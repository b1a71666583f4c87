"""Packaged configs by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ahs_seg.config import ConfigError


def packaged_configs() -> dict[str, Path]:
    """Every packaged yaml by its name, such as `cat_seg_vitb`."""
    root = Path(str(files("ahs_seg") / "configs"))
    return {str(path.relative_to(root).with_suffix("")): path for path in sorted(root.rglob("*.yaml"))}


def find_config(config: Path | str) -> Path:
    """The yaml file at this path, or the packaged one of this name.

    Raises:
        ConfigError: neither exists; lists the packaged names.
    """
    if Path(config).is_file():
        return Path(config)
    known = packaged_configs()
    if str(config) not in known:
        raise ConfigError(f"{config}: no such file, nor a packaged config; those are {', '.join(known)}.")
    return known[str(config)]
