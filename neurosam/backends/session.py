"""A run that goes on, for control loops and streams: :class:`Session`.

Any back end can be used. One that offers :class:`~neurosam.backends.protocol.Sessions` keeps the network ready between
two steps; for the others, each piece is a run that starts from the state in which the last one ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.arguments import integer
from neurosam.backends.protocol import Backend, Options, Running, Sessions
from neurosam.backends.registry import (
    check_dtype,
    check_record,
    check_values,
    load_backend,
    table_steps,
    unrolled,
)
from neurosam.errors import ArgumentError, EventError
from neurosam.network.network import Network
from neurosam.signals.events import INDEX_MAX, Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording
from neurosam.signals.state import State

__all__ = ["Session"]

Array = npt.NDArray[Any]


class Session:
    r"""A run of a network that goes on, by any number of steps at a time.

    The pieces of a run give the bits of one long run: spikes, membranes, maps and answers. That holds for integers on
    any back end. Floats may differ in the last bit where a back end adds in another order: the event back end does so
    only in layers that choose, for each block of steps, between gathering and scattering their weights, and where an
    input first sends spikes and later values.

    Parameters
    ----------
    network : Network
    backend : str
        "event", which needs less than 0.1 ms for a step of a small network, "reference", or another one.
    samples : int
        B: independent copies that advance together.
    record : Record, optional
        What :meth:`advance` records in addition to the answers and the spike counts; nothing if None.
    device, dtype, threads
        As in :func:`run`. If `threads` is None, the event back end takes one: waking others costs more than a step.
    initial : State, optional
        Where it starts; the state before the first step if None.
    most_steps : int, optional
        Own steps after which it ends. Needed where the network has SAM traces that must not run for ever
        (:meth:`FixedSamTrace.check`).

    Raises
    ------
    ArgumentError, EventError, NetworkError, BackendError
        If an argument, the state, a trace or the back end does not fit.

    Examples
    --------
    >>> net = ns.Network(
    ...     populations=[
    ...         ns.Population("in", shape=(2,)),
    ...         ns.Population("out", shape=(1,), neuron=ns.LIF(leak=0.5, threshold=1.0)),
    ...     ],
    ...     projections=[ns.Projection("in", "out", ns.Dense([[0.75, 0.25]]))],
    ... )
    >>> session = ns.Session(net)
    >>> for observation in ([1, 0], [1, 1], [0, 0]):
    ...     spikes_so_far = session.step(np.array([observation]))
    >>> spikes_so_far, session.step_count
    (array([[1]]), 3)
    >>> recording = session.advance(ns.Events.from_dense(np.ones((4, 1, 2))))
    >>> recording.output, session.step_count, session.state.neurons["out"]["v"]
    (array([[5]]), 7, array([[0.01171875]]))
    """

    def __init__(
        self,
        network: Network,
        backend: str = "event",
        *,
        samples: int = 1,
        record: Record | None = None,
        device: str = "cpu",
        dtype: str = "float64",
        threads: int | None = None,
        initial: State | None = None,
        most_steps: int | None = None,
    ) -> None:
        options = Options(device, dtype, threads, initial=initial, keep_state=True)
        check_dtype(network, dtype)
        samples = integer("samples", samples, 1, INDEX_MAX, ArgumentError)
        if most_steps is not None:
            most_steps = integer("most_steps", most_steps, 1, INDEX_MAX, ArgumentError)
        if initial is not None:
            initial.check(network, samples)
        record = Record() if record is None else record
        limits = [limit for limit in (table_steps(network), most_steps) if limit is not None]
        check_record(network, record, min(limits, default=None), keep_state=True)
        self._last_step = min([INDEX_MAX, *limits])
        self._first_step = 0 if initial is None else initial.step
        self.network, self.samples = network, samples
        self._shapes = {p.name: (samples, *p.shape) for p in network.inputs}
        self._output = network.output
        runner = load_backend(backend)
        self._running: Running = (
            runner.session(network, samples, record, options, self._last_step if limits else None)
            if isinstance(runner, Sessions)
            else _Repeated(runner, network, samples, record, options)
        )
        self._steps, self._interrupted = self._first_step, False

    @property
    def step_count(self) -> int:
        """Own steps done, those of the initial state included."""
        return self._steps

    @property
    def outputs(self) -> dict[str, Array]:
        """Answers of the whole run so far, ``(B, N)`` by output population.

        Raises
        ------
        ArgumentError
            Before the first step.
        """
        self._require(0)
        if self._steps == 0:
            raise ArgumentError("session", "has no output before its first step")
        return self._running.answers()

    @property
    def state(self) -> State:
        """The state after the steps so far: for :func:`run`, for another session, or for a file."""
        self._require(0)
        return self._running.state()

    def advance(self, events: Events | Mapping[str, Events]) -> Recording:
        """Run as many steps as the input has.

        Parameters
        ----------
        events : Events or mapping of str to Events
            As :func:`run` takes them, of this session's samples.

        Returns
        -------
        Recording
            Of these steps; its answers are those of the whole run so far. Its state is None: see :attr:`state`.

        Raises
        ------
        EventError
            If the input does not fit; the session is then as it was.
        """
        inputs = Inputs.of(self.network, events)
        if inputs.samples != self.samples:
            raise EventError("events: samples", f"got {inputs.samples}; the session has {self.samples}")
        check_values(self.network, inputs)
        self._require(inputs.steps)
        self._interrupted = True
        recording = self._running.advance(inputs)
        self._interrupted = False
        self._steps += inputs.steps
        return recording

    def step(self, values: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> Array:
        r"""Run one step, as fast as the back end can; nothing is recorded.

        Parameters
        ----------
        values : (B, \*shape) array, or mapping of str to such arrays
            What each neuron of the input sends: 0 or 1 for spikes, or numbers. By name for several inputs. Without B
            for one sample.

        Returns
        -------
        (B, N) array
            Answer of the (first) output population to the whole run so far; :attr:`outputs` has all.

        Raises
        ------
        EventError
            If a shape or a value does not fit; the session is then as it was.
        """
        self._require(1)
        arrays = self._arrays(values)
        self._interrupted = True
        try:
            self._running.step(arrays)
        except EventError:
            self._interrupted = False
            raise
        self._interrupted = False
        self._steps += 1
        return self._running.answers()[self._output]

    def reset(self) -> None:
        """Go back to the state in which the session began."""
        self._running.restart()
        self._steps, self._interrupted = self._first_step, False

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the memory of the run."""
        del self._running

    def _arrays(self, values: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """The values of a step by input, ``(B, *shape)`` each."""
        shapes = self._shapes
        given = values if isinstance(values, Mapping) else {next(iter(shapes)): values}
        if given.keys() != shapes.keys():
            raise EventError("values", f"are given for {_names(given)}; the network's inputs are {_names(shapes)}")
        arrays = {}
        for name, shape in shapes.items():
            array = np.asarray(given[name])
            if array.shape != shape and (self.samples > 1 or array.shape != shape[1:]):
                raise EventError(f"values of {name!r}", f"got shape {array.shape}; {shape} is required")
            if array.dtype.kind not in "biuf":
                raise EventError(f"values of {name!r}", f"got {array.dtype}; numbers are required")
            arrays[name] = array.reshape(shape)
        return arrays

    def _require(self, steps: int) -> None:
        """Refuse steps beyond the last one, and any after an interrupted one."""
        if not hasattr(self, "_running"):
            raise ArgumentError("session", "has been closed; make a new one")
        if self._interrupted:
            raise ArgumentError("session", "was interrupted in the middle of a step; reset() it, or make a new one")
        if self._steps + steps > self._last_step:
            raise EventError(
                "events: steps",
                f"got {steps} after {self._steps}; the session ends after {self._last_step} "
                "(its gain tables have no more rows, or most_steps is reached)",
            )


def _names(mapping: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, mapping)) or "none"


