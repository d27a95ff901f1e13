"""A run whose recording is written to a file as it is made, so that memory grows neither with steps nor with samples.

A back end that streams delivers its values piece by piece. For one that cannot, samples run in batches, and each batch
is written when it is done; the recording of a single sample has to fit into memory.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from neurosam.backends.protocol import Backend, Options, Progress, Streaming
from neurosam.hdf5.files import load_recording, stream_recording
from neurosam.hdf5.stream import Stream
from neurosam.network.network import Network
from neurosam.signals.inputs import Inputs
from neurosam.signals.joining import joined_rests, without_values
from neurosam.signals.recording import Record, Recording, extents

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
        rests.append(replace(without_values(recording), time_s=time_s))
    return joined_rests(rests)


def _after(progress: Progress | None, start: int, samples: int) -> Progress | None:
    """Progress of a batch that starts at sample `start`, reported as that of the whole run."""
    return None if progress is None else lambda done, _: progress(start + done, samples)
