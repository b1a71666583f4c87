"""Reading images and label maps: files, PIL images, arrays and tensors become upright RGB arrays of type uint8.

The EXIF and TIFF orientation is applied; an EXIF block that cannot be read is ignored. The first frame is read from
files with several frames. `pixels` has the conventions for values, `rasters` chooses the decoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int32, Shaped, UInt, UInt8
from PIL import Image, ImageFile
from torch import Tensor

from ahs_seg.io.pillow_files import (
    check_cost,
    check_size,
    decoding,
    has_16_bit_colours,
    identified,
    opened,
    orientation_of,
    pillow_bands,
    raw_mode,
)
from ahs_seg.io.pixels import Bands, Raster
from ahs_seg.io.pixels import ImageError as ImageError  # where its users look for it
from ahs_seg.io.protocols import ByAttribute
from ahs_seg.io.rasters import open_raster


@runtime_checkable
class BinaryFile(Protocol, metaclass=ByAttribute):
    """A file that is open for reading bytes, or an object like it, such as `io.BytesIO`."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, all of them without a size."""


ImageSource: TypeAlias = str | Path | bytes | BinaryFile | Image.Image | Shaped[np.ndarray, "*_"] | Tensor

MAX_PIXELS: Final = 400_000_000
"""Maximum number of pixels of an image (20,000 x 20,000); decoding it takes at most 4 GB. Some formats allow fewer."""

LABEL_FORMATS: Final = ("PNG", "TIFF", "BMP", "PPM")
_SAVE_AGAIN: Final = "Save it as an 8-bit RGB PNG with the colours of the classes."
_PACKED_GREY: Final = {"L;2": 3, "L;4": 15}
"""Highest values of 2- and 4-bit grey, which Pillow scales to 0..255, by raw mode."""


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS, name: str = "image") -> UInt8[np.ndarray, "H W 3"]:
    """The RGB values of a file, a PIL image, an array (H W, H W 1, H W 3 or H W 4) or a tensor (H W or c H W).

    A file is given by its path, by its content (bytes; `name` stands for it in error messages) or as an open file,
    which is read from its beginning. Arrays and tensors hold uint8, uint16 or floats in [0, 1]. A uint8 array of shape
    H W 3 is returned without a copy.

    Raises:
        ImageError: the file is missing, damaged or of an unknown format, or the number of pixels, the shape, the type
            or the range of values is not allowed.
    """
    if isinstance(source, BinaryFile):
        name = name_of(source) or name
        source = content_of(source)
    if isinstance(source, str | Path | bytes):
        file, name = (source, name) if isinstance(source, bytes) else (Path(source), str(source))
        with open_raster(file, max_pixels=max_pixels, name=name) as raster:
            return raster.whole()
    if isinstance(source, Image.Image):
        check_size((source.height, source.width), "image", max_pixels)
        return Raster(pillow_bands(source, "image")).whole()
    if isinstance(source, Tensor):
        return _rgb_of_array(_channels_last(source), "tensor")
    if isinstance(source, np.ndarray):
        return _rgb_of_array(source, "array")
    raise ImageError(
        f"cannot read an image from a {type(source).__name__}; "
        "give a path, an open file, a PIL image, a numpy array (H W 3) or a torch tensor (3 H W)."
    )


def name_of(file: BinaryFile) -> str:
    """The path that an open file was opened with; empty if it has none."""
    name = getattr(file, "name", "")
    return name if isinstance(name, str) else ""


