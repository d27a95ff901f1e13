"""NIR files that are wrong: one sentence each, with the file, the node and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurosam.errors import FormatError
from neurosam.formats.nir import is_nir, load_nir

TEXT = h5py.string_dtype()
Group = Any
Change = Callable[[Group], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """``in -> w -> n -> out``, written without the package nir."""
    path = tmp_path / "a.nir"
    with h5py.File(path, "w") as file:
        file["version"] = "1.0"
        node = file.create_group("node")
        node["type"] = "NIRGraph"
        node["edges"] = [("in", "w"), ("w", "n"), ("n", "out")]
        nodes = node.create_group("nodes")
        put(nodes, "in", "Input", shape=[4])
        put(nodes, "w", "Affine", weight=np.ones((3, 4)), bias=np.zeros(3))
        put(nodes, "n", "LIF", **{name: np.ones(3) for name in ("tau", "r", "v_leak", "v_threshold")})
        put(nodes, "out", "Output", shape=[3])
    return path


def put(group: Group, name: str, kind: str, **fields: Any) -> None:
    """A node, in place of an older one."""
    if name in group:
        del group[name]
    node = group.create_group(name)
    node["type"] = kind
    for key, value in fields.items():
        node[key] = value


def edges(group: Group, *pairs: tuple[str, str]) -> None:
    del group["edges"]
    group["edges"] = list(pairs)


def test_the_file_is_read_without_the_package(path: Path) -> None:
    network = load_nir(path, source="euler", dt=0.5)
    assert [p.name for p in network.populations] == ["in", "n"]
    assert network.metadata["nir.version"] == "1.0"
    assert is_nir(path)


def node(name: str, kind: str, **fields: Any) -> Change:
    """Another node in the place of one."""
    return lambda g: put(g["nodes"], name, kind, **fields)


def conv(picture: list[int], **changes: Any) -> Change:
    """An input of this shape, and a convolution of 3 x 3 in the place of the weights."""
    kernel = {"weight": np.ones((1, 1, 3, 3)), "bias": [0.0], "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return both(node("in", "Input", shape=picture), node("w", "Conv2d", **{**kernel, **changes}))


def both(*changes: Change) -> Change:
    return lambda g: [change(g) for change in changes]


def wired(*pairs: str) -> Change:
    """Other edges, each as "source target"."""
    return lambda g: edges(g, *[(pair.split()[0], pair.split()[1]) for pair in pairs])


def set_to(path: str, value: Any) -> Change:
    """Another dataset, group or link in the place of one; nothing for None."""

    def change(g: Group) -> None:
        if path in g:
            del g[path]
        if value is not None:
            g[path] = value

    return change


LI = {name: np.ones(3) for name in ("tau", "r", "v_leak")}
IF = {name: np.ones(3) for name in ("r", "v_threshold")}
CHAIN = ("w n", "n out")

CASES: list[tuple[Change, str]] = [
    # shapes
    (node("w", "Linear", weight=np.ones((3, 5))), r"node 'w' \(Linear\): takes 5 inputs; 4 arrive \(4,\)"),
    (node("n", "IF", r=np.ones(2), v_threshold=np.ones(2)), r"node 'n' \(IF\): has r of shape \(2,\); \(3,\) arrives"),
    (conv([4]), "takes 3 dimensions, channels first; "),
    (node("w", "Linear", weight=np.ones((2, 3, 4))), r"has a weight of shape \(2, 3, 4\); \(out, in\) is required"),
    (node("w", "Affine", weight=np.ones((3, 4)), bias=[0.0, 1.0]), "has 2 biases for 3 channels"),
    (node("in", "Input", shape=[0]), r"node 'in' \(Input\): has shape \(0\); 1\.\.2147483647 is allowed"),
    (node("in", "Input", shape=[2] * 5), r"has shape \(2, 2, 2, 2, 2\); .* without a batch"),
    (node("in", "Input", shape=[10**9]), r"gives 1000000000 elements \(1000000000,\); at most 16777216 are read"),
    (node("in", "Input", shape=[10**9, 10**9]), "gives 1000000000000000000 elements"),
    (conv([1, 4000, 4000], padding=[9000, 9000]), r"'w' \(Conv2d\): gives 484000000 elements"),
    (conv([1, 8, 8], weight=np.ones((1, 1, 2, 2)), dilation=60_000, padding="same"), "gives 3600960064 elements"),
    (
        both(
            node("in", "Input", shape=[1, 8, 8]),
            node("w", "AvgPool2d", kernel_size=[9000, 9000], stride=[1, 1], padding=[8999, 8999]),
        ),
        r"'w' \(AvgPool2d\): gives 81000000 elements",
    ),
    (
        both(
            node("in", "Input", shape=[20_000]),
            node("s", "Linear", weight=np.ones((1, 20_000), "i1")),
            node("w", "Linear", weight=np.ones((20_000, 1), "i1")),
            node("n", "IF", r=1.0, v_threshold=1.0),
            wired("in s", "s w", *CHAIN),
        ),
        "needs a matrix of 400,000,000 entries",
    ),
    (conv([1, 8, 8], stride=2, padding="same"), "has padding 'same' with a stride, which torch refuses"),
    (conv([1, 2, 8]), r"has a kernel \(3, 3\) that does not fit into \(2, 8\)"),
    (conv([1, 8, 8], input_shape=[9, 9]), r"is for pictures of \(9, 9\); \(8, 8\) arrive"),
    (
        conv([3, 8, 8], weight=np.ones((2, 1, 3, 3)), groups=2),
        r"takes 1 x 2 channels \(groups\) and gives 2; 3 arrive",
    ),
    (conv([1, 8, 8], stride=[0.5, 1.0]), "has stride of shape .* a few integers are required"),
    # values
    (node("w", "Linear", weight=np.full((3, 4), np.nan)), r"has 12 value\(s\) in weight that are NaN or infinite"),
    (set_to("nodes/n/tau", [1.0, np.inf, 1.0]), r"node 'n' \(LIF\): has 1 value\(s\) in tau"),
    (set_to("nodes/n/tau", -np.ones(3)), "has tau -1; a time constant is above 0"),
    (
        set_to("nodes/n/v_threshold", -np.ones(3)),
        r"'n' \(LIF\): LIF: threshold: got values in \[-1, -1\]; allowed is above 0",
    ),
    (set_to("nodes/n/tau", None), r"node 'n' \(LIF\): has no tau; a LIF needs tau, r, v_leak, v_threshold"),
    (set_to("nodes/n/tau", "long"), "has a tau that is no number"),
    (
        both(node("d", "Delay", delay=-np.ones(4)), wired("in d", "d w", *CHAIN)),
        "has a delay of -2 steps of 0.5 s; whole steps in 0..65536 are required",
    ),
    # structure
    (
        node("w", "MaxPool2d", kernel_size=[2, 2]),
        "node 'w': has the type 'MaxPool2d', which neurosam does not read; it reads",
    ),
    (set_to("nodes/w/type", None), "node 'w': has the type 'None'"),
    (wired("in w", "w m"), "has an edge 'w' -> 'm'; there is no node 'm' in the graph"),
    (wired("in w", "n out"), r"node 'n' \(LIF\): receives nothing from an Input; connect it"),
    (
        both(node("s", "Scale", scale=np.ones(3)), wired("in w", "w s", "s w", "s n", "n out")),
        "is in a loop without delay: 's' feeds it in the same step, with no neuron between; put a Delay",
    ),
    (node("in", "Scale", scale=np.ones(4)), "has no Input node; add one"),
    (wired("in w", "w n", "n out", "n in"), r"node 'in' \(Input\): receives from 'n'; an Input is where events enter"),
    (wired("in w", "w n", "n out", "out n"), r"node 'out' \(Output\): feeds 'n'; an Output is an end"),
    (wired("in out", "in w", "w n"), "is an input without a layer behind it"),
    (
        both(node("n", "LI", **LI), node("m", "IF", **IF), wired("in w", "w n", "n m", "m out")),
        r"node 'n' \(LI\): sends its membrane to other layers, where only spikes travel",
    ),
    # the file
    (set_to("edges", [("a", "b", "c")]), "node/edges is not a table of two names for each edge"),
    (set_to("edges", None), "node is a NIRGraph without edges"),
    (lambda g: g["nodes"].__setitem__("inner", g), "is damaged at node/nodes/inner .groups that contain each other."),
    (set_to("nodes/w/weight", h5py.ExternalLink("other.h5", "x")), "node/nodes/w/weight is a soft or external link"),
    (both(set_to("nodes/n/tau", None), lambda g: g.create_group("nodes/n/tau")), "node/nodes/n/tau is not a dataset"),
]


@pytest.mark.parametrize(("change", "message"), CASES)
def test_bad_graphs(change: Change, message: str, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        change(file["node"])
    with pytest.raises(FormatError, match=message) as caught:
        load_nir(path, source="euler", dt=0.5)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))


def test_a_layer_of_a_billion_takes_no_memory(path: Path) -> None:
    """A compressed array that claims 10^9 neurons, as 16 chunks that are not in the file, and as ones that are."""
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n/tau"]
        file["node/nodes/n"].create_dataset("tau", (10**9,), "f4", chunks=(2**26,), compression="gzip")
    with pytest.raises(
        FormatError, match=r"n/tau declares shape \(1000000000,\) in 15 chunks, of which 0 are in the file"
    ):
        load_nir(path, source="euler", dt=0.5)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/n/tau"]
        data = file["node/nodes/n"].create_dataset("tau", (10**9,), "f4", chunks=(2**29,), compression="gzip")
        data.id.write_direct_chunk((0,), b"x" * 100)
        data.id.write_direct_chunk((2**29,), b"x" * 100)
    with pytest.raises(FormatError, match="would expand to 4294967296 bytes from a file of"):
        load_nir(path, source="euler", dt=0.5)


def test_many_paths_take_no_memory(path: Path) -> None:
    """Thirty diamonds behind each other: 2^30 paths."""
    with h5py.File(path, "r+") as file:
        graph, pairs, end = file["node"], [], "in"
        for i in range(30):
            for name in (f"a{i}", f"b{i}", f"c{i}"):
                put(graph["nodes"], name, "Scale", scale=0.5)
            pairs += [(end, f"a{i}"), (end, f"b{i}"), (f"a{i}", f"c{i}"), (f"b{i}", f"c{i}")]
            end = f"c{i}"
        edges(graph, *pairs, (end, "w"), ("w", "n"), ("n", "out"))
    with pytest.raises(FormatError, match="is reached on over 4096 paths without neurons between"):
        load_nir(path, source="euler", dt=0.5)


def test_not_nir(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    with pytest.raises(FormatError, match="does not exist"):
        load_nir(path)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FormatError, match="is not an HDF5 file; a NIR file is required"):
        load_nir(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert not is_nir(path)
    with pytest.raises(FormatError, match="is an HDF5 file without a NIR graph"):
        load_nir(path)
    with h5py.File(path, "w") as file:
        put(file, "node", "Linear", weight=np.ones((2, 2)))
    with pytest.raises(FormatError, match="holds a single Linear; a NIRGraph is required"):
        load_nir(path)
    with pytest.raises(FormatError, match=r"got dict; the path of a \.nir file or a nir\.NIRGraph is required"):
        load_nir({"nodes": {}})


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_truncated(keep: float, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(FormatError, match="is truncated"):
        load_nir(path, source="euler", dt=0.5)


def test_mutated_files_raise_nothing_else(path: Path) -> None:
    """120 files with a few bytes changed: read, or refused in one sentence."""
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(120):
        octets = bytearray(whole)
        for place in rng.integers(8, len(octets), int(rng.integers(1, 6))):
            octets[place] = rng.integers(256)
        path.write_bytes(octets)
        try:
            load_nir(path, source="euler", dt=0.5)
        except FormatError:
            refused += 1
    assert refused > 12
