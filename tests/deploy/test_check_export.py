"""Each kind of fault between a module and its network is named, at the layer where it is and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import neurosam as ns
from neurosam.deploy.check_export import check_layers
from neurosam.deploy.export_check import ExportCheck
from neurosam.deploy.layer_run import LayerRun
from neurosam.errors import ExportError
from neurosam.signals.inputs import Inputs

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
            out[t] = fired = v > threshold
            v = leak * v * (1 - fired) + x if reset == "zero" else leak * v + x - amount * fired
            continue
        if late:
            v = v * (1 - fired) if reset == "zero" else v - 0.0
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
    delay = {label: 1 for label in parts} | {"conv1->square": 2} | dict(delays)
    return ns.Network(
        [
            ns.Population("in", (2, 6, 6)),
            ns.Population("conv1", (3, 4, 4), ns.LIF(**{**LIF, "bias": BIAS, **conv1})),
            ns.Population("hidden", (20,), ns.LIF(**{**LIF, **hidden})),
            ns.Population("square", (20,), ns.LIF(**{**LIF, **square}), onset=onset),
            ns.Population("out", (4,), ns.Readout()),
        ],
        [
            *(ns.Projection(*label.split("->"), synapse, delay[label]) for label, synapse in parts.items()),
            *extra,
        ],
    )


def check(runs: dict[str, LayerRun], net: ns.Network, x: Array = SPIKES) -> ExportCheck:
    return check_layers(net, runs, Inputs.of(net, ns.Events.from_dense(x)))


def test_equal() -> None:
    result = check(module(), network())
    assert result.equal
    assert (result.verdict, result.differing, result.first, result.explanations) == ("the same network", 0, None, ())
    assert [layer.population for layer in result.layers] == ["conv1", "hidden", "square"]
    assert all(0.02 < layer.module_spikes / layer.compared < 0.5 for layer in result.layers)


AT: dict[str, Any] = {"at": True}
FAULTS: dict[str, tuple[Callable[[], dict[str, LayerRun]], Callable[[], ns.Network], str, str, str]] = {
    "reset to zero": (lambda: module(hidden={"reset": "zero"}), network, "hidden", "reset",
                      'the module resets to zero; the network: reset="subtract"'),
    "reset by subtraction": (module, lambda: network(conv1={"reset": "zero"}), "conv1", "reset", "reset 'subtract' in the module, 'zero' in the network$"),
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
    "one path too many": (module, lambda: network(extra=(ns.Projection("in", "hidden", ns.Dense(RNG.normal(size=(20, 72))
                          ), delay=2),)), "hidden", "path", "in->hidden is a connection that the module does not have"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_where_it_is(name: str) -> None:
    runs, net, layer, kind, told = FAULTS[name]
    result = check(runs(), net())
    assert [(e.population, e.kind) for e in result.explanations] == [(layer, kind)]
    assert re.search(told, str(result.explanations[0])), str(result)
    assert not result.equal
    assert result.verdict == "NOT the same network"
