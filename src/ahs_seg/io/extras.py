"""Optional packages: each belongs to an extra of this package, and is looked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal

from ahs_seg.errors import MissingPackageError

Extra = Literal["web", "scale", "geo", "video", "hf", "wandb", "mlflow", "onnx", "openvino"]
Runtime = Literal["torch", "onnxruntime", "openvino"]
"""What computes the networks of a model; all but PyTorch belong to an extra."""
PACKAGES: Final[dict[Extra, tuple[str, str]]] = {
    "web": ("gradio", "Gradio"),
    "scale": ("ray", "Ray Data"),
    "geo": ("rasterio", "rasterio"),
    "video": ("av", "PyAV"),
    "hf": ("datasets", "datasets of Hugging Face"),
    "wandb": ("wandb", "Weights & Biases"),
    "mlflow": ("mlflow", "MLflow"),
    "onnx": ("onnxruntime", "ONNX Runtime"),
    "openvino": ("openvino", "OpenVINO"),
}
"""The module of each extra that is imported, and the name of its package."""


def require_extra(extra: Extra, user: str, *, otherwise: str) -> None:
    """Check that the package of an extra is installed.

    `user` is the subject of the message, such as "the web page"; `otherwise` is what works without the package.

    Raises:
        MissingPackageError: it is not installed.
    """
    module, package = PACKAGES[extra]
    if find_spec(module) is None:
        raise MissingPackageError(
            f"{user} needs {package}, which is not installed; install it with pip install 'ahs-seg[{extra}]', "
            f"or {otherwise}."
        )


def require_package(package: str, user: str) -> None:
    """Check that a package that belongs to no extra is installed; `user` is the function that imports it.

    Raises:
        MissingPackageError: it is not installed.
    """
    if find_spec(package) is None:
        raise MissingPackageError(
            f"{user} needs {package}, which is not installed; install it with pip install {package}."
        )
