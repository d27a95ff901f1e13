"""netx in: lava-dl's files give what lava-dl recorded, others what slayer's rules, restated, give; or are refused."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import ExportError, FormatError
from neurosam.formats.netx.read import load_netx
from neurosam.formats.netx.write import save_netx
from support.data import data_file
from support.netx import NEURON, Layer, Values, conv, dense, network, weights, write

INTEROP = Path(__file__).parents[2] / "benchmarks" / "interop"


# ---------------------------------------------------------------- lava-dl's own files
def recorded(name: str) -> Values:
    """A recording of slayer, (1, C, H, W, T), as (T, C, H, W) from its second column on: blocks delay by one step."""
    values: Values = np.moveaxis(np.load(data_file(f"netx/tiny-{name}.npy"))[0], -1, 0)[1:]
    return values.astype(np.int64)


def test_tiny_gives_the_spikes_and_currents_that_lava_dl_recorded(tmp_path: Path) -> None:
    net = load_netx(data_file("netx/tiny.net"), currents=True)
    assert [(p.name, p.shape) for p in net.populations] == [
        ("in", (3, 16, 16)), ("input", (3, 16, 16)), ("conv1", (24, 6, 6)), ("conv2", (36, 1, 1)),
    ]  # fmt: skip
    assert net.metadata["steps"] == "64"
    assert "round(36 x +34)" in net.metadata["netx.decided"]
    bias = np.load(data_file("netx/tiny-input_bias.npy")).astype(np.int64).transpose(2, 1, 0)
    events = ns.Events.from_dense(np.broadcast_to(bias, (15, 1, *bias.shape)))
    recording = ns.run(net, events, record=ns.Record.everything(net))
    for name, file in (("input", "input"), ("conv1", "layer1"), ("conv2", "output")):
        np.testing.assert_array_equal(recording.spikes[name].dense()[:, 0], recorded(file))
        assert recorded(file).any()
    np.testing.assert_array_equal(recording.current["conv1"][:, 0], recorded("current") * 64)
    plain = load_netx(data_file("netx/tiny.net"))
    save_netx(plain, tmp_path / "again.net", restarts=True)
    assert replace(load_netx(tmp_path / "again.net"), metadata={}) == replace(plain, metadata={})


def test_oxford_gives_the_spikes_that_lava_dl_recorded() -> None:
    """lava-dl's ground_truth.npy, 10,178 spikes, of a slayer that fired at the threshold; today's fires above it."""
    net = load_netx(data_file("netx/oxford.net"))
    at = [
        replace(p, neuron=replace(p.neuron, fires="at")) if isinstance(p.neuron, ns.FixedLIF) else p
        for p in net.populations
    ]
    events = np.load(data_file("netx/oxford-input.npy"))
    dense = np.zeros((2000, 1, 200), dtype=np.uint8)
    dense[np.rint(events[:, 2]).astype(int), 0, events[:, 0].astype(int)] = 1
    for case, count in ((replace(net, populations=at), 10_178), (net, 9_632)):
        recording = ns.run(case, ns.Events.from_dense(dense), record=ns.Record(spikes=("dense2",)))
        spikes = np.argwhere(recording.spikes["dense2"].dense()[:, 0])
        assert len(spikes) == count
        if count == 10_178:  # of (step + 2, neuron), sorted: ground_truth.npy has a step of delay for each block
            digest = hashlib.sha256(np.add(spikes, [2, 0]).astype("<i8").tobytes()).hexdigest()
            assert digest == "8a4165d1a0f7fc879370b1cdc2ce7dd2ca9683377d6b7c8d2ae7d94c031c7f68"


def test_mnist_loads_runs_and_is_written_again(tmp_path: Path) -> None:
    net = load_netx(data_file("netx/mnist.net"))
    assert [p.shape for p in net.populations] == [(784,), (128,), (64,), (10,)]
    assert (net["dense1"].neuron.current_decay, net["dense1"].neuron.membrane_decay) == (409, 410)  # type: ignore[union-attr]
    events = ns.Events.from_dense((np.random.default_rng(0).random((20, 2, 784)) < 0.1).astype(np.uint8))
    assert ns.run(net, events).counts["dense3"].sum() > 0
    save_netx(net, tmp_path / "again.net")
    assert replace(load_netx(tmp_path / "again.net"), metadata={}) == replace(net, metadata={})


def test_pilotnet_equals_the_ground_truth_of_the_loihi_2_test(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_file("loihi2-pilotnet")
    monkeypatch.syspath_prepend(str(INTEROP))
    pilotnet = import_module("pilotnet")
    rows = pilotnet.compare(folder)
    assert sum(row.compared for row in rows) == 3_908_160
    assert [row.differ for row in rows] == [0] * 9
    assert pilotnet.foreign(folder) == (4, 16)
    sys.modules.pop("pilotnet")


# ---------------------------------------------------------------- slayer's rules, restated
def cuba(drive: Values, neuron: Mapping[str, Any], bias: Any = 0, recurrent: Values | None = None) -> Values:
    """Spikes (T, C, H, W) of slayer's CUBA neurons; `drive` in units of the weights."""
    shaped = {key: np.asarray(value).reshape(-1, 1, 1) for key, value in {**neuron, "bias": bias}.items()}
    u = v = np.zeros(drive.shape[1:], dtype=np.int64)
    spikes = np.zeros(drive.shape, dtype=np.int64)
    for t, z in enumerate(drive):
        if recurrent is not None and t:
            z = z + (recurrent @ spikes[t - 1].reshape(-1)).reshape(z.shape)
        u = decayed(u, shaped["iDecay"]) + 64 * z
        v = decayed(v, shaped["vDecay"]) + u + 64 * shaped["bias"]
        spikes[t] = v > 64 * shaped["vThMant"]
        v = v * (1 - spikes[t])
    return spikes


