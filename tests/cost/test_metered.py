"""The cost of samples that several workers run: the same numbers however many there are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

import neurosam as ns
from neurosam.sweep import Workers
from neurosam_hw.chips import load_chip
from neurosam_hw.cost.batches import metered_by
from neurosam_hw.cost.document import document
from neurosam_hw.cost.inference import Meter
from neurosam_hw.cost.verdict import verdict
from neurosam_hw.mappers.build import map_network
from support.sweeping import network, pictures


def test_a_meter_of_several_workers_is_that_of_one() -> None:
    net, source = network(), pictures(40)
    mapping = map_network(net, load_chip("loihi1"))
    said = verdict(mapping, what_if=True)
    found = []
    for count in (1, 3):
        with ThreadPoolExecutor(count) as executor:
            found.append(document(metered_by(Workers(executor), mapping, source).cost(said)))
    assert found[0] == found[1]
    whole = Meter(mapping)
    everything = source.inputs(net)
    recording = ns.run(net, everything, record=ns.Record.everything(net))
    whole.add(recording, everything)
    expected = whole.cost(said)
    assert found[0]["counts"] == document(expected)["counts"]
    assert found[0]["energy"]["by_sample_j"] == pytest.approx(expected.sample_j.tolist(), rel=1e-12)
