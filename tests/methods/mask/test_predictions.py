"""Where the image lies in the maps of padded images."""

import torch

from ahs_seg.methods.mask.predictions import ImageArea

AREA, WHOLE = ImageArea((70, 100), (96, 160)), ImageArea((96, 160), (96, 160))


def test_padding_is_where_no_pixel_of_the_image_is() -> None:
    """At stride 32: rows from 0, 32, 64 of 70, columns from 0, 32, 64, 96 and 128 of 100."""
    padding = AREA.padding((3, 5), torch.device("cpu"))
    assert padding.tolist() == [[False] * 4 + [True]] * 3
    fine = AREA.padding((24, 40), torch.device("cpu"))
    assert (~fine).nonzero().amax(0).tolist() == [17, 24]  # 18 rows and 25 columns of 4 pixels
    assert (~fine).sum() == 18 * 25
    assert not WHOLE.padding((3, 5), torch.device("cpu")).any()
