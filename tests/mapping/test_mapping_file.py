"""Mappings as files: what is written is read back, by hand they are short, and nothing wrong is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosam as ns
from neurosam.errors import FormatError, NeurosamError
from neurosam_hw.mapping import CoreMapping, Piece, load_mapping, save_mapping

pytest.importorskip("tomllib", reason="chips are read since Python 3.11")

from neurosam_hw import chips as shipped
from neurosam_hw.chips import Chip, load_chip
from neurosam_hw.mapping import file as module

LIF = ns.FixedLIF(membrane_decay=410, threshold=64)
FOLDER = Path(shipped.__path__[0])


def chip(name: str = "loihi1") -> Chip:
    return load_chip(FOLDER / f"{name}.toml")


def network(channels: int = 2) -> ns.Network:
    shape = (channels, 3, 4)
    return ns.Network(
        [ns.Population("in", shape), ns.Population("conv", shape, LIF), ns.Population("out", (6,), ns.FixedReadout())],
        [
            ns.Projection("in", "conv", ns.Conv2d(np.ones((channels, channels, 3, 3), np.int8), padding=1)),
            ns.Projection("conv", "out", ns.Dense(np.ones((6, channels * 12), np.int8))),
        ],
    )


def by_hand() -> dict[str, Any]:
    """A mapping as one would write it."""
    return {
        "format": "neurosam mapping 1",
        "chip": "loihi1",
        "cores": [
            {"pieces": [{"population": "conv", "channels": "0"}]},
            {"pieces": [{"population": "conv", "channels": "1", "rows": "0-1"},
                        {"population": "out", "neurons": "0, 2-5"}]},
            {"pieces": [{"population": "conv", "channels": "1", "rows": "2"}, {"population": "out", "neurons": "1"}]},
        ],
    }  # fmt: skip


def read(tmp_path: Path, content: Any) -> CoreMapping:
    path = tmp_path / "map.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_mapping(path, network(), chip())


def test_by_hand(tmp_path: Path) -> None:
    mapping = read(tmp_path, by_hand())
    assert mapping.core_of("conv").tolist() == [0] * 12 + [1] * 8 + [2] * 4
    assert mapping.core_of("out").tolist() == [1, 2, 1, 1, 1, 1]
    assert mapping.core_of("in").tolist() == [-1] * 24
    assert mapping.positions.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    pieces = (
        Piece("conv", 0, ((0, 2), (0, 3), (1, 4))),
        Piece("conv", 1, neurons=np.array([0, 4, 8, 12, 16, 20])),
        Piece("out", 1, ((0, 6), (0, 1), (0, 1))),
    )
    mapping = CoreMapping(network(), chip(), pieces, np.array([[1, 5], [0, 127]]))
    path = save_mapping(mapping, tmp_path / "new" / "map.json")
    again = load_mapping(path, network(), chip())
    assert np.array_equal(again.positions, mapping.positions)
    for one, two in zip(again.pieces, mapping.pieces, strict=True):
        assert (one.population, one.core, one.box) == (two.population, two.core, two.box)
        assert one.box is not None or np.array_equal(one.listed, two.listed)
    assert '"neurons": "0, 4, 8, 12, 16, 20"' in path.read_text()
    assert save_mapping(again, tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_a_long_list_is_short_in_ranges(tmp_path: Path) -> None:
    mapping = CoreMapping(
        network(), chip(), (Piece("conv", 0, neurons=np.arange(24)), Piece("out", 0, neurons=np.arange(6)))
    )
    assert '"neurons": "0-23"' in save_mapping(mapping, tmp_path / "map.json").read_text()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The mapping by hand with one thing changed: a path such as "cores/0/pieces/0/rows"; None removes it."""
    content = by_hand()
    *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    at: Any = content
    for key in way:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return content


