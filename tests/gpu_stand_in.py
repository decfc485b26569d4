"""A GPU for machines without one: tensors that say they are on `cuda:0`, with their numbers on the CPU.

torch's FakeTensorMode has shapes and devices and no numbers, so it ends where a number decides what comes next:
non-maximum suppression, a solver's tolerance. Here whole runs go through, mixing devices raises as on a GPU, and the
results can be compared with a CPU's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ATEN = torch.ops.aten
COPIES = (ATEN.copy_, ATEN._to_copy, ATEN.to)
# Their indices may be on the CPU.
INDEXING = (ATEN.index, ATEN.index_put_, ATEN.index_put, ATEN._index_put_impl_)


class OnGpu(Tensor):
    """A tensor on the GPU that is not there."""

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnGpu:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device("cuda", 0),
        )

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.numbers!r})"

    # Both are C++ that passes by the dispatcher.
    def tolist(self) -> Any:
        return self.numbers.tolist()

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:  # type: ignore[override]
        return torch.tensor(data, dtype=dtype or self.dtype).to(device or self.device)


def compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Do on the CPU what a GPU is asked for; refuse what it would refuse."""
    leaves = tree_leaves((args, kwargs))
    tensors = [each for each in leaves if isinstance(each, Tensor)]
    on_gpu = {id(each.numbers): each for each in tensors if isinstance(each, OnGpu)}
    operator = func.overloadpacket
    if on_gpu and operator not in COPIES:
        # A CPU's single number is taken along.
        strays = [each for each in tensors if not isinstance(each, OnGpu) and each.dim() > 0]
        if operator in INDEXING:
            strays = [each for each in strays if each is args[0]]
        if strays:
            raise RuntimeError(f"{func}: one device is cuda:0, another the CPU")
    devices = [each for each in leaves if isinstance(each, torch.device)]
    goes_to_gpu = devices[0].type == "cuda" if devices else bool(on_gpu)
    if operator is ATEN.copy_:
        goes_to_gpu = isinstance(args[0], OnGpu)
    elif func is ATEN.to.other:
        goes_to_gpu = isinstance(args[1], OnGpu)
    if operator is ATEN.cudnn_batch_norm:
        func = _batch_norm
    result = func(*tree_map(_on_cpu, args), **tree_map(_on_cpu, kwargs))

    def moved(each: Any) -> Any:
        if not isinstance(each, Tensor) or not goes_to_gpu:
            return each
        return on_gpu[id(each)] if id(each) in on_gpu else OnGpu(each)

    return tree_map(moved, result)


def _batch_norm(*args: Any) -> tuple[Tensor, ...]:
    return (*ATEN.native_batch_norm(*args), args[0].new_empty(0))


def _on_cpu(each: Any) -> Any:
    if isinstance(each, OnGpu):
        return each.numbers
    return torch.device("cpu") if isinstance(each, torch.device) else each


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


@contextmanager
def gpu_stand_in() -> Iterator[None]:
    """Inside, `cuda` is a device."""
    torch._C._ensureCUDADeviceGuardSet()
    future = torch.__future__
    before = future.get_overwrite_module_params_on_conversion()
    # `Module.to` otherwise fills its old parameters, which are no tensors of ours.
    future.set_overwrite_module_params_on_conversion(True)
    # As FakeTensorMode has it: what is made of Python's numbers is made on the CPU, and then goes through us.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with (
            patch("torch.cuda._lazy_init"),
            # Inference tensors cannot be wrapped everywhere.
            patch("torch.inference_mode", torch.no_grad),
            patch("torch.amp.autocast_mode.torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
            _Mode(),
        ):
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        future.set_overwrite_module_params_on_conversion(before)
