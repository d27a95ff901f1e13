"""Each kind of fault between a module and its network is named, at the layer where it is and nowhere else."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from rich.console import Console

import neurosam as ns
from neurosam.deploy.checking.check_layers import check_layers
from neurosam.deploy.checking.layer_input import arrivals, in_own_time
from neurosam.deploy.checking.layer_run import LayerRun
from neurosam.deploy.checking.result import ExportCheck
from neurosam.errors import ExportError
from neurosam.signals.inputs import Inputs
from support.networks import KINDS
from support.options import large_options_case

Array = npt.NDArray[np.float64]
RNG = np.random.default_rng(5)
T, B = 12, 4

CONV = RNG.integers(-3, 6, (3, 2, 3, 3)) / 8  # multiples of 1/8, so that membranes can be exactly at the threshold
HIDDEN = RNG.integers(-3, 5, (20, 48)) / 16
SQUARE = RNG.integers(-4, 7, (20, 20)) / 16
SKIP = RNG.integers(-3, 4, (20, 48)) / 32
OUT = RNG.normal(0, 1, (4, 20))
BIAS = np.array([0.125, 0.0, -0.125])
SPIKES = (RNG.random((T, B, 2, 6, 6)) < 0.3).astype(np.float64)
SURPLUS = ns.Projection("in", "hidden", ns.Dense(RNG.normal(size=(20, 72))), delay=2)
LIF = {"leak": 0.5, "threshold": 1.0}


def neurons(
    drive: Array, *, leak: float = 0.5, threshold: float = 1.0, reset: str = "subtract", at: bool = False,
    late: bool = False, before: bool = False, amount: float | None = None, floor: float = -np.inf, order: str = "",
) -> Array:  # fmt: skip
    """A layer of neurons as somebody else writes it down: all options, step by step."""
    v = np.zeros(drive.shape[1:])
    fired = np.zeros(drive.shape[1:])
    out = np.zeros(drive.shape)
    amount = threshold if amount is None else amount
    for t, x in enumerate(drive):
        if before:  # fire first
            out[t] = fired = (v > threshold).astype(np.float64)
            v = leak * v * (1 - fired) + x if reset == "zero" else leak * v + x - amount * fired
            continue
        if late:
            v = v * (1 - fired) if reset == "zero" else v
        v = leak * (v + x) if order == "decays" else leak * v + x
        if late and reset == "subtract":
            v = v - amount * fired
        fired = (v >= threshold if at else v > threshold).astype(np.float64)
        out[t] = fired
        if not late:
            v = v * (1 - fired) if reset == "zero" else v - amount * fired if reset == "subtract" else v
        v = np.maximum(v, floor)
    return out


def conv(x: Array, weight: Array, bias: Array) -> Array:
    flat = torch.from_numpy(x.reshape(-1, *x.shape[2:]))
    y = torch.nn.functional.conv2d(flat, torch.from_numpy(weight), torch.from_numpy(bias)).numpy()
    return y.reshape(*x.shape[:2], *y.shape[1:])


def module(
    conv1: Mapping[str, Any] = {}, hidden: Mapping[str, Any] = {}, square: Mapping[str, Any] = {}, *,
    weight: Array = CONV, bias: Array = BIAS, skip_late: int = 0, square_weight: Array = SQUARE, factor: float = 1.0,
    hidden_factor: float = 1.0, order: str = "chw", channel_gain: Array | None = None, x: Array = SPIKES,
) -> dict[str, LayerRun]:  # fmt: skip
    """What a hand-written module does: conv1 -> hidden -> square -> out, and a skip connection conv1 -> square."""
    a = conv(x * factor, weight, bias)
    if channel_gain is not None:
        a = a * channel_gain[:, None, None]
    s1 = neurons(a, **conv1)
    flat = (s1 if order == "chw" else s1.transpose(0, 1, 3, 4, 2)).reshape(T, B, -1)
    b = hidden_factor * flat @ HIDDEN.T
    s2 = neurons(b, **hidden)
    ahead = np.concatenate([np.zeros((skip_late, B, 48)), s1.reshape(T, B, -1)])[:T]
    c = s2 @ square_weight.T + ahead @ SKIP.T
    s3 = neurons(c, **square)
    lif = ns.LIF(0.5, 1.0)
    return {
        "conv1": LayerRun(lif, a, s1, module="features.1"), "hidden": LayerRun(lif, b, s2),
        "square": LayerRun(lif, c, s3), "out": LayerRun(ns.Readout(), s3 @ OUT.T),
    }  # fmt: skip


def _ends(label: str) -> tuple[str, str]:
    source, target = label.split("->")
    return source, target


def network(
    *, conv1: Mapping[str, Any] = {}, hidden: Mapping[str, Any] = {}, square: Mapping[str, Any] = {},
    synapses: Mapping[str, Any] = {}, delays: Mapping[str, int] = {}, extra: tuple[ns.Projection, ...] = (),
    onset: int | None = 3,
) -> ns.Network:  # fmt: skip
    """The network that equals `module()`, with changes."""
    parts: dict[str, Any] = {
        "in->conv1": ns.Conv2d(CONV), "conv1->hidden": ns.Dense(HIDDEN), "hidden->square": ns.Dense(SQUARE),
        "conv1->square": ns.Dense(SKIP), "square->out": ns.Dense(OUT),
    } | dict(synapses)  # fmt: skip
    delay = dict.fromkeys(parts, 1) | {"conv1->square": 2} | dict(delays)
    return ns.Network(
        [
            ns.Population("in", (2, 6, 6)),
            ns.Population("conv1", (3, 4, 4), ns.LIF(**{**LIF, "bias": BIAS, **conv1})),
            ns.Population("hidden", (20,), ns.LIF(**{**LIF, **hidden})),
            ns.Population("square", (20,), ns.LIF(**{**LIF, **square}), onset=onset),
            ns.Population("out", (4,), ns.Readout()),
        ],
        [
            *(ns.Projection(*_ends(label), synapse, delay[label]) for label, synapse in parts.items()),
            *extra,
        ],
        check_alignment=False,
    )


def check(runs: dict[str, LayerRun], net: ns.Network, x: Array = SPIKES) -> ExportCheck:
    return check_layers(net, runs, Inputs.of(net, ns.Events.from_dense(x)))


def test_equal() -> None:
    result = check(module(), network())
    assert result.equal
    assert (result.verdict, result.differing, result.first, result.explanations) == ("the same network", 0, None, ())
    assert [layer.population for layer in result.layers] == ["conv1", "hidden", "square", "out"]
    assert all(0.02 < layer.module_spikes / layer.compared < 0.5 for layer in result.layers[:3])


AT: dict[str, Any] = {"at": True}
FAULTS: dict[str, tuple[Callable[[], dict[str, LayerRun]], Callable[[], ns.Network], str, str, str]] = {
    "reset to zero": (lambda: module(hidden={"reset": "zero"}), network, "hidden", "reset",
                      'the module resets to zero; the network: reset="subtract"'),
    "reset by subtraction": (module, lambda: network(conv1={"reset": "zero"}), "conv1", "reset",
                             "reset 'subtract' in the module, 'zero' in the network$"),
    "no reset": (lambda: module(square={"reset": "none"}), network, "square", "reset", "not at all"),
    "at the threshold": (lambda: module(conv1=AT), network, "conv1", "comparison", "fires at its threshold or above"),
    "above the threshold": (module, lambda: network(conv1={"fires": "at"}), "conv1", "comparison", "only above its"),
    "at, and zero": (lambda: module(conv1={"reset": "zero", **AT}), network, "conv1", "reset",
                     "resets to zero.*; and the module fires at"),
    "reset in the next step": (lambda: module(conv1={"late": True}), network, "conv1", "order", "in the next step"),
    "fire first": (lambda: module(hidden={"before": True, "amount": 0.5}), network, "hidden", "delay",
                   "1 step.s. late on the same input: it fires from the membrane"),
    "reset after the leak": (lambda: module(conv1={"amount": 0.5}), network, "conv1", "order", "before the leak"),
    "input decays": (lambda: module(hidden={"order": "decays"}), network, "hidden", "order", "v <- leak"),
    "floor": (lambda: module(conv1={"floor": 0.0}), network, "conv1", "parameter", "never below 0"),
    "leak": (module, lambda: network(hidden={"leak": 0.625}), "hidden", "parameter",
             r"leak 0\.5 in the module, 0\.625 in the network"),
    "threshold of one channel": (module, lambda: network(conv1={"threshold": [1.0, 1.0, 1.25]}), "conv1", "threshold",
                                 r"threshold 1\.0 in the module, 1\.\.1\.25 in the network"),
    "one step late": (module, lambda: network(delays={"conv1->hidden": 2}), "square", "delay",
                      "hidden->square delivers 1 step.s. too late: .* onsets, is 1, the module's is 0"),
    "all delays 1": (module, lambda: network(delays={"conv1->square": 1}, onset=None), "square", "delay",
                     "hidden->square delivers 1 step.s. too late"),
    "skip too late": (lambda: module(skip_late=2), network, "square", "delay",
                      "conv1->square delivers 2 step.s. too early"),
    "no bias": (module, lambda: network(conv1={"bias": 0.0}), "conv1", "bias",
                r"-0\.125 to \+0\.125 more in every step \(channels 0, 2\)"),
    "bias twice": (module, lambda: network(square={"bias": 0.25}), "square", "bias", r"-0\.25 more in every step"),
    "input in bytes": (lambda: module(factor=255.0, bias=0 * BIAS), lambda: network(conv1={"bias": 0.0}), "conv1",
                       "scale", "255 times as large.*input_unit"),
    "pooling divides": (lambda: module(hidden_factor=0.25), network, "hidden", "scale", "0.25 times as large.*weights"),
    "batch norm is missing": (lambda: module(channel_gain=np.array([0.5, 1.5, 2.0])), network, "conv1", "scale",
                              "per channel, by 0.5 to 2: a normalisation"),
    "transposed": (lambda: module(square_weight=SQUARE.T.copy()), network, "square", "weights",
                   "weights of hidden->square are transposed"),
    "flattened otherwise": (lambda: module(order="hwc"), network, "hidden", "weights", r"flattened as \(H, W, C\)"),
    "flipped kernel": (lambda: module(weight=CONV[:, :, ::-1, ::-1].copy()), network, "conv1", "weights", "flipped"),
    "on and off": (lambda: module(weight=CONV[:, ::-1].copy()), network, "conv1", "weights", "reverse order"),
    "another weight": (module, lambda: network(synapses={"square->out": ns.Dense(OUT + 0.1 * np.eye(4, 20))}), "out",
                       "weights", "other values arrive in"),
    "one path too many": (module, lambda: network(extra=(SURPLUS,)), "hidden", "path",
                          "in->hidden is a connection that the module does not have"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_where_it_is(name: str) -> None:
    runs, net, layer, kind, told = FAULTS[name]
    result = check(runs(), net())
    assert [(e.population, e.kind) for e in result.explanations] == [(layer, kind)]
    assert re.search(told, str(result.explanations[0])), str(result)
    assert not result.equal
    assert result.verdict == "NOT the same network"


def test_two_faults_are_two_explanations() -> None:
    result = check(module(conv1={"reset": "zero"}, square_weight=SQUARE.T.copy()), network())
    assert [(e.population, e.kind) for e in result.explanations] == [("conv1", "reset"), ("square", "weights")]
    assert result.first is not None
    assert result.first.population == "conv1"
    assert {layer.population for layer in result.layers if layer.differing} == {"conv1", "hidden", "square"}


def test_a_reading_tells_the_parameter() -> None:
    runs = module(conv1={"at": True})
    runs["conv1"] = replace(runs["conv1"], neuron=ns.LIF(0.5, 1.0, fires="at"))
    result = check(runs, network())
    assert [(e.population, e.kind) for e in result.explanations] == [("conv1", "comparison")]
    assert check(runs, network(conv1={"fires": "at"})).explanations == ()


def test_a_threshold_that_is_one_ulp_off() -> None:
    above = float(np.nextafter(1.0, 2.0))
    runs = module(conv1={"at": True})
    runs["conv1"] = replace(runs["conv1"], neuron=ns.LIF(0.5, 1.0, fires="at"))
    result = check(runs, network(conv1={"fires": "at", "threshold": above}))
    assert [(e.population, e.kind) for e in result.explanations] == [("conv1", "rounding")]
    assert f"threshold 1.0 in the module, {above!r} in the network" in result.explanations[0].text
    assert "2.2e-16 below the threshold" in result.explanations[0].text
    assert result.equal
    assert result.verdict == "the same network, but for rounding"
    assert result.differing


def test_sums_in_another_order_are_rounding_and_so_is_what_they_cause() -> None:
    runs = module(conv1={"at": True}, channel_gain=np.full(3, 1 - 2e-16))
    result = check(runs, network(conv1={"fires": "at"}))
    assert {e.kind for e in result.explanations} == {"rounding"}
    assert result.explanations[0].population == "conv1"
    assert result.equal
    assert {layer.population for layer in result.layers if layer.differing} >= {"conv1", "hidden"}
    assert "may end on its other side" in str(result)


def test_single_precision_is_told() -> None:
    runs = module(channel_gain=np.array([1 + 3e-8, 1 - 5e-8, 1]))
    result = check(runs, network())
    assert [(e.population, e.kind) for e in result.explanations] == [("conv1", "rounding")]
    assert "computes in float32" in result.explanations[0].text


@pytest.mark.parametrize("gain", [False, True])
def test_a_constant_may_be_anywhere(gain: bool) -> None:
    """A bias in the drive is one on the membrane and in the initial current; a gain may be in the weights."""
    rng = np.random.default_rng(8)
    weight, b, alpha = rng.normal(0, 0.6, (6, 72)), rng.normal(0, 0.2, 6), 0.75
    drive = SPIKES.reshape(T, B, -1) @ weight.T + b
    u, v, sent = np.zeros((B, 6)), np.zeros((B, 6)), np.zeros((T, B, 6))
    for t in range(T):
        u = alpha * u + drive[t]
        v = 0.5 * v + u
        sent[t] = v > 1.0
        v = v * (1 - sent[t])
    run = LayerRun(ns.LIF(0.5, 1.0, reset="zero", current_leak=alpha), drive, sent)
    k = b / (1 - alpha)
    fields: dict[str, Any] = {"bias": k, "initial_current": -k}
    if gain:
        fields, weight = {"gain": np.full((1, 6), 0.5), "offset": b[None]}, weight * 2
    net = ns.Network(
        [
            ns.Population("in", (2, 6, 6)),
            ns.Population("a", (6,), ns.LIF(0.5, 1.0, reset="zero", current_leak=alpha, **fields)),
        ],
        [ns.Projection("in", "a", ns.Dense(weight))],
    )
    result = check({"a": run}, net)
    assert result.equal
    assert not result.differing
    assert sent.mean() > 0.05
    wrong = replace(
        net,
        populations=[net["in"], replace(net["a"], neuron=ns.LIF(0.5, 1.0, reset="zero", current_leak=0.5, **fields))],
    )
    assert [e.kind for e in check({"a": run}, wrong).explanations if e.kind != "bias"] == ["parameter"]


def test_max_pooling_stands_between() -> None:
    rng = np.random.default_rng(9)
    weight = rng.normal(0, 0.5, (5, 12))
    a = conv(SPIKES, CONV, BIAS)
    s1 = neurons(a)
    b = s1.reshape(T, B, 3, 2, 2, 2, 2).max(axis=(4, 6)).reshape(T, B, 12) @ weight.T
    lif = ns.LIF(0.5, 1.0)
    runs = {"conv1": LayerRun(lif, a, s1), "b": LayerRun(lif, b, neurons(b))}
    conv1 = ns.Population("conv1", (3, 4, 4), replace(lif, bias=BIAS))
    pool, edge = ns.max_pool(conv1, "pool", 2, fixed=False)

    def of(w: Array) -> ns.Network:
        return ns.Network(
            [ns.Population("in", (2, 6, 6)), conv1, pool, ns.Population("b", (5,), lif)],
            [ns.Projection("in", "conv1", ns.Conv2d(CONV)), edge, ns.Projection("pool", "b", ns.Dense(w))],
        )

    result = check(runs, of(weight))
    assert result.equal
    assert result.not_compared == ("pool",)
    order = np.arange(12).reshape(2, 2, 3).transpose(2, 0, 1).ravel()
    result = check(runs, of(weight[:, np.argsort(order)]))
    assert [(e.population, e.kind) for e in result.explanations] == [("b", "weights")]
    assert "pool->b are for inputs flattened as (H, W, C)" in result.explanations[0].text


def test_quantised_is_measured_and_not_judged() -> None:
    weight = CONV + RNG.normal(0, 0.05, CONV.shape)  # CONV itself is exact in four bits
    fixed = ns.quantise(network(synapses={"in->conv1": ns.Conv2d(weight)}), ns.Precision.lava(4))[0]
    result = check(module(weight=weight), fixed)
    assert not result.equal
    assert result.quantised
    assert re.match(r"quantised: 9\d\.\d\d% of spikes and silences agree", result.verdict)
    assert [e.kind for e in result.explanations] == ["quantisation"]
    assert re.search(r"weights of 4 bits.*precision=None.*off its threshold by \d+\.\d%", result.explanations[0].text)
    conv1 = result.layers[0]
    assert conv1.agreement == 1 - conv1.differing / (T * B * 48)
    assert conv1.spike_snr_db == pytest.approx(10 * np.log10(conv1.module_spikes / conv1.differing))


@pytest.mark.parametrize(
    ("network_has", "late", "kind", "told"),
    [
        ({}, 0, "", ""),
        ({"leak": 0.75}, 0, "parameter", r"leak 0\.875 in the module, 0\.75 in the network$"),
        ({"current_leak": 0.25}, 0, "parameter", r"current_leak 0\.5 in the module, 0\.25 in the network$"),
        ({}, 1, "delay", r"membranes come 1 step.s. late"),
    ],
)
def test_membranes_of_a_readout(network_has: dict[str, Any], late: int, kind: str, told: str) -> None:
    drive = SPIKES.reshape(T, B, -1) @ OUT[:, :1].repeat(72, axis=1).T
    u, v, membrane = np.zeros((B, 4)), np.zeros((B, 4)), np.zeros((T, B, 4))
    for t in range(T):
        u = 0.5 * u + (drive[t - late] if t >= late else 0)
        v = membrane[t] = 0.875 * v + u
    neuron = ns.Readout(leak=0.875, current_leak=0.5)
    net = ns.Network(
        [ns.Population("in", (2, 6, 6)), ns.Population("out", (4,), replace(neuron, **network_has))],
        [ns.Projection("in", "out", ns.Dense(OUT[:, :1].repeat(72, axis=1)))],
    )
    result = check({"out": LayerRun(neuron, drive, membrane=membrane)}, net)
    assert [e.kind for e in result.explanations] == [kind] * bool(kind)
    assert all(re.search(told, str(e)) for e in result.explanations)


@pytest.mark.parametrize("order", ["integrate_first", "fire_first"])
def test_both_orders_of_our_own_layers(order: str) -> None:
    from neurosam import training

    torch.manual_seed(0)
    lif: dict[str, Any] = {"leak": 0.9, "threshold": 0.4, "order": order}
    layers = [torch.nn.Conv2d(2, 3, 3), training.LIF(**lif), torch.nn.Flatten(), torch.nn.Linear(48, 10)]
    sequential = training.SpikingSequential(*layers, training.LIF(**lif), torch.nn.Linear(10, 4)).double().eval()
    net = ns.export(sequential, (2, 6, 6))
    runs = {}
    for place, name in ((1, "conv1"), (4, "dense1")):
        layer = sequential[place]
        with torch.no_grad():
            drive = sequential[:place](torch.from_numpy(SPIKES)).numpy()
            sent = layer(torch.from_numpy(drive)).numpy()
        neuron = replace(net[name].neuron, bias=0.0)  # type: ignore[type-var]
        runs[name] = LayerRun(neuron, drive, sent, lag=int(order == "fire_first"))  # type: ignore[arg-type]
    result = check(runs, net)
    assert result.equal, str(result)
    assert not result.differing
    assert result.layers[1].module_spikes > 20
    without = {name: replace(run, lag=1 - run.lag) for name, run in runs.items()}
    assert check(without, net).explanations[0].kind == "delay"


def test_random_networks_with_all_options_equal_themselves() -> None:
    """What a network's own layers did explains itself: no option of a neuron, delay or order raises a false alarm."""
    for seed in range(6):
        net, inputs = large_options_case(np.random.default_rng(seed), KINDS[seed % len(KINDS)], fixed=False)
        firing = tuple(p.name for p in net.populations if p.neuron is not None and p.fires)
        recording = ns.run(net, inputs, "reference", ns.Record(spikes=firing))
        sent = {name: inputs[name].dense() for name in inputs}
        sent |= {name: spikes.dense() for name, spikes in recording.spikes.items()}
        runs = {}
        for p in (p for p in net.populations if isinstance(p.neuron, (ns.LIF, ns.Readout))):
            arrived = arrivals(net, p.name, sent, [in_own_time(net, p.name)])[0]
            tables: dict[str, Any] = {"gain": None, "offset": None} if p.fires else {}
            neuron: Any = replace(p.neuron, **tables)  # type: ignore[type-var]  # what arrives has passed them
            runs[p.name] = LayerRun(neuron, arrived.reshape(*arrived.shape[:2], *p.shape), sent.get(p.name))
        result = check_layers(net, runs, inputs)
        assert (result.explanations, result.differing) == ((), 0), f"{seed}: {result}"


