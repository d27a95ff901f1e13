# /// script
# requires-python = "==3.12.*"
# dependencies = ["brainevent==0.3.0", "jax==0.12.0.1", "numba==0.68.1", "numpy==2.5.5"]
# ///
"""brainevent: event-driven products with CSR matrices, all steps in one `jax.lax.scan`; convolutions unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from casefile import PlainCase
from harness import main
from unroll import unroll


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import brainevent
    import jax
    import jax.numpy as jnp

    brainevent.config.set_numba_parallel(threads > 1, threads)
    matrices, sources = [], int(np.prod(case.shape))
    for layer, synapses in zip(case.layers, unroll(case)):
        indptr = np.searchsorted(synapses.source, np.arange(sources + 1)).astype(np.int32)
        columns = synapses.weight.astype(np.float32), synapses.target.astype(np.int32), indptr
        matrices.append(brainevent.CSR(tuple(map(jnp.asarray, columns)), shape=(sources, layer.size)))
        sources = layer.size
    frames = jnp.asarray(case.frames().reshape(case.steps, -1)) > 0

    def step(state: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        """Advance the membranes and last spikes of every layer by one step with input `x`."""
        out, counts = [], []
        for layer, matrix, (v, fired) in zip(case.layers, matrices, state):
            current = brainevent.BinaryArray(fired if case.recurrent else x) @ matrix
            v = case.keep * v + current + (layer.drive * x if case.recurrent else 0)
            x = v > layer.threshold
            out.append((v - layer.threshold * x, x))
            counts.append(x.sum())
        return tuple(out), jnp.stack(counts)

    @jax.jit
    def simulate(x: Any) -> Any:
        rest = tuple((jnp.zeros(layer.size), jnp.zeros(layer.size, bool)) for layer in case.layers)
        return jax.lax.scan(step, rest, x)[1].sum(0)

    return lambda: {layer.name: int(count) for layer, count in zip(case.layers, np.asarray(simulate(frames)))}


if __name__ == "__main__":
    main(build, "brainevent", "float32")
