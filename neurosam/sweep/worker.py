"""What a worker keeps: networks by their file, and one kernel thread.

A worker loads a network once, whatever the number of its chunks. The file is known by the digest of its content, which
loading checks.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from neurosam.errors import FormatError
from neurosam.hdf5.files import digest, load_network
from neurosam.network.network import Network

__all__ = ["KEPT", "loaded", "one_thread"]

KEPT = 4
"""Networks that a worker keeps."""
_networks: OrderedDict[str, Network] = OrderedDict()
_lock = Lock()


def loaded(path: str, name: str) -> Network:
    """The network in a file, if its digest is `name`; loaded once.

    Raises
    ------
    FormatError
        If the file is missing, or holds another network.
    """
    with _lock:
        if name in _networks:
            _networks.move_to_end(name)
            return _networks[name]
        if not Path(path).is_file():
            raise FormatError(
                path,
                "is not seen by a worker: workers and this process have to see the same folder under the same name",
            )
        network = load_network(path)
        if (found := digest(network)) != name:
            raise FormatError(path, f"holds another network ({found[:12]}, not {name[:12]}); run the command again")
        _networks[name] = network
        while len(_networks) > KEPT:
            _networks.popitem(last=False)
        return network


def one_thread() -> None:
    """Let torch, if it is there, compute with one thread, so that its sums do not depend on how many processors are."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