def test_what_cannot_be_compared() -> None:
    runs, net = module(), network()
    with pytest.raises(
        ExportError, match=r"'features\.1': is to be population 'conv9'.* it has conv1, hidden, square, out\. Give"
    ):
        check({"conv9": runs["conv1"]}, net)
    with pytest.raises(ExportError, match=r"'conv1': has shape \(20,\); population 'conv1' has \(3, 4, 4\)"):
        check({"conv1": runs["hidden"]}, net)
    with pytest.raises(ExportError, match="ran for 12 steps of 4 samples; the input has 6 of 4"):
        check(runs, net, SPIKES[:6])
    with pytest.raises(ExportError, match="nothing can be compared"):
        check({}, net)
    with pytest.raises(ExportError, match="never fires in the module; population 'hidden' does"):
        check({"hidden": replace(runs["hidden"], spikes=None)}, net)
    with pytest.raises(ns.EventError, match="hold no samples"):
        check(runs, net, SPIKES[:, :0])


def trained() -> Any:
    """A module of our own layers, whose weights are random, and its input."""
    from neurosam import training

    torch.manual_seed(0)
    first, second = (training.LIF(0.75, 0.25) for _ in range(2))
    layers = (
        torch.nn.Conv2d(2, 3, 3),
        first,
        torch.nn.Flatten(),
        torch.nn.Linear(48, 10),
        second,
        torch.nn.Linear(10, 4),
    )
    return training.SpikingSequential(*layers)


