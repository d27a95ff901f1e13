# /// script
# requires-python = "==3.11.*"
# dependencies = ["snntorch==1.0.0", "torch==2.13.0", "numpy==2.4.6"]
# ///
"""snnTorch: `Leaky`, step by step.

The subtraction is one line of ours: the library's subtracts twice from a membrane that stays above its threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casefile import Layer, PlainCase
from harness import main


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import snntorch
    import torch

    from torch_layers import step_by_step

    torch.set_num_threads(threads)

    def neurons(layer: Layer) -> Any:
        leaky = snntorch.Leaky(case.keep, layer.threshold, reset_mechanism="none")

        def update(x: Any, v: Any) -> tuple[Any, Any]:
            s, v = leaky(x, leaky.reset_mem() if v is None else v)
            return s, v - layer.threshold * s

        return update

    return step_by_step(case, neurons)


if __name__ == "__main__":
    main(build, "snntorch", "float32")
