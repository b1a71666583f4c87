"""Everything that the commands import while they run; the process from which every case is forked imports it once."""

import sys

import matplotlib.figure  # noqa: F401
import PIL.Image
import pytest  # noqa: F401  # a forked process imports the main module of its parent again
import rasterio  # noqa: F401
import scipy.io  # noqa: F401
import torch._dynamo
import torch.utils.tensorboard  # imported by the first row that is logged

import ahs_seg.checkpoints.importing.run
import ahs_seg.cli
import ahs_seg.data.prepare
import ahs_seg.experiments.ablation
import ahs_seg.experiments.quickstart
import ahs_seg.experiments.suite
import ahs_seg.integrations
import ahs_seg.pipelines  # noqa: F401

sys.dont_write_bytecode = True  # what a case writes outside of its folder is a fault
PIL.Image.init()
torch.set_num_threads(1)
