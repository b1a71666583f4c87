"""Rows of large files are those of whole images."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image, PngImagePlugin

from ahs_seg.io import rasters
from ahs_seg.io.images import ImageError, read_image, read_size
from ahs_seg.io.png import SIGNATURE, png_chunk
from ahs_seg.io.rasters import open_dataset, open_raster
from tests.support.drawn_images import drawn, save
from tests.support.geotiffs import geotiff


def test_rows_are_those_of_the_whole_image(tmp_path):
    image = drawn(50, 70)
    alpha = np.linspace(0, 255, 50 * 70).astype(np.uint8).reshape(1, 50, 70)
    bands = np.moveaxis(image, -1, 0)
    files = [
        geotiff(tmp_path / "rgb.tif", bands),
        geotiff(tmp_path / "grey.tif", bands[:1]),
        geotiff(tmp_path / "wide.tif", bands.astype(np.uint16) * 257),
        geotiff(tmp_path / "clear.tif", np.concatenate([bands, alpha]), photometric="RGB", alpha="YES"),
        save(tmp_path / "image.png", image),
    ]
    Image.fromarray(image).quantize(16).save(tmp_path / "palette.tif")
    for path in [*files, tmp_path / "palette.tif"]:
        with open_raster(path) as raster:
            assert raster.size == (50, 70)
            rows = np.concatenate([raster.rows(top, min(top + 16, 50)) for top in range(0, 50, 16)])
        expected = image if path.name == "wide.tif" else read_image(path)
        assert np.array_equal(rows, expected), path.name


def test_a_compressed_strip_of_absurd_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = geotiff(tmp_path / "a.tif", np.zeros((3, 400, 50), np.uint8), compress="deflate", blockysize=400)
    monkeypatch.setattr(rasters, "MAX_BLOCK_BYTES", 59_999)
    with pytest.raises(ImageError, match=r"blocks of 50x400 pixels, 60,000 bytes; at most 59,999 .*TILED=YES"):
        read_image(path)


def test_a_sparse_raster_of_absurd_size_is_refused(tmp_path):
    profile = {"count": 3, "dtype": "uint8", "SPARSE_OK": True, "tiled": True, "BIGTIFF": "YES"}
    for size, message in {
        (300_000, 300_000): "at most 40,000,000,000",
        (10, 300_000): "at most 250,000 are tiled",
    }.items():
        with rasterio.open(tmp_path / "a.tif", "w", "GTiff", height=size[0], width=size[1], **profile):
            pass
        with pytest.raises(ImageError, match=message), open_raster(tmp_path / "a.tif"):
            pass


def test_other_files_that_a_raster_may_refer_to_are_not_opened(tmp_path):
    geotiff(tmp_path / "secret.tif", np.zeros((1, 4, 4), np.uint8))
    (tmp_path / "a.png").write_text(
        "<VRTDataset rasterXSize='4' rasterYSize='4'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>"
        "<SourceFilename relativeToVRT='1'>secret.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(ImageError, match="not in a supported format"), open_dataset(tmp_path / "a.png"):
        pass


def test_a_format_without_a_georeference_has_no_dataset(tmp_path):
    for name in ("a.webp", "a.avif", "a.gif"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        with open_dataset(tmp_path / name) as found:
            assert found is None


def turned() -> bytes:
    """An EXIF block that says that the first row is the right side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def png_of_16_bits(*, after: bool) -> bytes:
    """A PNG of 4x8 pixels with colours of 16 bits and an EXIF block before or after the pixels."""
    colours = np.arange(96).reshape(4, 24) * 600
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    exif = png_chunk(b"eXIf", turned().removeprefix(b"Exif\0\0"))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 4, 16, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + header + (pixels + exif if after else exif + pixels) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_large_files_are_turned_as_small_ones(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(drawn(50, 70)).save(path, exif=turned())
    small = read_image(path)
    assert small.shape == (70, 50, 3)
    monkeypatch.setattr(rasters, "LARGE", 0)
    assert np.abs(read_image(path).astype(int) - small).mean() < 2  # two decoders of JPEG
    assert read_size(path) == (70, 50)
    with open_dataset(path) as found:
        assert found is not None
        assert found[1].size((50, 70)) == (70, 50)


@pytest.mark.parametrize("after", [False, True])
def test_colours_of_16_bits_are_turned(tmp_path, after, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png_of_16_bits(after=after))
    with monkeypatch.context() as patched:
        patched.delattr(PngImagePlugin.PngImageFile, "load_prepare")  # the block is found without decoding
        image = read_image(path)
    assert image.shape == (8, 4, 3)
    assert image[0, -1].tolist() == [0, 2, 4]
    monkeypatch.setattr(rasters, "_has_rasterio", lambda: False)
    assert read_size(path) == (8, 4)
