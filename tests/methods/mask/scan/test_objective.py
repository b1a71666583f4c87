"""What training of SCAN minimises."""

import pytest
import torch
from torch import Tensor

from ahs_seg.methods.mask.scan.segmenter import ScanSegmenter
from ahs_seg.methods.objective import TrainingClasses
from ahs_seg.types import IGNORE, TrainingForward
from tests.support.scan import build, images, words
from tests.support.small_methods import SCAN_SMALL


def losses(
    method: ScanSegmenter, inputs: Tensor, labels: Tensor, classes: int, masks: float | None = None
) -> dict[str, Tensor]:
    output = method(inputs, words(classes))
    rows = torch.arange(classes)
    view = TrainingForward(inputs, labels, rows, rows, output, 0.0, masks=masks)
    known = TrainingClasses(tuple(map(str, rows.tolist())), (None,) * classes, lambda: torch.zeros(classes, 24))
    return SCAN_SMALL.objective(method, known)(method, view)


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (4, torch.arange(2 * 50 * 70).reshape(2, 50, 70) // 900 % 4),
        (1, torch.zeros(2, 50, 70, dtype=torch.long)),
        (3, torch.full((2, 50, 70), IGNORE)),
        (3, torch.cat([torch.full((1, 50, 70), IGNORE), torch.ones(1, 50, 70, dtype=torch.long)])),
    ],
    ids=["several", "one class", "nothing labelled", "one image without labels"],
)
def test_losses_are_finite_and_reach_every_weight(classes: int, labels: Tensor) -> None:
    method = build().train()
    found = losses(method, images(), labels, classes)
    assert set(found) == {f"{name}{suffix}" for name in ("label", "mask", "dice") for suffix in ("", "_0", "_1")}
    torch.stack(list(found.values())).sum().backward()
    gradients = {name: value.grad for name, value in method.named_parameters() if value.requires_grad}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    if (labels == IGNORE).all():
        assert all(found[name].item() == 0 for name in found if not name.startswith("label"))


def test_only_the_auxiliary_predictions_asked_for_have_losses() -> None:
    method = build().train()
    objective = SCAN_SMALL.replace(loss=SCAN_SMALL.loss.replace(auxiliary=1))
    rows = torch.arange(2)
    output = method(images(), words(2))
    view = TrainingForward(images(), torch.zeros(2, 50, 70, dtype=torch.long), rows, rows, output, 0.0)
    terms = objective.objective(method, TrainingClasses(("a", "b"), (None, None), lambda: words(2)[:, 0]))
    assert set(terms(method, view)) == {"label", "mask", "dice", "label_0", "mask_0", "dice_0"}


def test_mask_losses_are_divided_by_the_masks_of_all_processes() -> None:
    method, labels = build().train(), torch.arange(2 * 50 * 70).reshape(2, 50, 70) // 900 % 4
    found = []
    for masks in (None, 16.0):  # both images show 4 classes
        torch.manual_seed(0)
        found.append(losses(method, images(), labels, 4, masks))
    alone, together = found
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value if name.startswith("label") else value / 2)
