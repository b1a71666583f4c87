"""One of two processes that share a module by FSDP (gloo, CPU); prints what it found. See `test_processes.py`."""

from __future__ import annotations

import json

import torch
import torch.distributed
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import AdamW

from ahs_seg.methods.objective import SegmentationObjective
from ahs_seg.training.forward import TrainingStep
from ahs_seg.training.optim import build_optimizer
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.training.state import collect, gather, restore_moments, stored_names
from tests.support.training import TinyMethod


def train(module: torch.nn.Module, optimizer: AdamW, step: TrainingStep) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 255, (2, 3, 16, 16), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, 2, (2, 16, 16), generator=draw)
    tokens = step.backbone.tokenizer(["a cat", "a dog"])
    for _ in range(2):
        losses = module(
            images,
            labels,
            lambda encode: F.normalize(encode(tokens), dim=-1)[:, None],
            (0, 1),
            torch.arange(2),
            0.0,
        )
        losses["segmentation"].backward()
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    found = []
    for divided in (False, True):
        step = TrainingStep(TinyMethod(dropout=0), SegmentationObjective())
        names = stored_names(step)
        module: nn.Module = step
        if divided:
            frozen = [value for value in step.parameters() if not value.requires_grad]
            cpu = torch.device("cpu")
            module = FullyShardedDataParallel(step, use_orig_params=True, ignored_states=frozen, device_id=cpu)
        optimizer = build_optimizer(module, OptimizerConfig())
        train(module, optimizer, step)
        found.append(collect(module, optimizer, names))
    plain, whole = found
    fresh = build_optimizer(module, OptimizerConfig())
    restore_moments(module, fresh, whole)
    again = collect(module, fresh, names)
    own = step.state_dict()
    shards = sum(own[name].shape != whole[f"weight/{name}"].shape for name in names)
    gather(module)
    own = step.state_dict()
    report = {
        "shards": shards,
        "gathered": all(torch.equal(own[name], whole[f"weight/{name}"]) for name in names),
        "works": bool(step.eval().method(torch.zeros(1, 3, 16, 16), torch.ones(2, 1, 16)).logits.isfinite().all()),
        "missing": sorted(plain.keys() - whole.keys()),
        "tensors": len(plain),
        "error": max(float((whole[key].float() - plain[key].float()).abs().max()) for key in plain),
        "largest": max(float(plain[key].abs().max()) for key in plain if "exp_avg" in key),
        "restored": whole.keys() == again.keys() and all(torch.equal(whole[key], again[key]) for key in whole),
    }
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
