"""Lists of spikes, weight rows and patterns (spike_lists.py, spike_patterns.py) against loops over a dense picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosam as ns
from neurosam.backends.event.kernels.layout import Conv, Workspace
from neurosam.backends.event.kernels.spike_lists import COMPRESSES, active, decode, decode_short, windows
from neurosam.backends.event.kernels.spike_patterns import patterns
from neurosam.backends.event.simd.int16 import GROUP, HALF_TILE, TILE
from neurosam.backends.event.simd.vectors import LANES

Array = npt.NDArray[Any]

CHANNELS = (1, 31, 32, 33, 63, 64, 65, 130)
STEPS = 3


def drawn(rng: np.random.Generator, channels: int, height: int, width: int, density: float) -> tuple[Array, Array]:
    """Spikes ``(steps, H, W, C)``, silent and full pixels among them, and their planes ``(steps, H W, words)``."""
    dense = (rng.random((STEPS, 1, channels, height, width)) < density).astype(np.uint8)
    dense[:, :, :, 0, 0], dense[:, :, :, -1, -1] = 0, 1
    planes = ns.Spikes.from_dense(dense).planes.reshape(STEPS, height * width, -1)
    return dense[:, 0].transpose(0, 2, 3, 1), planes


def listed(planes: Array, at: int, steps: int, begin: int, end: int, channels: int) -> Workspace:
    """A workspace with the spikes of ``planes[at : at + steps]``, as :func:`windows` takes them."""
    most = steps * (end - begin) * channels + TILE
    workspace = Workspace(
        np.zeros(steps * (end - begin) + 1, np.int32), np.zeros(most, np.int32), np.zeros(0, np.uint16),
        np.zeros(0, np.int32), np.zeros(0, np.int32),
    )  # fmt: skip
    count = decode_short(planes, at, steps, begin, end, channels, workspace.start, workspace.spikes.view(np.uint16))
    assert count == workspace.start[-1] == sum(active(planes, k, begin, end) for k in range(at, at + steps))
    return workspace


def convolution(
    source: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> Conv:  # fmt: skip
    """The shapes of a convolution without weights."""
    size = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(source[1:], kernel, stride, padding, strict=True)]
    nothing = np.zeros(0, np.int8)
    return Conv(
        np.array(source), np.array([*kernel, *stride, *padding, 1, 1, 1, 8]), np.array(size), nothing, nothing,
        np.zeros(0, np.int16), 0, True,
    )  # fmt: skip


def window_spikes(conv: Conv, dense: Array, yo: int, xo: int) -> Array:
    """The window of an output pixel ``(steps, kH, kW, C)``; outside the picture nothing fires."""
    kernel_height, kernel_width, stride, stride_x, padding, padding_x = conv.geometry[:6].tolist()
    padded = np.pad(dense, ((0, 0), (padding, padding), (padding_x, padding_x), (0, 0)))
    y, x = yo * stride, xo * stride_x
    return padded[:, y : y + kernel_height, x : x + kernel_width]


def strip(conv: Conv, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Random output rows ``top:bottom``, and the pixels ``begin:end`` of the source rows in their windows."""
    kernel_height, _, stride, _, padding, _ = conv.geometry[:6].tolist()
    top = int(rng.integers(0, conv.size[0]))
    bottom = int(rng.integers(top, conv.size[0])) + 1
    first = max(0, top * stride - padding)
    end = max(first, min(int(conv.source[1]), (bottom - 1) * stride - padding + kernel_height))
    return top, bottom, first * int(conv.source[2]), end * int(conv.source[2])


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_spikes_in_16_bits_and_in_32(channels: int, density: float) -> None:
    rng = np.random.default_rng(channels)
    dense, planes = drawn(rng, channels, 3, 5, density)
    for begin, end in ((0, 15), (4, 11), (7, 7)):
        workspace = listed(planes, 1, 2, begin, end, channels)
        count = int(workspace.start[-1])
        _, pixel, channel = np.nonzero(dense.reshape(STEPS, 15, channels)[1:, begin:end])
        expected = (begin + pixel) * channels + channel
        np.testing.assert_array_equal(workspace.spikes.view(np.uint16)[:count], expected)
        start, index = np.zeros_like(workspace.start), np.zeros(count + LANES, np.int32)
        assert decode(planes, 1, 2, begin, end, channels, start, index) == count
        np.testing.assert_array_equal(index[:count], expected)
        np.testing.assert_array_equal(start, workspace.start)


