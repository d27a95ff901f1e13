"""The first field in which two network descriptions differ: its path, and both values.

Fields are compared in the order of the description: populations, projections, traces, precision, outputs, metadata.
Numbers are compared bit for bit. A neuron's parameter may be one number, one per channel or one per neuron, and a
difference between two of these forms is that of the first neuron whose value differs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.network.network import Network

__all__ = ["Difference", "compare_networks"]


@dataclass(frozen=True)
class Difference:
    """A field that differs between two networks.

    Parameters
    ----------
    path : str
        For example ``projection in->conv1: weight[3, 0, 1, 2]``.
    value_a, value_b : object
    """

    path: str
    value_a: Any
    value_b: Any

    def __str__(self) -> str:
        return f"{self.path}: {_text(self.value_a)} != {_text(self.value_b)}"


def compare_networks(a: Network, b: Network, metadata: bool = True) -> Difference | None:
    """The first field in which two networks differ, or None if they are equal bit for bit.

    Parameters
    ----------
    a, b : Network
    metadata : bool
        Whether to compare the metadata too; it is compared last, as no back end uses it.

    Examples
    --------
    >>> from neurosam.equivalence import compare_networks
    >>> def network(weight):
    ...     return ns.Network(
    ...         [ns.Population("in", (2,)), ns.Population("out", (1,), ns.Readout())],
    ...         [ns.Projection("in", "out", ns.Dense(np.array([weight])))],
    ...     )
    >>> compare_networks(network([0.5, 1.0]), network([0.5, 1.0])) is None
    True
    >>> print(compare_networks(network([0.5, 1.0]), network([0.5, 2.0])))
    projection in->out: weight[0, 1]: 1.0 != 2.0
    """
    parts: list[tuple[str, Any, Any]] = [
        ("populations", tuple(p.name for p in a.populations), tuple(p.name for p in b.populations)),
        *((f"population {p.name}", p, q) for p, q in zip(a.populations, b.populations, strict=False)),
        ("projections", tuple(p.label for p in a.projections), tuple(p.label for p in b.projections)),
        *((f"projection {p.label}", p, q) for p, q in zip(a.projections, b.projections, strict=False)),
        ("sam", tuple(a.sam), tuple(b.sam)),
        *((f"sam {name}", a.sam[name], b.sam[name]) for name in a.sam if name in b.sam),
        ("precision", a.precision, b.precision),
        ("outputs", tuple(a.answers), tuple(b.answers)),
        *((f"output {name}", a.answers[name], b.answers[name]) for name in a.answers if name in b.answers),
    ]
    if metadata:
        keys = sorted({*a.metadata, *b.metadata})
        parts += [(f"metadata {key!r}", a.metadata.get(key), b.metadata.get(key)) for key in keys]
    for path, x, y in parts:
        difference = _difference(path, x, y)
        if difference is not None:
            return difference
    return None


def _difference(path: str, a: Any, b: Any) -> Difference | None:
    if type(a) is not type(b):
        return Difference(path, a, b)
    if isinstance(a, np.ndarray):
        return _array_difference(path, a, b)
    if is_dataclass(a):
        for item in fields(a):
            name = item.name if item.name != "synapse" else ""
            below = f"{path}{'.' if ': ' in path else ': '}{name}" if name else path
            difference = _difference(below, getattr(a, item.name), getattr(b, item.name))
            if difference is not None:
                return difference
        return None
    return None if a == b else Difference(path, a, b)


def _array_difference(path: str, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Difference | None:
    if a.dtype == b.dtype and a.shape != b.shape and ": neuron." in path:
        a, b = _of_one_shape(a, b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return Difference(path, f"{a.dtype} {a.shape}", f"{b.dtype} {b.shape}")
    x, y = (np.ascontiguousarray(side).reshape(-1).view(f"u{side.itemsize}") for side in (a, b))
    differ = np.flatnonzero(x != y)
    if not differ.size:
        return None
    index = tuple(int(i) for i in np.unravel_index(differ[0], a.shape))
    place = f"[{', '.join(map(str, index))}]" if index else ""
    return Difference(f"{path}{place}", a[index].item(), b[index].item())


def _of_one_shape(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Two forms of a parameter as the larger one; unchanged if they do not fit.

    Of a neuron's numbers ``()``, ``(C,)`` or ``(C, H, W)``; of a table ``(steps, 1)`` or ``(steps, C)``.
    """
    if a.ndim == b.ndim == 2 and len(a) == len(b) and 1 in (a.shape[1], b.shape[1]):
        columns = max(a.shape[1], b.shape[1])
        return np.broadcast_to(a, (len(a), columns)), np.broadcast_to(b, (len(b), columns))
    larger = max(a, b, key=lambda x: x.ndim)
    if not {a.ndim, b.ndim} <= {0, 1, 3} or a.ndim == b.ndim:
        return a, b
    smaller = a if larger is b else b
    by_channel = smaller.reshape(-1, 1, 1) if smaller.ndim == 1 else smaller
    if by_channel.ndim and by_channel.shape[0] != larger.shape[0]:
        return a, b
    full = np.broadcast_to(by_channel, larger.shape)
    return (full, b) if larger is b else (a, full)


def _text(value: Any) -> str:
    """A value on one line: numbers and names in full, anything else by its type."""
    if isinstance(value, np.ndarray):
        return repr(value.item()) if value.ndim == 0 else f"{value.dtype} {value.shape}"
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})"
    return value if isinstance(value, str) else type(value).__name__
