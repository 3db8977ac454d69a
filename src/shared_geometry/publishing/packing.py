"""Matrices of a figure as a page carries them: a byte a cell, in steps finer than one can see."""

import base64
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go

from shared_geometry.errors import InputError

_MOST = 127  # steps on either side of 0
_MISSING = -128


def pack(matrix: np.ndarray, step: float) -> dict[str, Any]:
    """Matrix in whole steps, as ``figures.js`` unpacks it.

    Parameters
    ----------
    matrix : ndarray of shape (rows, columns)
        NaN where there is no cell.
    step : float

    Returns
    -------
    dict
        ``step``, ``shape``, and ``bytes``: base64 of int8, row by row, -128 for NaN.

    Raises
    ------
    InputError
        If a cell is further from 0 than 127 steps.
    """
    steps = np.rint(np.asarray(matrix, dtype=np.float64) / step)
    if (largest := np.nanmax(np.abs(steps), initial=0.0)) > _MOST:
        raise InputError(
            f"cells are packed between ±{_MOST * step:.3g} in steps of {step:.3g}, "
            f"but one is {largest * step:.3g}"
        )
    whole = np.where(np.isnan(steps), _MISSING, steps).astype(np.int8)
    data = base64.b64encode(whole.tobytes()).decode("ascii")
    return {"step": step, "shape": list(whole.shape), "bytes": data}


def _array(z: Any) -> np.ndarray:
    """What Plotly's JSON holds for a matrix."""
    if not isinstance(z, dict):
        return np.asarray(z, dtype=np.float64)
    flat = np.frombuffer(base64.b64decode(z["bdata"]), np.dtype(z["dtype"]).newbyteorder("<"))
    return flat.reshape([int(n) for n in z["shape"].split(",")])


def packed_json(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON holds it, with the matrices of traces that have a ``meta["step"]`` packed.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        A frame's traces are packed as the figure's own at their place are.
    """
    spec: dict[str, Any] = json.loads(figure.to_json())
    steps = [(trace.get("meta") or {}).get("step") for trace in spec["data"]]
    for traces in (spec["data"], *(frame["data"] for frame in spec.get("frames", []))):
        for trace, step in zip(traces, steps, strict=False):
            if step and "z" in trace:
                trace["z"] = pack(_array(trace["z"]), step)
    return spec
