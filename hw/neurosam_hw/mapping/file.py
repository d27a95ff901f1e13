"""Mappings as JSON files, made by ``neurosam map`` or by hand.

A core is one line of the file, its number the place in the list::

    {
        "format": "neurosam mapping 1",
        "chip": "loihi1",
        "populations": {"in": [2, 34, 34], "conv1": [8, 17, 17], "hidden": [300]},
        "cores": [
            {
                "chip": 0,
                "core": 4,
                "pieces": [{"population": "conv1", "channels": "0-3", "rows": "0-16", "columns": "0-16"}],
            },
            {"chip": 0, "core": 5, "pieces": [{"population": "conv1", "channels": "4-7"}]},
            {"chip": 0, "core": 6, "pieces": [{"population": "hidden", "neurons": "0-17, 40, 51-99"}]},
            ...,
        ],
    }

Ranges hold both ends. A piece is a box of ``channels``, ``rows`` and ``columns``, each whole if it is missing (a
population ``(N,)`` is N channels), or a list of ``neurons`` by flat index, rising. ``chip`` and ``core`` of a core say
where it is; if all leave them out, cores fill one chip after the other. ``populations`` holds the shapes of the network
that the mapping is for; it may be left out, and is compared if it is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosam._util.atomic_write import write_text
from neurosam.errors import FormatError
from neurosam.network.network import Network
from neurosam.network.synapse import as_chw, neurons
from neurosam_hw.chips.chip import Chip
from neurosam_hw.chips.messages import only, short
from neurosam_hw.errors import MappingError
from neurosam_hw.mapping.mapping import MOST_CORES, CoreMapping
from neurosam_hw.mapping.piece import Box, Piece

__all__ = ["FORMAT", "load_mapping", "save_mapping"]

FORMAT = "neurosam mapping 1"
LARGEST_FILE = 256 * 2**20
SIDES = ("channels", "rows", "columns")
RANGE = re.compile(r"\s*([0-9]{1,10})(?:\s*-\s*([0-9]{1,10}))?\s*")


def save_mapping(mapping: CoreMapping, path: str | Path) -> Path:
    """Write a mapping, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    network = mapping.network
    head = {
        "format": FORMAT,
        "chip": mapping.chip.name,
        "populations": {p.name: list(p.shape) for p in network.populations},
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    cores = [f"    {json.dumps(_core(mapping, core))}" for core in range(mapping.cores)]
    return write_text(path, "\n".join(["{", *lines, '  "cores": [', ",\n".join(cores), "  ]", "}", ""]))


def load_mapping(path: str | Path, network: Network, chip: Chip) -> CoreMapping:
    """Read the mapping of a network to a chip, and check all of it.

    Parameters
    ----------
    path : str or Path
    network : Network
    chip : Chip

    Returns
    -------
    CoreMapping

    Raises
    ------
    FormatError
        If the file is missing, too large, no JSON, or of another format.
    MappingError
        If it is for another chip or network, or leaves a neuron out, places one twice, or places one where nothing is.

    Examples
    --------
    >>> from neurosam_hw.chips import load_chip
    >>> from neurosam_hw.mapping import load_mapping
    >>> net = ns.Network(
    ...     [ns.Population("in", (4,)), ns.Population("out", (3,), ns.FixedReadout())],
    ...     [ns.Projection("in", "out", ns.Dense(np.ones((3, 4), np.int8)))],
    ... )
    >>> import json, pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "map.json"
    >>> cores = ({"pieces": [{"population": "out", "neurons": listed}]} for listed in ("0, 2", "1"))
    >>> content = {"format": "neurosam mapping 1", "chip": "loihi1", "cores": list(cores)}
    >>> _ = file.write_text(json.dumps(content))
    >>> load_mapping(file, net, load_chip("loihi1")).core_of("out")
    array([0, 1, 0], dtype=int32)
    """
    file = str(path)
    content = _json(Path(path))
    only(file, content, ("format", "chip", "populations", "cores"), MappingError)
    if content.get("format") != FORMAT:
        raise FormatError(f"{file}: format", f"got {short(content.get('format'))}; this version reads {FORMAT!r}")
    if content.get("chip") != chip.name:
        raise MappingError(
            f"{file}: chip", f"the mapping is for the chip {short(content.get('chip'))}, not for {chip.name!r}"
        )
    _same_network(f"{file}: populations", content.get("populations"), network)
    pieces, places = _Cores(file, network).read(content.get("cores"))
    try:
        return CoreMapping(network, chip, tuple(pieces), np.array(places, dtype=np.int64).reshape(-1, 2))
    except MappingError as error:
        raise MappingError(f"{file}: {error.where}", error.problem) from None


def _core(mapping: CoreMapping, core: int) -> dict[str, Any]:
    chip, number = mapping.positions[core].tolist()
    return {"chip": chip, "core": number, "pieces": [_piece(piece) for piece in mapping.pieces_on(core)]}


def _piece(piece: Piece) -> dict[str, str]:
    if piece.box is None:
        return {"population": piece.population, "neurons": _ranges(piece.listed)}
    sides = {name: _range(first, stop - 1) for name, (first, stop) in zip(SIDES, piece.box, strict=True)}
    return {"population": piece.population, **sides}


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _ranges(listed: npt.NDArray[np.int64]) -> str:
    """Rising numbers as ranges."""
    cuts = np.flatnonzero(np.diff(listed) > 1)
    firsts, lasts = listed[np.append(0, cuts + 1)], listed[np.append(cuts, listed.size - 1)]
    return ", ".join(map(_range, firsts.tolist(), lasts.tolist()))


class _Cores:
    """Reads the cores of a file; stops as soon as more neurons are placed than a population has."""

    def __init__(self, file: str, network: Network) -> None:
        self.file, self.network = file, network
        self.left = {p.name: neurons(p.shape) for p in network.populations}

    def read(self, cores: Any) -> tuple[list[Piece], list[tuple[int, int]]]:
        """All pieces, and the places of the cores: of all or none."""
        if not isinstance(cores, list) or not 1 <= len(cores) <= MOST_CORES:
            raise MappingError(
                f"{self.file}: cores", f"got {short(cores)}; a list of 1..{MOST_CORES:,} cores is required"
            )
        pieces, places = [], []
        for number, core in enumerate(cores):
            where = f"{self.file}: core {number}"
            if not isinstance(core, dict):
                raise MappingError(
                    where, f'got {short(core)}; {{"chip": ..., "core": ..., "pieces": [...]}} is required'
                )
            only(where, core, ("chip", "core", "pieces"), MappingError)
            if "chip" in core or "core" in core:
                places.append((_whole(where, core, "chip"), _whole(where, core, "core")))
            if len(places) not in (0, number + 1):
                raise MappingError(where, "some cores have a chip and core, others none; give them to all or to none")
            held = core.get("pieces")
            if not isinstance(held, list) or not held:
                raise MappingError(f"{where}: pieces", f"got {short(held)}; a list of at least one piece is required")
            pieces += [self._piece(f"{where}: piece {n}", number, piece) for n, piece in enumerate(held)]
        return pieces, places

    def _piece(self, where: str, core: int, piece: Any) -> Piece:
        if not isinstance(piece, dict):
            raise MappingError(where, f'got {short(piece)}; {{"population": ..., "channels": ...}} is required')
        only(where, piece, ("population", "neurons", *SIDES), MappingError)
        name = piece.get("population")
        if not isinstance(name, str) or name not in self.left:
            names = ", ".join(self.left)
            raise MappingError(f"{where}: population", f"got {short(name)}; the network has {names}")
        shape = self.network[name].shape
        if "neurons" in piece:
            if len(piece) > 2:
                raise MappingError(where, "has both neurons and a box; give one of them")
            pairs = list(_pairs(f"{where}: neurons", piece["neurons"], neurons(shape)))
            self._take(where, name, sum(stop - first for first, stop in pairs))
            listed = np.concatenate([np.arange(first, stop, dtype=np.int64) for first, stop in pairs])
            return Piece(name, core, neurons=listed)
        box: list[tuple[int, int]] = []
        for side, length in zip(SIDES, as_chw(shape), strict=True):
            pairs = list(_pairs(f"{where}: {side}", piece[side], length)) if side in piece else [(0, length)]
            if len(pairs) > 1:
                raise MappingError(f"{where}: {side}", f"got {short(piece[side])}; a box has one range")
            box += pairs
        made = Piece(name, core, _box(box))
        self._take(where, name, made.size)
        return made

    def _take(self, where: str, name: str, count: int) -> None:
        self.left[name] -= count
        if self.left[name] < 0:
            size = neurons(self.network[name].shape)
            raise MappingError(where, f"more than the {size:,} neurons of {name!r} are placed; each has one place")


def _box(sides: list[tuple[int, int]]) -> Box:
    channels, rows, columns = sides
    return channels, rows, columns


def _pairs(where: str, text: Any, length: int) -> Iterator[tuple[int, int]]:
    """First and stop of each range of a text such as "0-17, 40", rising and below `length`."""
    if not isinstance(text, str):
        raise MappingError(where, f'got {short(text)}; ranges such as "0-17, 40" are required')
    before = -1
    for item in text.split(","):
        match = RANGE.fullmatch(item)
        if match is None:
            raise MappingError(where, f'got {short(item)}; ranges such as "0-17, 40" are required')
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if not before < first <= last:
            raise MappingError(where, f"got {short(item)} after {before}; ranges must rise")
        if last >= length:
            raise MappingError(where, f"got {short(item)}; numbers below {length} are allowed")
        before = last
        yield first, last + 1


def _whole(where: str, core: dict[str, Any], key: str) -> int:
    value = core.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise MappingError(f"{where}: {key}", f"got {short(value)}; a number from 0 is required")
    return value


def _same_network(where: str, shapes: Any, network: Network) -> None:
    """Refuse the mapping of another network, by its populations and their shapes."""
    if shapes is None:
        return
    if not isinstance(shapes, dict):
        raise MappingError(where, f"got {short(shapes)}; the shape of each population by its name is required")
    here = {p.name: list(p.shape) for p in network.populations}
    for name in [*here, *shapes]:
        one, two = shapes.get(name), here.get(name)
        if one != two:
            there = f"has {name!r} of the shape {short(one)}" if one is not None else f"has no {name!r}"
            own = f"the shape {two}" if two is not None else "no such population"
            raise MappingError(where, f"the mapping is for another network: that {there}, this one has {own}")


def _json(path: Path) -> dict[str, Any]:
    """The content of a file of bounded size; no key may come twice."""
    if not path.is_file():
        raise FormatError(str(path), "is a folder" if path.is_dir() else "does not exist")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise FormatError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise FormatError(str(path), f"is larger than {LARGEST_FILE // 2**20} MiB; no mapping is")
    try:
        content = json.loads(data.decode(), object_pairs_hook=lambda pairs: _once(str(path), pairs))
    except UnicodeDecodeError:
        raise FormatError(str(path), "is not UTF-8 text; a mapping is JSON") from None
    except (ValueError, RecursionError) as error:
        reason = "lists too deep" if isinstance(error, RecursionError) else str(error)
        raise FormatError(str(path), f"is not JSON: {reason}") from None
    if not isinstance(content, dict):
        raise FormatError(str(path), f'got {short(content)}; a mapping begins with {{"format": "{FORMAT}"')
    return content


def _once(file: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FormatError(file, f"has the key {short(key)} twice in one place")
        found[key] = value
    return found
