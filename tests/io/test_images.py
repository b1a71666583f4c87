"""Reading images and label maps: every source the issue of a user could name, and what happens to damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ahs_seg.io.images import ImageError, read_image, read_labels, read_size


def gradient(height: int = 24, width: int = 32) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 8, columns * 7, (rows + columns) * 4], -1).astype(np.uint8)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG written by hand: Pillow itself cannot write 2- and 4-bit grey."""
    height, width = values.shape
    per_byte = 8 // bits
    rows = b""
    for row in values:
        padded = [*row.tolist(), *[0] * (-width % per_byte)]
        packed = [padded[i : i + per_byte] for i in range(0, len(padded), per_byte)]
        rows += b"\0" + bytes(sum(v << (8 - bits * (k + 1)) for k, v in enumerate(group)) for group in packed)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp", "ppm"])
def test_lossless_formats_give_the_very_bytes(tmp_path, suffix):
    image = gradient()
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(image), **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(path), image)
    assert np.array_equal(read_image(str(path)), image)


def test_jpeg_is_close_and_of_the_right_type(tmp_path):
    result = read_image(saved(tmp_path / "a.jpg", Image.fromarray(gradient()), quality=95))
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - gradient()).mean() < 4


def test_one_pixel(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (1, 1), (1, 2, 3)))
    assert read_image(path).tolist() == [[[1, 2, 3]]]


def test_twenty_thousand_pixels_wide(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (20_000, 30), (9, 8, 7)))
    result = read_image(path)
    assert result.shape == (30, 20_000, 3)
    assert result.flags.writeable
    assert (result == (9, 8, 7)).all()


def test_the_pixel_limit_is_ours_and_says_so(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("L", (40, 30)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(path).shape == (30, 40, 3)
    with pytest.raises(ImageError, match=r"40x30 is 1,200 pixels; at most 1,199 are read\. .*max_pixels"):
        read_image(path, max_pixels=1199)
    with pytest.raises(ImageError, match="1,200 pixels"):
        read_image(Image.new("L", (40, 30)), max_pixels=1199)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_rotation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(gradient()), exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(path), expected)
    with Image.open(path) as image:
        assert np.array_equal(read_image(image), expected)


def test_broken_exif_means_upright(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(gradient()), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff rubbish")
    assert read_image(path).shape == (24, 32, 3)


def test_grey_is_repeated(tmp_path):
    grey = gradient()[..., 0]
    for name, image in {"L": Image.fromarray(grey), "1": Image.fromarray(grey > 90)}.items():
        result = read_image(saved(tmp_path / f"{name}.png", image))
        expected = grey if name == "L" else (grey > 90) * np.uint8(255)
        assert np.array_equal(result, np.repeat(expected[..., None], 3, -1))


def test_transparent_pixels_show_white_whatever_lies_under_them(tmp_path):
    rgba = np.array([[[200, 0, 100, 0], [200, 0, 100, 255], [200, 0, 100, 128]]], np.uint8)
    expected = [[[255, 255, 255], [200, 0, 100], [227, 127, 177]]]
    assert read_image(saved(tmp_path / "rgba.png", Image.fromarray(rgba))).tolist() == expected
    assert read_image(Image.fromarray(rgba)).tolist() == expected
    assert read_image(rgba).tolist() == expected
    assert read_image(torch.from_numpy(rgba).permute(2, 0, 1)).tolist() == expected


def test_grey_with_alpha_and_transparent_palette(tmp_path):
    grey_alpha = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 0)])
    assert read_image(saved(tmp_path / "la.png", grey_alpha)).tolist() == [[[255, 255, 255]]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read_image(saved(tmp_path / "p.png", palette)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    transparent = saved(tmp_path / "pt.png", palette, transparency=1)
    assert read_image(transparent).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert read_image(saved(tmp_path / "a.tif", image))[0, 0].tolist() == [255, 0, 0]
    assert np.abs(read_image(saved(tmp_path / "a.jpg", image))[4, 4].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 256, 257, 32768, 65535]], np.uint16)
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(values))
    assert read_image(path)[..., 1].tolist() == [[0, 1, 1, 128, 255]]
    assert read_image(values)[..., 2].tolist() == [[0, 1, 1, 128, 255]]
    big_endian = Image.frombytes("I;16B", (5, 1), values.astype(">u2").tobytes())
    assert read_image(big_endian)[..., 0].tolist() == [[0, 1, 1, 128, 255]]
    assert read_image(Image.fromarray(values.astype(np.int32)))[..., 0].tolist() == [[0, 1, 1, 128, 255]]


