"""The names and shapes that outside scripts rely on: a network by hand, run, recorded, saved, explained, compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import neurosam as ns


def by_hand() -> ns.Network:
    rng = np.random.default_rng(0)
    return ns.Network(
        populations=[
            ns.Population("in", shape=(2, 7, 5)),
            ns.Population("conv1", shape=(3, 4, 4), neuron=ns.LIF(leak=0.9, threshold=1.0, reset="subtract")),
            ns.Population("out", shape=(10,), neuron=ns.Readout()),
        ],
        projections=[
            ns.Projection(
                "in", "conv1", ns.Conv2d(rng.normal(size=(3, 2, 3, 2)), stride=(2, 1), padding=(1, 0)), delay=1
            ),
            ns.Projection("conv1", "out", ns.Dense(rng.normal(size=(10, 48))), delay=1),
        ],
        sam={"conv1": ns.SamTrace(gamma=0.5, mode="strict")},
    )


def test_a_network_by_hand_from_input_to_comparison(tmp_path: Path) -> None:
    net = by_hand()
    net.save(tmp_path / "net.h5")
    loaded = ns.load(tmp_path / "net.h5")
    assert loaded == net
    assert loaded.precision is None
    images = np.random.default_rng(1).integers(0, 256, (6, 2, 7, 5), dtype=np.uint8)
    events = ns.encode(images, steps=32, coding="poisson", seed=0)
    record = ns.Record(spikes=("conv1",), sam=("conv1",), membrane=("out",))
    a = ns.run(loaded, events, backend="event", record=record)
    b = ns.run(loaded, events, backend="reference", device="cpu", record=record)
    assert a.output.shape == (6, 10)
    assert a.spikes["conv1"].dense().dtype == np.uint8
    assert a.spikes["conv1"].dense().shape == (32, 6, 3, 4, 4)
    assert a.spikes["conv1"].count() > 100
    assert a.sam["conv1"].shape == (32, 6, 4, 4)
    assert a.sam_scale["conv1"] == 1
    assert a.membrane["out"].shape == (32, 6, 10)
    assert ns.compare(a, b) is None
    maps = ns.SAM(loaded, "conv1").attribute(images, steps=32)
    np.testing.assert_array_equal(maps, a.sam["conv1"])


def test_a_fixed_neuron_takes_integers_only() -> None:
    neuron = ns.FixedLIF(
        membrane_decay=410, current_decay=None, threshold=64, reset="zero", bias_mantissa=0, bias_exponent=6
    )
    assert neuron.reset_amount is None
    fixed = ns.Network(
        populations=[ns.Population("in", shape=(1,)), ns.Population("n", shape=(1,), neuron=neuron)],
        projections=[ns.Projection("in", "n", ns.Dense(np.array([[65]])))],
    )
    assert fixed.precision == ns.Precision.lava()
    events = ns.Events.from_dense(np.ones((3, 1, 1)))
    assert ns.run(fixed, events).output.tolist() == [[3]]


def test_images_calibrate_an_export() -> None:
    from neurosam import training

    images = np.random.default_rng(2).integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    module = training.build("4C3-P2-D3", (1, 8, 8))
    net = ns.export(module, input_shape=(1, 8, 8), precision=ns.Precision.lava(), calibration=images)
    events = ns.encode(images, 16)
    assert net == ns.export(module, (1, 8, 8), ns.Precision.lava(), calibration=events)
    recording = ns.run(net, events, record=ns.Record(sam=("conv1",)))
    assert recording.sam["conv1"].dtype == np.int32
    assert recording.sam_scale["conv1"] > 1


def test_every_public_name_is_there() -> None:
    for name in ns.__all__:
        assert getattr(ns, name) is not None, name
    assert set(ns.available()) >= {"event", "reference"}


def test_no_public_name_is_also_a_module() -> None:
    """Importing ``neurosam.export`` would put the module where the function of that name should be."""
    modules = {path.stem for path in Path(ns.__file__ or "").parent.iterdir()}
    assert not modules & set(ns.__all__)
