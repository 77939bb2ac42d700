"""The kinds of torch's tensors and modules: by dtype, shape and content, never by strides.

On which device a tensor lies counts by the device's type, and not by its number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from taskgraph.values import objects
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.objects import refuse
from taskgraph.values.registry import register

# What a module holds besides its own attributes; hooks are named by numbers of this process.
_PARTS = ("_parameters", "_buffers", "_modules")


class TensorKind(ValueKind):
    """Tensors: by class, dtype, shape, type of device, content, and whether they want gradients."""

    def shape(self, value: Any) -> Shape:
        """Return what is known, with the content in place or, if it is sparse, its parts inside."""
        tensor = value.detach()
        state = (
            _own_class(type(value)),
            str(value.dtype),
            tuple(value.shape),
            value.device.type,
            str(value.layout),
            bool(value.requires_grad),
        )
        if value.device.type == "meta":
            raise refuse(value, "a tensor on the device meta has no content")
        if value.is_quantized:
            raise refuse(value, "quantized tensors have no stable form; give dequantize()d ones")
        if value.layout is torch.sparse_coo:
            whole = tensor.coalesce()
            return Shape("torch.Tensor", state, (whole.indices(), whole.values()))
        if value.layout in (torch.sparse_csr, torch.sparse_bsr):
            parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
            return Shape("torch.Tensor", state, parts)
        if value.layout in (torch.sparse_csc, torch.sparse_bsc):
            parts = (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
            return Shape("torch.Tensor", state, parts)
        return Shape("torch.Tensor", state, buffers=(_content(tensor),))

    def preview(self, value: Any) -> str:
        """Return class, dtype, shape and device, and no content: it may lie on another device."""
        dims = tuple(value.shape)
        return f"{type(value).__name__}({value.dtype}, shape={dims}, device={value.device.type})"


def _content(tensor: Any) -> memoryview:
    # To bits first: conjugates and negatives may be noted only, and are made here.
    plain = tensor.cpu().resolve_conj().resolve_neg().contiguous()
    flat = plain.reshape(-1)
    if flat.numel() < 2:
        # It counts as contiguous whatever its stride, but only a copy can be seen as bytes.
        flat = torch.empty(flat.shape, dtype=flat.dtype).copy_(flat)
    return memoryview(np.ascontiguousarray(flat.view(torch.uint8).numpy()))  # type: ignore[arg-type]


class ModuleKind(ValueKind):
    """Modules: by class, own attributes, parameters, buffers and modules inside."""

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with what these name inside."""
        cls = type(value)
        attributes = vars(value)
        is_usual = all(part in attributes for part in _PARTS)
        if not is_usual or not objects.leaves_state_to(cls, torch.nn.Module):
            return objects.OBJECT.shape(value)
        derived = objects.derived_names(cls)
        own = sorted(
            name
            for name, held in attributes.items()
            if name not in _PARTS and name not in derived and not _is_inner(name, held)
        )
        names, inside = list(own), [_without_numbers(name, attributes[name]) for name in own]
        counts = [len(own)]
        for part in _PARTS:
            # In order: that of modules in a Sequential is what it does.
            names += attributes[part]
            inside += attributes[part].values()
            counts.append(len(attributes[part]))
        kept_out = tuple(sorted(attributes["_non_persistent_buffers_set"]))
        state = (_own_class(cls), tuple(counts), tuple(names), kept_out)
        return Shape("torch.nn.Module", state, inside, lambda p: f".{names[p]}")

    def preview(self, value: Any) -> str:
        """Return the class and how many parameters there are."""
        total = sum(each.numel() for each in value.parameters())
        return f"{type(value).__name__}({total} parameters)"


def _is_inner(name: str, held: Any) -> bool:
    """Tell whether an attribute is torch's own affair; hooks are, unless there are any."""
    return name == "_non_persistent_buffers_set" or (_are_hooks(name, held) and not held)


def _are_hooks(name: str, held: Any) -> bool:
    return name.startswith("_") and "hooks" in name and isinstance(held, dict)


def _without_numbers(name: str, held: Any) -> Any:
    """Return hooks as a list: how they are numbered depends on what this process did before."""
    return list(held.values()) if _are_hooks(name, held) else held


def _own_class(cls: type) -> tuple[str, ...]:
    """Return where a class is; the name alone for torch's own, which move between modules."""
    if cls.__module__.partition(".")[0] == "torch":
        return (cls.__name__,)
    return class_path(cls)


class NameKind(ValueKind):
    """What torch has one object for each name of: dtypes, layouts, memory formats."""

    def shape(self, value: Any) -> Shape:
        """Return the name."""
        return Shape("torch name", str(value))


def register_torch() -> None:
    """Register the kinds of torch's types."""
    register(torch.Tensor, TensorKind(), subclasses=True)
    register(torch.nn.Module, ModuleKind(), subclasses=True)
    for cls in (torch.dtype, torch.layout, torch.memory_format):
        register(cls, NameKind())


__all__ = ["register_torch"]
