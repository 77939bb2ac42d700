"""The kinds of scipy's sparse matrices and arrays: by class, shape, dtype and what is stored.

The order in which items are stored and items that are stored twice do not count: scipy puts both
right in place whenever it likes (``matrix.max()`` does), and looking at a value must not change its
hash. Zeros that are stored do count, and so does the format: both show in what can be done with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.registry import register


class SparseKind(ValueKind):
    """Sparse matrices and arrays of all formats."""

    def shape(self, value: Any) -> Shape:
        """Return class, shape and dtype, with the stored items in canonical order inside."""
        extra, inside = _take_apart(value)
        cls = type(value)
        is_own = cls.__module__.partition(".")[0] == "scipy"
        own = (cls.__name__,) if is_own else class_path(cls)
        dims = tuple(int(size) for size in value.shape)
        state = (own, value.format, dims, extra)
        # The dtype is that of the items.
        return Shape("scipy.sparse", state, inside, lambda _: ".data")

    def preview(self, value: Any) -> str:
        """Return class, shape, dtype and how many items are stored."""
        shape = "x".join(map(str, value.shape))
        return f"{type(value).__name__}({shape}, {value.dtype}, {value.nnz} stored)"


def _take_apart(value: Any) -> tuple[Any, list[Any]]:
    """Return parameters of the format as plain data, and arrays of places and items."""
    if value.format in ("csr", "csc", "bsr"):
        if not value.has_canonical_format:
            value = value.copy()
            value.sum_duplicates()
        # Whether places are written in 32 or 64 bits does not count.
        places = [value.indptr.astype("<i8"), value.indices.astype("<i8")]
        stored = int(value.indptr[-1]) if len(value.indptr) else 0
        places[1] = places[1][:stored]
        extra = tuple(value.blocksize) if value.format == "bsr" else ()
        return extra, [*places, value.data[:stored]]
    if value.format == "dia":
        return (), _dia_parts(value)
    if value.format == "lil":
        return (), _take_apart(value.tocsr())[1]
    return (), _coordinates(value.tocoo())


def _coordinates(value: Any) -> list[Any]:
    value = value.copy()
    value.sum_duplicates()
    axes = getattr(value, "coords", None) or (value.row, value.col)
    axes = [np.asarray(axis).astype("<i8") for axis in axes]
    # By our own order: that of scipy's differs with how the flag of being sorted came about.
    order = np.lexsort(axes[::-1])
    return [*(axis[order] for axis in axes), value.data[order]]


def _dia_parts(value: Any) -> list[Any]:
    """Return the diagonals in order, with zeros where they lie outside of the matrix."""
    rows, columns = value.shape
    offsets = np.asarray(value.offsets).astype("<i8")
    data = np.zeros((len(offsets), columns), value.dtype)
    width = min(columns, value.data.shape[1])
    order = np.argsort(offsets, kind="stable")
    for position, source in enumerate(order):
        first, last = max(0, int(offsets[source])), min(width, rows + int(offsets[source]))
        if first < last:
            data[position, first:last] = value.data[source, first:last]
    return [offsets[order], data]


def register_sparse() -> None:
    """Register the kind of sparse matrices and arrays."""
    # One of them is a dictionary as well, and that before it is sparse.
    for cls in (sparse.sparray, sparse.spmatrix, sparse.dok_array, sparse.dok_matrix):
        register(cls, SparseKind(), subclasses=True)


__all__ = ["register_sparse"]
