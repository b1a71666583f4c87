"""Every way to read a file gives the same image: whole, from bytes, in rows, with and without rasterio."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io import rasters
from ahs_seg.io.images import ImageError, read_image, read_size
from ahs_seg.io.orientation import Orientation
from ahs_seg.io.rasters import open_raster
from tests.support.drawn_images import drawn
from tests.support.geotiffs import geotiff, with_tag

SIZE = (13, 22)
KINDS: Mapping[str, tuple[int, dict[str, Any]]] = {
    "grey": (1, {}),
    "white is zero": (1, {"photometric": "MINISWHITE"}),
    "grey, alpha": (2, {"alpha": "YES"}),
    "grey, undefined": (2, {"alpha": "NO"}),
    "rgb": (3, {"photometric": "RGB"}),
    "three bands": (3, {"photometric": "MINISBLACK"}),
    "rgb, alpha": (4, {"photometric": "RGB", "alpha": "YES"}),
    "rgb, premultiplied": (4, {"photometric": "RGB", "alpha": "PREMULTIPLIED"}),
    "rgb, undefined": (4, {"photometric": "RGB", "alpha": "NO"}),
    "rgb, two undefined": (5, {"photometric": "RGB", "alpha": "NO"}),
}
DTYPES = ("uint8", "uint16", "float32")
STORAGE: tuple[dict[str, Any], ...] = (
    {},
    {"interleave": "band"},
    {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
    {"compress": "lzw", "blockysize": 3},
)
NODATA = (None, 0)
CASES = list(product(KINDS, DTYPES, range(1, 9), range(len(STORAGE)), NODATA))
FAST = [*CASES[::37], ("white is zero", "uint8", 1, 1, None)]
assert {(case[0], case[1]) for case in FAST} == set(product(KINDS, DTYPES)), "every kind with every type"
assert {case[2] for case in FAST} == set(range(1, 9))


def values_of(kind: str, dtype: str) -> np.ndarray:
    """Bands (c h w) of the whole range of their type."""
    rng = np.random.default_rng(len(kind))
    wide = rng.integers(0, 65536, (KINDS[kind][0], *SIZE))
    if kind == "rgb, premultiplied":
        wide[:3] = wide[:3] * (wide[3:] / 65535)
    return {"uint8": wide >> 8, "uint16": wide, "float32": wide / 65535}[dtype].astype(dtype)


def eight_bits(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.float32:
        return (values * 255 + 0.5).astype(int)
    return (values >> 8 if values.dtype == np.uint16 else values).astype(int)


def expected(kind: str, values: np.ndarray) -> np.ndarray:
    """The image as its definition says, in the order in which it is stored."""
    bands = eight_bits(values)
    colours = np.stack([bands[0]] * 3 if len(bands) < 3 else list(bands[:3]), -1)
    if kind == "white is zero":
        colours = 255 - colours
    if "alpha" in kind or "premultiplied" in kind:
        alpha = bands[-1][..., None]
        if "premultiplied" in kind:
            colours = np.minimum(colours * 255 // np.maximum(alpha, 1), 255)
        colours = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return colours.astype(np.uint8)


def ways(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    yield "whole", read_image(path)
    yield "bytes", read_image(path.read_bytes())
    for step in (1, 5):
        with open_raster(path) as raster:
            height = raster.size[0]
            rows = [raster.rows(top, min(top + step, height)) for top in range(0, height, step)]
        yield f"{step} rows", np.concatenate(rows)


def check(path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways give this image; without rasterio it is the same, or an error that names the extra."""
    assert read_size(path) == image.shape[:2]
    for name, found in ways(path):
        assert np.array_equal(found, image), name
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "rasterio", None)
        error, without = outcome(path)
        assert not error or ("ahs-seg[geo]" in error and path.suffix == ".tif")
        for name, found in without:
            assert np.array_equal(found, image), f"{name}, without rasterio"


def outcome(path: Path) -> tuple[str, list[tuple[str, np.ndarray]]]:
    """The error of reading a file, or what is read in all ways."""
    try:
        return "", list(ways(path))
    except ImageError as error:
        return str(error), []


