"""The state of a network between two steps: where a run ends, and another one can go on.

Everything that the next step depends on: of each neuron its membrane and current, what options and traces keep, what
sources have sent that has not arrived yet, and what an answer over time has added up so far. A run that starts from
the state in which another one ended gives the bits of one long run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import identical
from neurosam._util.describing import array_text, some_lines
from neurosam._util.saving import save
from neurosam.arithmetic import STATE_MAX
from neurosam.errors import EventError
from neurosam.network.elements import Population
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons

__all__ = ["VARIABLES", "State", "joined", "variables"]

Array = npt.NDArray[Any]

VARIABLES = ("u", "v", "wait", "h", "r", "trace", "last", "fired")
"""What a neuron may keep: current, membrane, steps left to wait, rise of the threshold, relative reset (dynamics.py);
its SAM trace, the own step of its last spike, and in how many steps it has fired (trace.py)."""

MAX_STEP = 2**31 - 1


@dataclass(frozen=True, eq=False)
class State:
    r"""The state of a network after some steps.

    Parameters
    ----------
    step : int
        Own steps done by every population.
    samples : int
        B.
    neurons : mapping of str to mapping of str to (B, \\*shape) array
        By population and variable (see VARIABLES; only what the population has).
        ``u``, ``v``, ``h``, ``r``, ``trace`` are int32 in membrane units, or float64; the others int32.
    recent : mapping of str to (K, B, \\*shape) array
        Values that a source sent in its last K steps, the oldest first, where a projection has a lag of K steps.
        int32, or float64 of a float network.
    answers : mapping of str to (B, N) array
        By output: spike counts or sum of membranes (int64 or float64) or largest membrane so far.

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[ns.Population("in", (1,)), ns.Population("out", (1,), ns.LIF(leak=0.5, threshold=2.0))],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[1.0]]))],
    ... )
    >>> ones = ns.Events.from_dense(np.ones((2, 1, 1)))
    >>> first = ns.run(net, ones, keep_state=True)
    >>> first.state.step, first.state.neurons["out"]["v"].tolist()
    (2, [[1.5]])
    >>> ns.run(net, ones, record=ns.Record(membrane="out"), initial=first.state).membrane["out"].ravel()
    array([1.75 , 1.875])
    """

    step: int
    samples: int
    neurons: Mapping[str, Mapping[str, Array]]
    recent: Mapping[str, Array] = field(default_factory=dict)
    answers: Mapping[str, Array] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and identical(self, other)

    def __hash__(self) -> int:
        return hash((self.step, self.samples, *self.neurons))

    @classmethod
    def initial(cls, network: Network, samples: int) -> State:
        """The state before the first step."""
        number = np.int32 if network.fixed else np.float64
        lags = {p.name: max(map(network.lag, network.outgoing(p.name)), default=0) for p in network.populations}
        return cls(
            step=0,
            samples=samples,
            neurons={p.name: _at_rest(network, p, samples) for p in network.populations if p.neuron is not None},
            recent={
                p.name: np.zeros((lags[p.name], samples, *p.shape), number)
                for p in network.populations
                if lags[p.name] > 0
            },
            answers={
                name: _nothing(network, name, answer, samples)
                for name, answer in network.answers.items()
                if answer != "last"
            },
        )

    def select(self, start: int, stop: int) -> State:
        """The samples ``start:stop``, as views."""
        where = slice(start, stop)
        return replace(
            self,
            samples=len(range(self.samples)[where]),
            neurons={name: {v: x[where] for v, x in held.items()} for name, held in self.neurons.items()},
            recent={name: x[:, where] for name, x in self.recent.items()},
            answers={name: x[where] for name, x in self.answers.items()},
        )

    def check(self, network: Network, samples: int) -> None:
        """Refuse a state of another network or number of samples, or with values that no step leaves.

        Raises
        ------
        EventError
            Names the population and variable.
        """
        if self.samples != samples:
            raise EventError("initial state", f"has {self.samples} samples; the run has {samples}")
        expected = State.initial(network, samples)
        for part in ("neurons", "recent", "answers"):
            mine, theirs = dict(_flat(getattr(self, part))), dict(_flat(getattr(expected, part)))
            if mine.keys() != theirs.keys():
                name = min(mine.keys() ^ theirs.keys())
                problem = "lacks" if name in theirs else "has"
                raise EventError("initial state", f"{problem} {part} {name!r}; it belongs to another network")
            for name, array in mine.items():
                wanted = theirs[name]
                if array.shape != wanted.shape or array.dtype != wanted.dtype:
                    raise EventError(
                        f"initial state: {part} {name!r}",
                        f"is {array.dtype} of shape {array.shape}; {wanted.dtype} of shape {wanted.shape} is required",
                    )
        for label, array, low, high in self._ranges(network):
            if array.size and not (low <= array.min() and array.max() <= high):
                raise EventError(
                    f"initial state: {label}", f"has values in {array.min()}..{array.max()}; allowed is {low}..{high}"
                )

    def _ranges(self, network: Network) -> Iterator[tuple[str, Array, int, int]]:
        """What kernels take for granted of integers: each variable with its smallest and largest value."""
        if not 0 <= self.step <= MAX_STEP:
            raise EventError("initial state: step", f"got {self.step}; allowed is 0..{MAX_STEP}")
        for name, held in self.neurons.items():
            limits = {
                "wait": (0, getattr(network[name].neuron, "refractory", 0)),
                "last": (0, max(self.step - 1, 0)),
                "fired": (0, self.step),
            }
            if network.fixed:
                rises = dict.fromkeys(("h", "r"), (0, STATE_MAX)) | {"trace": (0, MAX_STEP)}
                limits |= {"v": (-2 * STATE_MAX, 2 * STATE_MAX), **rises}
            for variable in limits.keys() & held.keys():
                yield f"{variable} of {name!r}", held[variable], *limits[variable]
        for name, array in self.recent.items():
            source = network[name]
            if source.neuron is not None or network.fixed:
                most = source.largest_event
                yield f"recent events of {name!r}", array, -most if source.neuron is None else 0, most

    def save(self, path: Any) -> None:
        """Write the state to an HDF5 file, atomically."""
        save(self, path)

    def __repr__(self) -> str:
        lines = [
            f"{name}: {', '.join(f'{variable} {array_text(array)}' for variable, array in variables.items())}"
            for name, variables in self.neurons.items()
        ]
        return some_lines(f"State after {self.step:,} steps, {self.samples:,} samples", lines)


def joined(states: Sequence[State]) -> State:
    """The state of batches of samples, one after the other."""
    first = states[0]

    def along(axis: int, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        return {name: np.concatenate([part[name] for part in parts], axis=axis) for name in parts[0]}

    return State(
        step=first.step,
        samples=sum(state.samples for state in states),
        neurons={name: along(0, [state.neurons[name] for state in states]) for name in first.neurons},
        recent=along(1, [state.recent for state in states]),
        answers=along(0, [state.answers for state in states]),
    )


def variables(network: Network, population: Population) -> tuple[str, ...]:
    """The variables that a population's neurons keep, in the order of VARIABLES."""
    neuron = population.neuron
    trace = network.sam.get(population.name)
    kept = {
        "u": population.has_current,
        "v": True,
        "wait": getattr(neuron, "refractory", 0) > 0,
        "h": getattr(neuron, "threshold_leak", None) is not None
        or getattr(neuron, "threshold_decay", None) is not None,
        "r": getattr(neuron, "reset", "") == "relative",
        "trace": trace is not None,
        "last": trace is not None,
        "fired": trace is not None and trace.mode == "official",
    }
    return tuple(name for name in VARIABLES if kept[name])


