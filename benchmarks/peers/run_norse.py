# /// script
# requires-python = "==3.11.*"
# dependencies = ["norse==1.1.0", "torch==2.13.0", "torchvision==0.28.0", "numpy==2.4.6"]
# ///
"""Norse: `LIFBoxCell` with soft reset, step by step. It scales input by dt / tau, so weights are divided by that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import norse.torch as norse
    import torch
    from norse.torch.functional.reset import reset_subtract

    from torch_layers import step_by_step

    torch.set_num_threads(threads)
    scale = 1 - case.keep

    def neurons(layer: Layer) -> Any:
        rule = norse.LIFBoxParameters(
            tau_mem_inv=torch.tensor(scale), v_th=torch.tensor(float(layer.threshold)), reset_method=reset_subtract
        )
        return norse.LIFBoxCell(rule, dt=1.0)

    return step_by_step(case, neurons, divisor=scale)


if __name__ == "__main__":
    main(build, "norse", "float32")
