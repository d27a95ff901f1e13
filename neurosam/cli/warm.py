"""``neurosam warm`` compiles the event back end's kernels ahead: for container images, clusters and demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosam.cli.common import network_in, progress, say

__all__ = ["warm"]


def warm(
    networks: Annotated[
        list[Path] | None,
        typer.Argument(help="Network files (.h5). Default: the kernels of usual networks.", show_default=False),
    ] = None,
) -> None:
    """Compile the event back end's kernels ahead, so that the first run starts at once.

    With network files, those that these networks need; else those of usual ones. Kernels are kept in the folder that
    NUMBA_CACHE_DIR names, or in the user's cache folder.
    """
    from neurosam.backends.event.warm import stored, usual_networks
    from neurosam.backends.event.warm import warm as compile_kernels

    wanted = [(str(path), network_in(path)) for path in networks or []] or list(usual_networks())
    before = stored()[1]
    for name, network in wanted:
        with progress(f"warming: {name}"):
            compile_kernels(network)
    folder, kernels, size = stored()
    say(f"{kernels - before} kernels compiled; {kernels} of {size / 1e6:.1f} MB are in {folder}")