def test_a_module_and_its_export() -> None:
    net = ns.export(trained(), (2, 6, 6))
    result = ns.check_export(trained(), net, SPIKES)
    assert result.equal, str(result)
    assert [(x.population, x.module, x.compared > 0) for x in result.layers] == [
        ("conv1", "1", True), ("dense1", "4", True), ("out", "what the module returns", False),
    ]  # fmt: skip
    assert result.layers[1].module_spikes > 20
    assert ns.check_export(trained(), net, ns.Events.from_dense(SPIKES)).to_dict() == result.to_dict()


def test_what_only_the_answer_shows() -> None:
    net = ns.export(trained(), (2, 6, 6))
    last = net.projections[-1]
    wrong = replace(last, synapse=ns.Dense(last.synapse.weight[::-1]))
    result = ns.check_export(trained(), replace(net, projections=[*net.projections[:-1], wrong]), SPIKES)
    assert [(e.population, e.kind) for e in result.explanations] == [("out", "weights")]
    assert result.differing == 0
    assert not result.equal


def test_layers_are_matched_by_order_or_by_hand() -> None:
    net = ns.export(trained(), (2, 6, 6))
    new = {"input": "input", "conv1": "a", "dense1": "b", "out": "c"}
    other = ns.Network(
        [replace(p, name=new[p.name]) for p in net.populations],
        [replace(p, source=new[p.source], target=new[p.target]) for p in net.projections],
    )
    assert [layer.population for layer in ns.check_export(trained(), other, SPIKES).layers] == ["a", "b", "c"]
    by_hand = {"1": "a", "4": "b", "out": "c"}
    assert ns.check_export(trained(), other, SPIKES, layers=by_hand).equal
    with pytest.raises(ExportError, match=r"'4': is to be population 'x'.*layers=\{'4': \.\.\.\}"):
        ns.check_export(trained(), other, SPIKES, layers={**by_hand, "4": "x"})


