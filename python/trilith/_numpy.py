"""Columns as numpy arrays, over the memory of the result wherever numpy has the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilith._arrow import required
from trilith._native import ArrowBatches

if TYPE_CHECKING:
    import numpy as np


def arrays(result: ArrowBatches) -> dict[str, np.ndarray[Any, Any]]:
    """Return one array per column: shape (rows,), or (rows, d) for vectors."""
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
    return array if column["mask"] is None else _masked(numpy, array, column)


def _masked(numpy: Any, array: Any, column: dict[str, Any]) -> Any:
    mask = numpy.frombuffer(column["mask"], dtype=bool)
    if column["width"] is not None:
        mask = numpy.broadcast_to(mask[:, None], array.shape)
    return numpy.ma.MaskedArray(array, mask=mask)
