"""Only the convolutions of a case, dense in int8, by PyTorch's quantised operators (neurosam_bench/dense_int8.py).

A bound for any simulator that computes densely in int8. Without neurons, it reports no spikes. It runs in the
interpreter of compare.py.
"""

from __future__ import annotations

from collections.abc import Callable

from casefile import PlainCase
from convert import events_of, network_of
from harness import CannotExpress, main, named

DENSITY = 0.05
"""Density of the random input, which does not affect the time of dense arithmetic."""


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch

    from neurosam_bench.cases import Case
    from neurosam_bench.dense_int8 import int8_runner

    if not any(layer.kind == "conv" for layer in case.layers):
        raise CannotExpress("it has no convolutions")
    torch.set_num_threads(threads)
    convolutions = int8_runner(Case(case.name, network_of(case), events_of(case), DENSITY))

    def run() -> dict[str, int]:
        convolutions()
        return {}

    return named(run, f"engine {convolutions.engine}")


if __name__ == "__main__":
    main(build, "torch", "int8", like="neurosam")
