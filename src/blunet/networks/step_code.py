"""Residual codes of equal steps: a tensor as whole multiples of one trainable step.

A residual code whose gammas halve from level to level takes equally spaced values, so that M gammas are one step s::

    unsigned:  s * {0, 1, ..., 2^M - 1}                         gammas s * [2^(M-2), ..., 1, 1/2], offset sum_m g_m
    signed:    s * {-(2^M - 1)/2, ..., -1/2, 1/2, ...}          the same gammas, no offset

The unsigned code is a quantised ReLU: a student that has learnt with ReLU keeps its weights and statistics. The step
trains with the gradient of LSQ (Esser et al., ICLR 2020, arXiv 1902.08153): straight-through within the range of the
code, and the step's gradient divided by the square root of (values of the tensor * largest code).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any


def step_gammas(step: float, levels: int) -> np.ndarray:
    """Return the gammas of the code with this step, largest first: float32 of shape (levels,)."""
    return np.float32(step) * (2.0 ** np.arange(levels - 2, -2, -1)).astype(np.float32)


def unsigned_code(x: Tensor, step: Tensor, levels: int) -> Tensor:
    """Replace `x` by the nearest of ``step * {0, ..., 2^levels - 1}``; halves are rounded up.

    Parameters
    ----------
    x : tensor
        Any shape, float32.
    step : tensor, scalar
        Above 0.
    levels : int
        Bits per value.

    Returns
    -------
    tensor
        As `x`. Gradients flow to `x` within the range of the code, and to `step`.
    """
    return _whole(ops.clip(x / step, 0, 2**levels - 1)) * step


def signed_code(x: Tensor, step: Tensor, levels: int) -> Tensor:
    """Replace `x` by the nearest odd multiple of ``step / 2`` of magnitude at most ``(2^levels - 1) / 2 * step``.

    Parameters and result as of `unsigned_code`; 0 becomes ``+step / 2``, as sign(0) = +1.
    """
    half = (2**levels - 1) / 2
    return (_whole(ops.clip(x / step, -half, half) + half) - half) * step


def scale_gradient(step: Tensor, factor: float) -> Tensor:
    """Return `step`, with its gradient multiplied by `factor`."""
    return step * factor + ops.stop_gradient(step * (1 - factor))


def step_gradient_factor(values: float, levels: int) -> float:
    """Return LSQ's factor of a step's gradient, 1 / sqrt(values * largest code)."""
    return 1 / math.sqrt(values * (2**levels - 1))


def least_squares_step(values: np.ndarray, levels: int, *, signed: bool) -> float:
    """Return the step whose code has the smallest squared error on `values` (any shape), by a search of two passes."""
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[:: max(1, flat.size // 100_000)]
    if not signed:
        flat = np.maximum(flat, 0)
    size = float(np.sqrt(np.mean(flat**2)))
    if size == 0:
        return 1.0
    top = 2**levels - 1
    low = top / 2 if signed else 0.0

    def error(step: float) -> float:
        code = np.floor(np.clip(flat / step, -low, top - low) + low + 0.5) - low
        return float(np.mean((code * step - flat) ** 2))

    grid = np.geomspace(0.05, 4.0, 40) * size
    best = min(grid, key=error)
    return float(min(np.linspace(best / 1.12, best * 1.12, 25), key=error))


def _whole(x: Tensor) -> Tensor:
    """Round halves up, with the gradient of the identity."""
    return x + ops.stop_gradient(ops.floor(x + 0.5) - x)