def test_neurons_are_listed_modulo_16_bits() -> None:
    dense, planes = drawn(np.random.default_rng(0), 130, 40, 30, 0.05)
    workspace = listed(planes, 0, STEPS, 0, 1200, 130)
    expected = np.concatenate([np.flatnonzero(step) for step in dense])
    assert expected.max() >= 2**17
    np.testing.assert_array_equal(workspace.spikes.view(np.uint16)[: expected.size], expected % 2**16)


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1), channels=st.sampled_from(CHANNELS), density=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)), size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
)  # fmt: skip
def test_weight_rows_of_every_window(
    seed: int, channels: int, density: float, kernel: tuple[int, int], stride: tuple[int, int],
    padding: tuple[int, int], size: tuple[int, int],
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    dense, planes = drawn(rng, channels, *size, density)
    conv = convolution((channels, *size), kernel, stride, padding)
    top, bottom, begin, end = strip(conv, rng)
    at = int(rng.integers(0, STEPS))
    steps = STEPS - at
    pixels = steps * (bottom - top) * int(conv.size[1])
    workspace = listed(planes, at, steps, begin, end, channels)
    workspace = workspace._replace(
        rows=np.zeros(pixels * (kernel[0] * kernel[1] * channels + GROUP) + TILE, np.uint16),
        edges=np.zeros(pixels + 1, np.int32),
    )
    count = windows(conv, begin, end - begin, top, bottom, steps, workspace)
    slot = total = 0
    for k in range(at, STEPS):
        for yo in range(top, bottom):
            for xo in range(int(conv.size[1])):
                expected = np.flatnonzero(window_spikes(conv, dense, yo, xo)[k])
                got = workspace.rows[workspace.edges[slot] : workspace.edges[slot + 1]]
                np.testing.assert_array_equal(got[: expected.size], expected)
                assert got.size == -(-expected.size // GROUP) * GROUP
                assert (got[expected.size :] == kernel[0] * kernel[1] * channels).all()
                total += expected.size
                slot += 1
    assert count == total
    assert workspace.edges[0] == 0


@settings(deadline=None, max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1), density=st.sampled_from([0.0, 0.2, 1.0]),
    columns=st.sampled_from([(1, 1), (1, 9), (2, 3), (3, 3), (4, 2), (9, 1), (5, 3), (16, 1), (1, 16)]),
    kernel_height=st.integers(1, 4), stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)), height=st.integers(4, 9),
    width=st.sampled_from([16, 17, 31, 32, 33, 34, 64, 67]),
)  # fmt: skip
def test_patterns_of_every_kernel_row(
    seed: int, density: float, columns: tuple[int, int], kernel_height: int, stride: tuple[int, int],
    padding: tuple[int, int], height: int, width: int,
) -> None:  # fmt: skip
    """Rows narrower and wider than a vector, columns in no window, rows outside the picture."""
    channels, kernel_width = columns
    rng = np.random.default_rng(seed)
    dense, planes = drawn(rng, channels, height, width, density)
    conv = convolution((channels, height, width), (kernel_height, kernel_width), stride, padding)
    top, bottom, _, _ = strip(conv, rng)
    at = int(rng.integers(0, STEPS))
    rows, out_width = (bottom - top - 1) * stride[0] + kernel_height, int(conv.size[1])
    slots = (STEPS - at) * rows * out_width
    nothing = np.zeros(0, np.int32)
    workspace = Workspace(nothing, nothing, np.full(slots + HALF_TILE, 2**16 - 1, np.uint16), nothing, nothing)
    count = patterns(planes, at, conv, top, bottom, STEPS - at, workspace)
    got = workspace.rows[:slots].reshape(STEPS - at, rows, out_width)
    bit = 1 << np.arange(kernel_width * channels)
    total = 0
    for yo in range(top, bottom):
        for xo in range(out_width):
            window = window_spikes(conv, dense, yo, xo)[at:].reshape(STEPS - at, kernel_height, -1)
            first = (yo - top) * stride[0]
            np.testing.assert_array_equal(got[:, first : first + kernel_height, xo], window @ bit)
            total += int(window.sum())
    assert count == total


def test_the_same_on_a_cpu_that_does_not_compress(tmp_path: Path) -> None:
    """All of the above, compiled for a CPU without the instruction that lists are made with."""
    if os.environ.get("NUMBA_CPU_NAME") == "generic":
        assert not COMPRESSES
        return
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
