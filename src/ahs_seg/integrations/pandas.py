"""Results as tables of pandas: https://pandas.pydata.org."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ahs_seg.io.extras import require_package


def to_frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> Any:
    """A `pandas.DataFrame` with these rows and columns; without rows it has the columns only.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    require_package("pandas", "to_dataframe")
    import pandas

    return pandas.DataFrame(list(rows), columns=list(columns))
