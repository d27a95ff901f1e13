"""PyTorch in the fastest arrangement that we know, in the interpreter of compare.py.

For chains, this is the fastest arrangement of benchmarks/neurosam_bench/dense.py. For the recurrent case, the rows of
the neurons that fired are gathered from a dense matrix and added, which is much faster than multiplying by the matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from casefile import PlainCase
from convert import events_of, network_of
from harness import main, named


def build(case: PlainCase, threads: int) -> Callable[[], dict[str, int]]:
    import torch

    from neurosam_bench.cases import Case
    from neurosam_bench.dense import DEFAULT, dense_runner
    from neurosam_bench.measure import best_arrangement

    torch.set_num_threads(threads)
    if not case.recurrent:
        chain = Case(case.name, network_of(case), events_of(case), 0.0)
        name = best_arrangement(chain, threads) or DEFAULT
        return named(dense_runner(chain, arrangement=name), name)
    layer = case.layers[0]
    rows = torch.zeros(layer.size, layer.size)  # [source, target]
    targets = np.repeat(np.arange(layer.size), np.diff(layer.indptr))
    rows[torch.from_numpy(layer.indices.astype(np.int64)), torch.from_numpy(targets)] = torch.from_numpy(layer.values)
    drive = torch.from_numpy(case.frames()) * layer.drive

    @torch.inference_mode()
    def run() -> dict[str, int]:
        v, fired, count = torch.zeros(layer.size), torch.zeros(0, dtype=torch.int64), 0
        for external in drive:
            v.mul_(case.keep).add_(external).add_(rows[fired].sum(0))
            fired = (v > layer.threshold).nonzero().flatten()
            v[fired] -= layer.threshold
            count += fired.numel()
        return {layer.name: count}

    return run


if __name__ == "__main__":
    main(build, "torch", "float32")
