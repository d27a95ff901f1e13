"""Networks, recordings, events and states as HDF5 files: versioned, written whole or not at all, read with suspicion.

The format, field by field, is in FORMAT.md beside this package. Its parts here:

    schema.py       the one table of what each type consists of
    version3.py     in what files of version 3 differ, version2.py those of version 2, version1.py those of version 1
    fields.py       how each kind of field is written and read
    consistency.py  whether the arrays of a recording or a state fit together
    writer.py       a new file: written beside the old one, synced to disk, then renamed onto it
    manifest.py     the digest of what a file holds
    stream.py       a recording that is written while it is made; place.py: the bytes of one of its arrays
    files.py        save and load; the attributes that identify a file: kind, version, producer
    structure.py    what has to be true of a file before the HDF5 library sees it; groups.py, messages.py and octets.py:
                    its parts
    reader.py       a file that is read: each object's kind, type and size are checked before it is opened or allocated
    foreign.py      likewise for files of other software; heap.py: their texts of variable length

What is loaded equals what was saved bit for bit, and the same network always gives the same bytes. This package is the
only user of h5py and needs nothing else but NumPy, so that a worker in another Python can read the same files.
"""

from neurosam.hdf5.files import (
    digest,
    file_digest,
    file_kind,
    load,
    load_events,
    load_network,
    load_recording,
    save,
    stream_recording,
)
from neurosam.hdf5.schema import VERSION
from neurosam.hdf5.stream import Stream

__all__ = [
    "VERSION",
    "Stream",
    "digest",
    "file_digest",
    "file_kind",
    "load",
    "load_events",
    "load_network",
    "load_recording",
    "save",
    "stream_recording",
]
