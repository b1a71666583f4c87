"""A model with a description: it can be written to a directory, uploaded, and exported for other runtimes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ahs_seg.checkpoints.card import Evaluated, write_card
from ahs_seg.checkpoints.exporting.manifest import FORMATS, Format
from ahs_seg.checkpoints.hub import push_to_hub
from ahs_seg.checkpoints.model_dir import (
    ModelDescription,
    check_model_place,
    merged_description,
    save_model,
    write_state,
)
from ahs_seg.errors import CheckpointError
from ahs_seg.inference.model import InferenceModel
from ahs_seg.inference.predict import InferenceConfig
from ahs_seg.inference.text_cache import TextCache
from ahs_seg.inference.vocabulary_encoder import not_known
from ahs_seg.io.atomic import replacing_directory
from ahs_seg.methods import Method
from ahs_seg.output.calibration import Calibration
from ahs_seg.vocabulary.prompts import PromptConfig
from ahs_seg.vocabulary.vocabulary import ClassSource, Vocabulary


class DescribedModel(InferenceModel):
    """A method ready for inference, with the description of its model directory (None: made from a method alone)."""

    def __init__(
        self,
        method: Method,
        *,
        prompts: PromptConfig | None = None,
        inference: InferenceConfig | None = None,
        cache: TextCache | None = None,
        description: ModelDescription | None = None,
        calibration: Calibration | None = None,
        own: bool = False,
    ) -> None:
        super().__init__(
            method,
            prompts=prompts,
            inference=inference,
            cache=cache,
            calibration=calibration,
            seen=description.seen if description else not_known,
            trained=description.names_in_training if description else None,
            own=own,
        )
        self.description = description

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({type(self.method).__name__ if self.description is None else self.description.title})"

    def save_pretrained(self, directory: Path | str, *, reports: Sequence[Evaluated] = ()) -> Path:
        """Write a model directory: the method with the tuner merged, prompts, protocol, calibration and a model card.

        The scores on the card are those of `reports` (`EvaluationReport`).

        Raises:
            CheckpointError: the segmenter was created from a method without a description, so its config is unknown.
        """
        target = save_model(self.method, self._description(), directory)
        write_card(target, reports, description=self._description())
        return target

    def export(
        self,
        directory: Path | str,
        formats: Format | Sequence[Format] = "onnx",
        *,
        classes: ClassSource | None = None,
        int8: bool = False,
    ) -> Path:
        """Write a model directory with graphs for other runtimes in it; `from_pretrained(runtime=...)` runs them.

        The graphs take text embeddings of any number of classes as an input. `formats` are "onnx", "openvino" and
        "torch-export"; each has a folder of its name. With `classes` one more graph, `segment`, has these names baked
        in: it computes the logits of their text rows from an image, for programs without this package. With `int8` the
        matrices of the image tower have 8 bits (ONNX only).

        Raises:
            ExportError: the method cannot be exported; the message names the operator, or the reason.
            MissingPackageError: the extra `onnx` or `openvino` is not installed.
            CheckpointError: as `save_pretrained`.
            OverwriteError: the directory holds other files than a model.
        """
        from ahs_seg.checkpoints.exporting.write import check_format, export_graphs

        given: Sequence[Format] = [formats] if isinstance(formats, str) else formats
        for kind in given:
            check_format(kind, int8=int8)
        baked = None
        if classes is not None:
            table = self._encoder.table(Vocabulary.parse(classes))
            text = self.method.ensure_prepared(self._words(table))
            baked = text, tuple(table.vocabulary.labels[index] for index in table.row_class)
        target = Path(directory)
        check_model_place(target)
        with replacing_directory(target) as fresh:  # an export that fails leaves what is there
            write_state(self.method.state_dict(), self.method.backbone, self._description(), fresh)
            write_card(fresh, title=target.resolve().name, description=self._description())
            for kind in (one for one in FORMATS if one in given):  # OpenVINO's graphs are made from those of ONNX
                export_graphs(self.method, fresh, kind, baked=baked, int8=int8)
        return target

    def push_to_hub(
        self,
        repository: str,
        *,
        reports: Sequence[Evaluated] = (),
        licence: str | None = None,
        private: bool | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the model directory to `owner/name` on the hub and return the URL of the commit.

        Raises:
            CheckpointError: as `save_pretrained`, or the hub refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            directory = save_model(self.method, self._description(), Path(folder) / "model")
            told = self._description()
            return push_to_hub(
                directory, repository, reports=reports, licence=licence, private=private, token=token, description=told
            )

    def _description(self) -> ModelDescription:
        """The description of this model for a model directory."""
        if self.description is None:
            raise CheckpointError(
                "this segmenter was created from a method alone and has no config; write the method with "
                "save_model(method, ModelDescription(method=config), directory)."
            )
        used = {"prompts": self.prompts, "inference": self.inference, "calibration": self.calibration}
        return merged_description(self.description).replace(**used)
