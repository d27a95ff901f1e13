"""HDF5 files of other software, read with the same suspicion as our own (reader.py).

They hold what our files do not: numbers of any width, chunks that are compressed, text of variable length. For these,

- a number is an integer or a float of at most 64 bits, in either byte order, or a bool;
- a chunk is fetched as it is stored and expanded here (deflate, shuffle, fletcher32), into exactly the bytes that its
  dataset declares; every chunk that a dataset needs has to be in the file;
- all that is expanded is, in total, at most EXPANSION times as large as the file, or EXPANDED bytes for a small one;
- texts of variable length are limited, and found in the heaps of the file without HDF5 (heap.py).
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5d, h5g, h5t, h5z

from neurosam.hdf5.heap import REFERENCE, Heap
from neurosam.hdf5.reader import EXPANDED, EXPANSION, MAX_TEXT, MAX_TEXT_DATASET, Reader, _damage, _described, opened

__all__ = ["MAX_TEXTS", "Foreign", "opened_foreign"]

MAX_TEXTS = 2**17
"""Most texts of one dataset."""

RANKS = (0, 1, 2, 3, 4, 5)

Array = npt.NDArray[Any]


@contextmanager
def opened_foreign(path: str | Path, wanted: str) -> Iterator[Foreign]:
    """The root group of an HDF5 file of other software; `wanted` names the kind of file in messages.

    Raises
    ------
    FormatError
        If the file is missing, unreadable, not a regular file, not HDF5, truncated or damaged.
    """
    with opened(path, wanted=wanted) as root:
        yield Foreign(root._group, root._where, "", root._file)


class Foreign(Reader):
    """A group of a file of other software; see :class:`Reader`."""

    def is_group(self, name: str) -> bool:
        """Whether a member is a group."""
        return isinstance(self._member(name, object, "an object"), h5g.GroupID)

    def inner(self, name: str) -> Foreign:
        """A member group."""
        member = self._member(name, h5g.GroupID, "a group")
        return Foreign(member, self._where, self._path(name), self._file)

    def value(self, name: str) -> str | Array:
        """A dataset: numbers in the machine's byte order, a text, or an object array of texts."""
        dataset = self._member(name, h5d.DatasetID, "a dataset")
        with _damage(self._where, self._path(name)):
            plan, stored = dataset.get_create_plist(), dataset.get_type()
            layout, external = plan.get_layout(), plan.get_external_count()
            kind, size = stored.get_class(), stored.get_size()
            chunked = layout == h5d.CHUNKED
        if external or layout not in (h5d.CONTIGUOUS, h5d.COMPACT, h5d.CHUNKED):
            raise self.error(
                name, "keeps its data in another file or dataset; only what lies in the file itself is read"
            )
        if kind == h5t.STRING:
            texts = self._variable(name, dataset, chunked) if stored.is_variable_str() else None
            if texts is None:
                if size > MAX_TEXT:
                    raise self.error(name, f"has texts of {size} bytes; at most {MAX_TEXT} are allowed")
                texts = self._bytes(name, dataset, np.dtype(f"S{size}"), chunked, stored)
            return self._decoded(name, texts)
        if kind == h5t.ENUM and stored == h5t.py_create(np.dtype(bool)):  # how h5py stores them
            return self._bytes(name, dataset, np.dtype(bool), chunked, None)
        if kind not in (h5t.INTEGER, h5t.FLOAT) or size > 8:
            raise self.error(
                name, f"has a {_described(stored)} type; integers and floats up to 64 bits, bools, text are read"
            )
        with _damage(self._where, self._path(name)):
            dtype = np.dtype(stored.dtype)
        return self._bytes(name, dataset, dtype, chunked, None)

    def _bytes(self, name: str, dataset: Any, dtype: np.dtype[Any], chunked: bool, stored: Any) -> Array:
        """The values of a dataset, in the machine's byte order."""
        if chunked:
            array = self._expanded(name, dataset, dtype)
            return array.astype(dtype.newbyteorder("="), copy=False)
        shape = self._extent(name, dataset, dtype.itemsize, RANKS)
        return self._fill(name, dataset, shape, dtype.newbyteorder("="), stored)

    def _variable(self, name: str, dataset: Any, chunked: bool) -> Array:
        """Texts of variable length, found by their own bytes (heap.py)."""
        with _damage(self._where, self._path(name)):
            shape = tuple(int(side) for side in dataset.shape)
            offset = None if chunked else dataset.get_offset()
        count = math.prod(shape)
        if count > MAX_TEXTS:
            raise self.error(name, f"holds {count} texts; at most {MAX_TEXTS} are allowed")
        place = np.dtype(f"V{REFERENCE.size}")
        if chunked:
            references = self._expanded(name, dataset, place)
        else:
            self._extent(name, dataset, REFERENCE.size, RANKS)
            if offset is None:
                raise self.error(name, "keeps its texts in its header; write the file again with h5py's defaults")
        texts: Array = np.empty(shape, dtype=object)
        with open(self._where, "rb") as file:
            if offset is not None:
                file.seek(offset)
                references = np.frombuffer(file.read(count * REFERENCE.size), place)
            heap = Heap(file, lambda size: self._charge(name, size))
            limit = MAX_TEXT if shape else MAX_TEXT_DATASET
            for i, reference in enumerate(references.reshape(-1)):
                texts.reshape(-1)[i] = self._text_at(name, heap, reference.tobytes(), limit)
        return texts

    def _text_at(self, name: str, heap: Heap, reference: bytes, limit: int) -> bytes:
        length = REFERENCE.unpack(reference)[0]
        if length > limit:
            raise self.error(name, f"declares a text of {length} bytes; at most {limit} are allowed")
        self._charge(name, length)
        text = heap.text(reference)
        if text is None:
            raise self.error(name, "names a text that is not in the file; it is damaged or forged")
        return text

    def _decoded(self, name: str, texts: Array) -> str | Array:
        """Bytes as str."""
        try:
            decoded = [bytes(text or b"").rstrip(b"\0").decode("utf-8") for text in texts.reshape(-1)]
        except UnicodeDecodeError:
            raise self.error(name, "is not UTF-8 text") from None
        if texts.ndim == 0:
            return decoded[0]
        out: Array = np.empty(texts.shape, dtype=object)
        out.reshape(-1)[:] = decoded
        return out

    def _charge(self, name: str, size: int) -> None:
        """Refuse what would make the expanded bytes exceed their budget."""
        limit = max(EXPANDED, EXPANSION * self._file.size)
        self._file.expanded += size
        if self._file.expanded > limit:
            raise self.error(
                name,
                f"would expand to {size} bytes from a file of {self._file.size}; at most {limit} in all are read. "
                "Write the file without compression",
            )

    def _expanded(self, name: str, dataset: Any, dtype: np.dtype[Any]) -> Array:
        """A chunked dataset."""
        at = self._path(name)
        with _damage(self._where, at):
            plan = dataset.get_create_plist()
            shape = tuple(int(side) for side in dataset.shape)
            chunk = tuple(int(side) for side in plan.get_chunk())
            filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
            stored = int(dataset.get_num_chunks())
        if unknown := set(filters) - {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}:
            raise self.error(name, f"is compressed by HDF5 filter {min(unknown)}; write the file with gzip or without")
        if len(shape) not in RANKS or len(chunk) != len(shape) or 0 in chunk:
            raise self.error(name, f"has shape {shape} in chunks of {chunk}; the file is damaged or forged")
        starts = [range(0, side, step) for side, step in zip(shape, chunk, strict=True)]
        needed = math.prod(len(axis) for axis in starts)
        if stored != needed:
            raise self.error(
                name, f"declares shape {shape} in {needed} chunks, of which {stored} are in the file; it is incomplete"
            )
        size = math.prod(chunk) * dtype.itemsize
        self._charge(name, needed * size)
        out: Array = np.empty(shape, dtype=dtype)
        for corner in itertools.product(*starts):
            with _damage(self._where, at):
                length = int(dataset.get_chunk_info_by_coord(corner).size)
            if not 0 < length <= self._file.left:
                raise self.error(name, f"has a chunk of {length} bytes in a file of {self._file.size}; it is forged")
            self._file.left -= length
            with _damage(self._where, at):
                mask, octets = dataset.read_direct_chunk(corner)
                piece = _unfiltered(octets, filters, mask, dtype.itemsize, size)
            block = np.frombuffer(piece, dtype=dtype).reshape(chunk)
            inside = tuple(slice(0, side - start) for side, start in zip(shape, corner, strict=True))
            part = block[inside]
            target = tuple(slice(start, start + n) for start, n in zip(corner, part.shape, strict=True))
            out[target] = part
        return out


def _unfiltered(octets: bytes, filters: list[int], mask: int, itemsize: int, size: int) -> bytes:
    """The bytes of a chunk, exactly `size`; a ValueError where they are others."""
    for i, applied in reversed(list(enumerate(filters))):
        if mask >> i & 1:
            continue
        if applied == h5z.FILTER_DEFLATE:
            octets = zlib.decompressobj().decompress(octets, size + 8)  # 8: checksum of fletcher32 inside
        elif applied == h5z.FILTER_FLETCHER32:
            octets = octets[:-4]
        else:
            count = len(octets) // itemsize
            octets = np.frombuffer(octets, np.uint8)[: count * itemsize].reshape(itemsize, count).T.tobytes()
    if len(octets) != size:
        raise ValueError(f"a chunk has {len(octets)} bytes, {size} are declared")
    return octets