def check_tiff(case: tuple[str, str, int, int, int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, dtype, orientation, storage, nodata = case
    values = values_of(kind, dtype)
    path = geotiff(tmp_path / "a.tif", values, **KINDS[kind][1], **STORAGE[storage], nodata=nodata)
    with_tag(path, 274, orientation)
    check(path, Orientation.of_exif(orientation).upright(expected(kind, values)), monkeypatch)


@pytest.mark.parametrize("case", FAST, ids=str)
def test_tiff(case: tuple[str, str, int, int, int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tiff(case, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_tiff_in_full(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in CASES:
        if case[0] == kind:
            check_tiff(case, tmp_path, monkeypatch)


FILES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *[("png", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
    *[("tif", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "F", "CMYK", "LAB")],
    *[("tif", mode, {"compression": "tiff_lzw"}) for mode in ("1", "P", "RGB", "CMYK")],
    *[("jpg", mode, {}) for mode in ("L", "RGB", "CMYK")],
    ("jpg", "RGB", {"progressive": True}),
    *[("jp2", mode, {}) for mode in ("L", "RGB", "RGBA", "I;16")],
    *[("webp", mode, {"lossless": True}) for mode in ("RGB", "RGBA")],
    *[("bmp", "RGB", {}), ("ppm", "RGB", {}), ("gif", "P", {}), ("avif", "RGB", {"speed": 10})],
)
EXIF = ("png", "jpg", "webp", "avif", "tif")


@pytest.mark.parametrize(("suffix", "mode", "options"), FILES, ids=str)
def test_files_of_every_format(
    suffix: str, mode: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, upright = tmp_path / f"a.{suffix}", converted(mode)
    upright.save(path, **options)
    with Image.open(path) as image:
        plain = read_image(image)
    check(path, plain, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(rasters, "LARGE", 0)
        large = read_image(path)
        for name, found in ways(path):
            assert np.array_equal(found, large), f"{name}, read as a large file"
        lossy = suffix == "jpg" and mode == "RGB"  # the decoders differ in the sharpness of colours
        assert np.abs(large.astype(int) - plain).mean() <= (6 if lossy else 0)
    if suffix in EXIF and mode != "I;16":
        exif = Image.Exif()
        exif[274] = 7
        upright.save(path, exif=exif, **options)
        check(path, Orientation.of_exif(7).upright(plain), monkeypatch)
        with Image.open(path) as image:
            assert np.array_equal(read_image(image), Orientation.of_exif(7).upright(plain)), "a PIL image"


def converted(mode: str) -> Image.Image:
    image = drawn(*SIZE)
    if mode in ("I;16", "F"):
        grey = image[..., 0].astype(np.uint16) * 257
        return Image.fromarray(grey if mode == "I;16" else (grey / np.float32(65535)).astype(np.float32))
    if mode in ("LA", "RGBA"):
        coloured = np.concatenate([image, np.linspace(0, 255, image[..., :1].size).reshape(*SIZE, 1)], -1)
        return Image.fromarray(coloured.astype(np.uint8)).convert(mode)
    if mode == "LAB":
        return Image.frombytes("LAB", SIZE[::-1], image.tobytes())
    return Image.fromarray(image).convert(mode)


def test_colours_of_16_bits_in_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = values_of("rgb", "uint16")
    with suppress(ImportError):
        import rasterio

        with rasterio.open(
            tmp_path / "a.png", "w", driver="PNG", dtype="uint16", count=3, height=SIZE[0], width=SIZE[1]
        ) as file:
            file.write(values)
    check(tmp_path / "a.png", np.moveaxis(values >> 8, 0, -1).astype(np.uint8), monkeypatch)


def test_a_file_in_memory_has_the_name_that_it_is_given() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "TIFF")
    with pytest.raises(ImageError, match=r"^https://a\.org/b: 4x4 is 16 pixels"):
        read_image(buffer.getvalue(), name="https://a.org/b", max_pixels=15)