def content_of(file: BinaryFile) -> bytes:
    """All bytes of an open file: from its beginning if it can be wound back, else the rest of it.

    Raises:
        ImageError: the file is closed, cannot be read, or is open as text.
    """
    name = name_of(file) or type(file).__name__
    try:
        seek = getattr(file, "seek", None)
        if seek is not None and getattr(file, "seekable", lambda: True)():
            seek(0)
        content = file.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: the open file cannot be read ({error}). Open it again, or give its path.") from None
    if not isinstance(content, bytes):
        raise ImageError(
            f'{name}: reading the open file gives {type(content).__name__}, not bytes; open it with open(path, "rb").'
        )
    return content


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file as `read_image` returns it, from its header alone.

    Raises:
        ImageError: missing, unknown or too large file, or a damaged header.
    """
    with open_raster(path, max_pixels=MAX_PIXELS) as raster:
        return raster.size


def read_labels(
    source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str = "label map"
) -> UInt[np.ndarray, "H W"]:
    """The label values of a file exactly as stored, as uint8 or uint16.

    Grey values are not scaled, nor inverted where a TIFF says that 0 is white; a file with a palette gives the palette
    indices. In PBM black is 0. A file is given by its path, or by its content (bytes; `name` stands for it in error
    messages).

    Raises:
        ImageError: the file is missing or damaged, has colour or alpha channels, or a lossy format.
    """
    file_of, name = (source, name) if isinstance(source, bytes) else (Path(source), str(source))
    with opened(file_of, name) as file, identified(file, name, LABEL_FORMATS) as image:
        check_cost(image, name, max_pixels)
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
            raise ImageError(
                f"{name}: mode {image.mode}; a label map has one number per pixel (8- or 16-bit grey, or a palette). "
                "Save the class indices, not their colours."
            )
        highest, inverted, orientation = _scaled_from(image), _is_inverted(image), orientation_of(image)
        with decoding(name):
            values = np.ascontiguousarray(orientation.upright(np.asarray(image)))
    if inverted:
        values = ~values
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if highest is not None:
        values = _unscaled(values, highest)
    if values.dtype == np.uint8:
        return values
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name}: label values {values.min()}..{values.max()}; allowed are 0..65535. Save it with 16 bits."
        )
    return values.astype(np.uint16)


def read_colours(path: Path, *, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W 3"]:
    """The exact RGB values of a label map whose colours mean classes, from a lossless file; palettes are looked up.

    Raises:
        ImageError: the file is missing or damaged, has more than 8 bits per channel, or a lossy format.
    """
    name = str(path)
    with opened(path, name) as file, identified(file, name, LABEL_FORMATS) as image:
        check_cost(image, name, max_pixels)
        if image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA", "PA"):
            raise ImageError(f"{name}: mode {image.mode}; a coloured label map has 8 bits per channel. {_SAVE_AGAIN}")
        if has_16_bit_colours(image):
            raise ImageError(f"{name}: 16 bits per channel; a coloured label map has 8. {_SAVE_AGAIN}")
        orientation = orientation_of(image)
        with decoding(name):
            return np.ascontiguousarray(orientation.upright(np.asarray(image.convert("RGB"))))


def _scaled_from(image: ImageFile.ImageFile) -> int | None:
    """The highest stored value of a file that is not loaded yet, if Pillow will scale it to 255 or 65535."""
    arguments = image.tile[0][3] if image.tile else None
    if image.format == "PPM" and isinstance(arguments, tuple):
        return int(arguments[1])
    return _PACKED_GREY.get(raw_mode(image)[:3])


def _unscaled(values: UInt8[np.ndarray, "H W"] | Int32[np.ndarray, "H W"], highest: int) -> UInt[np.ndarray, "H W"]:
    """Stored values up to `highest` of those that Pillow has scaled to 255, or to 65535 if they have 32 bits."""
    full, wide, kind = (255, "u2", "u1") if values.dtype == np.uint8 else (65535, "u4", "u2")
    products = values.astype(wide)  # of twice the bits, which the product of two values fits
    np.multiply(products, highest, out=products)
    np.add(products, full // 2, out=products)
    np.floor_divide(products, full, out=products)
    return products.astype(kind)


def _is_inverted(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow will invert the grey values of a TIFF that is not loaded yet: those of 1 to 8 bits in some."""
    _, _, packing = raw_mode(image).partition(";")
    return image.format == "TIFF" and image.mode in ("1", "L") and "I" in packing


def _channels_last(tensor: Tensor) -> Shaped[np.ndarray, "*_"]:
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise ImageError(
            f"tensor of shape {tuple(tensor.shape)}; allowed are (H W) and (c H W) with c 1, 3 or 4. "
            "Pass one image at a time, channels first (.permute(2, 0, 1))."
        )
    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return (tensor if tensor.ndim == 2 else tensor.permute(1, 2, 0)).numpy()


def _rgb_of_array(values: Shaped[np.ndarray, "*_"], name: str) -> UInt8[np.ndarray, "H W 3"]:
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
    if values.dtype == np.uint8 and values.shape[2] == 3:
        return np.ascontiguousarray(values)
    if not any(np.issubdtype(values.dtype, kind) for kind in (np.uint8, np.uint16, np.floating)):
        raise ImageError(
            f"{name} of type {values.dtype}; allowed are uint8, uint16 and floats in [0, 1]. "
            "Convert integers with .astype(np.uint8)."
        )
    size = values.shape[0], values.shape[1]
    alpha = values.shape[2] == 4
    bands = Bands(name, size, values.dtype, lambda rows, columns: values[rows, columns], alpha=alpha)
    return Raster(bands).whole()
