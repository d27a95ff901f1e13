"""What to do with a file that is something else than a command takes: one answer for each kind of content."""

from __future__ import annotations

from pathlib import Path

from neurosam.errors import FormatError
from neurosam.formats.content import identify
from neurosam.formats.registry import formats

__all__ = ["answer", "refuse_foreign"]

CODE = """
    module = MyNetwork(); module.load_state_dict(torch.load({path!r}, weights_only=True))
    net = ns.export(module, input_shape=(C, H, W), precision=ns.Precision.lava(), calibration=images)
    net.save({h5!r})"""
ANSWERS = {
    "torch": "holds PyTorch weights, which have no architecture, and is a pickle, which is not opened here. Build the "
    "module, load them, export it:" + CODE,
    "torchscript": "is a TorchScript archive, whose code would have to be run. Build the module, load its weights, "
    "export it:" + CODE,
    "pickle": "is a pickle, which runs whatever code it names, so it is not opened here. If it holds PyTorch weights, "
    "build the module, load them, export it:" + CODE,
    "onnx": "is ONNX, which has operators for layers but none for a neuron with a membrane and a reset: no leak, "
    "threshold or reset is in it. Export the module that it was made from (ns.export)",
    "keras": "is of Keras, whose layers have no spiking neurons. Rebuild the network in PyTorch, and export that",
    "model": "is a trained model of neurosam's; export it: neurosam export {path}",
    "safetensors": "holds tensors alone, no architecture. Build the module, load them into it (safetensors.torch), and "
    "export it (ns.export)",
    "network": "is a network of neurosam's already; next: neurosam info {path}, neurosam run {path}",
    "recording": "holds a recording of neurosam's, not a network; next: neurosam info {path}",
    "events": "holds events, not a network; run one on them: neurosam run NETWORK.h5 --events {path}",
    "inputs": "holds events, not a network; run one on them: neurosam run NETWORK.h5 --events {path}",
    "state": "holds the state of a network; go on from it: neurosam run NETWORK.h5 --initial {path}",
    "camera": "is a recording of an event camera, not a network; run one on it: neurosam run NETWORK.h5 {path}",
    "image": "is a picture, not a network; run one on it: neurosam run NETWORK.h5 {path}",
    "npy": "is an array, not a network; run one on it: neurosam run NETWORK.h5 {path}",
    "npz": "holds arrays, not a network; run one on them: neurosam run NETWORK.h5 {path}; if they are a recording that "
    "another implementation made: neurosam import {path} --network NETWORK.h5",
    "python": "is Python code; export what a function in it returns: neurosam export {path}:FUNCTION --shape CxHxW",
    "hdf5": "is HDF5, but of no layout that is known: {read}, or neurosam's own",
    "empty": "is empty; copy or make it again",
}  # fmt: skip
UNKNOWN = "is none of the files that are known: {read}, or neurosam's own (.h5, .safetensors)"
FOREIGN = ("torch", "torchscript", "pickle", "onnx", "keras")


def answer(path: Path, kind: str) -> FormatError:
    """What to do with a file of that kind (formats/content.py) where a network of another tool was expected."""
    read = ", ".join(f"{known.title} ({known.suffix})" for known in formats() if known.load)
    written = next((known for known in formats() if known.name == kind), None)
    text = f"is {written.title}, which is written but not read" if written else ANSWERS.get(kind, UNKNOWN)
    values = {"path": str(path), "h5": str(path.with_suffix(".h5")), "read": read}
    return FormatError(str(path), text.format(**values))


def refuse_foreign(path: Path) -> str:
    """Refuse another tool's file where one of neurosam's is expected; what is damaged or unknown passes.

    Returns
    -------
    str
        What it holds (formats/content.py); "" if it cannot be read, which its reader says better.

    Raises
    ------
    FormatError
        With what to do: import it, or how to get a network from it.
    """
    try:
        kind = identify(path)
    except FormatError:
        return ""
    if kind in FOREIGN:
        raise answer(path, kind)
    for known in formats():
        if known.name == kind and known.load is not None:
            raise FormatError(str(path), f"is {known.title}; import it first: neurosam import {path}")
    return kind
