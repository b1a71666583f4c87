"""What a user's own file holds goes through the whole library, with nothing edited in the package."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

import ahs_seg
from ahs_seg.backbones.base import Backbone
from ahs_seg.checkpoints import CheckpointError
from ahs_seg.config import ConfigError
from ahs_seg.data.config import WorldData
from ahs_seg.experiments.ablation.worker import import_names
from ahs_seg.methods import METHODS
from tests.extending.mine import AreaFiles, Circles, CirclesData, LastBlock, Scaled, ScaledConfig

ROOT = Path(__file__).parents[2]
NOT_VARIED = ahs_seg.Augmentation(resize=None, crop=None, colour=None)
RECIPE = ahs_seg.Recipe(steps=4, batch_size=2, workers=0, log_every=1, accelerator="cpu", checkpoint_every=0)
SUITE = """
title: Scales
baseline: ten
scales: {tiny: {config: scaled.yaml, test: {name: circles}}}
rows:
  ten: {}
  twenty: {set: [method.scale=20.0]}
"""
CONFIG = """
method: {name: scaled, tuner: {name: last_block}}
data: {name: circles}
augmentation: {resize: null, crop: null, colour: null}
training: {steps: 1, batch_size: 1, workers: 0, names_per_step: 4, evaluate_every: 0, checkpoint_every: 0}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> ahs_seg.ExperimentResult:
    directory = tmp_path_factory.mktemp("scaled")
    return ahs_seg.train(
        ScaledConfig(),
        Circles(),
        directory,
        validation=Circles(),
        recipe=RECIPE,
        augmentation=NOT_VARIED,
        progress=False,
    )


def test_the_method_trains_on_the_dataset_with_the_tuner(trained: ahs_seg.ExperimentResult) -> None:
    description, method = ahs_seg.load_model(trained.model, methods=[ScaledConfig], tuners=[LastBlock])
    assert description.method == ScaledConfig()
    assert isinstance(description.method.tuner, LastBlock)
    assert isinstance(method, Scaled)
    start = ScaledConfig().build()
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, start.state_dict()[name])}
    assert {name for name, value in start.named_parameters() if value.requires_grad} == changed
    assert {"scale", "offset"} < changed
    assert trained.evaluation is not None
    assert trained.evaluation.scores.miou is not None


def test_a_model_names_its_classes_and_imports_none(trained: ahs_seg.ExperimentResult) -> None:
    said = json.loads((trained.model / "config.json").read_text(encoding="utf-8"))["method"]
    assert (said["name"], said["tuner"]) == ("scaled", {"name": "last_block"})
    assert "tests.extending" not in json.dumps(said)
    with pytest.raises(CheckpointError, match=r"no 'scaled'; allowed are cat_seg, .*methods=\[MyConfig\]"):
        ahs_seg.Segmenter.from_pretrained(trained.model)
    with pytest.raises(CheckpointError, match="no 'last_block'; allowed are frozen, attention"):
        ahs_seg.Segmenter.from_pretrained(trained.model, methods=[ScaledConfig])


