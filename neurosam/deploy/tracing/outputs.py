"""What a module returns, as the outputs of a network.

    spikes of all steps, their sum or mean               count
    membrane of neurons: all steps or the last one       last;   its mean or sum over steps: mean;   its maximum: max
    sums without neurons behind them, likewise           a readout, which adds them up: last

Of a tuple, membranes count only where nothing else is returned, and states (nested tuples) never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from neurosam.deploy.tracing.axes import STATIC, Rows, Value
from neurosam.deploy.tracing.nodes import Dropped, Membrane, Node, OverTime, Refused, Source
from neurosam.deploy.tracing.recording import Recording
from neurosam.deploy.tracing.steps import Recorded
from neurosam.errors import ExportError
from neurosam.graph.layers import Neurons, Offset, Scale
from neurosam.network.neuron import Readout

__all__ = ["Output", "outputs_of"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Output:
    """One output.

    Parameters
    ----------
    sources : tuple of Source
        Whose values are added up to it.
    shape : tuple of int
        Of one sample.
    answer : str
        As ``Network(outputs=...)`` has it.
    neurons : Node or None
        The layer of neurons whose spikes or membranes it is; None for sums.
    total : (B, neurons) array or None
        What the network's answer has to be up to a positive factor; None if that is not known.
    """

    sources: tuple[Source, ...]
    shape: tuple[int, ...]
    answer: str
    neurons: Node | None
    total: Values | None


def outputs_of(recorded: Recorded, notes: dict[str, str]) -> list[Output]:
    """The outputs of a recorded module, each once; `notes` gets what was left out.

    Raises
    ------
    ExportError
        If there is none, or none that a network can give.
    """
    recording = recorded.recording
    passes = [list(_tensors(recording, out)) for out in recorded.outputs]
    if not passes[-1]:
        raise ExportError("module", "returns nothing that depends on its input")
    outputs = [_output(recorded, i, passes, notes) for i in range(len(passes[-1]))]
    chosen = [output for output in outputs if output.answer == "count" or output.neurons is None] or outputs
    unique = {tuple(source.key for source in output.sources): output for output in reversed(chosen)}
    return [*reversed(unique.values())]


def _tensors(recording: Recording, out: Any) -> Iterator[Tensor]:
    """Tensors among what a module returned; of a list with an item for each step, one that stands for all."""
    if isinstance(out, Tensor):
        out = (out,)
    items = list(out.values()) if isinstance(out, dict) else list(out) if isinstance(out, (tuple, list)) else []
    traced = [item for item in items if recording.value(item) is not None]
    if isinstance(out, list) and len(items) == recording.steps and (not traced or len(traced) == len(items)):
        yield from _tensors(recording, (items[-1],) if traced else items[-1])
    elif not traced and items and isinstance(items[0], (tuple, list)):
        yield from _tensors(recording, items[0])
    else:
        yield from traced


def _output(recorded: Recorded, number: int, passes: list[list[Tensor]], notes: dict[str, str]) -> Output:
    recording = recorded.recording
    tensor = passes[-1][number]
    value: Value | None = recording.value(tensor)
    if value is None or value.refused is not None:
        node = None if value is None else value.refused
        what = None if node is None else node.what
        where = "module" if node is None else node.label
        raise ExportError(where, what.problem if isinstance(what, Refused) else "is not expressible")
    rows, (sources,), shape = recording.addresses.trace([value], "output")
    how, membrane, sources = _unwrapped(sources, notes)
    expanded = _summed_over_time(recording, sources)
    for source in expanded or sources:
        if (problem := source.node.unusable) is not None:
            raise ExportError("output", f"{problem}; return one of the two")
    sources = tuple(Source(source.node, 0, source.index) for source in expanded or sources)
    if not sources:
        raise ExportError("output", "is always 0")
    node, graded = sources[0].node, False
    spikes = len(sources) == 1 and sources[0].index is None and isinstance(node.what, Neurons)
    if spikes and isinstance(node.what, Neurons):
        graded = isinstance(node.what.neuron, Readout)
    if spikes and (membrane or graded):
        answer = {"sum": "mean"}.get(how, how or "last")
        final = _final(recording, tensor) if graded and answer == "last" else None
        return Output(sources, node.shape, answer, node, final)
    _refuse_part(recorded, rows, how, bool(expanded))
    if spikes:
        return Output(sources, node.shape, "count", node, None)
    total = None
    if "left out" in notes:  # a softmax in every step
        pass
    elif not (how or expanded):
        total = _total(recording, [tensors[number] for tensors in passes if len(tensors) > number])
    elif how != "max":
        total = tensor.detach().reshape(recording.samples, -1).numpy()
    return Output(sources, shape, "last", None, total)


def _unwrapped(sources: tuple[Source, ...], notes: dict[str, str]) -> tuple[str, bool, tuple[Source, ...]]:
    """What is done over time, whether to membranes, and the sources before that."""
    how, membrane = "", False
    while len(sources) == 1 and sources[0].index is None:
        what = sources[0].node.what
        if isinstance(what, Dropped):
            if how:
                raise ExportError(
                    "output", f"is the {how} over steps of {what.name}; return the {how} of what enters it"
                )
            notes["left out"] = f"{what.name} at the end"
        elif isinstance(what, OverTime):
            how = what.how
        elif isinstance(what, Membrane):
            membrane = True
        else:
            break
        sources = sources[0].node.sources
    return how, membrane, sources


def _refuse_part(recorded: Recorded, rows: Rows, how: str, expanded: bool) -> None:
    """Refuse what neither counts nor adds up over all steps."""
    steps = np.unique(rows.steps)
    if how == "max":
        raise ExportError("output", "is a maximum over steps; return the sum or mean over steps, or all steps")
    everything = steps.size == recorded.recording.steps or STATIC in steps
    if recorded.way != "step" and not how and not expanded and not everything:
        raise ExportError(
            "output", f"is of step {int(steps[0])} alone; return the sum or mean over steps, or all of them"
        )


def _total(recording: Recording, tensors: list[Tensor]) -> Values:
    """The sum over steps of what was returned."""
    parts = [_by_row(recording, tensor) for tensor in tensors]
    total = np.zeros((recording.samples, parts[0][1].shape[1]))
    for rows, flat in parts:
        np.add.at(total, rows.samples, flat)
    return total


def _final(recording: Recording, tensor: Tensor) -> Values:
    """What was returned for the last step."""
    rows, flat = _by_row(recording, tensor)
    last = rows.steps == rows.steps.max()
    out = np.zeros((recording.samples, flat.shape[1]))
    out[rows.samples[last]] = flat[last]
    return out


def _by_row(recording: Recording, tensor: Tensor) -> tuple[Rows, Values]:
    """Steps and samples of a tensor that was returned, and its values for each, ``[rows, elements]``."""
    value = recording.values[tensor]
    rows = recording.addresses.trace([value], "output")[0]
    axes = recording.addresses.leading(value)
    front = tensor.detach().movedim(axes, list(range(len(axes))))
    return rows, front.reshape(rows.samples.size, -1).numpy()


def _summed_over_time(recording: Recording, sources: tuple[Source, ...]) -> tuple[Source, ...] | None:
    """What a loop has added up step after step: the sources of one step if all steps are in it with the same factor."""
    terms: dict[Any, dict[int, float]] = {}
    firsts: dict[Any, Source] = {}
    work = [(source, 0, 1.0) for source in sources]
    while work:
        source, ago, factor = work.pop()
        node, ago = source.node, ago + source.steps
        what = node.what
        if source.index is None and isinstance(what, Offset) and not np.any(what.value):
            work.extend((before, ago, factor) for before in node.sources)
        elif source.index is None and isinstance(what, Scale) and what.factor.ndim == 0 and what.factor > 0:
            work.extend((before, ago, factor * float(what.factor)) for before in node.sources)
        else:
            key = (id(node), None if source.index is None else source.index.tobytes())
            terms.setdefault(key, {})[ago] = factor
            firsts.setdefault(key, source)
    if not terms or any(len(ago) != recording.steps for ago in terms.values()) or recording.steps == 1:
        return None
    factors = {factor for ago in terms.values() for factor in ago.values()}
    return tuple(firsts.values()) if len(factors) == 1 else None
