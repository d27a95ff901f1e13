"""A second torch device without hardware: its tensors hold CPU tensors, and an operator refuses to mix the two.

What runs here as on the CPU leaves nothing behind on the CPU, which is the error that only a GPU would show. Run as a
program, since registering a device changes the whole process: ``python -m support.beads`` holds the reference back end
and the dense rivals on it against themselves on the CPU. Speed, TF32 and the order of sums remain for a GPU to show.
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

__all__ = ["Beads", "OnBeads"]

DEVICE = "beads"
COPIES = ("copy_", "_to_copy", "to")
"""Operators that may take tensors of both devices."""


class Beads(torch.Tensor):
    """A tensor of the device; `held` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Beads:
        laid: dict[str, Any] = (
            {} if held.is_sparse else {"strides": held.stride(), "storage_offset": held.storage_offset()}
        )
        out: Beads = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, dtype=held.dtype, layout=held.layout, device=torch.device(DEVICE, 0), **laid
        )
        out.held = held
        return out

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the supertype's is a placeholder
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class OnBeads(TorchDispatchMode):
    """While it lasts, ``device="beads"`` can be asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        ours = any(isinstance(x, Beads) or _asks(x) for x in tree_leaves((args, kwargs)))
        return _run(func, args, kwargs) if ours else func(*args, **kwargs)


def _asks(x: Any) -> bool:
    return isinstance(x, torch.device) and x.type == DEVICE


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operator on what the tensors hold.

    Raises
    ------
    RuntimeError
        If a tensor of the CPU that is no scalar is among them, as on a GPU.
    """
    given = tree_leaves((args, kwargs))
    own = {id(x.held): x for x in given if isinstance(x, Beads)}
    if own and func.overloadpacket.__name__ not in COPIES:
        for x in given:
            if isinstance(x, torch.Tensor) and not isinstance(x, Beads) and x.dim():
                raise RuntimeError(f"{func} got a tensor on {DEVICE} and one of shape {tuple(x.shape)} on the CPU")
    inner = tree_map(lambda x: x.held if isinstance(x, Beads) else "cpu" if _asks(x) else x, (args, kwargs))
    out = func(*inner[0], **inner[1])
    if func._schema.is_mutable:
        return kwargs.get("out", args[0])
    asked = [x for x in given if isinstance(x, torch.device)]
    if not (_asks(asked[0]) if asked else own):
        return out
    return tree_map(lambda x: own.get(id(x), Beads(x)) if isinstance(x, torch.Tensor) else x, out)


def _refuses() -> None:
    """The device itself: what it must refuse, and what not."""
    a = torch.arange(3, device=DEVICE)
    assert (a + torch.tensor(1)).cpu().tolist() == [1, 2, 3]
    with pytest.raises(RuntimeError, match=r"one of shape \(3,\) on the CPU"):
        a + torch.ones(3)


def _reference(seeds: int = 4) -> None:
    for fixed in (True, False):
        for kind in KINDS:
            for seed in range(seeds):
                network, events = random_case(np.random.default_rng([KINDS.index(kind), seed]), kind, fixed=fixed)
                record = ns.Record.everything(network)
                here, there = (
                    ns.run(network, events, "reference", record, threads=1, device=device) for device in ("cpu", DEVICE)
                )
                assert here.same_as(there), (kind, seed, fixed)


def _dense() -> None:
    layers = (Layer(4, pooled=2), Layer(3, 3, summed=2), Layer(2, 0, fires=False))
    case = chain("small", (2, 6, 6), layers, 11, 0.2, samples=2)
    for name in ARRANGEMENTS:
        assert dense_runner(case, "cpu", name)() == dense_runner(case, DEVICE, name)(), name


if __name__ == "__main__":
    _setup_privateuseone_for_python_backend(DEVICE)
    torch.set_num_threads(1)
    with torch.inference_mode(), OnBeads():  # type: ignore[no-untyped-call]
        _refuses()
        _reference()
        _dense()
