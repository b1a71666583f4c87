"""Inference forms: modules that compute the same from the same weights, faster, where nothing is trained or traced."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ahs_seg.modules.fused_linear import FusedLinear
from ahs_seg.modules.guided import GuidedLinear

Form = TypeVar("Form", bound="InferenceForm")

_LAYERS = (nn.Linear, nn.LayerNorm, nn.GELU, nn.ReLU, nn.Sequential, GuidedLinear)


class InferenceForm(nn.Module):
    """Base class of the form of a module class, named before that class: `class Form(InferenceForm, Plain)`.

    A form has the parameters, buffers, submodules and names of the module that it replaces (the same objects), so that
    `state_dict`, `to`, copies and pickles are those of the plain module. What it prepares from the weights is neither
    saved nor copied, and is prepared again when the weights change (not if they are written through `.data`). With
    gradients, under autocast, on other devices and types, while PyTorch traces or compiles, and if a submodule has
    hooks or was replaced, the plain module computes.
    """

    plain_class: ClassVar[type[nn.Module]]
    """The class of the modules that are replaced; its subclasses are left alone."""
    parts: ClassVar[tuple[type[nn.Module], ...]] = ()
    """Classes of submodules that the form reads, beside the layers of PyTorch."""
    _prepared: tuple[object, Any] | None

    @classmethod
    def of(cls: type[Form], plain: nn.Module) -> Form:
        """The form of a module, sharing everything with it."""
        form = cls.__new__(cls)
        form.__dict__.update(plain.__dict__, _prepared=None)
        return form

    def undone(self) -> nn.Module:
        """The module that the form stands for, sharing everything with it."""
        module = self.plain_class.__new__(self.plain_class)
        module.__dict__.update({key: value for key, value in self.__dict__.items() if key != "_prepared"})
        return module

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: everything but what was prepared from the weights."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {**state, "_prepared": None}

    @classmethod
    def replaces(cls, module: nn.Module) -> bool:
        """Whether a module has exactly the class that this form replaces, and no hooks."""
        return type(module) is cls.plain_class and not hooked(module)

    @abstractmethod
    def prepare(self) -> Any:
        """What the form needs of the weights, such as joined matrices; see `prepared`."""

    def prepared(self) -> Any:
        """The result of `prepare` for the present weights."""
        tensors = [*self.parameters(), *self.buffers()]
        key = [(one.data_ptr(), 0 if one.is_inference() else one._version) for one in tensors]
        known = self._prepared
        if known is None or known[0] != key:
            known = self._prepared = (key, self.prepare())
        return known[1]

    def usable(self, *inputs: Tensor) -> bool:
        """Whether this call may take the form: fp32 on the CPU, without gradients, and all modules as they were."""
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            return False
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return False
        if not all(_is_plain(value) for value in inputs) or not all(_is_plain(value) for value in self.parameters()):
            return False
        known = (type(self), *self.parts, *_LAYERS)
        return all(type(one) in known and (one is self or not hooked(one)) for one in self.modules())


def hooked(module: nn.Module) -> bool:
    """Whether calling the module runs hooks."""
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def _is_plain(value: Tensor) -> bool:
    ordinary = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided
    return ordinary and value.device.type == "cpu" and value.dtype == torch.float32


def put_forms(root: nn.Module, forms: Iterable[type[InferenceForm]]) -> None:
    """Replace modules below `root` by their inference forms, in place; a module with two places has one form.

    The first form that fits is taken; modules inside of a form stay as they are, since it computes for them.
    """
    chosen = list(forms)

    def formed(module: nn.Module) -> nn.Module:
        return next((form.of(module) for form in chosen if form.replaces(module)), module)

    _replace(root, formed, {})


def put_plain(root: nn.Module) -> None:
    """Undo `put_forms`, in place; prepared weights are freed."""
    _replace(root, lambda module: module.undone() if isinstance(module, InferenceForm) else module, {})


def compile_parts(root: nn.Module, kinds: Iterable[type[nn.Module]], *, backend: str = "inductor") -> int:
    """Compile the forward of every module below `root` of exactly these classes, in place; returns how many there are.

    PyTorch compiles at the first call, once for modules of one class with inputs of one shape. Copies and pickles are
    not compiled.
    """
    chosen = set(kinds)
    found = [module for module in root.modules() if type(module) in chosen]
    for module in found:
        module.compile(fullgraph=True, backend=backend)
    return len(found)


def undo_compile(root: nn.Module) -> None:
    """Undo `compile_parts`, in place."""
    _replace(root, lambda module: module if module._compiled_call_impl is None else copy.copy(module), {})


def prepared_bytes(root: nn.Module) -> int:
    """Memory of the weights that forms below `root` have packed, beside the plain ones."""
    forms = {id(module): module for module in root.modules() if isinstance(module, InferenceForm)}
    return sum(one.packed_bytes for form in forms.values() for one in _linears(form._prepared))


def _linears(value: object) -> list[FusedLinear]:
    if isinstance(value, FusedLinear):
        return [value]
    return [one for part in value for one in _linears(part)] if isinstance(value, tuple | list) else []


def _replace(module: nn.Module, change: Callable[[nn.Module], nn.Module], made: dict[int, nn.Module]) -> None:
    for name, child in module._modules.items():
        if child is None:
            continue
        if id(child) not in made:
            made[id(child)] = change(child)
            if made[id(child)] is child:
                _replace(child, change, made)
        module._modules[name] = made[id(child)]


def fused(layer: nn.Module) -> FusedLinear:
    """The fused form of a linear layer.

    Raises:
        TypeError: the module is none.
    """
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"{type(layer).__name__} is no nn.Linear")
    return FusedLinear(layer.weight, layer.bias)


class LinearForm(InferenceForm, nn.Linear):
    """A linear layer with packed weights."""

    plain_class = nn.Linear

    def prepare(self) -> FusedLinear:
        """The layer with packed weights."""
        return fused(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name of the argument in PyTorch
        """The output of the layer."""
        if not self.usable(input):
            return super().forward(input)
        layer: FusedLinear = self.prepared()
        return layer(input.reshape(-1, self.in_features)).view(*input.shape[:-1], self.out_features)
