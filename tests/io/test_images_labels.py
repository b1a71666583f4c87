"""Label maps given by their content, and those whose colours mean classes."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ahs_seg.io.images import ImageError, read_colours, read_labels
from ahs_seg.io.png import SIGNATURE, png_chunk
from tests.support.geotiffs import geotiff

COLOURS = np.array([[[0, 0, 0], [192, 96, 96]], [[5, 6, 7], [255, 255, 255]]], np.uint8)


def saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_labels_are_read_from_bytes() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[3, 300]], np.uint16)).save(buffer, "PNG")
    assert read_labels(buffer.getvalue()).tolist() == [[3, 300]]
    with pytest.raises(ImageError, match="row 7: empty, or not in a supported format"):
        read_labels(b"", name="row 7")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("compress", ["NONE", "DEFLATE"])
@pytest.mark.parametrize("photometric", ["MINISWHITE", "MINISBLACK"])
def test_labels_are_the_stored_values_whichever_of_them_is_white(
    tmp_path: Path, photometric: str, compress: str, bits: int
) -> None:
    values = np.array([[0, 1, 1, 0], [2**bits - 1, 0, min(2, 2**bits - 1), 1]], np.uint16 if bits > 8 else np.uint8)
    packed = {"nbits": bits} if bits < 8 else {}
    path = geotiff(tmp_path / "a.tif", values[None], photometric=photometric, compress=compress, **packed)
    labels = read_labels(path)
    assert labels.tolist() == values.tolist()
    assert labels.dtype == values.dtype


@pytest.mark.parametrize("highest", [1, 2, 150, 254, 255, 256, 300, 65534, 65535])
def test_labels_of_a_netpbm_file_are_not_scaled_from_its_highest_value(highest: int) -> None:
    values = np.arange(highest + 1).reshape(1, -1)
    size = f"{highest + 1} 1 {highest}\n".encode()
    binary = b"P5 " + size + values.astype(">u2" if highest > 255 else np.uint8).tobytes()
    assert np.array_equal(read_labels(binary), values)
    plain = b"P2 " + size + " ".join(map(str, values[0].tolist())).encode() + b"\n"
    assert np.array_equal(read_labels(plain), values)


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
def test_colours_are_exact(tmp_path: Path, ending: str) -> None:
    assert np.array_equal(read_colours(saved(tmp_path / f"a{ending}", Image.fromarray(COLOURS))), COLOURS)


def test_colours_of_palettes_and_with_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8))
    palette.putpalette(COLOURS.reshape(-1).tolist())
    assert np.array_equal(read_colours(saved(tmp_path / "p.png", palette)), COLOURS)
    clear = np.dstack([COLOURS, np.full((2, 2), 9, np.uint8)])
    assert np.array_equal(read_colours(saved(tmp_path / "c.png", Image.fromarray(clear))), COLOURS)


@pytest.mark.parametrize(("kind", "values"), [(2, (192, 96, 96)), (6, (192, 96, 96, 65535)), (4, (96, 65535))])
def test_colours_of_16_bits_are_refused(tmp_path: Path, kind: int, values: tuple[int, ...]) -> None:
    row = struct.pack(f">{2 * len(values)}H", *values, *values)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, kind, 0, 0, 0))
    content = header + png_chunk(b"IDAT", zlib.compress(b"\0" + row)) + png_chunk(b"IEND", b"")
    (path := tmp_path / "deep.png").write_bytes(SIGNATURE + content)
    with pytest.raises(ImageError, match=r"deep\.png: 16 bits per channel; a coloured label map has 8\. Save it as"):
        read_colours(path)


def test_lossy_and_deep_files_have_no_exact_colours(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not in a supported format"):
        read_colours(saved(tmp_path / "a.jpg", Image.fromarray(COLOURS)))
    with pytest.raises(ImageError, match="mode I;16; a coloured label map has 8 bits per channel"):
        read_colours(saved(tmp_path / "a.png", Image.fromarray(np.zeros((2, 2), np.uint16))))
    with pytest.raises(ImageError, match=r"at most 3 are read"):
        read_colours(saved(tmp_path / "b.png", Image.fromarray(COLOURS)), max_pixels=3)