def decayed(x: Values, decay: Values) -> Values:
    out: Values = np.sign(x) * (np.abs(x) * (4096 - decay) >> 12)
    return out


def late(spikes: Values, delay: Any) -> Values:
    """Each channel's spikes later by its delay."""
    out = np.zeros_like(spikes)
    for c, d in enumerate(np.broadcast_to(np.asarray(delay).reshape(-1), spikes.shape[1]).tolist()):
        out[d:, c] = spikes[: len(spikes) - d, c]
    return out


def pooled(spikes: Values, weight: Values) -> Values:
    """As slayer's Pool: zeros below and to the right, then channels below each other."""
    kh, kw = weight.shape
    _, _, height, width = spikes.shape
    x = np.pad(spikes, ((0, 0), (0, 0), (0, height % kh), (0, width % kw)))
    steps, channels = x.shape[:2]
    x = x.reshape(steps, channels * x.shape[2], x.shape[3])
    rows, columns = x.shape[1] // kh, x.shape[2] // kw
    windows = x[:, : rows * kh, : columns * kw].reshape(steps, rows, kh, columns, kw)
    out: Values = np.einsum("trhcw,hw->trc", windows, weight).reshape(steps, channels, -1, columns)
    return out


def stimulus(*shape: int) -> Values:
    return (np.random.default_rng(shape).random((25, 1, *shape)) < 0.3).astype(np.int64)


