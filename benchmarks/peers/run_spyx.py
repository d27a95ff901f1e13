# /// script
# requires-python = "==3.12.*"
# dependencies = ["spyx==1.0.0", "jax==0.12.0.1", "flax==0.12.12", "numpy==2.5.5"]
# ///
"""Spyx: `LIF`, stepped as `spyx.nn.run` does; the faster of two arrangements (jax_layers.py).

Its LIF compares before it adds the input, so spikes come one step late, and subtracts after the decay rather than
before. With ``keep * threshold`` as what it subtracts, and an activation that fires at the remaining difference, it is
the same neuron; near the threshold both differences are exact in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import jax.numpy as jnp
    import spyx
    from flax import nnx

    from jax_layers import Neurons, fastest

    def neurons(layer: Layer, shape: tuple[int, ...]) -> Neurons:
        drop = np.float32(case.keep * layer.threshold)
        difference = np.float32(layer.threshold) - drop
        fires = spyx.axn.custom(fwd=lambda v: spyx.axn.heaviside(v - difference))
        lif = spyx.nn.LIF(shape, case.keep, drop, fires, rngs=nnx.Rngs(0))
        return Neurons(jnp.zeros(shape), lambda v, x: lif(x, v)[::-1])

    return fastest(case, neurons, lag=1)


if __name__ == "__main__":
    main(build, "spyx", "float32")
