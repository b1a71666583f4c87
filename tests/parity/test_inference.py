"""Recorded probabilities of the original's single pass (padded and stretched) and sliding window, at picture size."""

import numpy as np
import torch

from ahs_seg.inference.predict import CAT_SEG_PROTOCOL, InferenceConfig, score_maps
from ahs_seg.inference.score_maps import best_rows
from ahs_seg.inference.windows import WholeImage
from tests.parity.case import Case


def picture(case: Case, key: str, height: int, width: int) -> np.ndarray:
    """The recorded picture; the recording resized none, so that protocols keep its shortest edge."""
    return (case.recording.image(key, height, width)[0] * 255).round().byte().permute(1, 2, 0).numpy()


@torch.no_grad()
def test_single_pass_with_padding(case: Case) -> None:
    case.method.head.class_pooling = 1
    config = InferenceConfig(windows=WholeImage(pad_multiple=32), shortest_edge=333)
    text = case.text("tokens_20")
    rows, maps = score_maps(case.method, picture(case, "B", 333, 500), text, config, size=(250, 375))
    error = np.abs(maps(rows)[::4, ::12, ::12].numpy() - case.recording.arrays["single_nonsquare"]).max()
    assert error <= (1e-4 if case.large else 2e-5)


@torch.no_grad()
def test_sliding_window(case: Case) -> None:
    case.method.head.class_pooling = 1
    config = CAT_SEG_PROTOCOL.replace(shortest_edge=427)
    rows, maps = score_maps(case.method, picture(case, "C", 427, 640), case.text("tokens_20"), config)
    error = np.abs(maps(rows)[:, ::24, ::24].numpy() - case.recording.arrays["sliding"]).max()
    assert error <= (1e-4 if case.large else 2e-5)
    labels, _ = best_rows(maps, rows, memory_bytes=2**26)
    assert (labels[::8, ::8].numpy() != case.recording.arrays["sliding_argmax"]).mean() <= 0.005
