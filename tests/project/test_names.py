"""The names and shapes that outside scripts rely on: a network by hand, run, recorded, saved, explained, compared."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam import errors
from neurosam._util.arguments import identical


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
    loaded = ns.load_network(tmp_path / "net.h5")
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
    assert neuron.reset_amount_64ths is None
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
    assert net == ns.export(module, (1, 8, 8), ns.Precision.lava(), calibration=events, coding="poisson")
    recording = ns.run(net, events, record=ns.Record(sam=("conv1",)))
    assert recording.sam["conv1"].dtype == np.int32
    assert recording.sam_scale["conv1"] > 1


def test_every_public_name_is_there() -> None:
    for name in ns.__all__:
        assert getattr(ns, name) is not None, name
    assert set(ns.available_backends()) >= {"event", "reference"}
    assert set(dir(ns)) == set(ns.__all__)


def test_type_checkers_see_the_names_that_exist() -> None:
    """The imports under TYPE_CHECKING and the table that is used at run time agree on every name and module."""
    tree = ast.parse(Path(ns.__file__ or "").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    assert {alias.name: node.module for node in imports for alias in node.names} == ns._MODULE_OF


def test_every_error_class_is_offered() -> None:
    classes = {name for name in errors.__all__ if issubclass(getattr(errors, name), ns.NeurosamError)}
    assert classes == {name for name in ns.__all__ if name.endswith("Error")}


def test_no_public_name_is_also_a_module() -> None:
    """Importing ``neurosam.export`` would put the module where the function of that name should be."""
    modules = {path.stem for path in Path(ns.__file__ or "").parent.iterdir()}
    assert not modules & set(ns.__all__)


def test_files_load_as_what_they_hold(tmp_path: Path) -> None:
    network, events = by_hand(), ns.Events.from_unsorted([0, 1], [0, 0], [3, 69], steps=2, samples=1, shape=(2, 7, 5))
    recording = ns.run(network, events, record=ns.Record.everything(network))
    values: dict[str, Any] = {"network": network, "events": events, "recording": recording}
    loaders: dict[str, Any] = {"network": ns.load_network, "events": ns.load_events, "recording": ns.load_recording}
    for kind, value in values.items():
        value.save(tmp_path / "method.h5")
        ns.save(value, tmp_path / f"{kind}.h5")
        assert (tmp_path / "method.h5").read_bytes() == (tmp_path / f"{kind}.h5").read_bytes()
        loaded = ns.load(tmp_path / f"{kind}.h5")
        assert type(loaded) is type(value)
        assert identical(loaded, value)
        assert identical(ns.load(tmp_path / f"{kind}.h5", mapped=True), value)
        assert identical(loaders[kind](tmp_path / f"{kind}.h5"), value)
        for other in values.keys() - {kind}:
            with pytest.raises(
                ns.FormatError, match=f"{kind}.h5: holds .*{kind}, not .*{other}; use neurosam.load_{kind}"
            ):
                loaders[other](tmp_path / f"{kind}.h5")
    mapped = ns.load(tmp_path / "recording.h5", mapped=True)
    assert isinstance(mapped, ns.Recording)
    assert not mapped.membrane["conv1"].flags.writeable
    assert mapped.same_as(recording)


def test_arguments_that_belong_to_no_network() -> None:
    network, events = by_hand(), ns.Events.from_unsorted([], [], [], steps=2, samples=1, shape=(2, 7, 5))
    with pytest.raises(ns.ArgumentError, match=r"^dtype: got 'int8'; allowed is 'float64' or 'float32'$"):
        ns.run(network, events, dtype="int8")
    with pytest.raises(ns.ArgumentError, match=r"^threads: got 0; allowed is 1..65536$"):
        ns.run(network, events, threads=0)
    for threads in (2.0, "2", True):  # and none of them disturbs the run that is kept for the next call
        with pytest.raises(ns.ArgumentError, match=r"^threads: got .*; an integer in 1..65536 is required$"):
            ns.run(network, events, threads=threads)  # type: ignore[arg-type]
        assert ns.run(network, events, threads=2).samples == 1
    with pytest.raises(ns.ArgumentError, match=r"^record: got a dict; a Record is required"):
        ns.run(network, events, record={"spikes": "conv1"})  # type: ignore[arg-type]
    with pytest.raises(ns.ArgumentError, match=r"^progress: got 3; a function of two integers is required$"):
        ns.run(network, events, progress=3)  # type: ignore[arg-type]
    with pytest.raises(ns.ArgumentError, match=r"^record: current of 'conv1': has neurons without a synaptic current$"):
        ns.run(network, events, record=ns.Record(current=("conv1",)))


def test_numbers_beyond_float32_are_refused() -> None:
    """Both back ends gave infinite membranes."""
    network = ns.Network(
        [ns.Population("in", (1,)), ns.Population("out", (1,), ns.Readout())],
        [ns.Projection("in", "out", ns.Dense(np.array([[1e300]])))],
    )
    events = ns.Events.from_dense(np.ones((1, 1, 1)))
    assert ns.run(network, events).output == 1e300
    with pytest.raises(ns.ArgumentError, match=r"^dtype: float32 holds numbers up to 3.4e\+38; the weights of in->out"):
        ns.run(network, events, dtype="float32")


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("backend", ["event", "reference"])
def test_max_pool_at_every_width_and_offset(bits: int, offset: int, backend: str) -> None:
    conv = ns.Population("conv", (2, 4, 4), ns.FixedLIF(membrane_decay=4096 - offset, threshold=1))
    pool = ns.max_pool(conv, "pool", 2, fixed=True, decay_offset=offset)
    one = ns.Conv2d(np.ones((2, 1, 1, 1), np.int8), groups=2)
    network = ns.Network(
        [ns.Population("in", (2, 4, 4)), conv, pool.population],
        [ns.Projection("in", "conv", one, exponent=1), pool.projection],
        precision=ns.Precision("any", bits, membrane_decay_offset=offset),
    )
    x = (np.random.default_rng(0).random((5, 1, 2, 4, 4)) < 0.3).astype(np.uint8)
    spikes = ns.run(network, ns.Events.from_dense(x), backend, ns.Record(("pool",))).spikes["pool"]
    np.testing.assert_array_equal(spikes.dense(), x.reshape(5, 1, 2, 2, 2, 2, 2).max(axis=(4, 6)))


def test_max_pool_names_its_parts() -> None:
    pool = ns.max_pool(ns.Population("conv", (3, 4, 4), ns.LIF(0.5, 1.0)), "pool", 2, fixed=False)
    population, projection = pool
    assert (pool.population, pool.projection) == (population, projection)
    assert (population.name, population.shape, projection.label) == ("pool", (3, 2, 2), "conv->pool")
