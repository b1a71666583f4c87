"""Reading images and label maps: files, PIL images, arrays and tensors become RGB arrays of type uint8.

Conventions, the same for every source:

- The EXIF orientation is applied; an EXIF block that cannot be read is ignored.
- Transparent pixels are blended with white; without the alpha channel, arbitrary hidden colours would appear.
- 16-bit grey is scaled to 8 bits (0..65535 -> 0..255), not clipped. Floats are in [0, 1].
- CMYK and palettes are converted as Pillow does; colour profiles are not applied (CLIP does not apply them either).
- The first frame is read from files with several frames.

Only the formats listed here are decoded: Pillow would, for example, run Ghostscript to read EPS files.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Shaped, UInt, UInt8
from PIL import Image, ImageFile
from torch import Tensor

from ahs_seg.errors import SampleError

ImageSource: TypeAlias = str | Path | bytes | Image.Image | Shaped[np.ndarray, "..."] | Tensor

MAX_PIXELS: Final = 400_000_000
"""Maximum number of pixels of an image (20,000 x 20,000); decoding it takes about 4 GB."""

IMAGE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""Formats of images by Pillow's names; "JPEG" includes the multi-picture files (MPO) of cameras."""
LABEL_FORMATS: Final = ("PNG", "TIFF", "BMP", "PPM")

_DECODER_ERRORS: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(NotImplementedError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""Exceptions that Pillow's decoders raise on damaged files."""

_EXIF_ORIENTATION: Final = 0x0112
_PACKED_GREY: Final = {"L;2": 85, "L;4": 17}
"""Factors by which Pillow scales 2- and 4-bit grey values to 0..255, by raw mode."""


class ImageError(SampleError):
    """An image or a label map cannot be read; the message says what was given, what is allowed and what to do."""


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS, name: str = "image") -> UInt8[np.ndarray, "H W 3"]:
    """The RGB values of a file, a PIL image, an array (H W, H W 1, H W 3 or H W 4) or a tensor (H W or c H W).

    A file is given by its path or by its content (bytes); `name` stands for the content in error messages. Arrays and
    tensors hold uint8, uint16 or floats in [0, 1]. A uint8 array of shape H W 3 is returned without a copy.

    Raises:
        ImageError: the file is missing, damaged or of an unknown format, or the number of pixels, the shape, the type
            or the range of values is not allowed.
    """
    if isinstance(source, str | Path):
        with _opened(Path(source), IMAGE_FORMATS, max_pixels) as image:
            return _rgb_of_pil(image, str(source))
    if isinstance(source, bytes):
        with _identified(io.BytesIO(source), name, IMAGE_FORMATS, max_pixels) as image:
            return _rgb_of_pil(image, name)
    if isinstance(source, Image.Image):
        _check_size(source, "image", max_pixels)
        with _decoding("image"):
            return _rgb_of_pil(source, "image")
    if isinstance(source, Tensor):
        return _rgb_of_array(_channels_last(source), "tensor")
    if isinstance(source, np.ndarray):
        return _rgb_of_array(source, "array")
    raise ImageError(
        f"cannot read an image from a {type(source).__name__}; "
        "give a path, a PIL image, a numpy array (H W 3) or a torch tensor (3 H W)."
    )


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file as `read_image` returns it, from its header alone.

    Raises:
        ImageError: missing, unknown or too large file, or a damaged header.
    """
    with _opened(path, IMAGE_FORMATS, MAX_PIXELS) as image:
        height, width = _upright(np.empty((image.height, image.width, 0), np.uint8), image).shape[:2]
    return height, width


def read_labels(source: str | Path, *, max_pixels: int = MAX_PIXELS) -> UInt[np.ndarray, "H W"]:
    """The label values of a file exactly as stored, as uint8 or uint16.

    Grey values are not scaled; a file with a palette gives the palette indices.

    Raises:
        ImageError: the file is missing or damaged, has colour or alpha channels, or a lossy format.
    """
    name = str(source)
    with _opened(Path(source), LABEL_FORMATS, max_pixels) as image:
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
            raise ImageError(
                f"{name}: mode {image.mode}; a label map has one number per pixel (8- or 16-bit grey, or a palette). "
                "Save the class indices, not their colours."
            )
        stretch = _stretch(image)
        values = _upright(np.asarray(image), image)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype == np.uint8:
        return values // np.uint8(stretch)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name}: label values {values.min()}..{values.max()}; allowed are 0..65535. Save it with 16 bits."
        )
    return values.astype(np.uint16)


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name}: damaged or incomplete image ({error}). Copy it again or leave it out.") from error


@contextmanager
def _opened(path: Path, formats: tuple[str, ...], max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    name = str(path)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a folder, not an image. Give the path of a file in it.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be opened ({error}). Check its permissions.") from None
    with file, _identified(file, name, formats, max_pixels) as image:
        yield image


@contextmanager
def _identified(
    file: io.BufferedIOBase, name: str, formats: tuple[str, ...], max_pixels: int
) -> Iterator[ImageFile.ImageFile]:
    with _decoding(name):
        image = _identify(file, formats)
        if image is None:
            raise ImageError(f"{name}: empty, or not in a supported format ({', '.join(formats)}). Convert it to PNG.")
        _check_size(image, name, max_pixels)
        yield image


def _identify(file: io.BufferedIOBase, formats: tuple[str, ...]) -> ImageFile.ImageFile | None:
    """The image with only its header read, without Pillow's process-wide pixel limit; None: unknown format."""
    Image.init()
    start = file.read(16)
    for name in formats:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is not None and (accept is None or accept(start) is True):
            file.seek(0)
            return factory(cast(IO[bytes], file), "")
    return None


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width}x{height} is {width * height:,} pixels; at most {max_pixels:,} are read. "
            "Cut it into tiles, shrink it, or raise max_pixels."
        )
    if not width * height:
        raise ImageError(f"{name}: {width}x{height} has no pixels; both sides must be at least 1.")


