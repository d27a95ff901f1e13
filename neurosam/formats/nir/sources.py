"""The step and the discretisation of a NIR file, which it does not hold: one preset for each framework.

NIR describes neurons in continuous time (equations.py). What a framework computes from that differs: the same file
gives 0, 4 or 60 spikes. A preset does what the framework's own importer and neurons do (frameworks.py):

    snntorch      dt 1e-4   leak 1 - dt/tau; threshold divided by r dt/tau; v > threshold, to 0
    spikingjelly  dt 1e-4   leak 1 - dt/tau, input times dt/tau or 1; v >= threshold, to v_reset, where it starts
    norse         dt 1e-3   leak 1 - dt/tau, input times dt/tau; v > threshold, to 0; starts at v_leak
    sinabs        dt 1      leak exp(-dt/tau), input times 1; s = v // threshold spikes, minus s thresholds
    rockpool      from r    leak exp(-dt/tau), input times 1; spikes as Sinabs; v_leak is a bias
    lava          dt 1e-4   leak 1 - dt/tau, input times r dt/tau; v > threshold, to 0
    euler         asked     the same, to v_reset
    exact         asked     leak exp(-dt/tau), input times r (1 - exp(-dt/tau)); v > threshold, to v_reset
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from neurosam.errors import FormatError
from neurosam.formats.nir.drawing import Drawing
from neurosam.formats.nir.equations import Euler, Exact
from neurosam.formats.nir.frameworks import Lava, Norse, Rockpool, Sinabs, SnnTorch, SpikingJelly
from neurosam.formats.nir.marker import MARK, content_of, is_ours
from neurosam.formats.nir.parameters import Cell, Parameters
from neurosam.network.neuron import LIF
from neurosam.network.parameters import TIMINGS

__all__ = ["KINDS", "SOURCES", "cell_of", "source_of", "step_of"]

SOURCES: Mapping[str, Euler] = {
    "snntorch": SnnTorch(),
    "spikingjelly": SpikingJelly(),
    "norse": Norse(),
    "sinabs": Sinabs(),
    "rockpool": Rockpool(),
    "lava": Lava(),
    "euler": Euler(),
    "exact": Exact(),
}

KINDS: Mapping[str, tuple[str, ...]] = {
    "CubaLI": ("cuba_leaky", "tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("cuba_lif", "tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "I": ("integrator", "r"),
    "IF": ("integrate_fire", "r", "v_threshold", "v_reset"),
    "LI": ("leaky", "tau", "r", "v_leak"),
    "LIF": ("lif", "tau", "r", "v_leak", "v_threshold", "v_reset"),
}
"""Of each type of neuron, the method of a source, and the fields that it takes."""

STATED = ("euler", "exact")
"""Presets without a step of their own."""

KEYS = ("source", "framework", "simulator", "producer", "generator", "library")
"""Metadata in which a file may name the framework that wrote it."""


def source_of(drawing: Drawing, asked: str | None) -> str:
    """The preset that was asked for, or that the metadata name; "neurosam" for a file that neurosam wrote.

    Raises
    ------
    FormatError
        If it is unknown, or there is none.
    """
    if asked in (None, MARK) and is_ours(drawing.metadata):
        return MARK
    if asked is not None:
        if asked not in SOURCES:
            raise FormatError(drawing.where, f"got source {str(asked)[:64]!r}; allowed are {', '.join(SOURCES)}")
        return asked
    metadata = [drawing.metadata, *(node.metadata for node in drawing.nodes.values())]
    named = {str(data[key]).strip().lower() for data in metadata for key in KEYS if key in data}
    found = {known for known in SOURCES for text in named if text.partition(" ")[0].replace("-", "") == known}
    if len(found) == 1:
        return found.pop()
    raise FormatError(
        drawing.where,
        "does not say which framework it comes from, and NIR has neither a step nor a discretisation: give source= "
        f"(--source), one of {', '.join(SOURCES)}",
    )


def step_of(drawing: Drawing, name: str, dt: float | None) -> float | None:
    """The step; None where the source finds it in each node.

    Raises
    ------
    FormatError
        If it has to be given, or is no number above 0.
    """
    if name == MARK or (dt is None and name in STATED and is_ours(drawing.metadata)):
        if dt is not None:
            raise FormatError(
                drawing.where, "was written by neurosam with its own step; give source= (--source) to change it"
            )
        return float(content_of(drawing.where, drawing.metadata)["dt"])
    source = SOURCES[name]
    if dt is None:
        if source.dt is None and not source.finds_dt:
            raise FormatError(
                drawing.where, f"has no step, and source {name!r} implies none; give dt= (--dt) in seconds"
            )
        return source.dt
    if not 0 < dt < float("inf"):
        raise FormatError(drawing.where, f"got dt {dt!r}; a number of seconds above 0 is required")
    return float(dt)


def checked_reset(drawing: Drawing, name: str, reset: str | None, timing: str | None) -> tuple[str, str] | None:
    """Reset and timing instead of the preset's, for a network that was trained with others; None to leave them alone.

    Raises
    ------
    FormatError
        If they are unknown, or the file says them itself.
    """
    if reset is None:
        if timing is not None:
            raise FormatError(drawing.where, "got a reset_timing without a reset; give both")
        return None
    if name == MARK:
        raise FormatError(drawing.where, "was written by neurosam as it is reset; give source= (--source) to change it")
    if timing is None:
        timing = SOURCES[name].soft_timing if reset == "subtract" else "now"
    if reset not in ("subtract", "zero") or timing not in TIMINGS:
        raise FormatError(
            drawing.where, f"got reset {reset!r}, {timing!r}; 'subtract' or 'zero' and one of {TIMINGS} are allowed"
        )
    return reset, timing


def cell_of(name: str, p: Parameters, dt: float | None, reset: tuple[str, str] | None) -> Cell:
    """The neurons of a node, by a preset.

    Parameters
    ----------
    name : str
        Of the preset.
    p : Parameters
    dt : float or None
        None where the preset finds it.
    reset : (str, str), optional
        Reset and timing instead of the preset's.
    """
    source = SOURCES[name]
    method, *fields = KINDS[p.node.kind]
    if dt is None:
        timed = any(field.startswith("tau") for field in fields)
        p = replace(p, dt=source.step(p) if timed else 1.0)
    cell: Cell = getattr(source, method)(p)
    if reset is None or not isinstance(cell.neuron, LIF):
        return cell
    neuron = replace(cell.neuron, reset=reset[0], reset_value=None, reset_amount=None, reset_timing=reset[1])
    return replace(cell, neuron=neuron)
