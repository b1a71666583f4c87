"""Every packaged config is what its type says; nothing else gets in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig

from ahs_seg.backbones.clip import ClipBackbone
from ahs_seg.backbones.clip_network import ClipNetwork
from ahs_seg.config import ConfigError
from ahs_seg.configs import find_config, find_crop_clip, packaged_configs, packaged_crop_clips, packaged_suites
from ahs_seg.data.catalog import find_spec
from ahs_seg.data.dataset_config import DatasetConfig
from ahs_seg.experiments.ablation.suites import find_suite
from ahs_seg.experiments.experiment import Experiment
from ahs_seg.methods import AhsSegConfig, AhsSegLiteConfig, CatSegConfig, HClipConfig, HpsSegConfig
from ahs_seg.methods.cost.config import CostMethodConfig
from ahs_seg.methods.cost.parts.fusion import FusionConfig
from ahs_seg.methods.cost.parts.projection import ProjectionConfig
from ahs_seg.modules.settings import ModuleConfig
from ahs_seg.training.crop_clip import CropClipExperiment
from ahs_seg.training.recipe import OptimizerConfig
from ahs_seg.training.sampler import StepDataset
from ahs_seg.tuners import Orthogonal
from ahs_seg.tuners.orthogonal import Modulation, Rotations
from tests.support.builders import byte_tokenizer
from tests.support.drawn_images import drawn, save

NAMES = sorted(packaged_configs())
SIZES = {"a": (40, 60), "b": (48, 36)}


@pytest.mark.parametrize("name", NAMES)
def test_packaged_configs_parse_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    experiment = Experiment.read(find_config(name))
    path = tmp_path / "config.yaml"
    path.write_text(experiment.to_yaml())
    assert Experiment.read(path) == experiment


@pytest.mark.parametrize("name", NAMES)
def test_packaged_configs_say_what_they_are(name: str) -> None:
    assert find_config(name).read_text().startswith("# ")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with two photographs of each benchmark, and two of one's own, where configs look for them."""
    monkeypatch.chdir(tmp_path)
    for name, (height, width) in SIZES.items():
        photograph, labels = drawn(height, width), np.zeros((height, width), np.uint8)
        for spec in map(find_spec, ("coco-stuff-171-train", "coco-stuff-171", "ade20k-150")):
            save(spec.image_path(Path("datasets"), name), photograph)
            save(spec.label_path(Path("datasets"), name), labels)
        for split in ("train", "val"):
            save(Path(f"data/images/{split}/{name}.png"), photograph)
            save(Path(f"data/annotations/{split}/{name}.png"), labels)
    Path("data/classes.txt").write_text("road\ntree\n")


def takes_a_batch(experiment: Experiment | CropClipExperiment) -> None:
    recipe = experiment.training.replace(batch_size=2, accumulation=1)
    (batch,) = StepDataset(experiment.data.open(), recipe, experiment.augmentation.apply, 0, 1)[0]
    assert batch.images.shape[:2] == (2, 3)
    assert batch.labels.shape == (2, *batch.images.shape[2:])
    assert not batch.left_out


def opens(*several: DatasetConfig | None) -> None:
    for data in several:
        assert data is None or len(data.open()) > 0


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        *((Experiment, find_config(name)) for name in NAMES),
        *((CropClipExperiment, find_crop_clip(name)) for name in sorted(packaged_crop_clips())),
    ],
    ids=str,
)
@pytest.mark.usefixtures("prepared")
def test_packaged_configs_read_images_where_they_are_prepared(
    kind: type[Experiment] | type[CropClipExperiment], path: Path
) -> None:
    experiment = kind.read(path)
    takes_a_batch(experiment)
    opens(experiment.validation)


@pytest.mark.parametrize("name", sorted(packaged_suites()))
@pytest.mark.parametrize("size", ["vitb", "vitl"])
@pytest.mark.usefixtures("prepared")
def test_packaged_suites_read_photographs_where_they_are_prepared(name: str, size: str) -> None:
    suite = find_suite(name)
    takes_a_batch(suite.experiment(size, suite.baseline))
    opens(suite.scales[size].test, suite.scales[size].validation)


def test_published_configs_are_those_of_the_papers() -> None:
    for name in ("cat_seg_vitb", "cat_seg_vitl", "h_clip_vitb", "h_clip_vitl"):
        experiment = Experiment.read(find_config(name))
        recipe, published = experiment.training, OptimizerConfig(lr=2e-4, clip_multiplier=0.01, clip_norm=0.01)
        assert (recipe.steps, recipe.batch_size, recipe.optimizer) == (80_000, 4, published)
        assert recipe.ignore_as_negative
        assert isinstance(experiment.method, CostMethodConfig)
        assert experiment.method.cost == type(experiment.method)().cost  # type: ignore[call-arg]  # all have a name
        assert experiment.inference.options == {"class_pooling": 1}
    assert isinstance(Experiment.read(find_config("cat_seg_vitl")).method, CatSegConfig)
    assert isinstance(Experiment.read(find_config("h_clip_vitb")).method, HClipConfig)


