"""Model directories: `config.json`, `model.safetensors` and the files of the backbone; loading executes no code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor

from ahs_seg.backbones.base import Backbone, BackboneError
from ahs_seg.backbones.clip_config import TINY
from ahs_seg.backbones.clip_files import ClipFiles
from ahs_seg.checkpoints.remote_code import CODE_FILE, ENTRIES
from ahs_seg.config import VERSION, Config, ConfigError
from ahs_seg.documents import MAX_DOCUMENT_BYTES, DocumentError, read_mapping, read_text
from ahs_seg.errors import CheckpointError
from ahs_seg.inference.predict import RESOURCE_SETTINGS, InferenceConfig
from ahs_seg.io.atomic import read_together, replacing_directory, write_text
from ahs_seg.io.digest import file_digest
from ahs_seg.io.overwrite import check_holds_none, check_replaceable
from ahs_seg.io.weight_files import StoredTensor, differences, fill, stored_tensors
from ahs_seg.methods import METHODS, BaseMethodConfig, CatSegConfig, Method, MethodConfig
from ahs_seg.modules.unfilled import shapes_only, unfilled
from ahs_seg.output.calibration import Calibration
from ahs_seg.output.familiarity import TrainingImages, usual
from ahs_seg.tuners import Frozen, TunerConfig
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.seen_classes import Overlap, class_synonyms
from ahs_seg.vocabulary.vocabulary import Vocabulary

CONFIG, WEIGHTS, BACKBONE = "config.json", "model.safetensors", "backbone"
MODEL_TYPE: Final = "ahs_seg"
LIBRARY: Final = "ahs-seg"
CARD: Final = "README.md"
GRAPHS: Final = ("onnx", "openvino", "torch-export")
"""Folders of graphs for other runtimes."""
_OF_THE_HUB: Final = (".gitattributes", ".cache")
_NOT_IN_LABELS: Final = ("version", "calibration", "trained_on", "training", "overlap", *ENTRIES)


class ModelDescription(Config):
    """Content of `config.json` of a model directory; `model_type` is for `transformers`.

    `prompts` are those of the training. `trained_on` are the class names of the training, which decide which classes
    are "seen" and "unseen" at evaluation; `overlap` has further rules for this. `training` are the images of the
    training (None: not recorded). `calibration` maps scores to confidences, for these prompts and this protocol.
    """

    model_type: Literal["ahs_seg"] = MODEL_TYPE
    format: Literal[1] = 1
    version: str = VERSION
    method: MethodConfig = CatSegConfig()
    prompts: PromptConfig = PromptConfig()
    inference: InferenceConfig = InferenceConfig()
    trained_on: tuple[str, ...] = Field(default=())
    training: TrainingImages | None = None
    overlap: Overlap = Overlap()
    calibration: Calibration | None = None

    @property
    def origin(self) -> TrainingImages | None:
        """The images of the training; without a record, those of the packaged CLIP, if the backbone is that."""
        if self.training is None and self.method.backbone.source == TINY:
            return TrainingImages(kind="drawn scenes")
        return self.training

    @property
    def title(self) -> str:
        """Method, backbone and training in one line."""
        known = "not recorded" if self.origin is None else str(self.origin)
        return f"{self.method.name} on {self.method.backbone.source}, trained on: {known}"

    def trained_with(self, classes: Vocabulary) -> ModelDescription:
        """The description of a model that was trained with these classes, seen under all their names."""
        return self.replace(trained_on=tuple(classes.labels), overlap=Overlap(words=class_synonyms(classes)))

    def at_home(self, reached: Sequence[float]) -> ModelDescription:
        """The description with the certainty that is usual among those `reached` on the images of a calibration."""
        return self.replace(training=(self.origin or TrainingImages()).replace(certainty=usual(reached)))

    def uncalibrated(self) -> ModelDescription:
        """The description without what was measured with these prompts and this protocol."""
        training = None if self.training is None else self.training.replace(certainty=None)
        return self.replace(calibration=None, training=training)

    def seen(self, vocabulary: Vocabulary) -> tuple[bool, ...] | None:
        """For every class of a vocabulary, whether it occurred in training, judged by its names; None: not known."""
        return self._known_overlap.of(vocabulary)

    @property
    def names_in_training(self) -> Vocabulary | None:
        """All names of the training classes, each as a class of its own (None: not known)."""
        return self._known_overlap.vocabulary

    @property
    def _known_overlap(self) -> Overlap:
        return self.overlap.replace(words=self.overlap.words or tuple((name,) for name in self.trained_on))


def check_model_place(directory: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Check that a model may be written at a path: nothing is there, or a model without files of other origin.

    Raises:
        OverwriteError: a file or another directory is there, or one that holds an input or other files.
    """
    check_holds_none(directory, inputs)
    names = (CONFIG, WEIGHTS, BACKBONE, CODE_FILE, *GRAPHS, *_OF_THE_HUB)
    own = (*names, CARD) if _is_own_card(directory / CARD) else names
    check_replaceable(directory, "a model", alike=_is_model, names=own)


def _is_model(directory: Path) -> bool:
    try:
        values = read_mapping(directory / CONFIG)
    except (OSError, DocumentError):
        return False
    return "method" in values and values.get("model_type", MODEL_TYPE) == MODEL_TYPE


def _is_own_card(path: Path) -> bool:
    """Whether a file is a card that `write_card` has written: it names this library in its header."""
    try:
        return f"library_name: {LIBRARY}\n" in read_text(path, MAX_DOCUMENT_BYTES)
    except (OSError, DocumentError):
        return False


