# /// script
# requires-python = "==3.12.*"
# dependencies = ["jaxsnn==0.3.0", "jax==0.12.0.1", "numpy==2.5.5"]
# ///
"""jaxsnn: its discrete-time `lif_step`; the faster of two arrangements (jax_layers.py).

It resets to zero. Its synaptic current lasts one step, which delays spikes by one, and is scaled by dt / tau, so the
threshold is, too, which is exact in float32. Its own `superspike` gives half a spike at the threshold; we pass a
comparison instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import jax.numpy as jnp
    from jaxsnn.discrete.functional import LIFState, lif_step

    from jax_layers import Neurons, fastest

    scale = 1 - case.keep

    def neurons(layer: Layer, shape: tuple[int, ...]) -> Neurons:
        def step(state: Any, x: Any) -> tuple[Any, Any]:
            return lif_step(
                {"in": x}, state, None, lambda v: (v > 0).astype(v.dtype),
                v_leak=0.0, v_th=scale * layer.threshold, v_reset=0.0, tau_mem=1 / scale, tau_syn=1.0, dt=1.0,
            )  # fmt: skip

        return Neurons(LIFState(jnp.zeros(shape), jnp.zeros(shape)), step)

    return fastest(case, neurons, lag=1)


if __name__ == "__main__":
    main(build, "jaxsnn", "float32", like="neurosam_float_zero")
