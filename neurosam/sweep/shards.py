"""A recording in pieces: a folder with a file for each chunk of samples, and what all of them belong to.

    FOLDER/manifest.json                  network, input, settings: the SHA-256 of it is the key
    FOLDER/network.h5                     the network, as workers load it
    FOLDER/shard-KEY-FIRST-STOP.h5        the recording of the samples FIRST .. STOP - 1

Every file is written under another name first, so a shard that is there is whole. Its name says which samples it holds
and, by the key, of which sweep; nothing else has to be kept to go on after an interruption.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from neurosam._util.atomic_write import write_text
from neurosam._util.orphans import remove_orphans
from neurosam._util.untrusted import MALFORMED
from neurosam.errors import FormatError
from neurosam.hdf5.files import digest, file_digest, load_recording, save, stream_recording
from neurosam.network.network import Network
from neurosam.signals.joining import joined_rests, without_values
from neurosam.signals.recording import Record, Recording
from neurosam.sweep.chunks import disjoint, missing

__all__ = ["MANIFEST", "NETWORK", "Shards", "shard_name"]

MANIFEST, NETWORK = "manifest.json", "network.h5"
FORMAT, VERSION = "neurosam-shards", 1
NAME = re.compile(r"shard-([0-9a-f]{12})-(\d{1,12})-(\d{1,12})\.h5")
MOST_BYTES = 2**20
"""Of a manifest."""


def shard_name(key: str, samples: range) -> str:
    """Name of the file of some samples.

    Examples
    --------
    >>> from neurosam.sweep.shards import shard_name
    >>> shard_name("0123456789ab", range(32, 64))
    'shard-0123456789ab-000000032-000000064.h5'
    """
    return f"shard-{key}-{samples.start:09}-{samples.stop:09}.h5"


class Shards:
    """The folder of one sweep.

    Parameters
    ----------
    folder : Path
        Made if it is missing; shards of the same sweep that it holds are kept.
    network : Network
        As it is run.
    settings : mapping of str to JSON values
        What else decides about the bits: input, steps, back end, what is recorded, ...
    samples : int
        B.

    Attributes
    ----------
    key : str
        12 hexadecimal digits, of network, settings and number of samples.
    whole : list of range
        Samples of the shards that are there, disjoint and in order.

    Raises
    ------
    FormatError
        If the folder holds shards of another sweep, or other files; the message says in what they differ.
    """

    def __init__(self, folder: Path, network: Network, settings: Mapping[str, Any], samples: int) -> None:
        self.folder, self.samples = folder, samples
        manifest = {
            "format": FORMAT, "version": VERSION, "network": digest(network), "samples": samples, **settings,
        }  # fmt: skip
        text = json.dumps(manifest, indent=1, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:12]
        if folder.is_dir():
            _refuse_others(folder, manifest)
        folder.mkdir(parents=True, exist_ok=True)
        remove_orphans(folder)
        if not (folder / NETWORK).is_file() or file_digest(folder / NETWORK) != manifest["network"]:
            save(network, folder / NETWORK)
        if not (folder / MANIFEST).is_file():
            write_text(folder / MANIFEST, text + "\n")
        self.whole = self._found()

    @property
    def left(self) -> list[range]:
        """Samples that no shard holds."""
        return missing(self.samples, self.whole)

    def path(self, samples: range) -> Path:
        """The file of some samples."""
        return self.folder / shard_name(self.key, samples)

    def add(self, samples: range) -> None:
        """Note that the shard of some samples has been written.

        Raises
        ------
        FormatError
            If it is not there: the worker wrote to another folder.
        """
        if not self.path(samples).is_file():
            raise FormatError(
                str(self.path(samples)), "is not there, though a worker has written it: workers and this process have "
                "to see the same folder under the same name"
            )  # fmt: skip
        self.whole.append(samples)

    def load(self, samples: range) -> Recording:
        """A shard, whose arrays stay in the file."""
        path = self.path(samples)
        try:
            return load_recording(path, mapped=True)
        except FormatError as error:
            raise FormatError(str(path), f"{error.problem}. Remove it; the same command makes it again") from None

    def join(self, out: Path, network: Network, record: Record, steps: int) -> Recording:
        """Write all shards to one file, as one run writes it, and return its recording, mapped.

        Raises
        ------
        FormatError
            If samples are missing, or a shard is not what was saved.
        """
        if self.left:
            raise FormatError(str(self.folder), f"lacks the samples {self.left[0].start} to {self.left[0].stop - 1}")
        rests: list[Recording] = []
        with stream_recording(out, network, record, steps, self.samples) as stream:
            for samples in sorted(self.whole, key=lambda part: part.start):
                shard = self._checked(samples)
                stream.put(shard, samples.start)
                rests.append(without_values(shard))
            stream.finish(joined_rests(rests))
        return load_recording(out, mapped=True)

    def rest(self) -> Recording:
        """The recording of all samples without its values, in memory."""
        ordered = sorted(self.whole, key=lambda part: part.start)
        return joined_rests([without_values(load_recording(self.path(samples))) for samples in ordered])

    def remove(self) -> None:
        """Remove the folder: what it held is joined."""
        shutil.rmtree(self.folder)

    def tidy(self) -> None:
        """Remove what workers left unfinished that are gone now."""
        remove_orphans(self.folder, again=True)

    def _checked(self, samples: range) -> Recording:
        """A shard whose content is what was saved, and of these samples."""
        shard = self.load(samples)
        if shard.samples != len(samples) or digest(shard) != file_digest(self.path(samples)):
            raise FormatError(
                str(self.path(samples)), "is not what was saved. Remove it; the same command makes it again"
            )
        return shard

    def _found(self) -> list[range]:
        """Samples of the shards that are there; shards that overlap others are removed."""
        found = {}
        for path in sorted(self.folder.iterdir()):
            match = NAME.fullmatch(path.name)
            if not match:
                continue
            if match[1] != self.key:
                raise FormatError(
                    str(path), f"is a shard of another network or of other settings (key {match[1]}, not {self.key}); "
                    "remove it, or give another folder"
                )  # fmt: skip
            samples = range(int(match[2]), int(match[3]))
            if path.name != shard_name(self.key, samples) or not len(samples) or samples.stop > self.samples:
                raise FormatError(str(path), f"is no shard of samples within 0 to {self.samples - 1}; remove it")
            found[samples] = path
        kept = disjoint(found)
        for samples in found.keys() - set(kept):
            with suppress(OSError):
                found[samples].unlink()
        return kept


def _refuse_others(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a folder that does not belong to this sweep."""
    path = folder / MANIFEST
    if not path.is_file():
        if any(entry for entry in folder.iterdir() if entry.name != NETWORK and not entry.name.startswith(".neurosam")):
            raise FormatError(str(folder), "holds other files, and no shards; give another name, or remove it")
        return
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"has {path.stat().st_size} bytes")
        held = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in dict.fromkeys([*manifest, *held]) if held.get(name) != manifest.get(name)]
    except (*MALFORMED, OSError, AttributeError) as error:
        raise FormatError(str(path), f"is not a manifest of shards ({str(error)[:200]}); remove the folder") from None
    if differing:
        raise FormatError(str(folder), f"holds shards of another sweep: {_said(differing, held, manifest)}; give "
                          "another name, or remove the folder")  # fmt: skip


def _said(names: Sequence[str], held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The settings that differ, in a few words each."""
    return "; ".join(f"{name} {str(held.get(name))[:60]}, not {str(wanted.get(name))[:60]}" for name in names[:3])