PIECE = "cores/1/pieces/0"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "neurosam mapping 2", "map.json: format: got 'neurosam mapping 2'; this version reads"),
        ("format", None, "got None"),
        ("chip", "odin", "map.json: chip: the mapping is for the chip 'odin', not for 'loihi1'"),
        ("chp", "loihi1", "unknown key 'chp'; did you mean 'chip'"),
        ("cores", [], "a list of 1.."),
        ("cores", {}, "a list of 1.."),
        ("cores/0", 3, "core 0: got 3;"),
        ("cores/0/pieces", [], "core 0: pieces: got "),
        ("cores/0/pieces", "conv", "core 0: pieces: got 'conv'"),
        ("cores/0/size", 3, "core 0: has the unknown key 'size'"),
        ("cores/0/chip", 0, "core 0: core: got None; a number from 0 is required"),
        (f"{PIECE}", [1], "core 1: piece 0: got"),
        (f"{PIECE}/population", "cnv", "core 1: piece 0: population: got 'cnv'; the network has in, conv, out"),
        (f"{PIECE}/population", ["conv"], "population: got"),
        (f"{PIECE}/row", "1", "unknown key 'row'; did you mean 'rows'"),
        (f"{PIECE}/neurons", "1", "has both neurons and a box"),
        (f"{PIECE}/rows", "0-3", "rows: got '0-3'; numbers below 3 are allowed"),
        (f"{PIECE}/rows", "0-9999999999", "numbers below 3 are allowed"),
        (f"{PIECE}/rows", "0-99999999999", "ranges such as"),
        (f"{PIECE}/rows", "1-0", "ranges must rise"),
        (f"{PIECE}/rows", "-1", "ranges such as"),
        (f"{PIECE}/rows", "", "ranges such as"),
        (f"{PIECE}/rows", "0, 1", "a box has one range"),
        (f"{PIECE}/rows", 1, "rows: got 1; ranges such as"),
        (f"{PIECE}/rows", None, "core 2: piece 0: more than the 24 neurons of 'conv' are placed"),
        (f"{PIECE}/rows", "0", "mapping of 'conv': 4 of 24 neurons are on no core, the first is neuron 16"),
        (f"{PIECE}/rows", "1-2", "mapping of 'conv': 4 of 24 neurons are on no core, the first is neuron 12"),
        ("cores/1/pieces/1/neurons", "0, 2-4, 4", "got ' 4' after 4; ranges must rise"),
        ("cores/2/pieces/1/neurons", "2", "mapping of 'out': 1 of 6 neurons are on no core, the first is neuron 1"),
        ("cores/2/pieces/1/neurons", "6", "numbers below 6 are allowed"),
        ("cores/2/pieces/1/neurons", "1, 2", "more than the 6 neurons of 'out'"),
        ("populations", {"in": [2, 3, 4]}, "for another network: that has no 'conv', this one has the shape [2, 3, 4]"),
        ("populations", [3], "the shape of each population by its name is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, path: str, value: Any, message: str) -> None:
    with pytest.raises(NeurosamError) as caught:
        read(tmp_path, changed(path, value))
    assert message in str(caught.value)
    assert "map.json" in str(caught.value)


def test_a_neuron_twice_where_another_is_missing(tmp_path: Path) -> None:
    content = changed("cores/2/pieces/0/rows", "1")
    with pytest.raises(NeurosamError, match="neurons are on no core, the first is neuron 20"):
        read(tmp_path, content)


def test_places_of_all_cores_or_of_none(tmp_path: Path) -> None:
    content = by_hand()
    content["cores"][1] |= {"chip": 0, "core": 3}
    with pytest.raises(NeurosamError, match="some cores have a chip and core, others none"):
        read(tmp_path, content)
    for core in content["cores"]:
        core |= {"chip": 0, "core": 3}
    with pytest.raises(NeurosamError, match="two cores of the mapping are in the same place"):
        read(tmp_path, content)
    content["cores"][0]["core"] = 128
    with pytest.raises(NeurosamError, match="loihi1 has 128"):
        read(tmp_path, content)
    content["cores"][0]["core"] = True
    with pytest.raises(NeurosamError, match="got True; a number from 0"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"format": 1' + "0" * 5000 + "}", "is not JSON"),
        ("[]", "a mapping begins with"),
        ('{"chip": "a", "chip": "b"}', "has the key 'chip' twice"),
    ],
)
def test_hostile_text(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, text)


def test_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.json"
    with pytest.raises(FormatError, match="does not exist"):
        load_mapping(path, network(), chip())
    with pytest.raises(FormatError, match="is a folder"):
        load_mapping(tmp_path, network(), chip())
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="is not UTF-8"):
        load_mapping(path, network(), chip())
    monkeypatch.setattr(module, "LARGEST_FILE", 4)
    path.write_bytes(b"{}   ")
    with pytest.raises(FormatError, match="is larger than"):
        load_mapping(path, network(), chip())


def test_another_network_of_the_same_populations(tmp_path: Path) -> None:
    mapping = read(tmp_path, by_hand())
    path = save_mapping(mapping, tmp_path / "two.json")
    with pytest.raises(NeurosamError, match=r"'in' of the shape \[2, 3, 4\], this one has the shape \[3, 3, 4\]"):
        load_mapping(path, network(3), chip())
    with pytest.raises(NeurosamError, match="is for the chip 'loihi1', not for 'truenorth'"):
        load_mapping(path, network(), chip("truenorth"))