def test_a_file_of_all_kinds_of_layers_follows_slayers_rules(tmp_path: Path) -> None:
    """Convolution with delays and decays per channel, odd pooling, recurrence, a late last layer, the average."""
    kernel, window = weights(3, 2, 2, 3), np.full((2, 2), 40)
    first, recurrent, last = weights(7, 36), weights(7, 7, low=-20, high=20), weights(6, 7)
    slow = {**NEURON, "vDecay": np.array([0, 200, 4096]), "iDecay": np.array([4096, 0, 700])}
    conv_delay, last_delay = np.array([0, 3, 1]), np.array([2, 0, 1, 0, 5, 1])
    bias = np.array([3, -4, 0, 9, 0, 0, 1])
    path = write(tmp_path / "all.net", [
        {"type": "input", "shape": np.array([2, 6, 9])},
        conv(kernel, (3, 5, 7), neuron=slow, delay=conv_delay, inChannels=2, outChannels=3),
        {"type": "pool", "shape": np.array([3, 3, 4]), "weight": window.reshape(1, 1, 2, 2), "stride": 2,
         "padding": 0, "dilation": 1, "neuron": {**NEURON, "vThMant": 150}, "delay": np.array([4.0])},
        {"type": "flatten", "shape": np.array([36])},
        {**dense(first, bias=bias, weight_rec=recurrent), "type": "dense_rec"},
        dense(last, delay=last_delay, inFeatures=7, outFeatures=6),
        {"type": "average", "shape": np.array([3])},
    ])  # fmt: skip
    net = load_netx(path)
    x = stimulus(2, 6, 9)
    recording = ns.run(net, ns.Events.from_dense(x), record=ns.Record.everything(net))
    # the same, layer by layer
    drive = np.zeros((25, 3, 5, 7), dtype=np.int64)
    for i in range(2):
        for j in range(3):
            drive += np.einsum("tchw,oc->tohw", x[:, 0, :, i : i + 5, j : j + 7], kernel[:, :, i, j])
    a = cuba(drive, slow)
    b = cuba(pooled(late(a, conv_delay), window), {**NEURON, "vThMant": 150})
    c = cuba(np.einsum("ti,oi->to", late(b, 4).reshape(25, -1), first)[..., None, None], NEURON, bias, recurrent)
    d = cuba(np.einsum("ti,oi->to", c[..., 0, 0], last)[..., None, None], NEURON)
    for name, expected in (("conv1", a), ("pool1", b), ("recurrent1", c), ("dense1", d)):
        ours = recording.spikes[name].dense()[:, 0]
        np.testing.assert_array_equal(ours.reshape(expected.shape), expected, err_msg=name)
        assert 0.02 < expected.mean() < 0.9, name
    counts = late(d, last_delay)[..., 0, 0].sum(axis=0).reshape(3, 2).sum(axis=1)
    np.testing.assert_array_equal(recording.output[0], 64 * counts)


def test_delays_of_the_last_layer_are_those_of_the_output(tmp_path: Path) -> None:
    matrix, delay = weights(4, 3), np.array([0, 2, 7, 1])
    net = load_netx(write(tmp_path / "d.net", [dense(matrix, delay=delay)]))
    x = stimulus(3)
    recording = ns.run(net, ns.Events.from_dense(x), record=ns.Record.everything(net))
    spikes = cuba(np.einsum("ti,oi->to", x[:, 0], matrix)[..., None, None], NEURON)
    assert net.output == "delayed"
    np.testing.assert_array_equal(recording.spikes["delayed"].dense()[:, 0], late(spikes, delay)[..., 0, 0])


@pytest.mark.parametrize("matrix", [weights(3, 4), weights(3, 4) + 1, np.array([[-255, 3, 254, 1]] * 3)])
def test_delays_per_synapse_and_weights_beyond_eight_bits(tmp_path: Path, matrix: Values) -> None:
    delay = np.random.default_rng(6).integers(0, 4, (3, 4))
    net = load_netx(write(tmp_path / "s.net", [dense(matrix, delay=delay)]))
    x = stimulus(4)
    drive = np.zeros((25, 3, 1, 1), dtype=np.int64)
    for o in range(3):
        for i in range(4):
            d = int(delay[o, i])
            drive[d:, o, 0, 0] += matrix[o, i] * x[: 25 - d, 0, i]
    recording = ns.run(net, ns.Events.from_dense(x), record=ns.Record.everything(net))
    np.testing.assert_array_equal(recording.spikes["dense1"].dense()[:, 0], cuba(drive, NEURON)[..., 0, 0])


def test_there_and_back(tmp_path: Path) -> None:
    written = replace(network(), projections=[replace(p, delay=1) for p in network().projections])
    save_netx(written, tmp_path / "net.net")
    read = load_netx(tmp_path / "net.net")
    assert read.metadata == {"netx.layers": "5"}
    assert replace(read, metadata={}) == written