def test_an_input_unit_that_was_forgotten() -> None:
    net = ns.export(trained(), (2, 6, 6), magnitude=255, input_unit=1 / 255)
    levels = np.round(RNG.random((T, B, 2, 6, 6)) * 255)
    assert ns.check_export(trained(), net, levels / 255, input_unit=1 / 255).equal
    told = replace(net, metadata={"coding": "direct", "magnitude": "255"})  # as an export with direct coding says it
    assert ns.check_export(trained(), told, levels / 255).equal
    result = ns.check_export(trained(), net, levels / 255)
    assert [(e.population, e.kind) for e in result.explanations] == [("conv1", "scale")]
    assert "255 times as large; another unit of the input" in result.explanations[0].text


def test_standardised_images() -> None:
    how: dict[str, Any] = {"mean": (0.25, 0.5), "std": (0.5, 0.25)}
    net = ns.export(trained(), (2, 6, 6), coding="direct", **how)
    x = np.repeat(RNG.random((1, B, 2, 6, 6)), T, axis=0)
    assert ns.check_export(trained(), net, x, **how).equal
    assert not ns.check_export(trained(), net, x).equal


def test_a_loop_of_the_user() -> None:
    class Cell(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = trained()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)  # type: ignore[no-any-return]

    def run(module: torch.nn.Module, x: torch.Tensor) -> Any:
        return module(x)

    net = ns.export(Cell(), (2, 6, 6), run=run)
    result = ns.check_export(Cell(), net, SPIKES, run=run)
    assert result.equal
    assert result.layers[0].module == "inner.1"
    with pytest.raises(ns.EventError, match=r"have shape \(5,\); the network's input has \(2, 6, 6\)"):
        ns.check_export(Cell(), net, np.zeros((2, 1, 5)))


def test_the_result_is_told() -> None:
    result = check(module(hidden={"reset": "zero"}), network())
    plain = json.loads(result.to_json())
    assert plain["verdict"] == "NOT the same network"
    assert plain["layers"][1]["differing"] == result.layers[1].differing
    assert plain["layers"][0]["spike_snr_db"] == "inf"
    assert plain["first"]["population"] == "hidden"
    assert plain["first"]["place"] == plain["explanations"][0]["place"]
    console = Console(width=150, file=io.StringIO())
    console.print(result.table())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "module and network: NOT the same network" in text
    assert re.search(r"conv1 +│ features\.1 +│ +\d+ │ +0 │ 100\.00% │ +- │ +inf", text)
    assert re.search(r"square +│.* layers before it", text)
    assert "hidden: reset: the module resets to zero" in text