class _Repeated:
    """A session of any back end: each piece is a run from the state in which the last one ended."""

    def __init__(self, runner: Backend, network: Network, samples: int, record: Record, options: Options) -> None:
        self._runner, self._network, self._record, self._options = runner, network, record, options
        self._initial = State.initial(network, samples) if options.initial is None else options.initial
        self.restart()

    def restart(self) -> None:
        """Go back to where the run began."""
        self._state = self._initial

    def advance(self, inputs: Inputs) -> Recording:
        """Run further steps."""
        network = unrolled(self._network, inputs.steps, self._state.step)
        options = replace(self._options, initial=self._state)
        recording = self._runner.run(network, inputs, self._record, options)
        if recording.state is None:
            raise EventError("session", f"the {recording.backend} back end returns no state; use another one")
        self._state = recording.state
        return replace(recording, state=None)

    def step(self, values: Mapping[str, Array]) -> None:
        """Run one step."""
        inputs = Inputs.of(self._network, {name: Events.from_dense(x[None]) for name, x in values.items()})
        check_values(self._network, inputs)
        self.advance(inputs)

    def answers(self) -> dict[str, Array]:
        """Answers of the whole run so far."""
        return {name: self._answer(name, answer) for name, answer in self._network.answers.items()}

    def _answer(self, name: str, answer: str) -> Array:
        if answer == "last":
            return self._state.neurons[name]["v"].reshape(self._state.samples, -1)
        total = self._state.answers[name]
        return total / self._state.step if answer == "mean" else total

    def state(self) -> State:
        """The state after the steps so far."""
        return self._state