def test_recurrence_and_graded_input_there_and_back(tmp_path: Path) -> None:
    lif = ns.FixedLIF(membrane_decay=128, threshold=80, reset="zero", current_decay=700)
    one = ns.Conv2d(np.ones((2, 1, 1, 1), dtype=np.int8), groups=2)
    written = ns.Network(
        [
            ns.Population("in", (2, 3, 4), magnitude=4095),
            ns.Population("eye", (2, 3, 4), ns.FixedLIF(membrane_decay=1024, threshold=25, reset="zero")),
            ns.Population("memory", (5,), lif),
            ns.Population("out", (3,), ns.FixedReadout(membrane_decay=100, current_decay=50)),
        ],
        [
            ns.Projection("in", "eye", one),
            ns.Projection("eye", "memory", ns.Dense((weights(5, 24) // 2).astype(np.int8))),
            ns.Projection("memory", "memory", ns.Dense((weights(5, 5) // 2).astype(np.int8))),
            ns.Projection("memory", "out", ns.Dense((weights(3, 5) // 2).astype(np.int8))),
        ],
    )
    save_netx(written, tmp_path / "net.net")
    with h5py.File(tmp_path / "net.net") as file:
        assert [file[f"layer/{k}/type"][0] for k in range(4)] == [b"input", b"flatten", b"dense_rec", b"dense"]
    assert replace(load_netx(tmp_path / "net.net"), metadata={}) == written
    three = replace(written, projections=[replace(written.projections[0], exponent=1), *written.projections[1:]])
    late = replace(written.projections[2], delay=2)
    slow = replace(written, projections=[*written.projections[:2], late, written.projections[3]])
    for broken, message in (
        (three, "it enters one to one with weight 1"),
        (slow, "is recurrent; netx has one such matrix"),
    ):
        with pytest.raises(ExportError, match=message):
            save_netx(broken, tmp_path / "other.net")


def test_what_has_no_neuron_or_no_reachable_threshold_integrates(tmp_path: Path) -> None:
    bare = {key: value for key, value in dense(weights(2, 3)).items() if key != "neuron"}
    net = load_netx(write(tmp_path / "bare.net", [bare]))
    assert net.answers == {"dense1": "last"}
    assert isinstance(net["dense1"].neuron, ns.FixedReadout)
    assert (net["dense1"].neuron.membrane_decay, net["dense1"].neuron.current_decay) == (4096, -1)
    top = load_netx(write(tmp_path / "top.net", [dense(weights(2, 3), neuron={**NEURON, "vThMant": 131071})]))
    assert top.answers == {"dense1": "last"}
    assert top["dense1"].fires


# ---------------------------------------------------------------- what is refused
def chunked(group: Any, name: str) -> None:
    group.create_dataset(name, (10**5, 10**5), "f4", chunks=(100, 100), compression="gzip")


def linked(group: Any, name: str) -> None:
    group[name] = h5py.ExternalLink("other.h5", "/secret")


def external(group: Any, name: str) -> None:
    group.create_dataset(name, (2, 3), "f4", external=[("/etc/passwd", 0, 24)])


def unallocated(group: Any, name: str) -> None:
    group.create_dataset(name, (10**9, 10**3), "f4")


W23 = np.ones((2, 3))
GOOD = dense(W23)
PICTURE = {"type": "input", "shape": np.array([2, 6, 9])}
K = np.ones((3, 2, 2, 3))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{**GOOD, "weight": np.full((2, 3), 0.37)}], r"layer/0/weight holds fractions, such as 0.37"),
        ([{**GOOD, "weight": np.full((2, 3), np.nan)}], r"layer/0/weight holds NaN or infinite"),
        ([{**GOOD, "weight": np.full((2, 3), 400)}], r"layer/0/weight holds values 400..400; -256..255 is allowed"),
        ([{**GOOD, "weight": np.ones((2, 3, 1))}], r"layer/0/weight is float32 of shape \(2, 3, 1\); numbers of 1"),
        ([{**GOOD, "weight": np.zeros((0, 3))}], r"layer/0/weight is empty"),
        ([{**GOOD, "weight": chunked}], r"layer/0/weight declares shape \(100000, 100000\) in .* chunks, of which 0"),
        ([{**GOOD, "weight": linked}], r"layer/0/weight is a soft or external link"),
        ([{**GOOD, "weight": external}], r"layer/0/weight has its data in another file"),
        ([{**GOOD, "weight": unallocated}], r"layer/0/weight declares 4000000000000 bytes"),
        ([{**GOOD, "weight": {"real": W23, "imag": W23}}], r"layer/0/weight is complex, for a resonator"),
        ([{**GOOD, "inFeatures": 4}], r"layer/0/inFeatures is 4; the weights have 3"),
        ([{**GOOD, "bias": np.ones(3)}], r"layer/0/bias has 3 values; 1 or 2, one for each channel"),
        ([{**GOOD, "bias": np.full(2, 9999)}], r"layer/0/bias holds values 9999..9999; -4096..4095 is allowed"),
        ([{**GOOD, "delay": np.ones(5)}], r"layer/0/delay has 5 values; 1 or 2"),
        ([{**GOOD, "delay": -W23[0]}], r"layer/0/delay holds values -1..-1"),
        ([{**GOOD, "neuron": {**NEURON, "type": "SDNN"}}], r"neuron/type is SDNN, which sends graded differences"),
        ([{**GOOD, "neuron": {**NEURON, "type": "RF_PHASE"}}], r"is RF_PHASE, which is a resonator.*CUBA is read"),
        ([{**GOOD, "neuron": {**NEURON, "type": "X" * 5000}}], r"layer/0/neuron/type is no text of at most 64 letters"),
        ([{**GOOD, "neuron": {**NEURON, "gradedSpike": True}}], r"gradedSpike says that the layer sends graded spikes"),
        ([{**GOOD, "neuron": {**NEURON, "refDelay": 3}}], r"refDelay says that the layer has a refractory period"),
        ([{**GOOD, "neuron": {**NEURON, "weight_exp": 2}}], r"weight_exp says .*WgtScaleBatchNorm"),
        ([{**GOOD, "neuron": {**NEURON, "vThMant": 0}}], r"neuron/vThMant holds values 0..0; 1.."),
        ([{**GOOD, "neuron": {**NEURON, "iDecay": 5000}}], r"neuron/iDecay holds values 5000..5000; 0..4096"),
        ([{**GOOD, "neuron": {"type": "CUBA"}}], r"layer/0/neuron lacks the member 'iDecay'"),
        ([{**GOOD, "name": "no / slash"}], r"layer/0 cannot be a population: population: got name 'no / slash'"),
        ([{"type": "convT"}], r"layer/0/type is 'convT': a transposed convolution; input, flatten, dense"),
        ([{"type": "wonder"}], r"layer/0/type is 'wonder': none that is known here"),
        ([PICTURE], r"layer has no layer with neurons"),
        ([PICTURE, PICTURE], r"layer/1/type is input, which only the first layer can be"),
        ([PICTURE, dense(np.ones((2, 108)))], r"layer/1/type is dense behind \(2, 6, 9\); a flatten layer is required"),
        ([PICTURE, {"type": "flatten"}, GOOD], r"layer/2 cannot be a population|has 3 inputs; the source has 108"),
        ([GOOD, conv(K, (3, 5, 7))], r"layer/1/type is conv behind 2 flat neurons"),
        ([conv(K, (3, 5, 7))], r"layer/0 is a conv, and no layer says the input's shape; give input_shape"),
        ([PICTURE, conv(K, (3, 5, 8))], r"layer/1/shape is \(3, 5, 8\); its synapses give \(3, 5, 7\)"),
        ([PICTURE, conv(K, (3, 5, 7), groups=0)], r"layer/1/groups holds values 0..0"),
        ([PICTURE, conv(K, (3, 5, 7), stride=np.array([1, 1, 1]))], r"layer/1/stride has 3 numbers"),
        ([{"type": "input", "shape": np.array([10**9])}, GOOD], r"has an input of shape \(1000000000,\)"),
        ([{"type": "input", "shape": np.array([1, 10**5, 10**5])}, GOOD], r"10000000000 neurons"),
        ([PICTURE, {"type": "pool", "shape": np.array([2, 3, 4]), "weight": np.ones((1, 1, 2, 2)), "stride": 1,
                    "neuron": NEURON}], r"layer/1/stride is \(1, 1\) of windows \(2, 2\).*mix channels"),
        ([GOOD, {"type": "average", "shape": np.array([5])}], r"layer/1/shape is 5 groups of 2 neurons"),
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused_by_name(tmp_path: Path, layers: list[Layer], message: str) -> None:
    path = write(tmp_path / "bad.net", layers)
    with pytest.raises(FormatError, match=message) as caught:
        load_netx(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_layouts_and_truncated_files_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "good.net", [GOOD])
    whole = good.read_bytes()
    load_netx(good)
    for length in range(0, len(whole), 61):
        (tmp_path / "cut.net").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            load_netx(tmp_path / "cut.net")
    with h5py.File(tmp_path / "other.net", "w") as file:
        file["model_weights/dense"] = W23
    with pytest.raises(FormatError, match=r"is not netx: it has no /layer/0/type"):
        load_netx(tmp_path / "other.net")
