"""A run whose recording is written to a file as it is made, so that memory grows neither with steps nor with samples.

A back end that streams delivers its values piece by piece. For one that cannot, samples run in batches, and each batch
is written when it is done; the recording of a single sample has to fit into memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam.backends.protocol import Backend, Options, Progress, Streaming
from neurosam.hdf5.files import load_recording, stream_recording
from neurosam.hdf5.stream import Stream
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.recording import Record, Recording, extents
from neurosam.signals.state import joined

__all__ = ["run_to_file"]

BATCH_BYTES = 2**28
"""Most bytes recorded per batch of samples, for a back end that cannot stream; a batch has at least one sample."""


def run_to_file(
    runner: Backend, network: Network, inputs: Inputs, record: Record, options: Options, path: str | Path
) -> Recording:
    """Run, write the recording to a file, and return it with its arrays in the file.

    Raises
    ------
    FormatError
        If the file cannot be written.
    """
    with stream_recording(path, network, record, inputs.steps, inputs.samples) as stream:
        if isinstance(runner, Streaming):
            stream.finish(runner.stream(network, inputs, record, options, stream.places))
        else:
            stream.finish(_in_batches(runner, network, inputs, record, options, stream))
    return load_recording(path, mapped=True)


def _in_batches(
    runner: Backend, network: Network, inputs: Inputs, record: Record, options: Options, stream: Stream
) -> Recording:
    """Run batch after batch, write their values, and return all else of the whole recording."""
    sample_bytes = sum(
        math.prod(shape) * dtype.itemsize for shape, dtype in extents(network, record, inputs.steps, 1).values()
    )
    size = max(1, BATCH_BYTES // max(sample_bytes, 1))
    rests: list[Recording] = []
    for start in range(0, max(inputs.samples, 1), size):
        batch = inputs.select(start, start + size)
        progress = _after(options.progress, start, inputs.samples)
        began_s = time.perf_counter()
        recording = runner.run(network, batch, record, replace(options.select(start, start + size), progress=progress))
        time_s = recording.time_s or time.perf_counter() - began_s
        stream.put(recording, start)
        rests.append(replace(recording, spikes={}, sam={}, membrane={}, current={}, time_s=time_s))
    first = rests[0]
    return replace(
        first,
        samples=inputs.samples,
        output=np.concatenate([rest.output for rest in rests]),
        other_outputs=_joined([rest.other_outputs for rest in rests]),
        saturated=_joined([rest.saturated for rest in rests]),
        wrapped=_joined([rest.wrapped for rest in rests]),
        state=None if first.state is None else joined([rest.state for rest in rests if rest.state is not None]),
        counts={name: np.concatenate([rest.counts[name] for rest in rests], axis=1) for name in first.counts},
        operations={name: sum(rest.operations[name] for rest in rests) for name in first.operations},
        time_s=sum(rest.time_s for rest in rests),
    )


def _joined(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of batches of samples, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _after(progress: Progress | None, start: int, samples: int) -> Progress | None:
    """Progress of a batch that starts at sample `start`, reported as that of the whole run."""
    return None if progress is None else lambda done, _: progress(start + done, samples)
