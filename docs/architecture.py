"""The architecture as the code has it: rooms, the imports between them, and whether any imports form a circle.

``make graph`` prints the floors from top to bottom, writes ``docs/assets/architecture.svg``, and fails if modules
import each other in a circle. Imports are read from the source by grimp, those inside ``if TYPE_CHECKING`` included.
Left out are the faces in UNDRAWN, above all that of the whole library, which offers names of every room and which no
room imports.

A floor is the length of the longest way down: a room imports only from floors below its own. The picture draws an
arrow only where no longer way leads to the same room (the transitive reduction), so that it stays readable.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp
import networkx as nx

PACKAGES = ("neurosam", "neurosam_hw", "neurosam_bench", "neurosam_study")
SPLIT = ("neurosam", "neurosam.backends", "neurosam.backends.event", "neurosam_hw")
"""Packages whose children are rooms of their own; files directly inside one form a room with its name."""
FILES_ARE_ROOMS = ("neurosam", "neurosam.backends.event")
"""Packages whose files are rooms as well: they stand on different floors."""
UNDRAWN = ("neurosam", "neurosam.__main__", "neurosam._version", "neurosam.backends.event", "neurosam_hw")
"""Faces and single constants, which would only add lines to the picture."""
PICTURE = Path(__file__).parent / "assets" / "architecture.svg"

HEIGHT, GAP_X, GAP_Y, MARGIN, CHARACTER = 34, 22, 46, 24, 7.3
COLOURS = {
    "neurosam.backends": "#efe8fb", "neurosam": "#e8eefc", "neurosam_hw": "#e7f5ea",
    "neurosam_bench": "#fdf1e0", "neurosam_study": "#fdf1e0",
}  # fmt: skip
"""By the beginning of a room's name, the first that fits."""


def imports() -> nx.DiGraph[str]:
    """All modules and their imports."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False)
    drawn: nx.DiGraph[str] = nx.DiGraph()
    drawn.add_nodes_from(graph.modules)
    drawn.add_edges_from((m, target) for m in graph.modules for target in graph.find_modules_directly_imported_by(m))
    drawn.remove_nodes_from(UNDRAWN)
    return drawn


def circles(modules: nx.DiGraph[str]) -> list[list[str]]:
    """Sets of modules that import each other, directly or by way of others."""
    return [sorted(circle) for circle in nx.strongly_connected_components(modules) if len(circle) > 1]


def room_of(module: str, folders: Iterable[str]) -> str:
    """The room that a module lies in."""
    parts = module.split(".")
    room = parts[0]
    for part in parts[1:]:
        child = f"{room}.{part}"
        if room not in SPLIT or (room not in FILES_ARE_ROOMS and child not in folders):
            break
        room = child
    return room


def rooms(modules: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """The rooms and the imports between them."""
    folders = {module.rpartition(".")[0] for module in modules}
    drawn: nx.DiGraph[str] = nx.DiGraph()
    drawn.add_nodes_from(room_of(module, folders) for module in modules)
    between = ((room_of(a, folders), room_of(b, folders)) for a, b in modules.edges)
    drawn.add_edges_from((a, b) for a, b in between if a != b)
    return drawn


def floors(drawn: nx.DiGraph[str]) -> list[list[str]]:
    """Rooms by the length of their longest way down, the ground first."""
    level: dict[str, int] = {}
    for room in reversed(list(nx.lexicographical_topological_sort(drawn))):
        level[room] = 1 + max((level[below] for below in drawn[room]), default=-1)
    return [sorted(room for room in level if level[room] == k) for k in range(1 + max(level.values()))]


def in_order(storeys: list[list[str]], arrows: nx.DiGraph[str]) -> list[list[str]]:
    """The floors with their rooms side by side so that arrows cross little: each near the mean of its neighbours."""
    place = {room: (k + 0.5) / len(storey) for storey in storeys for k, room in enumerate(storey)}
    for _ in range(12):
        for storey in storeys:
            neighbours = {room: [place[n] for n in nx.all_neighbors(arrows, room)] for room in storey}
            mean = {room: sum(near) / len(near) if near else place[room] for room, near in neighbours.items()}
            storey.sort(key=lambda room: (mean[room], room))
            place.update({room: (k + 0.5) / len(storey) for k, room in enumerate(storey)})
    return storeys


def svg(drawn: nx.DiGraph[str]) -> str:
    """The picture: floors from top to bottom, a box for each room, arrows to what it imports."""
    arrows = nx.transitive_reduction(drawn)
    storeys = in_order(floors(drawn), arrows)
    height = 2 * MARGIN + len(storeys) * (HEIGHT + GAP_Y) - GAP_Y
    widths = {room: CHARACTER * len(room.removeprefix("neurosam.")) + 20 for room in drawn}
    lengths = [sum(widths[room] for room in storey) + GAP_X * (len(storey) - 1) for storey in storeys]
    total = round(max(lengths) + 2 * MARGIN)
    boxes: dict[str, tuple[float, float, float]] = {}
    for level, (storey, length) in enumerate(zip(storeys, lengths, strict=True)):
        x = (total - length) / 2
        for room in storey:
            boxes[room] = x, height - MARGIN - HEIGHT - level * (HEIGHT + GAP_Y), widths[room]
            x += widths[room] + GAP_X
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" font-family="system-ui, sans-serif" '
        'font-size="13">',
        "<title>Rooms of neurosam and what they import</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5b6880"/></marker></defs>',
        f'<rect width="{total}" height="{height}" fill="#ffffff"/>',
    ]
    for source, target in sorted(arrows.edges):
        (x, y, width), (to_x, to_y, to_width) = boxes[source], boxes[target]
        x, to_x, y = x + width / 2, to_x + to_width / 2, y + HEIGHT
        bend = (to_y - y) / 2
        path = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y - 2:.0f}"
        lines.append(f'<path d="{path}" fill="none" stroke="#5b6880" stroke-opacity=".55" marker-end="url(#tip)"/>')
    for room, (x, y, width) in sorted(boxes.items()):
        colour = next(colour for start, colour in COLOURS.items() if f"{room}.".startswith(f"{start}."))
        lines += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="6" fill="{colour}" '
            'stroke="#5b6880"/>',
            f'<text x="{x + width / 2:.0f}" y="{y + 22:.0f}" text-anchor="middle">'
            f"{html.escape(room.removeprefix('neurosam.'))}</text>",
        ]
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    """Print the floors and the circles, write the picture; 1 if there is a circle."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    modules = imports()
    found = circles(modules)
    for circle in found:
        print(f"circle of {len(circle)} modules: {', '.join(circle)}")
    if found:
        return 1
    drawn = rooms(modules)
    if not nx.is_directed_acyclic_graph(drawn):
        for circle in circles(drawn):
            print(f"circle of {len(circle)} rooms: {', '.join(circle)}")
        return 1
    storeys = floors(drawn)
    for level in range(len(storeys) - 1, -1, -1):
        print(f"{level:3}  {'  '.join(storeys[level])}")
    print(
        f"{len(modules)} modules, {modules.number_of_edges()} imports, no circle; {len(drawn)} rooms on {len(storeys)} "
        f"floors, {drawn.number_of_edges()} imports between them"
    )
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(drawn), encoding="utf-8")
    print(f"wrote {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
