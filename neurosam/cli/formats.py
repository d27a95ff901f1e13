"""``neurosam import`` and ``neurosam export --format``: networks from other tools, and for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosam.cli.answers import answer
from neurosam.cli.common import HDF5, network_in, new_file, require, say
from neurosam.cli.info import show_network
from neurosam.errors import FormatError, NeurosamError
from neurosam.formats.content import identify
from neurosam.formats.registry import Format, find, formats
from neurosam.network.synapse import Shape

__all__ = ["OtherFormat", "Reset", "Restarts", "export_network", "import_network"]

OtherFormat = Annotated[
    str | None,
    typer.Option(
        "--format", help="Write a network file for other tools: netx, nir, graphml, json.", show_default=False
    ),
]
Restarts = Annotated[
    bool,
    typer.Option("--restarts", help="netx will be called with reset_interval and reset_offset=1, which biases need."),
]
Reset = Annotated[
    str | None, typer.Option("--reset", help="NIR, which has no soft reset: zero or subtract.", show_default=False)
]


def import_network(
    file: Annotated[Path, typer.Argument(help="Network file of another tool: netx (.net) or NIR (.nir).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Network file to write. Default: NAME.h5.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="NIR: the framework whose step it follows (snntorch, norse, sinabs, ...).", show_default=False
        ),
    ] = None,
    dt: Annotated[
        float | None, typer.Option(help="NIR: step in seconds. Default: the source's.", show_default=False)
    ] = None,
    reset: Reset = None,
    shape: Annotated[
        str | None, typer.Option(help="netx: shape of the input (CxHxW), if no layer says it.", show_default=False)
    ] = None,
    magnitude: Annotated[
        int | None, typer.Option(min=1, help="Largest |value| of an input event. Default: 1.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Turn another tool's network file into one of neurosam's, and print what was found and decided.

    What a file is, its content decides, not its name. Files that hold no
    network (PyTorch weights, ONNX, recordings) are answered with what to do.
    """
    kind = identify(file)
    known = next((f for f in formats() if f.name == kind and f.load is not None), None)
    if known is None:
        raise answer(file, kind)
    given = {"source": source, "dt": dt, "reset": reset, "shape": shape and _sides(shape), "magnitude": magnitude}
    options = _options(known, given, known.load_options, file)
    target = new_file(file.with_suffix(".h5") if out is None else out, force, HDF5)
    network = known.read(file, **options)
    say(f"{file}: {known.title}")
    show_network(network, full=True)
    network.save(target)
    run = f"neurosam run {target} --events FILE"
    say(f"wrote {target}; next: {run if network.fixed else f'{run}, or neurosam quantise {target}'}")


def export_network(
    file: Path, name: str, out: Path | None, restarts: bool = False, reset: str | None = None, force: bool = False
) -> None:
    """Write a network file in another tool's format.

    Raises
    ------
    NeurosamError
        If the format is not known, its package is not installed, or it cannot hold the network; nothing is written.
    """
    known = find(name)
    if known.save is None:
        raise FormatError("--format", f"got {name!r}, which is read but not written")
    options = _options(known, {"restarts": restarts or None, "reset": reset}, known.save_options, Path(name))
    if known.needs:
        package, extra = known.needs.split()
        require(f"--format {name}", extra, package)
    network = network_in(file)
    target = new_file(file.with_suffix(known.suffix) if out is None else out, force, (known.suffix,))
    known.write(network, target, **options)
    say(f"wrote {target}: {known.title}")


def _sides(text: str) -> Shape:
    """A shape as the command line has it: 3x66x200."""
    sides = text.lower().split("x")
    if len(sides) not in (1, 3) or not all(side.isascii() and side.isdecimal() and int(side) > 0 for side in sides):
        raise NeurosamError("--shape", f"got {text!r}; CxHxW or N is required, such as 1x28x28")
    return tuple(int(side) for side in sides)


def _options(known: Format, given: Mapping[str, Any], taken: Mapping[str, str], file: Path) -> dict[str, Any]:
    """Given options under the names of the function's parameters; an option that the format lacks is refused."""
    values = {name: value for name, value in given.items() if value is not None}
    for name in values:
        if name not in taken:
            allowed = ", ".join(f"--{option}" for option in taken) or "none"
            raise NeurosamError(f"--{name}", f"is not for {known.title} ({file}); its options are {allowed}")
    return {taken[name]: value for name, value in values.items()}