def save_model(method: Method, description: ModelDescription, directory: Path | str) -> Path:
    """Write a model directory atomically, replacing an existing one; returns its path.

    Raises:
        OverwriteError: a file is there, or a directory that is no model or holds other files.
    """
    return save_state(method.state_dict(), method.backbone, description, directory)


def save_state(
    state: Mapping[str, Tensor], backbone: Backbone, description: ModelDescription, directory: Path | str
) -> Path:
    """Write a model directory with the weights in `state`; `backbone` provides only its configuration and tokenizer.

    Raises:
        OverwriteError: as `save_model`.
    """
    target = Path(directory)
    check_model_place(target)
    with replacing_directory(target) as fresh:
        write_state(state, backbone, description, fresh)
    return target


def write_state(
    state: Mapping[str, Tensor], backbone: Backbone, description: ModelDescription, directory: Path
) -> None:
    """Write the files of a model directory into a draft of it, as `save_state`."""
    backbone.save_description(directory / BACKBONE)
    tensors = {key: value.detach().contiguous() for key, value in state.items()}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    write_description(description, directory)


def write_description(description: ModelDescription, directory: Path | str) -> None:
    """Replace `config.json` of a model directory; the weights are not changed."""
    write_text(Path(directory) / CONFIG, description.model_dump_json(indent=2))


def model_digest(directory: Path) -> str:
    """A digest of all files of a model directory that its labels depend on; model card and calibration do not count."""
    files = sorted(path for path in (directory / BACKBONE).rglob("*") if path.is_file())
    parts = [f"{path.relative_to(directory).as_posix()} {file_digest(path)}" for path in (directory / WEIGHTS, *files)]
    settings = read_mapping(directory / CONFIG)
    kept = {key: value for key, value in settings.items() if key not in _NOT_IN_LABELS}
    if isinstance(inference := kept.get("inference"), dict):
        kept["inference"] = {key: value for key, value in inference.items() if key not in RESOURCE_SETTINGS}
    parts.append(json.dumps(kept, sort_keys=True))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def merged_description(description: ModelDescription) -> ModelDescription:
    """The description of the method after its tuner has been merged into the backbone's weights."""
    method = description.method
    if "tuner" not in type(method).model_fields:
        return description
    return description.replace(method=method.replace(tuner=Frozen()))


def load_model(
    directory: Path | str, *, methods: Sequence[type[BaseMethodConfig]] = (), tuners: Sequence[type[TunerConfig]] = ()
) -> tuple[ModelDescription, Method]:
    """The description and the method (in evaluation mode, on the CPU) of a model directory.

    `methods` and `tuners` are your own config classes that the directory may name; nothing is imported by name.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights belong to another method.
    """
    source = Path(directory)
    return read_together(source, lambda: _load(source, methods, tuners))


def _load(
    source: Path, methods: Sequence[type[BaseMethodConfig]], tuners: Sequence[type[TunerConfig]]
) -> tuple[ModelDescription, Method]:
    description = read_description(source, methods=methods, tuners=tuners)
    try:
        stored = stored_tensors(source / WEIGHTS)
        files = description.method.backbone.replace(source=str(source / BACKBONE)).open()
        files.check_layers(stored, f"{BACKBONE}.model.")
    except FileNotFoundError:
        raise CheckpointError(f"{source} has no {WEIGHTS}; copy the whole model directory.") from None
    except BackboneError as error:
        raise CheckpointError(f"{source} is not a whole model directory: {error}.") from None
    if type(description.method) in METHODS:  # a method of your own may not support the meta device
        with shapes_only():
            _check(stored, _composed(description, files), source, description)
        with unfilled():
            method = _composed(description, files)
    else:
        method = _composed(description, files)
    _check(stored, method, source, description)
    fill(method, stored, source / WEIGHTS)
    return description, method.eval()


def _composed(description: ModelDescription, files: ClipFiles) -> Method:
    try:
        clip = description.method.backbone
        return description.method.compose(clip.in_form(files.build_empty(clip.resolution)))
    except (ValueError, RuntimeError, AssertionError, ArithmeticError) as error:
        raise CheckpointError(f"{CONFIG} describes a model that cannot be built: {error}") from None


def _check(stored: Mapping[str, StoredTensor], method: Method, source: Path, description: ModelDescription) -> None:
    if faults := differences(stored, method.state_dict()):
        raise CheckpointError(
            f"{source / WEIGHTS} does not belong to the {description.method.name} of {source / CONFIG}: the weights do "
            f"not fit the model: {faults}"
        )


def read_description(
    directory: Path | str, *, methods: Sequence[type[BaseMethodConfig]] = (), tuners: Sequence[type[TunerConfig]] = ()
) -> ModelDescription:
    """The content of `config.json` of a model directory; `methods` and `tuners` as in `load_model`."""
    path = Path(directory) / CONFIG
    try:
        values = {key: value for key, value in read_mapping(path).items() if key not in ENTRIES}
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{directory} is not a model directory: it has no {CONFIG}. Give the directory that `ahs-seg train` wrote."
        ) from None
    except (OSError, DocumentError) as error:
        raise CheckpointError(f"{error}") from None
    method = values.get("method")
    if isinstance(method, dict):
        kinds: tuple[type[BaseMethodConfig], ...] = (*methods, *METHODS)
        named = (kind for kind in kinds if kind.model_fields["name"].default == method.get("name"))
        values["method"] = next(named, BaseMethodConfig).of_saved(method)
    try:
        return ModelDescription.parse(values, source=str(path), custom=(*methods, *tuners))
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
