"""An image, words for a colour method, and what a prediction must be."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def words(rows: int) -> torch.Tensor:
    return F.normalize(torch.randn(rows, 1, 16, generator=torch.Generator().manual_seed(rows)), dim=-1)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.tensor(image).permute(2, 0, 1).float() / 255


def assert_same(prediction, scores: torch.Tensor) -> None:
    torch.testing.assert_close(prediction.scores, scores.amax(0), atol=1e-6, rtol=1e-5)
    top = scores.topk(2, 0).values
    clear = top[0] - top[1] > 1e-6
    assert clear.float().mean() > 0.9
    assert torch.equal(prediction.labels[clear], scores.argmax(0)[clear].int())
