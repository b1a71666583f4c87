"""How stored rows and columns are turned and mirrored to stand upright: the eight cases of EXIF, TIFF and video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rows and columns are swapped if `swapped`; then the order of rows and of columns is reversed where stated."""

    swapped: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    @classmethod
    def of_exif(cls, value: object) -> Orientation:
        """The orientation for a value of the tag 274 (0x0112) of EXIF and TIFF; other values than 1..8 mean upright."""
        return cls(value in (5, 6, 7, 8), value in (3, 4, 7, 8), value in (2, 3, 6, 7))

    @classmethod
    def of_matrix(cls, matrix: Sequence[int]) -> Orientation:
        """The orientation for a display matrix of a video (3x3 fixed-point numbers), to the nearest 90 degrees.

        A pixel (x, y) is shown at (a x + c y, b x + d y), where the matrix begins with (a b u c d v).
        """
        a, b, _, c, d, _ = matrix[:6]
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(swapped=False, rows_reversed=d < 0, columns_reversed=a < 0)
        return cls(swapped=True, rows_reversed=b < 0, columns_reversed=c < 0)

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return (stored[1], stored[0]) if self.swapped else stored

    def upright(self, stored: Shaped[np.ndarray, "*_"]) -> Shaped[np.ndarray, "*_"]:
        """A view of the stored pixels as an upright image."""
        values = stored.swapaxes(0, 1) if self.swapped else stored
        return self._reversed(values)

    def stored(self, upright: Shaped[np.ndarray, "*_"]) -> Shaped[np.ndarray, "*_"]:
        """A view of an upright image in the order in which it is stored."""
        values = self._reversed(upright)
        return values.swapaxes(0, 1) if self.swapped else values

    def window(self, rows: slice, columns: slice, size: tuple[int, int]) -> tuple[slice, slice]:
        """Stored rows and columns of a window of the upright image, which has this `size`."""
        rows = _from_end(rows, size[0]) if self.rows_reversed else rows
        columns = _from_end(columns, size[1]) if self.columns_reversed else columns
        return (columns, rows) if self.swapped else (rows, columns)

    def _reversed(self, values: Shaped[np.ndarray, "*_"]) -> Shaped[np.ndarray, "*_"]:
        return values[:: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1]


UPRIGHT: Final = Orientation()


def _from_end(window: slice, length: int) -> slice:
    return slice(length - window.stop, length - window.start)
