"""The event back end: a network in Numba kernels, with work proportional to events, exact in Loihi's integers.

Populations are evaluated group by group (:attr:`Network.groups`): a group without a cycle runs a chunk of steps at
once, while its weights stay in the caches; a recurrent group runs step by step. Between populations, spikes travel as
bit planes ``[T, H * W, words]``. A population takes one of four paths, all with the same result (integers to the bit):

    layer     neurons behind one convolution or matrix: one kernel (kernels/layer.py), strips of rows
    or        max pooling: words of 64 channels (synapses.pool_or)
    loop      recurrent groups of integer neurons: all steps and populations in one kernel (kernels/recurrent.py)
    general   everything else: any projections (kernels/synapses.py), then the neurons (kernels/neurons.py)

A float network runs in float64 or float32 (``Options.dtype``): weights, sums, currents and membranes have that type;
traces, maps and all recorded values are float64 in both. Each path adds in an order of its own, and so does the
reference: two of them agree to rounding (equivalence/tolerance.py), and to the bit where no sum is rounded.

Threads take samples, which are independent. Where there are fewer samples than threads, several threads share the
strips of a layer, or the parts of a large recurrent population. Which path a population took, and how its blocks were
added up, is logged to ``neurosam.backends.event`` at level INFO.

A run goes down through these modules, and each imports only from those below it:

    backend     takes a Network and a request; its plan comes from the cache
    session     a run that goes on: plan, memory and state stay in place between its pieces
    run         threads that take samples, and what they counted
    cache       plans, and the memory of samples, for the next run
    worker      the order of the work on one sample; it calls the executors
    executors   chain, general, recurrent: which kernel works on what, and when
    memory      the arrays of one sample
    context     what the threads of a run share
    plan        the network as kernels take it
    kernels, simd, runtime

Memory: a thread holds the state of one sample, bit planes and records of one chunk of steps, and one block of sums.
What is recorded leaves it after each chunk: to arrays, or to a file.

What a run costs besides its kernels, for five layers and 10,000 events on one core of an EPYC (Zen 5): about 0.1 ms,
and 0.07 ms for each further sample.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neurosam.backends.event.cache import CACHE
from neurosam.backends.event.plan.compiled import PATHS, CacheKey
from neurosam.backends.event.run import LayerProfile, Run
from neurosam.backends.event.session import EventSession
from neurosam.backends.protocol import Options
from neurosam.backends.registry import check, unrolled
from neurosam.errors import BackendError
from neurosam.network.network import Network
from neurosam.signals.events import Events
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, Target, arranged, extents
from neurosam.signals.state import State

__all__ = ["EventBackend"]


class EventBackend:
    """Runs a network event by event.

    Parameters
    ----------
    path : {"auto", "general", "scatter", "gather", "table"}
        For tests and measurements: "general" avoids all other paths; the last three fix how layers add their weights,
        where they can.
    """

    def __init__(self, path: str = "auto") -> None:
        if path not in PATHS:
            raise BackendError("event back end: path", f"got {path!r}; allowed are {', '.join(PATHS)}")
        self.path = path

    def run(self, network: Network, inputs: Inputs, record: Record, options: Options) -> Recording:
        """Run every sample; see :func:`neurosam.backends.run`.

        Raises
        ------
        BackendError
            If `options` name another device than the CPU.
        """
        requested = extents(network, record, inputs.steps, inputs.samples)
        arrays = {key: np.empty(shape, dtype) for key, (shape, dtype) in requested.items()}
        recording = self.stream(network, inputs, record, options, arrays)
        return replace(recording, **arranged(network, arrays)) if arrays else recording

    def stream(
        self,
        network: Network,
        inputs: Inputs,
        record: Record,
        options: Options,
        targets: Mapping[tuple[str, str], Target],
    ) -> Recording:
        """Run every sample; see :class:`neurosam.backends.streaming.Streaming`.

        Raises
        ------
        BackendError
            As :meth:`run` does.
        """
        run, seconds = self._run(network, inputs, record, options, targets)
        run.report()
        return run.recording(seconds)

    def session(
        self, network: Network, samples: int, record: Record, options: Options, most_steps: int | None
    ) -> EventSession:
        """Begin a run that goes on; see :class:`neurosam.backends.protocol.Sessions`.

        Raises
        ------
        BackendError
            As :meth:`run` does.
        """
        _on_the_cpu(options)
        return EventSession(network, samples, record, options, most_steps, self.path)

    def profile(
        self, network: Network, events: Events | Mapping[str, Events], threads: int | None = None
    ) -> list[LayerProfile]:
        """Run every sample and report what each population cost, in their order; nothing is recorded.

        Parameters
        ----------
        network, events
            As :func:`neurosam.run` takes them.
        threads : int, optional
            All cores if None.
        """
        inputs = Inputs.of(network, events)
        check(network, inputs, Record())
        network = unrolled(network, inputs.steps)
        return self._run(network, inputs, Record(), Options(threads=threads), {}, timed=True)[0].profile()

    def _run(
        self, network: Network, inputs: Inputs, record: Record, options: Options,
        targets: Mapping[tuple[str, str], Target], timed: bool = False,
    ) -> tuple[Run, float]:  # fmt: skip
        """A finished run, and its seconds without compilation."""
        _on_the_cpu(options)
        threads = options.threads or os.cpu_count() or 1
        at_once = max(1, min(threads, inputs.samples))
        key = CacheKey.of(network, inputs, record, options, self.path, threads // at_once)
        final = None
        if options.keep_state:
            final = replace(State.initial(network, inputs.samples), step=options.first_step + inputs.steps)
        run = Run(CACHE.plan(network, key), inputs, targets, at_once, options.progress, timed, options.initial, final)
        run.load_kernels()
        start = time.perf_counter()
        run.run_samples()
        return run, time.perf_counter() - start


def _on_the_cpu(options: Options) -> None:
    """Refuse another device."""
    if options.device != "cpu":
        raise BackendError("event back end", f"runs on the CPU, not {options.device!r}; the reference takes a GPU")