def test_a_segmenter_saves_it_merged(trained: ahs_seg.ExperimentResult, tmp_path: Path) -> None:
    segmenter = ahs_seg.Segmenter.from_pretrained(trained.model, methods=[ScaledConfig], tuners=[LastBlock])
    image = Circles()[0].image
    segmenter.save_pretrained(tmp_path / "merged")
    again = ahs_seg.Segmenter.from_pretrained(tmp_path / "merged", methods=[ScaledConfig])
    one, other = segmenter(image, "red circle, grass"), again(image, "red circle, grass")
    assert np.array_equal(one.labels, other.labels)
    assert "A toy method" in (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")


def test_a_model_directory_is_evaluated(trained: ahs_seg.ExperimentResult) -> None:
    description = ahs_seg.read_description(trained.model, methods=[ScaledConfig], tuners=[LastBlock])
    protocol = ahs_seg.own_protocol(description.inference, description.prompts)
    data = WorldData(scenes="test", count=2, names=20)
    job = ahs_seg.EvaluationJob(model=trained.model, data=data, protocols=(protocol,))
    (report,) = ahs_seg.evaluate_model(job, progress=False, methods=[ScaledConfig], tuners=[LastBlock])
    assert (report.method, report.images) == ("scaled", 2)


def test_files_are_written_in_the_format(trained: ahs_seg.ExperimentResult, tmp_path: Path) -> None:
    segmenter = ahs_seg.Segmenter.from_pretrained(trained.model, methods=[ScaledConfig], tuners=[LastBlock])
    (tmp_path / "images").mkdir()
    for index in range(2):
        Image.fromarray(Circles()[index].image).save(tmp_path / "images" / f"{index}.png")
    done = [
        ahs_seg.segment_files(
            segmenter,
            [tmp_path / "images"],
            "red circle, grass",
            tmp_path / "out",
            config=ahs_seg.BatchConfig(formats=("npz",)),
            exporters=[AreaFiles],
            resume=resume,
            progress=False,
        )
        for resume in (False, True)
    ]
    assert [(one.done, len(one.failures)) for one in done] == [(2, 0), (0, 0)]
    assert sorted(path.name for path in (tmp_path / "out").glob("?.*")) == [
        "0.areas.txt",
        "0.npz",
        "1.areas.txt",
        "1.npz",
    ]
    written = (tmp_path / "out/0.areas.txt").read_text(encoding="utf-8").split()
    assert sum(map(int, written[-1::-1][:1])) > 0


def test_tiles_and_own_formats_do_not_go_together(trained: ahs_seg.ExperimentResult, tmp_path: Path) -> None:
    segmenter = ahs_seg.Segmenter.from_pretrained(trained.model, methods=[ScaledConfig], tuners=[LastBlock])
    Image.fromarray(Circles()[0].image).save(tmp_path / "0.png")
    config = ahs_seg.BatchConfig(formats=("png",), tiles=ahs_seg.TileConfig())
    with pytest.raises(ValueError, match="custom exporters need whole images"):
        ahs_seg.segment_files(
            segmenter, [tmp_path / "0.png"], "grass", tmp_path / "out", config=config, exporters=[AreaFiles]
        )


@pytest.mark.slow
def test_a_table_compares_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scaled.yaml").write_text(CONFIG, encoding="utf-8")
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    result = ahs_seg.run_ablation(
        ahs_seg.AblationOptions(suite="suite.yaml", seeds=(0,)),
        tmp_path / "runs",
        jobs=2,
        progress=False,
        methods=[ScaledConfig],
        tuners=[LastBlock],
        datasets=[CirclesData],
    )
    assert [str(failure) for failure in result.failures] == []
    assert result.table is not None
    assert [row.name for row in result.table.rows] == ["ten", "twenty"]


def test_a_name_that_is_taken_is_refused() -> None:
    class Taken(ScaledConfig):
        name: Literal["cat_seg"] = "cat_seg"  # type: ignore[assignment]  # the name is the point

    with pytest.raises(ValueError, match=r"Taken\.name is 'cat_seg'; give it a name of its own"):
        ahs_seg.ModelDescription(method=Taken())
    with pytest.raises(ValueError, match=r"Taken\.name is 'cat_seg'"):
        ahs_seg.ModelDescription.parse({"method": {"name": "cat_seg"}}, custom=[Taken])


def test_a_wrong_key_of_an_own_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"scale: .*ten"):
        ahs_seg.ModelDescription.parse({"method": {"name": "scaled", "scale": "ten"}}, custom=[ScaledConfig])


def test_an_own_tuner_works_in_a_method_of_the_package() -> None:
    config = ahs_seg.CatSegConfig(tuner=LastBlock())
    description = ahs_seg.ModelDescription(method=config)
    assert ahs_seg.ModelDescription.parse(description.model_dump(mode="json"), custom=[LastBlock]) == description


def test_a_file_names_an_own_dataset() -> None:
    values = {"method": {"name": "cat_seg"}, "data": {"name": "circles"}}
    experiment = ahs_seg.Experiment.parse(values, custom=[CirclesData])
    assert experiment.data == CirclesData()
    assert len(experiment.data.open()) == len(Circles())
    with pytest.raises(ConfigError, match=r"no 'circles'; allowed are folder, world, benchmark.*datasets=\[MyData\]"):
        ahs_seg.Experiment.parse(values)


def test_what_other_processes_cannot_import_is_told() -> None:
    class Local(ahs_seg.TunerConfig):
        name: Literal["local"] = "local"

        def apply(self, backbone: Backbone) -> Backbone:
            return backbone

    assert import_names([ScaledConfig]) == ["tests.extending.mine:ScaledConfig"]
    with pytest.raises(ConfigError, match="Define it in a module, at the top level"):
        import_names([Local])


def test_the_page_is_the_file() -> None:
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    assert f"```python title=mine.py\n{(Path(__file__).parent / 'mine.py').read_text(encoding='utf-8')}```" in page


def test_everything_that_lists_methods_reads_the_list() -> None:
    """A name of a method in another file of the package would have to be retyped for a new method."""
    from ahs_seg.checkpoints.importing.sources import CONVERTERS
    from ahs_seg.config import config_name
    from ahs_seg.configs import packaged_configs

    names = {str(config_name(config)) for config in METHODS}
    assert set(CONVERTERS) == names | {"clip"}
    assert {f"quickstart/{name}" for name in names - {"zero_shot"}} <= set(packaged_configs())
