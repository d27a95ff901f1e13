# /// script
# requires-python = "==3.11.*"
# dependencies = ["xylosim==0.1.3", "numpy==2.4.6"]
# ///
"""Xylosim: SynSense's integer simulator of the Xylo chip; hidden neurons, which fire up to 31 times per step.

Its integers are the mantissas of the drive. Its decay, ``v - (v >> dash)`` and by at least 1 towards zero, is none that
a Network has: these runs show how far the nearest float neuron is from the chip.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse

from capture import Answer, Case, main
from drives import Drive


def case(**options: int) -> Case:
    def answer(given: Drive) -> Answer:
        neurons, inputs = given.mantissa.shape
        weight = given.mantissa.T.tolist()
        synapses = [[XyloSynapse(j, 0, weight[i][j]) for j in range(neurons)] for i in range(inputs)]  # must outlive it
        layer = XyloLayer(
            synapses_in=synapses,
            synapses_rec=[[] for _ in range(neurons)],
            synapses_out=[[] for _ in range(neurons)],
            aliases=[[] for _ in range(neurons)],
            threshold=[options["threshold"]] * neurons,
            threshold_out=[1],
            has_bias=False,
            bias=[0] * neurons,
            bias_out=[0],
            weight_shift_inp=options["weight_shift"],
            weight_shift_rec=0,
            weight_shift_out=0,
            dash_mem=[options["dash_mem"]] * neurons,
            dash_mem_out=[1],
            dash_syns=[[options["dash_syn"]]] * neurons,
            dash_syns_out=[[1]],
            name="hidden",
        )
        layer.evolve(given.inputs.tolist())
        return Answer(np.array(layer.rec_recurrent_spikes), np.array(layer.rec_v_mem, np.float64).T)

    return Case("XyloLayer", dict(options), answer, drives=("eighths",))


def cases() -> Iterator[Case]:
    yield case(threshold=300, weight_shift=5, dash_mem=4, dash_syn=2)
    yield case(threshold=2400, weight_shift=8, dash_mem=4, dash_syn=2)


if __name__ == "__main__":
    main("xylosim", "Xylosim", list(cases()))
