"""Names of image files: the extensions that are read, those of images that are not, and files with several images."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

from PIL import ImageFile, TiffImagePlugin

from ahs_seg.io.pillow_files import identified, opened

_USUAL: Final = frozenset([".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2"])
_JPEG: Final = frozenset([".jpe", ".jfif", ".jif", ".mpo"])
_JPEG_2000: Final = frozenset([".j2k", ".jpc", ".j2c", ".jpf", ".jpx"])
_OTHERS: Final = frozenset([".apng", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"])
IMAGE_SUFFIXES: Final = _USUAL | _JPEG | _JPEG_2000 | _OTHERS
"""Extensions of the formats that `read_image` decodes, in lower case."""

_CONVERT: Final = "convert to JPEG or PNG, for example with ImageMagick: magick IN OUT.png"
_DEVELOP: Final = "camera raw: develop it with the program of the camera, darktable or dcraw, and save as TIFF"
_RENDER: Final = "a drawing, not an image: render it to PNG"

UNREAD_SUFFIXES: Final = (
    dict.fromkeys([".heic", ".heif", ".hif"], "convert to JPEG: heif-convert IN OUT.jpg, or in the phone's settings")
    | dict.fromkeys([".jxl", ".ico", ".icns", ".tga", ".psd", ".xcf", ".exr", ".hdr", ".pcx", ".dds", ".jls"], _CONVERT)
    | dict.fromkeys([".dcm", ".nii", ".fits", ".img", ".hdf", ".nitf"], "convert the image bands to TIFF or PNG")
    | dict.fromkeys([".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"], _DEVELOP)
    | dict.fromkeys([".svg", ".eps", ".wmf", ".emf"], _RENDER)
)
"""Extensions of image files that are not read, with advice."""

_SEVERAL: Final = ("GIF", "TIFF", "WEBP", "AVIF", "PNG")
"""Formats that can hold several images; the further ones of an MPO are previews of the first."""

_SUBFILE_TYPE: Final = 254
_REDUCED_OR_MASK: Final = 1 | 4
_MOST_PAGES: Final = 64
"""Pages of a TIFF that are looked at; the first ones of a large GeoTIFF may be overviews and masks."""


def has_several_images(path: Path) -> bool:
    """Whether a file holds more images (frames, pages) than the first; False if that cannot be told.

    Overviews and masks in a GeoTIFF do not count.
    """
    try:
        with opened(path, str(path)) as file, identified(file, str(path), _SEVERAL) as image:
            if not getattr(image, "is_animated", False):
                return False
            return image.format != "TIFF" or any(_is_page(image, number) for number in range(1, _MOST_PAGES))
    except Exception:  # noqa: BLE001  # decoders raise anything on damaged files; reading the image says what is wrong
        return False


def _is_page(image: ImageFile.ImageFile, number: int) -> bool:
    """Whether a further image of a TIFF is one of its own, not a smaller version or the mask of another."""
    image.seek(number)
    tags = cast(TiffImagePlugin.TiffImageFile, image).tag_v2
    return not int(tags.get(_SUBFILE_TYPE, 0)) & _REDUCED_OR_MASK