def _stretch(image: ImageFile.ImageFile) -> int:
    """The factor by which Pillow will scale the grey values of a file that is not loaded yet."""
    arguments = image.tile[0].args if image.tile else None
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return _PACKED_GREY.get(str(raw_mode)[:3], 1)


def _upright(values: Shaped[np.ndarray, ...], image: Image.Image) -> Shaped[np.ndarray, ...]:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return values
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _rgb_of_pil(image: Image.Image, name: str) -> UInt8[np.ndarray, "H W 3"]:
    image.load()
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if image.mode == "I" and values.min() >= 0 and values.max() <= 65535:
            values = values.astype(np.uint16)
        return _upright(_rgb_of_array(values, name), image)
    if image.has_transparency_data:
        return _upright(_on_white(np.asarray(image.convert("RGBA"))), image)
    return _upright(np.array(image if image.mode == "RGB" else image.convert("RGB")), image)


def _channels_last(tensor: Tensor) -> Shaped[np.ndarray, ...]:
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise ImageError(
            f"tensor of shape {tuple(tensor.shape)}; allowed are (H W) and (c H W) with c 1, 3 or 4. "
            "Pass one image at a time, channels first (.permute(2, 0, 1))."
        )
    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return (tensor if tensor.ndim == 2 else tensor.permute(1, 2, 0)).numpy()


def _rgb_of_array(values: Shaped[np.ndarray, ...], name: str) -> UInt8[np.ndarray, "H W 3"]:
    shape = values.shape
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise ImageError(
            f"{name} of shape {shape}; allowed are (H W) and (H W c) with c 1, 3 or 4. "
            "Pass one image at a time, channels last (.transpose(1, 2, 0))."
        )
    if not values.size:
        raise ImageError(f"{name} of shape {shape} has no pixels; both sides must be at least 1.")
    values = _to_bytes(values, name)
    if values.shape[2] == 4:
        return _on_white(values)
    return np.repeat(values, 3, -1) if values.shape[2] == 1 else np.ascontiguousarray(values)


def _to_bytes(values: Shaped[np.ndarray, "H W c"], name: str) -> UInt8[np.ndarray, "H W c"]:
    if values.dtype == np.uint8:
        return values
    if np.issubdtype(values.dtype, np.uint16):
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(
            f"{name} of type {values.dtype}; allowed are uint8, uint16 and floats in [0, 1]. "
            "Convert integers with .astype(np.uint8)."
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"{name} of type {values.dtype} with values {low:g} to {high:g}; floats must lie in [0, 1]. "
            "Divide by 255, undo the normalisation, or clip."
        )
    return (values * 255 + 0.5).astype(np.uint8)


def _on_white(rgba: UInt8[np.ndarray, "H W 4"]) -> UInt8[np.ndarray, "H W 3"]:
    alpha = rgba[..., 3:].astype(np.uint16)
    blended = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)
