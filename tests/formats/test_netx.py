"""The netx file read back by netx's own rules is the network that was written; the rest is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError
from neurosam.formats.netx.matrix import read_by_netx
from neurosam.formats.netx.write import save_netx
from support.agreement import assert_identical
from support.netx import CONV1, CONV2, DENSE, HARD, network


def from_netx(path: Path) -> ns.Network:
    """The network that netx makes of a file, by its rules (lava/lib/dl/netx/hdf5.py of lava-dl 0.6), restated."""
    with h5py.File(path, "r") as file:
        layers = [file["layer"][str(k)] for k in range(len(file["layer"]))]
        populations: list[ns.Population] = []
        projections: list[ns.Projection] = []
        for k, layer in enumerate(layers):
            kind = layer["type"][0].decode("ascii")
            if kind == "flatten":
                continue
            name, shape = f"p{k}", tuple(int(side) for side in layer["shape"][()])
            if kind == "input":
                populations.append(ns.Population(name, shape))
                continue
            weight = layer["weight"][()]
            exponent = 1 if kind == "conv" and not (weight % 2).any() else 0
            mantissa = (weight if kind == "conv" else read_by_netx(weight)) >> exponent
            if kind == "conv":
                pairs: Any = {key: tuple(int(n) for n in layer[key][()]) for key in ("stride", "padding", "dilation")}
                synapse: Any = ns.Conv2d(mantissa.astype(np.int8), groups=int(layer["groups"][()]), **pairs)
            else:
                synapse = ns.Dense(mantissa.astype(np.int8))
            neuron = layer["neuron"]
            assert neuron["type"][0] == b"CUBA"
            threshold = int(neuron["vThMant"][()])
            bias = layer["bias"][()] if "bias" in layer else 0
            if threshold == 2**18:
                assert (int(neuron["iDecay"][()]), int(neuron["vDecay"][()])) == (4096, 0)
                cell: Any = ns.FixedReadout(bias, 6)
            else:
                decays: Any = {
                    "current_decay": int(neuron["iDecay"][()]) - 1,
                    "membrane_decay": int(neuron["vDecay"][()]),
                }
                cell = ns.FixedLIF(threshold=threshold, reset="zero", bias_mantissa=bias, bias_exponent=6, **decays)
            projections.append(ns.Projection(populations[-1].name, name, synapse, exponent=exponent))
            populations.append(ns.Population(name, shape, cell))
        return ns.Network(populations, projections)


def events(shape: tuple[int, ...]) -> ns.Events:
    return ns.Events.from_dense((np.random.default_rng(4).random((9, 3, *shape)) < 0.4).astype(np.uint8))


@pytest.mark.parametrize("biased", [False, True])
def test_what_netx_reads_is_what_was_written(tmp_path: Path, biased: bool) -> None:
    written = network()
    if biased:
        first = replace(HARD, bias_mantissa=np.array([1, -2, 3, 4]) * 2, bias_exponent=7)
        populations = [replace(p, neuron=first) if p.name == "conv1" else p for p in written.populations]
        written = replace(written, populations=populations)
    save_netx(written, tmp_path / "net.net", restarts=biased)
    read = from_netx(tmp_path / "net.net")
    stimulus = events((2, 9, 8))
    a = ns.run(written, stimulus, record=ns.Record.everything(written))
    b = ns.run(read, stimulus, record=ns.Record.everything(read))
    assert a.counts["conv2"].sum() > 20
    np.testing.assert_array_equal(a.output, b.output)
    for mine, its in zip(written.populations[1:], read.populations[1:], strict=True):
        np.testing.assert_array_equal(a.membrane[mine.name], b.membrane[its.name])
        np.testing.assert_array_equal(a.counts[mine.name] if mine.fires else 0, b.counts[its.name] if its.fires else 0)


def test_the_file_is_laid_out_as_netx_wants_it(tmp_path: Path) -> None:
    save_netx(network(), tmp_path / "net.net")
    with h5py.File(tmp_path / "net.net", "r") as file:
        assert list(file) == ["layer"]
        assert [file[f"layer/{k}/type"][0] for k in range(5)] == [b"input", b"conv", b"conv", b"flatten", b"dense"]
        assert file["layer/1/type"].dtype == np.dtype("S10")
        np.testing.assert_array_equal(file["layer/1/weight"][()], CONV1)
        np.testing.assert_array_equal(file["layer/2/weight"][()], 2 * CONV2.astype(int))  # the exponent is in it
        assert tuple(file["layer/1/stride"][()]) == (2, 1)
        assert int(file["layer/1/neuron/iDecay"][()]) == 4096
        assert int(file["layer/2/neuron/iDecay"][()]) == 1501


def changed(population: str | None = None, projection: int | None = None, **change: Any) -> ns.Network:
    base = network()
    populations = tuple(
        replace(p, neuron=replace(p.neuron, **change)) if p.name == population and p.neuron is not None else p
        for p in base.populations
    )
    projections = tuple(replace(p, **change) if k == projection else p for k, p in enumerate(base.projections))
    return replace(base, populations=populations, projections=projections)


TABLE = np.ones((1, 4), dtype=np.int64)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (changed("conv1", reset="subtract"), r"population 'conv1': has a soft reset; netx would reset it to zero"),
        (changed("conv1", gain=TABLE, offset_64ths=TABLE), r"population 'conv1': has gain and offset tables"),
        (changed("conv1", threshold=np.array([9, 8, 7, 6])), r"population 'conv1': has a vThMant for each channel"),
        (changed("conv1", fires="at"), r"population 'conv1': has fires 'at'; netx's neurons have no such option"),
        (
            changed("conv2", initial_membrane_64ths=7),
            r"population 'conv2': has initial_membrane_64ths 7..7; netx's neur",
        ),
        (changed("conv1", bias_mantissa=np.ones((4, 5, 9), int)), r"population 'conv1': has a bias, which"),
        (changed("conv1", reset="none"), r"population 'conv1': has the reset 'none'; netx would reset it"),
        (changed("conv1", bias_mantissa=3), r"population 'conv1': has a bias.*restarts=True.*reset_offset=1"),
        (changed(projection=1, exponent=-1), r"projection conv1->conv2: has the exponent -1"),
        (changed(projection=1, exponent=3), r"projection conv1->conv2: has weights .*; -256..254 is allowed"),
        (
            changed(projection=2, synapse=ns.Dense(np.full_like(DENSE, -128))),
            r"projection conv2->out: has weights that netx would",
        ),
        (changed(projection=2, synapse=ns.Dense(DENSE * 0)), r"projection conv2->out: has weights that netx would"),
        (changed("conv1", bias_mantissa=4095, bias_exponent=7), r"population 'conv1': has a bias, which acts in netx"),
    ],
)
def test_what_netx_would_run_differently_is_refused(tmp_path: Path, broken: ns.Network, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        save_netx(broken, tmp_path / "net.net")
    assert not list(tmp_path.iterdir())


def test_shapes_of_networks_that_netx_cannot_read(tmp_path: Path) -> None:
    base = network()
    shortcut = ns.Projection("conv1", "out", ns.Dense(np.ones((5, 180), dtype=np.int8)))
    onset = tuple(replace(p, onset=0) if p.name == "conv1" else p for p in base.populations)
    graded = (replace(base.populations[0], magnitude=3), *base.populations[1:])
    fine = replace(HARD, bias_mantissa=1, bias_exponent=2)
    windows = tuple(replace(p, pool=ns.MaxPool2d(1)) if p.name == "conv1" else p for p in base.populations)
    pooled = replace(base, populations=windows)
    for broken, message in (
        (replace(base, projections=(*base.projections, shortcut)), "is a shortcut or a cycle"),
        (replace(base, populations=onset), "has a lag of 1"),
        (replace(base, populations=graded), "takes graded input up to 3"),
        (replace(base, outputs="conv2"), "in netx it is the end of the chain"),
        (pooled, "population 'conv1': pools its sums, which netx does not implement"),
    ):
        with pytest.raises(ExportError, match=message):
            save_netx(broken, tmp_path / "net.net")
    populations = tuple(replace(p, neuron=fine) if p.name == "conv1" else p for p in base.populations)
    with pytest.raises(ExportError, match="no multiple of 2\\^6"):
        save_netx(replace(base, populations=populations), tmp_path / "net.net", restarts=True)
    floats = ns.Network(
        [ns.Population("in", (2,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.ones((1, 2))))],
    )
    with pytest.raises(ExportError, match="is a float network"):
        save_netx(floats, tmp_path / "net.net")


@pytest.mark.parametrize(
    ("weight", "kept"),
    [([[2, -4]], True), ([[1, 3]], True), ([[1, -1]], True), ([[0, 0]], False), ([[-128, -128]], False),
     ([[-127, -1]], True), ([[254, -256]], True), ([[-64, -32]], False)],
)  # fmt: skip
def test_which_matrices_survive(weight: list[list[int]], kept: bool) -> None:
    array = np.array(weight)
    assert np.array_equal(read_by_netx(array), array) == kept


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_netx(network(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    one, two = from_netx(tmp_path / "a"), from_netx(tmp_path / "b")
    assert_identical(ns.run(one, events((2, 9, 8))), ns.run(two, events((2, 9, 8))))
