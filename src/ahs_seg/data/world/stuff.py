"""Background textures of the drawn world: square tiles of sky, grass, bricks etc., generated once per process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ahs_seg.data.world.names import STUFF

DrawnImage: TypeAlias = NDArray[np.floating[Any]]
"""Image array of shape (height, width, 3), RGB in [0, 1]."""
Field: TypeAlias = NDArray[np.floating[Any]]

TILE_SIZE: Final = 160
TILES_PER_KIND: Final = 12
_SALT: Final = 7_041_776


@cache
def tiles(kind: str) -> tuple[DrawnImage, ...]:
    """Texture tiles of one stuff; each is `TILE_SIZE` pixels square."""
    paint, index = _PAINTERS[kind], STUFF.index(kind)
    return tuple(
        np.clip(paint(np.random.default_rng((_SALT, index, number))), 0, 1).astype(np.float32)
        for number in range(TILES_PER_KIND)
    )


@cache
def mean_colour(kind: str) -> NDArray[np.float32]:
    """Mean RGB of one stuff."""
    return np.mean([tile.mean((0, 1)) for tile in tiles(kind)], 0, dtype=np.float32)


def crop(kind: str, height: int, width: int, rng: np.random.Generator) -> DrawnImage:
    """Random crop of a random tile, randomly mirrored; small tiles are extended by reflection."""
    number, top, left, flip = rng.random(4)
    tile = tiles(kind)[int(number * TILES_PER_KIND)]
    while min(tile.shape[:2]) < max(height, width):
        tile = np.concatenate([tile, tile[::-1]], 0)
        tile = np.concatenate([tile, tile[:, ::-1]], 1)
    y, x = int(top * (tile.shape[0] - height + 1)), int(left * (tile.shape[1] - width + 1))
    piece = tile[y : y + height, x : x + width]
    return piece[:, ::-1] if flip < 0.5 else piece


def _noise(rng: np.random.Generator, sigma: float | int | tuple[float | int, float | int]) -> Field:
    """Smooth periodic noise of mean 0 and standard deviation 1; `sigma` is (vertical, horizontal) in pixels."""
    raw = rng.standard_normal((TILE_SIZE, TILE_SIZE)).astype(np.float32)
    smooth = ndimage.gaussian_filter(raw, sigma, mode="wrap")
    return np.asarray(smooth / smooth.std(), np.float32)


def _tint(rng: np.random.Generator, colour: tuple[float, float, float], spread: float = 0.04) -> DrawnImage:
    return np.asarray(np.array(colour) + rng.normal(0, spread, 3), np.float32)


def _mix(low: DrawnImage, high: DrawnImage, amount: Field) -> DrawnImage:
    weight = np.clip(amount, 0, 1)[..., None]
    return low * (1 - weight) + high * weight


def _grid() -> tuple[Field, Field]:
    rows, columns = np.mgrid[0:TILE_SIZE, 0:TILE_SIZE].astype(np.float32)
    return rows, columns


def _cells(rng: np.random.Generator, count: int) -> tuple[Field, Field, NDArray[np.intp]]:
    """Distances to the nearest and second nearest of `count` random points, and which point is nearest."""
    points = rng.random((count, 2)) * TILE_SIZE
    around = np.concatenate([points + np.array([dy, dx]) * TILE_SIZE for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    rows, columns = _grid()
    distance, nearest = cKDTree(around).query(np.stack([rows, columns], -1), k=2)
    return distance[..., 0].astype(np.float32), distance[..., 1].astype(np.float32), nearest[..., 0] % count


def _sky(rng: np.random.Generator) -> DrawnImage:
    clouds = _noise(rng, 14) + 0.5 * _noise(rng, 6)
    return _mix(_tint(rng, (0.42, 0.66, 0.94)), _tint(rng, (0.92, 0.95, 0.98), 0.02), clouds * 0.5 + 0.15)


def _grass(rng: np.random.Generator) -> DrawnImage:
    blades = _noise(rng, (3.5, 0.7)) * 0.3 + _noise(rng, 8) * 0.12 + 0.5
    return _mix(_tint(rng, (0.08, 0.30, 0.06)), _tint(rng, (0.42, 0.68, 0.20)), blades)


def _sand(rng: np.random.Generator) -> DrawnImage:
    grain = _noise(rng, 0.6) * 0.16 + _noise(rng, (4, 16)) * 0.2 + 0.5
    return _mix(_tint(rng, (0.70, 0.58, 0.38)), _tint(rng, (0.93, 0.83, 0.62)), grain)


def _water(rng: np.random.Generator) -> DrawnImage:
    waves = _noise(rng, (1.3, 6)) * 0.28 + 0.4
    return _mix(_tint(rng, (0.03, 0.22, 0.42)), _tint(rng, (0.35, 0.66, 0.78)), waves)


def _brick_wall(rng: np.random.Generator) -> DrawnImage:
    rows, columns = _grid()
    high, long = 10, 20
    course = rows // high
    shifted = columns + (course % 2) * (long / 2)
    brick = (course * 31 + (shifted // long) % (TILE_SIZE / long)).astype(np.int64)
    shade = rng.normal(0.5, 0.22, int(brick.max()) + 1).astype(np.float32)[brick]
    body = _mix(_tint(rng, (0.50, 0.18, 0.12)), _tint(rng, (0.76, 0.38, 0.26)), shade + _noise(rng, 0.7) * 0.12)
    mortar = ((rows % high < 1.6) | (shifted % long < 1.6)).astype(np.float32)
    return _mix(body, _tint(rng, (0.80, 0.77, 0.72)), mortar)


def _wood_floor(rng: np.random.Generator) -> DrawnImage:
    rows, columns = _grid()
    high = 16
    plank = (rows // high).astype(np.int64)
    shade = rng.normal(0.5, 0.2, TILE_SIZE // high).astype(np.float32)[plank]
    grain = _noise(rng, (0.8, 12)) * 0.2
    body = _mix(_tint(rng, (0.48, 0.29, 0.13)), _tint(rng, (0.80, 0.58, 0.33)), shade + grain)
    joints = (columns + rng.integers(0, TILE_SIZE, TILE_SIZE // high)[plank]) % 80 < 1.3
    return _mix(body, _tint(rng, (0.22, 0.12, 0.05), 0.02), ((rows % high < 1.3) | joints).astype(np.float32) * 0.8)


def _snow(rng: np.random.Generator) -> DrawnImage:
    drifts = _noise(rng, (9, 18)) * 0.3 + _noise(rng, 0.6) * 0.1 + 0.7
    return _mix(_tint(rng, (0.74, 0.82, 0.92), 0.02), _tint(rng, (0.97, 0.98, 1.0), 0.01), drifts)


def _gravel(rng: np.random.Generator) -> DrawnImage:
    near, second, which = _cells(rng, 700)
    tone = rng.normal(0.5, 0.28, 700).astype(np.float32)[which]
    stones = _mix(_tint(rng, (0.36, 0.34, 0.33)), _tint(rng, (0.78, 0.76, 0.72)), tone)
    return _mix(np.full(3, 0.16, np.float32), stones, (second - near) * 0.7)


def _carpet(rng: np.random.Generator) -> DrawnImage:
    rows, columns = _grid()
    weave = np.sin(rows * np.float32(np.pi / 2.5)) * np.sin(columns * np.float32(np.pi / 2.5))
    motif = np.cos(rows * np.float32(np.pi / 16)) + np.cos(columns * np.float32(np.pi / 16))
    body = _mix(
        _tint(rng, (0.36, 0.08, 0.22)), _tint(rng, (0.62, 0.24, 0.40)), weave * 0.3 + 0.5 + _noise(rng, 1) * 0.1
    )
    return _mix(body, _tint(rng, (0.78, 0.62, 0.42)), (np.abs(motif) < 0.28).astype(np.float32) * 0.75)


def _lava(rng: np.random.Generator) -> DrawnImage:
    near, second, _ = _cells(rng, 70)
    glow = np.clip(1 - (second - near) / 5, 0, 1) + _noise(rng, 5) * 0.12
    crust = _mix(np.full(3, 0.07, np.float32), _tint(rng, (0.30, 0.10, 0.07), 0.02), _noise(rng, 2) * 0.3 + 0.4)
    return _mix(
        crust, _mix(_tint(rng, (0.93, 0.28, 0.04), 0.03), _tint(rng, (1.0, 0.85, 0.25), 0.03), glow), glow * 1.3
    )


def _leaves(rng: np.random.Generator) -> DrawnImage:
    near, second, which = _cells(rng, 240)
    tone = rng.normal(0.5, 0.3, 240).astype(np.float32)[which]
    body = _mix(_tint(rng, (0.16, 0.36, 0.08)), _tint(rng, (0.80, 0.58, 0.14)), tone)
    return _mix(np.array([0.05, 0.12, 0.04], np.float32), body, (second - near) * 0.35 + 0.15)


def _metal(rng: np.random.Generator) -> DrawnImage:
    brushed = _noise(rng, (0.6, 30)) * 0.16 + _noise(rng, (20, 40)) * 0.18 + 0.5
    plate = _mix(_tint(rng, (0.40, 0.44, 0.50), 0.02), _tint(rng, (0.80, 0.83, 0.87), 0.02), brushed)
    rows, columns = _grid()
    rivets = np.hypot(rows % 40 - 20, columns % 40 - 20) < 2.6
    return _mix(plate, np.full(3, 0.2, np.float32), rivets.astype(np.float32) * 0.7)


_PAINTERS: Final[dict[str, Callable[[np.random.Generator], DrawnImage]]] = {
    "sky": _sky,
    "grass": _grass,
    "sand": _sand,
    "water": _water,
    "brick wall": _brick_wall,
    "wood floor": _wood_floor,
    "snow": _snow,
    "gravel": _gravel,
    "carpet": _carpet,
    "lava": _lava,
    "leaves": _leaves,
    "metal": _metal,
}
