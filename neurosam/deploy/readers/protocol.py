"""What a reader of neuron modules returns, and how readers are found.

A reader is a Python module (or any object) with

    read(module) -> Reading | None       None if it is not a layer of neurons; ExportError for one without an equal
    reset(module)                        put the module into its initial state, as before the first step
    resize(module, steps, samples)       for a module that has one of the two inside (Sinabs' IAFSqueeze)

found by the entry point of the group ``neurosam.layers`` whose name is the top-level package of the module's class: for
``snntorch._neurons.leaky.Leaky``, the entry point ``snntorch``. A class that is derived from such a one is read by the
reader of its base, in the order of the MRO. So no framework is imported unless one of its modules is met. A reader for
a class that is in no package (``__main__``) is registered by hand: :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from neurosam.errors import ExportError
from neurosam.network.neuron import LIF, Readout

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GROUP", "Feedback", "Reading", "read", "register", "reset", "resize"]

GROUP = "neurosam.layers"

TIMES = ("step", "first", "second", "folded")


@dataclass(frozen=True)
class Feedback:
    """Synapses inside a module, from its own spikes of the step before to its drive.

    Parameters
    ----------
    weight : (O, I) or (O, I, kH, kW) array, or float, (C,) or (C, H, W) array
        Of a Linear, of a convolution with padding "same", or of one-to-one synapses.
    bias : array or float
        Added to the drive in every step, the first included.
    """

    weight: Any
    bias: Any = 0.0


@dataclass(frozen=True)
class Reading:
    """A layer of neurons as a network has it.

    Parameters
    ----------
    neuron : LIF or Readout
        Parameters in float64, as the module itself computes with them. An input gain (SpikingJelly's ``decay_input``)
        is a table of one row.
    lag : int
        Steps by which the module's spikes are behind those of `neuron`.
    time : {"step", "first", "second", "folded"}
        Axes of the module's input: one step ``[B, ...]``; all steps ``[T, B, ...]``, ``[B, T, ...]``, ``[B * T, ...]``.
    membrane : int or None
        Position of the membrane among the module's outputs, if it returns one; spikes are output 0.
    feedback : Feedback, optional
    weight : float or (O, I) array
        Synapses inside the module, in front of its neurons (the feedback is added behind them): a factor, or those of
        a Linear.
    """

    neuron: LIF | Readout
    lag: int = 0
    time: str = "step"
    membrane: int | None = None
    feedback: Feedback | None = None
    weight: Any = 1.0

    def __post_init__(self) -> None:
        if self.time not in TIMES:
            raise ExportError("reading: time", f"got {self.time!r}; allowed are {', '.join(TIMES)}")


_BY_HAND: dict[type, tuple[Callable[[Any], Reading | None], Callable[[Any], None] | None]] = {}


def register(
    kind: type[nn.Module],
    reader: Callable[[Any], Reading | None],
    reset: Callable[[Any], None] | None = None,
) -> None:
    """Read modules of a class of your own with a function.

    Parameters
    ----------
    kind : type
        The class; those derived from it are read too.
    reader : function
        Takes the module, returns a :class:`Reading`.
    reset : function, optional
        Takes the module, and puts it into its initial state, where it keeps one.

    Examples
    --------
    >>> from torch import nn
    >>> from neurosam.deploy.readers.protocol import Reading, read, register
    >>> class MyNeuron(nn.Module):
    ...     decay, limit = 0.5, 1.0
    >>> register(MyNeuron, lambda module: Reading(ns.LIF(module.decay, module.limit, reset="zero")))
    >>> read(MyNeuron()).neuron.leak
    array(0.5)
    """
    _BY_HAND[kind] = reader, reset


def read(module: nn.Module) -> Reading | None:
    """The reading of a module, or None if no reader knows it as a layer of neurons.

    Raises
    ------
    ExportError
        If a reader knows the module and it has no equivalent; the message names the nearest one.
    """
    for kind in type(module).__mro__:
        if kind in _BY_HAND:
            return _BY_HAND[kind][0](module)
    for reader in _readers(module):
        reading: Reading | None = reader.read(module)
        if reading is not None:
            return reading
    return None


def reset(module: nn.Module) -> None:
    """Put a module of neurons into its initial state."""
    for kind in type(module).__mro__:
        if kind in _BY_HAND:
            by_hand = _BY_HAND[kind][1]
            if by_hand is not None:
                by_hand(module)
            return
    for reader in _readers(module):
        if hasattr(reader, "reset"):
            reader.reset(module)


def resize(module: nn.Module, steps: int, samples: int) -> None:
    """Tell a module of neurons how many steps and samples its next input has, if it has to know."""
    for reader in _readers(module):
        if hasattr(reader, "resize"):
            reader.resize(module, steps, samples)


def _readers(module: nn.Module) -> Iterator[Any]:
    packages = dict.fromkeys(kind.__module__.partition(".")[0] for kind in type(module).__mro__)
    for package in packages:
        reader = _reader(package)
        if reader is not None:
            yield reader


@cache
def _reader(package: str) -> Any:
    points = entry_points(group=GROUP, name=package)
    for point in points:
        return point.load()
    return None
