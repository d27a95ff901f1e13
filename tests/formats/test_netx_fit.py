"""What `neurosam train` makes becomes a file that netx can hold: pools go into weights exactly, biases are rounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neurosam as ns
from neurosam.cli import app
from neurosam.errors import ExportError
from neurosam.formats.netx import load_netx, save_netx
from neurosam.formats.netx.fit import for_netx, without_pools
from neurosam.signals.stimulus import Stimulus

pytestmark = pytest.mark.usefixtures("one_thread")

HARD = ns.FixedLIF(membrane_decay=400, threshold=30, reset="zero")


def pooled(shape: tuple[int, int, int], pool: ns.SumPool2d, synapse: ns.Conv2d | ns.Dense | ns.Sparse) -> ns.Network:
    """An input, its pool, a layer and a readout."""
    target = synapse.output_shape(pool.output_shape(shape))
    size = int(np.prod(target))
    return ns.Network(
        [ns.Population("in", shape), ns.Population("a", target, HARD), ns.Population("out", (3,), ns.FixedReadout())],
        [
            ns.Projection("in", "a", synapse, pool=pool),
            ns.Projection("a", "out", ns.Dense(np.random.default_rng(5).integers(-90, 91, (3, size)))),
        ],
    )


def conv(*shape: int, **options: int) -> ns.Conv2d:
    return ns.Conv2d(np.random.default_rng(3).integers(-40, 60, shape), **options)


CASES: dict[str, tuple[tuple[int, int, int], ns.SumPool2d, ns.Conv2d | ns.Dense]] = {
    "plain": ((2, 8, 6), ns.SumPool2d(2), conv(3, 2, 3, 3)),
    "padded": ((2, 8, 6), ns.SumPool2d(2), conv(3, 2, 3, 3, padding=1)),
    "strides": ((2, 12, 12), ns.SumPool2d((2, 3)), conv(3, 2, 2, 3, stride=2, padding=1)),
    "dilated": ((1, 12, 12), ns.SumPool2d(2), conv(3, 1, 2, 2, dilation=2)),
    "groups": ((4, 6, 6), ns.SumPool2d(3), conv(4, 2, 1, 1, groups=2)),
    "overlapping": (
        (1, 7, 7),
        ns.SumPool2d(3, 2),
        ns.Conv2d(np.array([[[[20, -20], [-13, 9]]], [[[-9, 30], [4, -7]]]])),
    ),
    "a rest that no window reaches": ((1, 9, 9), ns.SumPool2d(2), conv(3, 1, 3, 3)),
    "a matrix": ((2, 7, 6), ns.SumPool2d(2), ns.Dense(np.random.default_rng(1).integers(-50, 51, (5, 18)))),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pool_goes_into_the_weights(case: str, tmp_path: Path) -> None:
    network = pooled(*CASES[case])
    save_netx(network, tmp_path / "net.net")
    read = load_netx(tmp_path / "net.net")
    events = ns.Events.from_dense(np.random.default_rng(2).random((9, 3, *network.input.shape)) < 0.3)
    merged = without_pools(network)
    assert all(p.pool is None for p in merged.projections)
    record = ns.Record(spikes=("a",), membrane=("a", "out"))
    expected, ours, theirs = (ns.run(net, events, record=record) for net in (network, merged, read))
    assert 10 < expected.counts["a"].sum() < 0.9 * events.steps * 3 * int(np.prod(network["a"].shape))
    for found in (ours, theirs):
        for name in ("a", "out"):
            assert np.array_equal(
                expected.membrane[name].reshape(9, 3, -1), found.membrane[name].reshape(9, 3, -1)
            )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "pool", "synapse"),
    [
        ((1, 9, 9), ns.SumPool2d(2), conv(2, 1, 3, 3, padding=1)),  # a window reaches into the rest
        ((1, 7, 7), ns.SumPool2d(3, 2), conv(2, 1, 3, 3, padding=1)),  # and into the first window from outside
        ((1, 8, 8), ns.SumPool2d(2, padding=1), conv(2, 1, 3, 3)),
    ],
)
def test_a_pool_that_no_convolution_replaces_is_refused(
    shape: tuple[int, int, int], pool: ns.SumPool2d, synapse: ns.Conv2d, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"projection in->a: has a pool .*; train with the pool behind the neurons"):
        save_netx(pooled(shape, pool, synapse), tmp_path / "net.net")


def test_biases_are_rounded_to_the_unit_of_the_weights(tmp_path: Path) -> None:
    network = pooled(*CASES["plain"])
    neuron = replace(HARD, bias_mantissa=np.array([33, -33, 47]), bias_exponent=1)  # 66, -66, 94 of 64ths
    fine = replace(network, populations=(network.populations[0], replace(network["a"], neuron=neuron), network["out"]))
    with pytest.raises(ExportError, match=r"no multiple of 2\^6; netx has no finer ones. Export with --for netx"):
        save_netx(fine, tmp_path / "net.net", restarts=True)
    held = for_netx(fine)
    assert held["a"].neuron.bias_mantissa.tolist() == [1, -1, 1]  # type: ignore[union-attr]
    assert held["a"].neuron.bias_exponent == 6  # type: ignore[union-attr]
    save_netx(held, tmp_path / "net.net", restarts=True)
    wide = replace(HARD, bias_mantissa=np.array([4000, 0, 0]), bias_exponent=7)
    beyond = replace(network, populations=(network.populations[0], replace(network["a"], neuron=wide), network["out"]))
    with pytest.raises(ExportError, match=r"'a': has biases 0..8000 in units of its weights; netx holds -4096..4095"):
        save_netx(beyond, tmp_path / "net.net", restarts=True)


def test_from_a_trained_model_to_netx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from neurosam.training.model_file import Recipe, save_model
    from support.toy_dataset import write_bars

    def neurosam(command: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == status, result.output
        return " ".join(str(result.output).split())

    monkeypatch.chdir(tmp_path)
    stimulus = Stimulus(4, "poisson", classes=("0", "1"), data=str(write_bars(tmp_path / "bars")))
    for reset in ("zero", "subtract"):
        recipe = Recipe("3C3-P2-4C3-P2-D2", (1, 12, 12), stimulus, reset=reset, threshold=0.2)
        module = recipe.build()
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(part.bias, 0, 0.1)
        save_model(f"{reset}.safetensors", module, recipe)
    exported = neurosam("export zero.safetensors --for netx --data bars")
    assert "next: neurosam export zero.h5 --format netx --restarts" in exported
    neurosam("lava netx zero.h5 -o again.net --restarts")
    neurosam("export zero.h5 --format netx --restarts")
    ours, theirs = ns.load_network("zero.h5"), load_netx("zero.net")
    assert "accuracy" in ours.metadata
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 12, 12), dtype=np.uint8)
    a, b = (ns.run(net, ns.encode(images, 9), record=ns.Record(spikes=("conv1", "conv2"))) for net in (ours, theirs))
    assert np.array_equal(a.output, b.output)
    assert a.counts["conv2"].sum() > 10
    assert all(np.array_equal(a.counts[name], b.counts[name]) for name in ("conv1", "conv2"))
    refused = neurosam("export subtract.safetensors --for netx --data bars", status=2)
    assert "neurosam train --reset zero" in refused
    assert not Path("subtract.h5").exists()
    assert "--for: got 'loihi'; allowed: netx" in neurosam("export zero.safetensors --for loihi", status=2)
