"""Multi-head attention is its formula, with and without gradients."""

import pytest
import torch

from ahs_seg.modules.attention import multi_head_attention


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("batch", [(), (2,), (3, 2), (4, 3, 2)])
def test_attention_with_and_without_gradients_is_one_formula(masked: bool, batch: tuple[int, ...]) -> None:
    query, key, value = (torch.randn(*batch, 5, 8, dtype=torch.float64) for _ in range(3))
    mask = torch.where(torch.rand(*batch[-1:], 5, 5) < 0.3, -100.0, 0.0).double() if masked else None
    expected = torch.zeros(*batch, 5, 8, dtype=torch.float64)
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        logits = query[..., part] @ key[..., part].mT / 2**0.5
        logits = logits if mask is None else logits + mask
        expected[..., part] = logits.softmax(-1) @ value[..., part]
    torch.testing.assert_close(multi_head_attention(query, key, value, 4, mask), expected)
    with torch.no_grad():
        torch.testing.assert_close(multi_head_attention(query, key, value, 4, mask), expected)