def test_arrays_and_tensors_agree():
    image = gradient()
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    assert read_image(image) is image
    for source in (image / 255, (image / 255).astype(np.float32), tensor, tensor / 255, Image.fromarray(image)):
        assert np.array_equal(read_image(source), image)
    assert np.array_equal(read_image(tensor[0]), np.repeat(image[..., :1], 3, -1))
    assert np.abs(read_image((tensor / 255).to(torch.bfloat16)).astype(int) - image).max() <= 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 8, 9), np.uint8), r"array of shape \(3, 8, 9\); allowed .* channels last"),
        (np.zeros((2, 8, 9, 3), np.uint8), "one image at a time"),
        (np.zeros((0, 9, 3), np.uint8), "no pixels"),
        (np.zeros((8, 9, 3), np.int64), "type int64; allowed are uint8"),
        (np.full((8, 9, 3), 200.0), r"values 200 to 200; floats must lie in \[0, 1\]\. Divide by 255"),
        (np.full((8, 9), np.nan), "values nan to nan"),
        (torch.zeros(8, 9, 3), r"tensor of shape \(8, 9, 3\); allowed .* channels first"),
        (torch.zeros(1, 3, 8, 9), "one image at a time"),
        (torch.full((3, 8, 9), -0.5), "values -0.5 to -0.5"),
        (Image.fromarray(np.full((2, 2), 70000, np.int32)), "type int32"),
        (Image.new("RGB", (0, 3)), "no pixels"),
    ],
)
def test_wrong_arrays_say_given_allowed_remedy(source, message):
    with pytest.raises(ImageError, match=message):
        read_image(source)


def test_missing_folder_text_empty(tmp_path):
    (tmp_path / "note.jpg").write_text("not an image at all")
    (tmp_path / "empty.png").touch()
    for name, message in {
        "gone.png": "no such file",
        "": "is a folder",
        "note.jpg": "not in a supported format",
        "empty.png": "empty",
        "nul\0.png": "cannot be opened",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_image(f"{tmp_path}/{name}")


def test_postscript_is_not_run(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="not in a supported format"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_truncated_files_are_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"holiday.{suffix}", Image.fromarray(noise))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"holiday\..*: damaged or incomplete image"):
        read_image(path)


@settings(max_examples=150)
@given(kind=st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "BMP"]), data=st.data())
def test_damaged_bytes_give_an_image_or_an_image_error(tmp_path_factory, kind, data):
    buffer = io.BytesIO()
    Image.fromarray(gradient()).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(content))
    try:
        outcome: np.ndarray | str = read_image(path, max_pixels=100_000)
    except ImageError as error:
        outcome = str(error)
    assert str(path) in outcome if isinstance(outcome, str) else outcome.shape[2] == 3


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_packed_grey_labels_are_not_stretched(tmp_path, bits):
    values = np.random.default_rng(bits).integers(0, 2**bits, (5, 7))
    (tmp_path / "a.png").write_bytes(grey_png(values, bits))
    assert np.array_equal(read_labels(tmp_path / "a.png"), values)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_labels_keep_values_and_depth(tmp_path, suffix):
    small = np.array([[0, 1, 7, 255]], np.uint8)
    large = np.array([[0, 1, 846, 65535]], np.uint16)
    for values in (small, large):
        result = read_labels(saved(tmp_path / f"{values.dtype}.{suffix}", Image.fromarray(values)))
        assert result.dtype == values.dtype
        assert np.array_equal(result, values)


def test_palette_labels_are_indices_whatever_the_colours(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 255, 255, 0, 0, 0, 128, 0, 0])
    image.putdata([0, 2, 1])
    assert read_labels(saved(tmp_path / "a.png", image, transparency=0)).tolist() == [[0, 2, 1]]
    assert read_labels(saved(tmp_path / "b.png", image, bits=2)).tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "F"])
def test_colour_labels_are_refused(tmp_path, mode):
    path = saved(tmp_path / "a.tif", Image.new(mode, (2, 2)))
    with pytest.raises(ImageError, match=f"mode {mode}; a label map has one number per pixel"):
        read_labels(path)


def test_other_unusable_labels(tmp_path):
    with pytest.raises(ImageError, match=r"not in a supported format \(PNG, TIFF"):
        read_labels(saved(tmp_path / "a.jpg", Image.new("L", (8, 8))))
    with pytest.raises(ImageError, match=r"label values -1\.\.70000; allowed are 0\.\.65535"):
        read_labels(saved(tmp_path / "a.tif", Image.fromarray(np.array([[-1, 70000]], np.int32))))
    with pytest.raises(ImageError, match="no such file"):
        read_labels(tmp_path / "gone.png")


def test_labels_follow_the_same_rotation_as_images(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.png", Image.fromarray(np.array([[1, 2, 3]], np.uint8)), exif=exif)
    assert read_labels(path).tolist() == [[1], [2], [3]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_image_as_it_is_read(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (7, 4)), exif=exif)
    assert read_size(path) == read_image(path).shape[:2] == ((7, 4) if orientation > 4 else (4, 7))


def test_of_a_file_of_several_frames_the_first_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (7, 4), colour) for colour in ("white", "black")]
    path = saved(tmp_path / "a.mpo", frames[0], save_all=True, append_images=frames[1:])
    assert read_size(path) == (4, 7)
    assert read_image(path).min() > 250


def test_a_file_without_an_image_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ImageError, match=r"a\.jpg: empty, or not in a supported format .*Convert it to PNG"):
        read_size(tmp_path / "a.jpg")
