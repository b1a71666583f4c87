"""Tags that state more bytes than there are, and the values of those that are read."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from ahs_seg.io import tiff_tags
from ahs_seg.io.image_files import has_several_images
from ahs_seg.io.images import ImageError, read_image
from ahs_seg.io.tiff_tags import check_exif, check_tags, exif_block, read_tags
from tests.support.geotiffs import geotiff
from tests.support.memory import peak_bytes

LENGTH = 100_000
HEADERS = {"little": b"II*\0", "big": b"MM\0*", "BigTIFF": b"II+\0", "big BigTIFF": b"MM\0+"}


def tiff(tags: int, header: bytes = b"II*\0", *, inner: int = 0, kind: int = 7, count: int = LENGTH) -> bytes:
    """A grey TIFF of 8x8 pixels whose directory has further tags, all with the same `LENGTH` bytes as their values.

    With `inner`, that tag refers to another directory, which has them instead. Their values are `count` of type `kind`.
    """
    order, big = ("<" if header[:1] == b"I" else ">"), b"+" in header
    start, entry, number, place = (16, "HHQQ", "Q", "Q") if big else (8, "HHII", "H", "I")
    pixels = start + LENGTH
    usual = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: pixels, 278: 8, 279: 64}

    def packed(value: int) -> int:  # a number of 4 bytes stands at the left of its place
        return value << 32 if big and order == ">" else value

    several = [(50_000 + index, kind, count, start) for index in range(tags)]
    own = [(tag, 4, 1, packed(value)) for tag, value in usual.items()]
    size = struct.calcsize(order + entry)
    after = pixels + 64 + struct.calcsize(order + number + place)
    first = [*own, (inner, 4, 1, packed(after + (len(own) + 1) * size))] if inner else own + several

    def directory(entries: list[tuple[int, int, int, int]]) -> bytes:
        content = b"".join(struct.pack(order + entry, *one) for one in entries)
        return struct.pack(order + number, len(entries)) + content + struct.pack(order + place, 0)

    head = header + (struct.pack(order + "HHQ", 8, 0, pixels + 64) if big else struct.pack(order + "I", pixels + 64))
    return head + bytes(LENGTH + 64) + directory(first) + (directory(several) if inner else b"")


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("inner", [0, 330, 34665])
def test_tags_that_share_their_bytes_are_refused(header: bytes, inner: int) -> None:
    check_tags(io.BytesIO(tiff(1, header, inner=inner)), "it")
    with pytest.raises(ImageError, match=r"^it: its tags state .* bytes or more, but it has 10.*without its metadata"):
        check_tags(io.BytesIO(tiff(40, header, inner=inner)), "it")


@pytest.mark.parametrize(("kind", "size"), enumerate([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8, 0, 0]))
def test_values_of_all_types_count_and_unknown_types_are_ignored(kind: int, size: int) -> None:
    content = tiff(40, b"II+\0", kind=kind, count=LENGTH // max(size, 1))
    if not size:
        check_tags(io.BytesIO(content), "it")
        return
    with pytest.raises(ImageError, match=r"its tags state 4,00\d,\d+ bytes"):
        check_tags(io.BytesIO(content), "it")


@pytest.mark.parametrize("geo", [True, False])
def test_no_decoder_loads_them(tmp_path: Path, geo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahs_seg.io.rasters._has_rasterio", lambda: geo)
    (tmp_path / "few.tif").write_bytes(tiff(2))
    assert read_image(tmp_path / "few.tif").shape == (8, 8, 3)
    path = tmp_path / "many.tif"
    path.write_bytes(tiff(900))

    def refused() -> None:
        with pytest.raises(ImageError, match=r"many\.tif: its tags state"):
            read_image(path)
        assert not has_several_images(path)

    assert peak_bytes(refused) < 20_000_000


def test_directories_that_refer_to_each_other_end() -> None:
    content = bytearray(tiff(0))
    content[-4:] = struct.pack("<I", 8 + LENGTH + 64)
    check_tags(io.BytesIO(bytes(content)), "it")
    for length in range(0, 300, 7):
        check_tags(io.BytesIO(content[: 8 + LENGTH + 64 + length]), "it")  # cut anywhere
    check_tags(io.BytesIO(content[:3]), "it")


def test_a_directory_of_too_many_tags_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_tags, "MAX_TAGS", 7)
    with pytest.raises(ImageError, match=r"it: a directory of 8 tags; at most 7 are read"):
        check_tags(io.BytesIO(tiff(0)), "it")


@pytest.mark.parametrize("options", [{}, {"BIGTIFF": "YES"}], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
def test_values_are_those_of_the_file(tmp_path: Path, order: str, options: dict[str, str]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(np.uint8)
    path = geotiff(tmp_path / "a.tif", values, photometric="RGB", ENDIANNESS=order, **options)
    with path.open("rb") as file:
        assert read_tags(file, "it", (256, 258, 259, 262, 274)) == {256: 7, 258: (8, 8, 8), 259: 1, 262: 2}
    assert np.array_equal(read_image(path), np.moveaxis(values, 0, -1))


def test_an_unreasonable_number_of_values_is_refused() -> None:
    content = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 338, 3, 200_000, 8, 0)
    with pytest.raises(ImageError, match=r"it: its tag 338 states 200,000 values; at most 196,608 are read"):
        read_tags(io.BytesIO(content), "it", (338,))


def test_a_large_raster_may_have_large_tables(tmp_path: Path) -> None:
    profile = {"count": 1, "dtype": "uint8", "tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(tmp_path / "a.tif", "w", "GTiff", height=4096, width=4096, **profile) as dataset:
            dataset.write(np.zeros((1, 4096, 4096), np.uint8))
    with (tmp_path / "a.tif").open("rb") as file:
        check_tags(file, "it")


def test_the_block_of_an_image_is_that_which_pillow_reads() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    assert exif_block({}) == b""
    assert exif_block({"exif": block}) == block
    assert exif_block({"Raw profile type exif": f"\nexif\n  {len(block)}\n{block.hex()}\n"}) == block
    check_exif(block)
    check_exif(b"")
    for wrong in (b"Exif\0\0" * 9, tiff(0, HEADERS["BigTIFF"])):
        with pytest.raises(ImageError, match="does not begin as such a block"):
            check_exif(wrong)