def _at_rest(network: Network, population: Population, samples: int) -> dict[str, Array]:
    """What the neurons of a population hold before the first step."""
    number = np.int32 if network.fixed else np.float64
    held = {
        name: np.zeros((samples, *population.shape), np.int32 if name in ("wait", "last", "fired") else number)
        for name in variables(network, population)
    }
    suffix = "_64ths" if network.fixed else ""
    shape = as_chw(population.shape)
    for name, parameter in (("u", "initial_current"), ("v", "initial_membrane")):
        if name in held:
            value = np.asarray(getattr(population.neuron, parameter + suffix))
            by_neuron = value if value.ndim in (0, 3) else value.reshape(-1, 1, 1)
            held[name].reshape(samples, *shape)[:] = by_neuron
    return held


def _nothing(network: Network, name: str, answer: str, samples: int) -> Array:
    """An answer over no steps."""
    size = (samples, neurons(network[name].shape))
    if answer == "count":
        return np.zeros(size, np.int64)
    if answer == "mean":
        return np.zeros(size, np.int64 if network.fixed else np.float64)
    return np.full(size, np.iinfo(np.int32).min, np.int32) if network.fixed else np.full(size, -np.inf)


def _flat(part: Mapping[str, Any]) -> list[tuple[str, Array]]:
    """Arrays of a mapping, or of a mapping of mappings, by name."""
    pairs: list[tuple[str, Array]] = []
    for name, value in part.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}: {inner}", array) for inner, array in value.items()]
        else:
            pairs.append((name, value))
    return pairs
