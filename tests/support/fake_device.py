"""A second torch device without hardware: its tensors wrap CPU tensors, and operators refuse to mix the two devices.

Code that leaves a tensor on the CPU by mistake fails here as it would on a GPU. Run as a program, since registering a
device changes the whole process: ``python -m support.fake_device`` runs the reference back end and the dense rivals
on this device and on the CPU and compares the results. Speed, TF32 and the order of sums can only be tested on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

import neurosam as ns
from neurosam_bench.cases import Layer, chain
from neurosam_bench.dense import ARRANGEMENTS, dense_runner
from support.networks import KINDS, random_case

__all__ = ["DeviceTensor", "FakeDeviceMode"]

DEVICE = "fake"
COPIES = ("copy_", "_to_copy", "to")
"""Operators that accept tensors from both devices."""


class DeviceTensor(torch.Tensor):
    """A tensor on the fake device; `wrapped` is the CPU tensor with its values."""

    wrapped: torch.Tensor

    @staticmethod
    def __new__(cls, wrapped: torch.Tensor) -> DeviceTensor:
        memory_layout: dict[str, Any] = (
            {} if wrapped.is_sparse else {"strides": wrapped.stride(), "storage_offset": wrapped.storage_offset()}
        )
        out: DeviceTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            wrapped.shape,
            dtype=wrapped.dtype,
            layout=wrapped.layout,
            device=torch.device(DEVICE, 0),
            **memory_layout,
        )
        out.wrapped = wrapped
        return out

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the supertype's is a placeholder
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class FakeDeviceMode(TorchDispatchMode):
    """Within this mode, ``device="fake"`` is accepted."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        on_device = any(isinstance(x, DeviceTensor) or _is_fake(x) for x in tree_leaves((args, kwargs)))
        return _run(func, args, kwargs) if on_device else func(*args, **kwargs)


def _is_fake(x: Any) -> bool:
    return isinstance(x, torch.device) and x.type == DEVICE


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one operator on the wrapped tensors.

    Raises
    ------
    RuntimeError
        If one of the arguments is a CPU tensor that is not a scalar, as on a GPU.
    """
    leaves = tree_leaves((args, kwargs))
    by_wrapped_id = {id(x.wrapped): x for x in leaves if isinstance(x, DeviceTensor)}
    if by_wrapped_id and func.overloadpacket.__name__ not in COPIES:
        for x in leaves:
            if isinstance(x, torch.Tensor) and not isinstance(x, DeviceTensor) and x.dim():
                raise RuntimeError(f"{func} got a tensor on {DEVICE} and one of shape {tuple(x.shape)} on the CPU")
    inner = tree_map(
        lambda x: x.wrapped if isinstance(x, DeviceTensor) else "cpu" if _is_fake(x) else x, (args, kwargs)
    )
    out = func(*inner[0], **inner[1])
    if func._schema.is_mutable:
        return kwargs.get("out", args[0])
    devices = [x for x in leaves if isinstance(x, torch.device)]
    if not (_is_fake(devices[0]) if devices else by_wrapped_id):
        return out
    return tree_map(lambda x: by_wrapped_id.get(id(x), DeviceTensor(x)) if isinstance(x, torch.Tensor) else x, out)


def _check_device() -> None:
    """The device refuses to mix with CPU tensors, except scalars."""
    a = torch.arange(3, device=DEVICE)
    assert (a + torch.tensor(1)).cpu().tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError, match=r"one of shape \(3,\) on the CPU"):
        a + torch.ones(3)


def _check_reference(seeds: int = 4) -> None:
    for fixed in (True, False):
        for kind in KINDS:
            for seed in range(seeds):
                network, events = random_case(np.random.default_rng([KINDS.index(kind), seed]), kind, fixed=fixed)
                record = ns.Record.everything(network)
                on_cpu, on_fake = (
                    ns.run(network, events, "reference", record, threads=1, device=device) for device in ("cpu", DEVICE)
                )
                assert on_cpu.same_as(on_fake), (kind, seed, fixed)


def _check_dense() -> None:
    layers = (Layer(4, pooled=2), Layer(3, 3, summed=2), Layer(2, 0, fires=False))
    case = chain("small", (2, 6, 6), layers, 11, 0.2, samples=2)
    for name in ARRANGEMENTS:
        assert dense_runner(case, "cpu", name)() == dense_runner(case, DEVICE, name)(), name


if __name__ == "__main__":
    _setup_privateuseone_for_python_backend(DEVICE)
    torch.set_num_threads(1)
    with torch.inference_mode(), FakeDeviceMode():  # type: ignore[no-untyped-call]
        _check_device()
        _check_reference()
        _check_dense()