def test_h_clip_on_vit_l_has_blocks_for_every_layer_of_both_towers() -> None:
    """6 blocks of 128 channels for the text tower, 8 for the vision tower, and 24 layers of 4 matrices."""
    base, large = (Experiment.read(find_config(f"h_clip_{size}")) for size in ("vitb", "vitl"))
    assert base.replace(method=large.method) == large
    assert isinstance(large.method, HClipConfig)
    config = CLIPConfig(
        text_config={"vocab_size": 300, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
        vision_config={
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "image_size": 336,
            "patch_size": 14,
        },
        projection_dim=768,
    )
    with torch.device("meta"):
        backbone = ClipBackbone(ClipNetwork(config), byte_tokenizer(77), resolution=336)
        method = large.method.compose(backbone)
    assert large.method.backbone.resolution == 336
    assert isinstance(method.backbone.adapter, Rotations)
    assert method.backbone.adapter.bank.shape == (96, 14, 128, 128)
    large.method.cost.check_grid(backbone)


@pytest.mark.parametrize(
    ("name", "levels", "rate", "multiplier", "batch"),
    [("ahs_seg_vitb", (3, 7, 11), 2e-4, 0.01, 4), ("ahs_seg_vitl", (7, 15, 23), 1e-4, 0.005, 2)],
)
def test_configs_of_ahs_seg_are_those_of_its_documents(
    name: str, levels: tuple[int, ...], rate: float, multiplier: float, batch: int
) -> None:
    experiment = Experiment.read(find_config(name))
    method, recipe = experiment.method, experiment.training
    assert isinstance(method, AhsSegConfig)
    assert method.cost.fusion == FusionConfig(levels=levels)  # boundary loss 0.1
    assert method.cost.projection == ProjectionConfig()  # rank 64, losses 0.05 and 0.02
    assert method.tuner == Orthogonal(modulation=Modulation())  # energy loss 0.01
    assert (recipe.steps, recipe.batch_size) == (80_000, batch)
    assert recipe.optimizer == OptimizerConfig(lr=rate, clip_multiplier=multiplier, clip_norm=1.0)


def test_a_name_that_is_not_packaged_lists_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"cat_segg: no such file.*cat_seg_vitb"):
        find_config("cat_segg")


def test_an_unknown_key_of_a_method_is_an_error() -> None:
    with pytest.raises(ConfigError, match="window_size: unknown key"):
        Experiment.read(find_config("cat_seg_vitb"), ["method.cost.window_size=12"])


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"cat_seg.*h_clip.*zero_shot"):
        Experiment.read(find_config("cat_seg_vitb"), ["method.name=dog_seg"])


@pytest.mark.parametrize("size", ["vitb", "vitl"])
def test_configs_of_the_hyperspherical_methods_are_those_of_their_documents(size: str) -> None:
    for name, batch, clip in (("hps_seg", 4, 0.01), ("ahs_seg_lite", 16, 1.0)):
        experiment = Experiment.read(find_config(f"{name}_{size}"))
        recipe = experiment.training
        assert (recipe.steps, recipe.batch_size, recipe.optimizer) == (80_000, batch, OptimizerConfig(clip_norm=clip))
        assert isinstance(experiment.method, HpsSegConfig | AhsSegLiteConfig)
        assert experiment.method.cost == type(experiment.method)().cost
        assert experiment.method.tuner == HClipConfig().tuner
        small = Experiment.read(find_config(f"quickstart/{name}")).method
        plain = Experiment.read(find_config("quickstart/h_clip")).method
        assert isinstance(small, HpsSegConfig | AhsSegLiteConfig)
        assert isinstance(plain, HClipConfig)
        parts = {"alignment", "prototypes", "rectification", "distillation", "geodesic"}
        for part in parts:  # in small the modules have their tuned settings, where there are such
            there, here = getattr(experiment.method.cost, part), getattr(small.cost, part)
            assert here == (there.replace(**there.TUNED) if isinstance(there, ModuleConfig) else there)
        assert small.cost.model_dump(exclude=parts) == plain.cost.model_dump(exclude=parts)


def test_an_unknown_key_below_a_union_lists_those_of_the_member() -> None:
    with pytest.raises(
        ConfigError,
        match=r"method\.cat_seg\.cost\.window_size: unknown key; allowed are .*prompts, .*window; did you mean window",
    ):
        Experiment.parse({"method": {"name": "cat_seg", "cost": {"window_size": 12}}})
