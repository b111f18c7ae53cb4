"""Columns as numpy arrays, over the memory of the result wherever numpy has the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilith._arrow import required
from trilith._native import ArrowBatches

if TYPE_CHECKING:
    import numpy as np


def arrays(result: ArrowBatches) -> dict[str, np.ndarray[Any, Any]]:
    """Return one array per column: shape (rows,), (rows, d) for vectors, or arrays (n, d) for their lists."""
    numpy = required("numpy", ".numpy()")
    return {column["name"]: _array(numpy, column) for column in result.numpy_columns()}


def _array(numpy: Any, column: dict[str, Any]) -> Any:
    if column["dtype"] == "O":
        array = numpy.empty(len(column["data"]), dtype=object)
        array[:] = column["data"]
        return array
    dtype = numpy.dtype(column["dtype"])
    # numpy refuses to look into an empty buffer.
    array = numpy.frombuffer(column["data"], dtype=dtype) if len(column["data"]) else numpy.empty(0, dtype=dtype)
    if column["width"] is not None:
        array = array.reshape(-1, column["width"])
    if column["offsets"] is not None:
        return _matrices(numpy, array, column)
    return array if column["mask"] is None else _masked(numpy, array, column)


def _masked(numpy: Any, array: Any, column: dict[str, Any]) -> Any:
    mask = numpy.frombuffer(column["mask"], dtype=bool)
    if column["width"] is not None:
        mask = numpy.broadcast_to(mask[:, None], array.shape)
    return numpy.ma.MaskedArray(array, mask=mask)


def _matrices(numpy: Any, vectors: Any, column: dict[str, Any]) -> Any:
    """Cut the vectors of all rows into one view for each row; None where a row is null."""
    ends = numpy.frombuffer(column["offsets"], dtype=numpy.int32)
    rows = numpy.empty(len(ends) - 1, dtype=object)
    for row in range(len(rows)):
        rows[row] = vectors[ends[row] : ends[row + 1]]
    if column["mask"] is not None:
        rows[numpy.frombuffer(column["mask"], dtype=bool)] = None
    return rows
